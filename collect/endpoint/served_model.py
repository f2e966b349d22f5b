"""A served model is an lm-eval model that answers requests one by one, several at a time.

This module imports lm-eval; import it inside functions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from tqdm import tqdm

from ..checkpoints.checkpoint import Checkpoint
from ..errors import BackendError, HarnessError, ResponseError
from ..settings import RunSettings
from ..storage.journal import RequestType, Response, is_sampled
from ..storage.mode import Mode
from .address import NOTHING_TELLS, served_name
from .answers import Answer, Answers
from .connection import Connection, api_key
from .length import ContextLength
from .log_probabilities import NotEchoedError, read_echo
from .parallel import in_parallel
from .payload import Payloads, Sampling, answer_budget, refuse_unknown_settings
from .probes import (
    accepted_fields,
    ignored_switch_reason,
    is_greedy,
    listed_models,
    log_probability_reason,
    require_sampling,
    same_model,
)

__all__ = ["ServedModel", "connect"]

_NO_ROLLING = "endpoints give no log-likelihoods of whole texts"
_NO_THOUGHT_SCORES = (
    "log-likelihoods of given answers mean nothing for a model that thinks first; turn thinking "
    "off, or take benchmarks that generate"
)


def connect(checkpoint: Checkpoint, settings: RunSettings) -> ServedModel:
    """Return the model behind an endpoint, once its server has answered.

    Raises
    ------
    BackendError
        Nothing answers there, the key is refused or not there, or the server refuses what the
        measurement needs.

    """
    url, _ = served_name(checkpoint)
    is_chosen = "api_key_env" in settings.model_fields_set
    key = api_key(settings.api_key_env, is_required=is_chosen)
    return ServedModel(Connection(url, key=key), checkpoint, settings)


class ServedModel(LM):  # type: ignore[misc]  # lm-eval ships no types
    """lm-eval's interface to a model behind an OpenAI-compatible server.

    Parameters
    ----------
    connection : Connection
        The server.
    checkpoint : Checkpoint
        The model, of kind ``endpoint``.
    settings : RunSettings
        How it is measured.

    Attributes
    ----------
    notes : list of str
        What a user should know before anything is measured, a line each.

    """

    think_end = ""

    def __init__(
        self, connection: Connection, checkpoint: Checkpoint, settings: RunSettings
    ) -> None:
        super().__init__()
        self.notes: list[str] = []
        self._connection = connection
        self._settings = settings
        self._mode = Mode.of(settings)
        self._stated = settings.answers_of
        url, self._model = served_name(checkpoint)
        self._payloads = Payloads(self._model, self._mode, is_chat=settings.applies_template)
        self._proven: set[Sampling] = set()
        self._score_reason: str | None = None
        self._was_probed = False
        models = listed_models(connection)
        if models and self._model not in models:
            near = ", ".join(list(models)[:3])
            self.notes.append(f"{url} does not list {self._model}; it lists {near}")
        listed_length = models.get(self._model, {}).get("max_model_len")
        self._length = ContextLength.of(settings, listed_length, self._mode.template_arguments)
        self._try_fields({})
        self._require_switch()
        stated = "" if self._stated is None else f"; you say that it is {self._stated}"
        self.notes.append(f"{self._model} behind {url}{stated}: {NOTHING_TELLS}")
        if self._length.limit is None:
            self.notes.append(
                "nothing tells how long its context is, and a server may answer to what is longer "
                "with nonsense; pass --context-length, and --tokenizer to check before requests"
            )

    def _try_fields(self, sampling: dict[str, Any]) -> None:
        """Send a request with all fields that the measurement's own have, and learn from it."""
        before = self._payloads.accepted
        own = {**self._mode.generation, **sampling, "until": ["###"], "max_gen_toks": 16}
        accepted, answer = accepted_fields(self._connection, self._payloads, own)
        self._require_model(answer)
        if Sampling.of(own).temperature == 0 and not is_greedy(
            self._connection, self._payloads, own, answer
        ):
            self.notes.append(
                "the server gave two texts to one prompt at temperature 0: a score here depends on "
                "chance (some hold the sampling settings of their first request: restart it)"
            )
        names = [name for name in ("stop", "seed") if getattr(before, name)]
        left_out = [name for name in names if not getattr(accepted, name)]
        if left_out:
            self.notes.append(
                f"the server refuses the field {' and '.join(left_out)}, which is left out"
                + ("; stop strings are applied here" * ("stop" in left_out))
            )

    def _require_switch(self) -> None:
        """Refuse thinking on or off where the server's chat template knows of no such switch."""
        if self._mode.thinking == "default":
            return
        modes = (replace(self._mode, thinking="on"), replace(self._mode, thinking="off"))
        on, off = (Payloads(self._model, mode, is_chat=True) for mode in modes)
        for payloads in (on, off):
            payloads.accepted = self._payloads.accepted
        reason = ignored_switch_reason(self._connection, (on, off), self._length)
        if reason is not None:
            raise BackendError(
                f"{self._connection.url}: its chat template ignores enable_thinking: {reason}; for "
                "a model that always thinks say --chat-template and where a thought ends "
                "(--think-end '</think>'), for another name of the switch --chat-template-args"
            )

    def _require_model(self, answer: Answer) -> None:
        """Refuse a server that answers with another model than the one that was asked."""
        if answer.model is None or same_model(self._model, answer.model):
            return
        if self._stated is not None and same_model(self._stated, answer.model):
            return
        raise BackendError(
            f"{self._connection.url}: {answer.model} answers, and {self._model} was asked; name "
            "it with --model, or state with --answers-of that this is what you mean"
        )

    @property
    def tokenizer_name(self) -> str:
        """The model's name: what its prompts are rendered by is the server's."""
        return self._model

    @property
    def device(self) -> str:
        """Where the model runs, which nothing tells."""
        return "endpoint"

    @property
    def batch_size(self) -> int:
        """Requests at a time."""
        return self._settings.concurrency

    def tok_encode(self, string: str, **_: Any) -> Sequence[int]:
        """Return a text's tokens, or without a tokenizer about as many numbers."""
        return self._length.tokens(string)

    def answers(self) -> Answers:
        """Return what reads the answers of one benchmark."""
        return Answers(thinks=self._mode.cuts_thoughts, end=self._mode.think_end)

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """Return a conversation as JSON; the server renders it."""
        if not add_generation_prompt:
            raise HarnessError(
                "the task begins the answer itself, for which chat completions have no field; "
                "measure it without a chat template"
            )
        return json.dumps(chat_history, ensure_ascii=False)

    def unscored_reason(self) -> str | None:
        """Return why log-likelihoods of given texts cannot be had; the server is tried once."""
        if self._mode.cuts_thoughts:
            return _NO_THOUGHT_SCORES
        if self._payloads.is_chat:
            return "chat completions give no log-probabilities of given answers"
        if not self._was_probed:
            self._score_reason = log_probability_reason(self._echo)
            self._was_probed = True
        return self._score_reason

    def _echo(self, text: str) -> Any:
        return self._connection.post("/completions", self._payloads.scoring(text), most_faults=2)

    def check_requests(self, request_type: str, requests: Sequence[Instance]) -> None:
        """Refuse requests that have no right answer here, before any is sent.

        Raises
        ------
        HarnessError
            Log-likelihoods that the server does not give; a generation setting without a field; a
            prompt that does not fit into the context beside its answer.

        """
        if request_type != "generate_until":
            if request_type == "loglikelihood_rolling":
                raise HarnessError(_NO_ROLLING)
            if (reason := self.unscored_reason()) is not None:
                raise HarnessError(reason)
            self._length.require_room([r.args[0] + r.args[1] for r in requests], [1], is_chat=False)
            return
        for settings in {str(r.args[1]): r.args[1] for r in requests}.values():
            refuse_unknown_settings(settings)
        self._length.require_room(
            [r.args[0] for r in requests],
            [answer_budget(r.args[1]) for r in requests],
            is_chat=self._payloads.is_chat,
        )

    def respond_each(
        self, request_type: RequestType, requests: Sequence[Instance], seeds: Sequence[int]
    ) -> Iterator[list[tuple[int, Response]]]:
        """Yield responses with the indices of their requests, as they come.

        Raises
        ------
        ResponseError
            The server refuses a request, fails on it or does not answer; what else came by then
            has been yielded.

        """
        if request_type == "generate_until":
            for request in requests:
                sampling = Sampling.of(request.args[1])
                if sampling.temperature > 0 and sampling not in self._proven:
                    self._try_fields({**sampling.fields, "do_sample": True})
                    require_sampling(self._connection, self._payloads, sampling)
                    self._proven.add(sampling)

        def respond(index: int) -> Response:
            context, other = requests[index].args
            if request_type == "loglikelihood":
                return self._scored(context, other)
            seed = seeds[index] if is_sampled(request_type, (context, other)) else None
            return self._generated(context, other, seed).to_json()

        with tqdm(total=len(requests)) as bar:
            for batch in in_parallel(respond, len(requests), self._settings.concurrency):
                yield batch
                bar.update(len(batch))

    def _generated(self, context: str, settings: dict[str, Any], seed: int | None) -> Answer:
        payload = self._payloads.generation(context, settings, seed)
        response = self._connection.post(self._payloads.route, payload)
        answer = Answer.read(response, answer_budget(settings))
        self._require_model(answer)
        self._length.require_kept(answer)
        return answer

    def _scored(self, context: str, continuation: str) -> tuple[float, bool]:
        text = context + continuation
        try:
            return read_echo(self._echo(text), text).score(len(context))
        except NotEchoedError as error:
            raise ResponseError(
                f"the server gave no log-probabilities of {text[-60:]!r}: {error}"
            ) from None

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Return (log-likelihood, is greedy) per request."""
        return self._all("loglikelihood", requests)

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Refuse: a server's windows are not lm-eval's."""
        raise HarnessError(_NO_ROLLING)

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Return the server's answers as JSON, which `answers` reads."""
        return self._all("generate_until", requests)

    def _all(self, request_type: RequestType, requests: list[Instance]) -> list[Any]:
        self.check_requests(request_type, requests)
        batches = self.respond_each(request_type, requests, range(len(requests)))
        responses = dict(pair for batch in batches for pair in batch)
        return [responses[i] for i in range(len(requests))]
