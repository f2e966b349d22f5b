"""A zoo measures checkpoints in the modes given by their settings, one row per mode."""

from __future__ import annotations

from collections.abc import Sequence

from ...settings import RunSettings
from ...storage.mode import Mode

__all__ = ["mode_names", "mode_words", "row_of"]

_PLAIN, _CHAT, _THINKING = "plain", "chat", "thinking"


def row_of(identity: str, settings: RunSettings) -> str:
    """Return what a zoo has one row for: a checkpoint's bytes, in the mode they respond in."""
    words = mode_words(settings)
    return f"{identity} in mode: {words}" if words else identity


def mode_words(settings: RunSettings) -> str:
    """Return what tells the mode of settings from others; "" for lm-eval's own plain one."""
    template = ["chat template"] if settings.applies_template else []
    return "; ".join([*template, *Mode.of(settings).words])


def mode_names(modes: Sequence[RunSettings]) -> list[str]:
    """Return what to call each mode that one checkpoint is measured in; "" for the only one.

    Parameters
    ----------
    modes : sequence of RunSettings
        Settings whose modes differ.

    Returns
    -------
    list of str
        ``plain``, ``chat`` or ``thinking``, and all that a mode says where two would be alike.

    """
    if len(modes) == 1:
        return [""]
    labels = [_label(settings) for settings in modes]
    return [
        label if labels.count(label) == 1 else mode_words(settings) or _PLAIN
        for label, settings in zip(labels, modes, strict=True)
    ]


def _label(settings: RunSettings) -> str:
    if Mode.of(settings).cuts_thoughts:
        return _THINKING
    return _CHAT if settings.applies_template else _PLAIN
