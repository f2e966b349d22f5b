"""Requests become continuations to score, cut to the model's length as lm-eval cuts them."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval import utils

from .scoring import Target
from .tokens import without_tokens

__all__ = ["Request", "rolling_windows", "scoring_targets"]

Request = tuple[tuple[str, str] | None, list[int], list[int]]
"""Context and continuation, as text where they have one, then as tokens."""


def scoring_targets(
    requests: Sequence[Request], max_length: int
) -> tuple[dict[int, Target], dict[int, str]]:
    """Return what to score, and why the other requests cannot be scored.

    Parameters
    ----------
    requests : sequence of Request
        As lm-eval encodes them.
    max_length : int
        The model's. Longer requests are cut from the left, to one token more.

    Returns
    -------
    targets : dict of int to Target
        By index of the request.
    reasons : dict of int to str
        Likewise, for those without a token to score or to begin with, where lm-eval's ``hf``
        ends with an assertion.

    """
    targets: dict[int, Target] = {}
    reasons: dict[int, str] = {}
    for i, (texts, context, continuation) in enumerate(requests):
        if not context or not continuation:
            reasons[i] = without_tokens(*texts or ("", ""), is_context=not context)
        elif len(continuation) > max_length:
            reasons[i] = (
                f"a continuation of {len(continuation)} tokens is longer than the model's "
                f"{max_length}: shorten it or set max_length"
            )
        else:
            whole = (context + continuation)[-(max_length + 1) :]
            targets[i] = Target(whole[:-1], continuation)
    return targets, reasons


def rolling_windows(
    texts: Sequence[list[int]], prefix_token: int, max_length: int
) -> tuple[list[Request], list[int]]:
    """Cut whole texts, given as tokens, into lm-eval's windows; return the text of each, too."""
    windows: list[Request] = []
    owner: list[int] = []
    for i, tokens in enumerate(texts):
        for window in utils.get_rolling_token_windows(
            token_list=tokens, prefix_token=prefix_token, max_seq_len=max_length, context_len=1
        ):
            windows.append((None, *utils.make_disjoint_window(window)))
            owner.append(i)
    return windows, owner
