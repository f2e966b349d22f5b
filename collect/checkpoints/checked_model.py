"""lm-eval's classes for Hugging Face checkpoints are extended by checks of what they load.

A checked class is a subclass made for one load: it refuses a model that is not the one named, sees
to it that requests are encoded as texts that go on, and notes what a user should know. This module
imports torch and lm-eval; import it inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..errors import CheckpointError, HarnessError
from ..storage.mode import Mode
from .checkpoint import APPENDED_REMOVED
from .loading import LoadedWeights, recorded_loading, replaced
from .thinking_model import ThinkingModel
from .tokenizer_checks import (
    encodes_nothing,
    renumbered_tokens,
    stop_appending,
    tokens_beyond,
)
from .tokenizer_files import NO_CHAT_TEMPLATE, TOKENIZER_FILES, has_tokenizer_files

__all__ = ["CheckedModel", "LoadRules", "checked"]


@dataclass(frozen=True)
class LoadRules:
    """What a load has to fulfil."""

    name: str | None = None
    """What messages call the model; by default what it is loaded from."""

    chat_template: bool | str = False
    """Whether prompts will go through the chat template, or through which by name."""

    mode: Mode | None = None
    """How the model responds, where more is wanted than lm-eval's arguments say."""

    allow_missing_weights: bool = False
    """Go on where weights are missing, and are drawn at random."""


def checked(model_class: type, rules: LoadRules) -> type:
    """Return a class that loads as ``model_class`` does, checked by rules; others as they are."""
    if not issubclass(model_class, HFLM):
        return model_class
    bases = (CheckedModel,) if model_class is HFLM else (CheckedModel, model_class)
    return type(model_class.__name__, bases, {"rules": rules, "__module__": __name__})


_NO_END = (
    "its tokenizer names no EOS token, by which lm-eval ends a generated text; name it in "
    "tokenizer_config.json (eos_token)"
)


class CheckedModel(ThinkingModel):
    """A Hugging Face model that is the one named, or is not loaded.

    Attributes
    ----------
    notes : list of str
        What a user should know before anything is measured, a line each.
    identity_settings : dict
        What is done otherwise than the checkpoint's files or lm-eval say, for an identity.
    missing_weights : list of str
        Weights that were drawn at random, where that is allowed.

    """

    rules: ClassVar[LoadRules] = LoadRules()

    def __init__(self, pretrained: Any, *args: Any, **kwargs: Any) -> None:
        self.notes: list[str] = []
        self.identity_settings: dict[str, str] = {}
        self.missing_weights: list[str] = []
        self._unserved_tokens: dict[int, str] = {}
        self._loaded_from = str(getattr(pretrained, "name_or_path", pretrained))
        super().__init__(pretrained, *args, **kwargs)
        if self.backend == "causal":
            self._stop_appending()
        self._keep_padding_inside()
        if self._lacks_end():
            self.notes.append(f"{_NO_END}, or benchmarks that generate get no score")
        self.chat_template_applies = bool(self.rules.chat_template)
        self.prepare_mode(self.rules.mode)

    def _lacks_end(self) -> bool:
        """Whether texts cannot be generated; capspace's engine ends one by token ids alone."""
        return self.eot_token_id is None and not getattr(self, "shares_prefixes", False)

    @property
    def label(self) -> str:
        """Return what messages call the model by: its name, or where it was loaded from."""
        return self.rules.name or self._loaded_from

    def _create_tokenizer(self, pretrained: Any, tokenizer: Any, **kwargs: Any) -> None:
        """Create the tokenizer; refuse one that is none, or has not the chat template wanted."""
        source = tokenizer or self._loaded_from
        try:
            super()._create_tokenizer(pretrained, tokenizer, **kwargs)
        except (OSError, ValueError, ImportError):
            self._require_files(source)
            raise
        if encodes_nothing(self.tokenizer):
            self._require_files(source)
            raise CheckpointError(f"{self.label}: its tokenizer knows no plain words")
        self._require_chat_template()
        for token in renumbered_tokens(self.tokenizer, kwargs.get("revision")):
            loaded = "no id" if token.id_loaded is None else token.id_loaded
            self.notes.append(
                f"token {token.token!r} has id {token.id_in_file} in {token.file} "
                f"and {loaded} once loaded: other rows of the embedding are read for it"
            )

    def _require_files(self, source: Any) -> None:
        """Refuse a folder in which no file of a tokenizer lies."""
        folder = Path(str(source))
        if not folder.is_dir() or has_tokenizer_files([p.name for p in folder.iterdir()]):
            return
        raise CheckpointError(
            f"{self.label}: no tokenizer: none of {', '.join(TOKENIZER_FILES)} is there; copy "
            "the tokenizer's files there from the model that it was trained from"
        )

    def _require_chat_template(self) -> None:
        wanted, tokenizer = self.rules.chat_template, self.tokenizer
        own = type(tokenizer).apply_chat_template
        if wanted is False or own is not PreTrainedTokenizerBase.apply_chat_template:
            return
        template = tokenizer.chat_template
        if not template:
            raise CheckpointError(f"{self.label}: {NO_CHAT_TEMPLATE}")
        name = wanted if isinstance(wanted, str) else "default"
        if isinstance(template, dict) and name not in template:
            raise CheckpointError(
                f"{self.label}: it has no chat template {name!r}; there are "
                f"{', '.join(sorted(template))}"
            )

    def _create_model(self, *args: Any, peft: str | None = None, **kwargs: Any) -> None:
        """Load the weights; refuse a model that its files do not hold whole."""
        with (
            recorded_loading(with_adapter=peft is not None) as weights,
            self._vocabulary_of(peft, kwargs.get("revision")),
        ):
            super()._create_model(*args, peft=peft, **kwargs)
        if weights.lost_scales:
            raise CheckpointError(
                f"{self.label}: its weights are quantised by a method that its configuration does "
                f"not state; scales have no place in the model, first {weights.lost_scales[0]}"
            )
        if weights.missing:
            self._take_missing(weights)
        elif weights.unused:
            self.notes.append(
                f"{len(weights.unused):,} weights of its files have no place in "
                f"the model and are not used, first {weights.unused[0]}"
            )
        self._require_rows()

    def _get_accelerate_args(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Load on the CPU by its plain name: safetensors refuses "cpu:0", which accelerate gives.

        Processes started together on CPUs are given it; transformers 4 hands it on.
        """
        loading: dict[str, Any] = super()._get_accelerate_args(*args, **kwargs)
        if loading.get("device_map") == {"": "cpu:0"}:
            loading["device_map"] = {"": "cpu"}
        return loading

    def _take_missing(self, weights: LoadedWeights) -> None:
        if not self.rules.allow_missing_weights:
            raise CheckpointError(
                f"{self.label}: {weights.reason}; missing weights would be initialised at random"
            )
        self.missing_weights = weights.missing
        self.notes.append(f"{weights.reason}; missing weights are initialised at random")

    @contextmanager
    def _vocabulary_of(self, adapter: str | None, revision: str | None) -> Iterator[None]:
        """Let lm-eval fit the vocabulary to the tokenizer only where an adapter was trained so.

        It would cut the rows that pad a vocabulary, which raises every log-likelihood, and draw at
        random those of tokens that nobody trained.
        """
        if adapter is None:
            yield
            return
        sizes = _sizes_in_adapter(adapter, revision)

        def if_trained(resize: Callable[..., Any]) -> Callable[..., Any]:
            def resize_token_embeddings(
                model: PreTrainedModel, new_num_tokens: int, *args: Any, **kwargs: Any
            ) -> Any:
                if new_num_tokens in sizes:
                    return resize(model, new_num_tokens, *args, **kwargs)
                self.identity_settings["vocabulary"] = "whole"
                self.notes.append(
                    f"all {_n_rows(model):,} rows of the vocabulary are used with "
                    "the adapter; lm-eval alone would resize it to the tokenizer's "
                    f"{new_num_tokens:,}"
                )
                return model.get_input_embeddings()

            return resize_token_embeddings

        with replaced(PreTrainedModel, "resize_token_embeddings", if_trained):
            yield

    def _require_rows(self) -> None:
        """Refuse a tokenizer whose own vocabulary is larger than the embedding."""
        n_rows = _n_rows(self.model)
        if n_rows is None:
            return
        ordinary, added = tokens_beyond(self.tokenizer, n_rows)
        begin = self.tokenizer.bos_token_id
        begin = self.tokenizer.eos_token_id if begin is None else begin
        if begin is not None and begin in added:
            ordinary = {begin: added[begin], **ordinary}
        size = f"its tokenizer has {len(self.tokenizer):,} tokens, its embedding {n_rows:,} rows"
        if ordinary:
            number, token = next(iter(ordinary.items()))
            raise CheckpointError(
                f"{self.label}: {size}: none for token {number} ({token!r}); give it the "
                "tokenizer that its weights were trained with"
            )
        if added:
            number, token = next(iter(added.items()))
            self._unserved_tokens = added
            self.notes.append(
                f"{size}: none for {len(added):,} added tokens, first {number} "
                f"({token!r}); a benchmark with one of them in a prompt is not measured"
            )

    def _stop_appending(self) -> None:
        try:
            names = stop_appending(self.tokenizer)
        except CheckpointError as error:
            raise CheckpointError(f"{self.label}: {error}") from None
        if names:
            self.identity_settings |= dict([APPENDED_REMOVED])
            self.notes.append(
                f"its tokenizer puts {' '.join(names)} behind every text; requests "
                "are encoded without it"
            )

    def _keep_padding_inside(self) -> None:
        """Pad with a token that the embedding has a row for: it is masked, yet looked up."""
        n_rows = _n_rows(self.model)
        pad, end = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        outside = n_rows is not None and pad is not None and pad >= n_rows
        if outside and end is not None and end < n_rows:
            self.tokenizer.pad_token_id = end

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, *args: Any, **kwargs: Any
    ) -> list[int]:
        """Encode a text; lm-eval's own way needs a BOS or EOS token to tell how."""
        if add_special_tokens is None and self.prefix_token_id is None:
            add_special_tokens = self.add_bos_token is not False
        tokens: list[int] = super().tok_encode(string, add_special_tokens, *args, **kwargs)
        return tokens

    def loglikelihood(self, requests: list[Instance], *args: Any, **kwargs: Any) -> Any:
        """Score requests that can be encoded."""
        self.check_requests("loglikelihood", requests)
        return super().loglikelihood(requests, *args, **kwargs)

    def loglikelihood_rolling(self, requests: list[Instance], *args: Any, **kwargs: Any) -> Any:
        """Score whole texts that can be encoded."""
        self.check_requests("loglikelihood_rolling", requests)
        return super().loglikelihood_rolling(requests, *args, **kwargs)

    def generate_until(self, requests: list[Instance], *args: Any, **kwargs: Any) -> Any:
        """Continue contexts that can be encoded."""
        self.check_requests("generate_until", requests)
        return super().generate_until(requests, *args, **kwargs)

    def check_requests(self, request_type: str, requests: Sequence[Instance]) -> None:
        """Refuse requests that this model's tokenizer cannot encode, before any is computed.

        Raises
        ------
        HarnessError
            They need a token that the tokenizer does not name, or have one without a row in the
            embedding.

        """
        self.require_mode(request_type, requests)
        if request_type == "generate_until":
            if self._lacks_end():
                raise HarnessError(_NO_END)
        elif self.prefix_token_id is None and (
            request_type == "loglikelihood_rolling" or any(not r.args[0] for r in requests)
        ):
            raise HarnessError(
                "its tokenizer names neither a BOS nor an EOS token, with which lm-eval begins a "
                "text that has no context; name one in tokenizer_config.json (bos_token)"
            )
        if self._unserved_tokens:
            for request in requests:
                self._require_served("".join(a for a in request.args if isinstance(a, str)))

    def _require_served(self, text: str) -> None:
        for number in self.tok_encode(text):
            if number in self._unserved_tokens:
                raise HarnessError(
                    f"a prompt holds token {number} ({self._unserved_tokens[number]!r}), for which "
                    f"the embedding of {_n_rows(self.model):,} rows has none"
                )


def _n_rows(model: Any) -> int | None:
    """Return the rows of a model's embedding, None where it does not say."""
    try:
        embedding = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    rows = getattr(embedding, "num_embeddings", None)
    return rows if isinstance(rows, int) else None


def _sizes_in_adapter(adapter: str, revision: str | None) -> set[int]:
    """Return all lengths of the sides of an adapter's tensors."""
    from peft import load_peft_weights

    weights = load_peft_weights(adapter, device="cpu", revision=revision)
    return {int(n) for tensor in weights.values() for n in tensor.shape}
