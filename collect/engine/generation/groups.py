"""Texts with equal settings are generated together; requests not served take another path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..attention.blocks import UnsupportedAttentionError
from .settings import UnservedSettingError

__all__ = ["Prompt", "generate_groups"]

Prompt = tuple[str, dict[str, Any], int]
"""A context, its generation settings, and the seed of its text."""


def generate_groups(
    prompts: Sequence[Prompt],
    served: Callable[[list[str], dict[str, Any], list[int]], list[str]],
    unserved: Callable[[list[Prompt], str], list[str]],
) -> list[str]:
    """Generate for prompts with settings of their own.

    Parameters
    ----------
    prompts : sequence of n Prompt
        In any order.
    served : callable
        Generates for contexts with equal settings, given those and the seeds; may raise
        `UnservedSettingError` or `UnsupportedAttentionError`.
    unserved : callable
        Generates for prompts with equal settings, given the reason that was raised.

    Returns
    -------
    list of n str

    """
    groups: dict[str, list[int]] = {}
    for i, (_, settings, _) in enumerate(prompts):
        groups.setdefault(repr(sorted(settings.items())), []).append(i)
    texts = [""] * len(prompts)
    for members in groups.values():
        group = [prompts[i] for i in members]
        contexts, seeds = [context for context, _, _ in group], [seed for _, _, seed in group]
        try:
            continuations = served(contexts, group[0][1], seeds)
        except (UnservedSettingError, UnsupportedAttentionError) as reason:
            continuations = unserved(group, str(reason))
        for i, text in zip(members, continuations, strict=True):
            texts[i] = text
    return texts
