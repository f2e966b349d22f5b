"""The recorder is an lm-eval model that requests from another only responses the journal lacks.

This module imports lm-eval; import it inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from ..errors import HarnessError
from ..storage.journal import Journal, Response
from ._mixed_prompts import mixed_prompts
from .dispatch import Dispatcher
from .journaled import RequestCounts
from .one_by_one import OneByOne
from .thoughts import Thoughts

__all__ = ["Recorder"]


class Recorder(LM):  # type: ignore[misc]  # lm-eval is untyped
    """Wraps any lm-eval model; every response is on disk before more are requested.

    Parameters
    ----------
    lm : lm_eval.api.model.LM
        The model that responds to what is not known.
    journal : Journal
        Where responses are stored.
    identity : str
        Key of the measurement identity: everything that decides a response besides the request.
    label : str
        What is measured, for messages: model and benchmark.
    description : mapping, optional
        The identity as JSON data, stored beside the responses.
    on_progress : callable, optional
        Called with the number of responses so far and of requests, of the current call.
    chunk_seconds : float
        Longest that a chunk may knowingly take: the work that a killed run repeats. A batch is
        never cut; a model that does not say what a batch is may take thrice its shortest chunk.
    thoughts : Thoughts, optional
        Reads answers from responses, which are stored whole; by default they are the same.

    Attributes
    ----------
    notices : list of str
        What to know of the responses: that prompts depended on their batch.

    """

    def __init__(
        self,
        lm: LM,
        *,
        journal: Journal,
        identity: str,
        label: str,
        description: Mapping[str, Any] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        chunk_seconds: float = 20.0,
        thoughts: Thoughts | None = None,
    ) -> None:
        super().__init__()
        self._lm = lm
        self.thoughts = thoughts
        self.notices: list[str] = []
        self._dispatcher: Dispatcher | OneByOne
        if (respond_each := getattr(lm, "respond_each", None)) is not None:
            self._dispatcher = OneByOne(
                journal,
                identity=identity,
                description=description,
                on_progress=on_progress,
                respond_each=respond_each,
            )
            return
        self._dispatcher = Dispatcher(
            journal,
            identity=identity,
            label=label,
            description=description,
            on_progress=on_progress,
            chunk_seconds=chunk_seconds,
            batch_size=_batch_size(lm),
            by_prefix=getattr(lm, "shares_prefixes", False) is True,
            torch_model=getattr(lm, "model", None),
        )

    @property
    def counts(self) -> RequestCounts:
        """What became of the requests so far."""
        return self._dispatcher.counts

    def loglikelihood(self, requests: list[Instance]) -> list[Response]:
        """Return (log-likelihood, is greedy) per request."""
        self._check("loglikelihood", requests)
        return self._dispatcher.responses("loglikelihood", requests, self._lm.loglikelihood)

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[Response]:
        """Return the log-likelihood of each whole text."""
        self._check("loglikelihood_rolling", requests)
        return self._dispatcher.responses(
            "loglikelihood_rolling", requests, self._lm.loglikelihood_rolling
        )

    def generate_until(self, requests: list[Instance]) -> list[Response]:
        """Return the generated text per request."""
        asked = requests if self.thoughts is None else self.thoughts.unstopped(requests)
        self._check("generate_until", asked)
        if sentence := mixed_prompts(self._lm, [request.args[0] for request in requests]):
            self.notices.append(sentence)
        draw = getattr(self._lm, "generate_from_seeds", None)
        responses = self._dispatcher.responses(
            "generate_until", asked, self._lm.generate_until, draw
        )
        if self.thoughts is None:
            return responses
        pairs = zip(requests, responses, strict=True)
        return [self.thoughts.answer(request, str(response)) for request, response in pairs]

    def _check(self, request_type: str, requests: list[Instance]) -> None:
        """Let the model refuse all requests of a call before it is given any of them."""
        thinks = self.thoughts is not None and self.thoughts.thinks
        if thinks and request_type != "generate_until":
            raise HarnessError("a model that thinks first has no log-likelihoods of given answers")
        check = getattr(self._lm, "check_requests", None)
        if check is not None:
            check(request_type, requests)

    def share_done(self, share_of_call: float) -> float:
        """Return the share of all requests that is done when this share of the model's call is."""
        return self._dispatcher.share_done(share_of_call)

    # What `LM` itself defines is found before __getattr__ and so has to be passed on by name.

    @property
    def rank(self) -> int:
        """Index of this data-parallel process."""
        return int(self._lm.rank)

    @property
    def world_size(self) -> int:
        """Number of data-parallel processes."""
        return int(self._lm.world_size)

    @property
    def device(self) -> Any:
        """Where the model is."""
        return self._lm.device

    @property
    def tokenizer_name(self) -> str:
        """Name of the tokenizer."""
        return str(self._lm.tokenizer_name)

    def all_gather(self, tensor: Any) -> Any:
        """Gather a tensor over the data-parallel processes."""
        return self._lm.all_gather(tensor)

    def gather_object(self, obj: Any, dst: int = 0) -> Any:
        """Gather an object on one data-parallel process."""
        return self._lm.gather_object(obj, dst)

    def barrier(self) -> None:
        """Wait for the other data-parallel processes."""
        self._lm.barrier()

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> Any:
        """Render a conversation as the model wants it: a text, or what its API takes."""
        return self._lm.apply_chat_template(chat_history, add_generation_prompt)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """Return the chat template's text."""
        template = self._lm.chat_template(chat_template)
        return None if template is None else str(template)

    def __getattr__(self, name: str) -> Any:
        if name == "_lm":  # before __init__ has run, as when a copy is being made
            raise AttributeError(name)
        return getattr(self._lm, name)


def _batch_size(lm: LM) -> int | None:
    size = getattr(lm, "batch_size", None)
    return size if isinstance(size, int) and size > 0 else None
