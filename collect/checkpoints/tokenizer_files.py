"""Read from a tokenizer's files, before loading, whether it appends a token to every text."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

__all__ = [
    "NO_CHAT_TEMPLATE",
    "TOKENIZER_FILES",
    "appends_a_token",
    "has_tokenizer_files",
    "lacks_chat_template",
]

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json with merges.txt",
    "spiece.model",
    "tekken.json",
    "*.tiktoken",
)
"""The usual formats, in words for a message."""

NO_CHAT_TEMPLATE = (
    "it has no chat template, and one was asked for; measure it without, or name the checkpoint "
    "that was tuned for chat"
)
"""What is wrong with such a checkpoint, and what to do."""

_WHOLE = re.compile(r"tokenizer(\.[\d.]+)?\.json")
_VOCABULARY = re.compile(
    r"tokenizer(\.[\d.]+)?\.json|.*\.(model|tiktoken|spm|bpe)(\..*)?|tekken\.json|vocab\..*"
    r"|.*vocab\.(json|txt)"
)


def has_tokenizer_files(names: Collection[str]) -> bool:
    """Return whether one of the files holds the vocabulary of a tokenizer."""
    return any(_VOCABULARY.fullmatch(name) for name in names)


def appends_a_token(names: Collection[str], read: Callable[[str], dict[str, Any]]) -> bool:
    """Return whether a checkpoint's tokenizer appends a token to every text it encodes.

    Parameters
    ----------
    names : collection of str
        The checkpoint's files.
    read : callable
        Reads one that is JSON.

    """
    config = "tokenizer_config.json"
    if config in names and read(config).get("add_eos_token") is True:
        return True
    whole = (name for name in sorted(names) if _WHOLE.fullmatch(name))
    return any(_puts_behind(read(name).get("post_processor")) for name in whole)


def lacks_chat_template(
    names: Collection[str], read: Callable[[str], dict[str, Any]], *, custom_code: bool
) -> bool:
    """Return whether no file of a checkpoint can give its tokenizer a chat template.

    Parameters
    ----------
    names, read
        As in `appends_a_token`.
    custom_code : bool
        Whether code of its own is loaded with it, which may render conversations by itself.

    """
    config = "tokenizer_config.json"
    files = ("chat_template.jinja", "chat_template.json", "tekken.json")  # the last by its class
    if custom_code or any(file in names for file in files):
        return False
    return config not in names or not {"chat_template", "auto_map"} & read(config).keys()


def _puts_behind(processor: Any) -> bool:
    match processor:
        case {"type": "Sequence", "processors": [*parts]}:
            return any(_puts_behind(part) for part in parts)
        case {"type": "TemplateProcessing", "single": [*_, {"SpecialToken": _}]}:
            return True
        case {"type": "BertProcessing" | "RobertaProcessing"}:
            return True
    return False
