"""Read from a checkpoint's files, before loading, whether its own generation settings apply."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from .checkpoint_files import CONFIG

__all__ = ["governs_texts"]

_FILE = "generation_config.json"


def governs_texts(names: Collection[str], read: Callable[[str], dict[str, Any]]) -> bool:
    """Return whether a setting of a checkpoint's own decides about texts, whatever lm-eval asks.

    Such are a length that overrides lm-eval's, and modes in which transformers generates
    otherwise. Texts of the engine followed none of them before its revision of texts, see
    `capspace.collect.engine.arithmetic`.

    Parameters
    ----------
    names : collection of str
        The checkpoint's files.
    read : callable
        Reads one that is JSON.

    """
    # without a file of their own, transformers takes generation settings from the configuration
    settings = read(_FILE if _FILE in names else CONFIG)
    inner = settings.get("text_config")
    return _governs(settings) or (isinstance(inner, dict) and _governs(inner))


def _governs(settings: dict[str, Any]) -> bool:
    return (
        settings.get("max_new_tokens") is not None
        or settings.get("cache_implementation") == "quantized"
        or any(settings.get(name) is True for name in ("is_assistant", "token_healing"))
    )
