"""A thinking Hugging Face model marks where each thought ends, whatever else is in its batch.

This module imports torch and lm-eval; import it inside functions.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import PreTrainedTokenizerBase

from ..errors import CheckpointError, HarnessError
from ..storage.mode import Mode

__all__ = ["ThinkingModel"]

# Which of them a tokenizer has as one token is taken where no delimiter is given.
_USUAL_ENDS = ("</think>", "</thinking>", "[/THINK]", "</seed:think>")
_JUDGED = ("enable_thinking", "reasoning_effort")  # by what the template renders with them
_EFFORTS = ("low", "medium", "high")
_PROBE = [{"role": "user", "content": "What is 1 + 1?"}]


class ThinkingModel(HFLM):  # type: ignore[misc]  # lm-eval ships no types
    """lm-eval's class for Hugging Face models, in a mode.

    Attributes
    ----------
    think_end : str
        What ends a thought in the responses of this model; "" where it is not asked to think.
    chat_template_applies : bool
        Whether prompts go through its chat template.

    """

    notes: list[str]
    think_end: str = ""
    chat_template_applies: bool = False
    _think_end_id: int | None = None

    @property
    @abstractmethod
    def label(self) -> str:
        """What messages call the model by."""

    def prepare_mode(self, mode: Mode | None) -> None:
        """Find where thoughts end, and note what the mode means for this model.

        Raises
        ------
        CheckpointError
            The chat template does not do what the mode says, or nothing tells where a thought
            ends.

        """
        self._mode = mode or Mode()
        if isinstance(self.think_end_token, str):
            self._refuse_unseen(self.think_end_token)
        if self._mode.template_args:
            self._require_arguments()
            self._note_ignored()
        if self._mode.thinking != "default":
            self._require_switch()
        if "reasoning_effort" in self._mode.template_arguments:
            self._require_effort()
        if self._mode.cuts_thoughts or self._mode.max_gen_toks is not None:
            # transformers would take the checkpoint's own number before the one that is wanted.
            self.model.generation_config.max_new_tokens = None
        if self._mode.cuts_thoughts:
            self._find_end(self._mode.think_end)
        elif mode is not None:
            self._note_thoughts()

    def _refuse_unseen(self, end: str) -> None:
        """Refuse a delimiter that lm-eval would look for in texts that never have it."""
        token = _one_token(self.tokenizer, end)
        if token is not None and not self.tokenizer.decode([token], skip_special_tokens=True):
            raise CheckpointError(
                f"{self.label}: think_end_token={end} is a special token of its tokenizer, which "
                f"lm-eval drops before it looks for it: thoughts would be graded; pass its id, "
                f"think_end_token={token}"
            )

    def _require_switch(self) -> None:
        texts = {on: self._rendered(enable_thinking=on) for on in (True, False)}
        if texts[True] == texts[False]:
            raise CheckpointError(
                f"{self.label}: its chat template ignores enable_thinking: it renders the same "
                "with thinking on and off; for a model that always thinks say where a thought ends "
                "(--think-end '</think>'), for another name of the switch --chat-template-args"
            )

    def _require_arguments(self) -> None:
        try:
            self._rendered()
        except (TemplateError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{self.label}: its chat template cannot be applied with "
                f"{self._mode.template_args:.200}: {' '.join(str(error).split()):.200}"
            ) from None

    def _note_ignored(self) -> None:
        """Note arguments that the template cannot use, as it does not name them."""
        text = "".join(self._templates())
        ignored = [
            name
            for name in self._mode.template_arguments
            if name not in _JUDGED and not re.search(rf"\b{re.escape(name)}\b", text)
        ]
        if ignored:
            self.notes.append(
                f"its chat template ignores {', '.join(ignored)}: it does not name "
                f"{'it' if len(ignored) == 1 else 'them'} (--chat-template-args)"
            )

    def _templates(self) -> list[str]:
        template = self.tokenizer.chat_template
        return list(template.values()) if isinstance(template, dict) else [template or ""]

    def _require_effort(self) -> None:
        """Refuse an effort that the template ignores: it would be a measurement of its own."""
        prompts = {self._rendered()}
        for effort in _EFFORTS:
            try:
                prompts.add(self._rendered(reasoning_effort=effort))
            except TemplateError:  # of a template that knows which efforts there are
                return
        if len(prompts) == 1:
            raise CheckpointError(
                f"{self.label}: its chat template ignores reasoning_effort: it renders the same "
                "with every effort; leave --reasoning-effort out"
            )

    def _rendered(self, **arguments: Any) -> str:
        given = {**self.chat_template_args, **arguments}
        return str(
            self.tokenizer.apply_chat_template(
                _PROBE, tokenize=False, add_generation_prompt=True, **given
            )
        )

    def _find_end(self, wanted: str | None) -> None:
        """Resolve the delimiter to its id where it is one token."""
        if wanted is None:
            known = [end for end in _USUAL_ENDS if _one_token(self.tokenizer, end) is not None]
            if not known:
                raise CheckpointError(
                    f"{self.label}: the end of a thought is not known: its tokenizer has none of "
                    f"{', '.join(_USUAL_ENDS)}; state it with --think-end"
                )
            wanted = known[0]
        if wanted.isascii() and wanted.isdigit():
            self._think_end_id = int(wanted)
            if self._think_end_id >= len(self.tokenizer):
                raise CheckpointError(f"{self.label}: its tokenizer has no token {wanted}")
            wanted = str(self.tokenizer.decode([self._think_end_id]))
        else:
            self._think_end_id = _one_token(self.tokenizer, wanted)
        self.think_end = wanted

    def _note_thoughts(self) -> None:
        """Note that a model that thinks is measured as if it did not."""
        if not any(end in text for end in _USUAL_ENDS for text in self._templates()):
            return
        if not getattr(self, "rules", None) or not self.rules.chat_template:
            self.notes.append(
                "it is a model that thinks, measured in plain mode: its scores collapse where its "
                "thoughts are cut off or graded; pass --thinking on, or off (thinking=on in "
                "lm-eval's --model_args)"
            )
        elif self._mode.thinking == "default":
            self.notes.append(
                "its chat template knows thoughts, and is told nothing about them: what the model "
                "thinks is graded as its answer; pass --thinking on, or off (thinking=on in "
                "lm-eval's --model_args)"
            )

    def tok_decode(self, tokens: Any, skip_special_tokens: bool = True) -> Any:
        """Decode a response so that the end of its thought can be seen, and up to its own end."""
        if not self._ends_by_itself or not skip_special_tokens or isinstance(tokens, int):
            return super().tok_decode(tokens, skip_special_tokens=skip_special_tokens)
        ends = self._end_tokens
        own = [int(token) for token in tokens]
        own = own[: next((i for i, token in enumerate(own) if token in ends), len(own))]
        if self._think_end_id is None or self._think_end_id not in own:
            return super().tok_decode(own)
        last = len(own) - 1 - own[::-1].index(self._think_end_id)
        parts = [super(ThinkingModel, self).tok_decode(p) for p in (own[:last], own[last + 1 :])]
        return self.think_end.join(parts)

    @property
    def _ends_by_itself(self) -> bool:
        """Whether each response ends at its own end token, whatever it is batched with.

        lm-eval looks for the tokenizer's end token in a text that is decoded without it, so that a
        response goes on for as long as its neighbours do.
        """
        return bool(self.think_end or self.chat_template_applies)

    @property
    def _end_tokens(self) -> set[int]:
        ids = self.model.generation_config.eos_token_id
        own = ids if isinstance(ids, list) else [ids]
        return {int(token) for token in [*own, self.eot_token_id] if token is not None}

    def _model_generate(
        self, context: Any, max_length: int, stop: list[str], **settings: Any
    ) -> Any:
        if self._ends_by_itself:  # each row, and is padded from there on
            settings["eos_token_id"] = sorted(self._end_tokens)
        return super()._model_generate(context, max_length, stop, **settings)

    def require_mode(self, request_type: str, requests: Sequence[Instance]) -> None:
        """Refuse requests that have no right response in this mode.

        Raises
        ------
        HarnessError
            Log-likelihoods of answers are wanted of a model that thinks first; or a prompt does
            not fit beside the tokens of its response, and lm-eval would cut its beginning off.

        """
        if request_type != "generate_until":
            if self.think_end or self.chat_template_args.get("enable_thinking"):
                raise HarnessError(
                    "log-likelihoods of given answers mean nothing for a model that thinks first; "
                    "turn thinking off, or take benchmarks that generate"
                )
            return
        is_strict = bool(self.think_end) or self._mode.max_gen_toks is not None
        for settings in {str(r.args[1]): r.args[1] for r in requests}.values():
            budget = int(settings.get("max_gen_toks") or self.max_gen_toks)
            if budget >= self.max_length and self.backend == "causal":
                raise HarnessError(
                    f"a response of at most {budget:,} tokens leaves no room for a prompt within "
                    f"the model's {self.max_length:,}; give a lower --max-gen-toks"
                )
        for request in requests if is_strict else ():
            self._require_room(*request.args)

    def _require_room(self, context: str, settings: dict[str, Any]) -> None:
        budget = int(settings.get("max_gen_toks") or self.max_gen_toks)
        n_prompt = len(self.tok_encode(context))
        if n_prompt + budget > self.max_length:
            raise HarnessError(
                f"a prompt of {n_prompt:,} tokens and a response of at most {budget:,} do not fit "
                f"into the model's {self.max_length:,}: the prompt's beginning would be cut off; "
                "give a lower --max-gen-toks"
            )


def _one_token(tokenizer: PreTrainedTokenizerBase, text: str) -> int | None:
    """Return the id of a text that is one token, None where it is several."""
    ids = tokenizer.encode(text, add_special_tokens=False)
    return int(ids[0]) if len(ids) == 1 else None
