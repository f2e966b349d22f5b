"""Prompts are checked against the context before they are sent: many servers check nothing.

Past its context a server may answer as if nothing were wrong, with a text that means nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, Self

from ..errors import BackendError, HarnessError, ResponseError
from ..settings import RunSettings
from .answers import Answer

__all__ = ["ContextLength"]

_BYTES_PER_TOKEN = 4


class ContextLength:
    """The most tokens of a prompt with its answer, as far as anything tells them.

    Parameters
    ----------
    limit : int, optional
        The context's tokens.
    tokenizer : object, optional
        A tokenizer of transformers.
    template_arguments : mapping
        What its chat template is given.

    """

    def __init__(
        self, limit: int | None, tokenizer: Any, template_arguments: Mapping[str, Any]
    ) -> None:
        self.limit = limit
        self._tokenizer = tokenizer
        self._template_arguments = template_arguments

    @classmethod
    def of(
        cls, settings: RunSettings, listed: object, template_arguments: Mapping[str, Any]
    ) -> Self:
        """Return what the settings say, else the server, else the tokenizer's own configuration.

        Raises
        ------
        BackendError
            There is no such tokenizer, or the length that is told is none.

        """
        tokenizer, configured = None, None
        if settings.tokenizer is not None:
            tokenizer, configured = _loaded(settings.tokenizer)
        stated = settings.context_length
        if stated is None:
            stated = listed if isinstance(listed, int) else configured
            if stated is not None and stated <= 0:
                name = "the server says max_model_len"
                if not isinstance(listed, int):
                    name = "the tokenizer's configuration says max_position_embeddings"
                raise BackendError(f"{name} {int(stated)}; pass --context-length")
        return cls(stated, tokenizer, template_arguments)

    def require_room(
        self, contexts: Sequence[str], budgets: Sequence[int], *, is_chat: bool
    ) -> None:
        """Refuse prompts that do not fit into the context beside their answers.

        Raises
        ------
        HarnessError
            One does not, or the answer alone does not.

        """
        if self.limit is None:
            return
        longest = max(budgets, default=0)
        if longest >= self.limit:
            raise HarnessError(
                f"an answer of at most {longest:,} tokens leaves no room for a prompt within the "
                f"model's {self.limit:,}; give a lower --max-gen-toks"
            )
        if self._tokenizer is None:
            return
        spread = budgets if len(budgets) == len(contexts) else repeat(budgets[0])
        for context, budget in set(zip(contexts, spread, strict=False)):
            n_prompt = self._count(context, is_chat=is_chat)
            if n_prompt + budget > self.limit:
                raise HarnessError(
                    f"a prompt of {n_prompt:,} tokens and an answer of at most {budget:,} do not "
                    f"fit into the model's {self.limit:,}; give a lower --max-gen-toks"
                )

    def require_kept(self, answer: Answer) -> None:
        """Refuse an answer that went past the context, by the tokens that the server counts.

        Raises
        ------
        ResponseError
            It did.

        """
        if self.limit is None or answer.n_prompt is None or answer.n_tokens is None:
            return
        if answer.n_prompt + answer.n_tokens > self.limit:
            raise ResponseError(
                f"the server answered past its context: {answer.n_prompt:,} tokens of the prompt "
                f"and {answer.n_tokens:,} of the answer, of {self.limit:,} that there are; give a "
                "lower --max-gen-toks"
            )

    def tokens(self, text: str) -> Sequence[int]:
        """Return a text's tokens; without a tokenizer, as many as a text of its length mostly has.

        One for four bytes is what common tokenizers need of English.
        """
        if self._tokenizer is None:
            return range(-(-len(text.encode()) // _BYTES_PER_TOKEN))
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _count(self, context: str, *, is_chat: bool) -> int:
        if not is_chat:
            return len(self._tokenizer(context)["input_ids"])
        conversation = json.loads(context)
        text = self.rendered(conversation, self._template_arguments)
        if text is None:  # at least what is in its turns
            text = "".join(turn["content"] for turn in conversation)
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def rendered(
        self, conversation: Sequence[Mapping[str, str]], template_arguments: Mapping[str, Any]
    ) -> str | None:
        """Return a conversation as the tokenizer's chat template has it; None without one."""
        if self._tokenizer is None or not self._tokenizer.chat_template:
            return None
        return str(
            self._tokenizer.apply_chat_template(
                conversation, tokenize=False, add_generation_prompt=True, **template_arguments
            )
        )


def _loaded(name: str) -> tuple[Any, int | None]:
    """Return a tokenizer, and the context's length where a configuration beside it says it."""
    from transformers import AutoConfig, AutoTokenizer

    source = str(Path(name).expanduser()) if Path(name).expanduser().is_dir() else name
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise BackendError(f"--tokenizer {name}: it cannot be loaded ({reason:.200})") from None
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError):
        return tokenizer, None  # a tokenizer alone
    length = getattr(config.get_text_config(), "max_position_embeddings", None)
    return tokenizer, length if isinstance(length, int) else None
