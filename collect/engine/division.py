"""Requests are divided among processes by shared prefix, so that no two read the same prefix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from .tree import shared_prefix_length, sort_key

__all__ = ["divide", "divided", "with_progress"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_SLACK = 0.1
"""How far from an even division a cut may lie, as a share of one part, to cut at a short prefix."""


def divide(sequences: Sequence[Sequence[int]], n_parts: int) -> list[list[int]]:
    """Divide sequences into parts of about equal numbers of distinct tokens.

    Parameters
    ----------
    sequences : sequence of token id sequences
        Equal ones stay together.
    n_parts : int
        Number of parts; some are empty if there are fewer distinct sequences.

    Returns
    -------
    list of lists of int
        For each part the indices of its sequences.

    Notes
    -----
    In lexicographic order the sequences with a common prefix are neighbours. Each cut is made
    near its even place, between the two neighbours that share least.

    """
    members: dict[bytes, list[int]] = {}
    for index, sequence in enumerate(sequences):
        members.setdefault(sort_key(sequence), []).append(index)
    if not members:
        return [[] for _ in range(n_parts)]
    keys = sorted(members)
    rows = [np.frombuffer(key, dtype=">u4").astype(np.int64) for key in keys]
    shared = np.array([0, *(shared_prefix_length(a, b) for a, b in pairwise(rows))], dtype=np.int64)
    before = np.cumsum([0, *(len(row) - n for row, n in zip(rows, shared, strict=True))])
    cuts = [0]
    for part in range(1, n_parts):
        even, slack = before[-1] * part / n_parts, before[-1] * _SLACK / n_parts
        low, high = np.searchsorted(before, [even - slack, even + slack])
        low = int(min(max(low, cuts[-1]), len(rows)))
        candidates = np.arange(low, min(max(int(high), low + 1), len(rows)))
        # among the cuts that repeat the fewest tokens the one nearest to the even place
        best = np.lexsort((np.abs(before[candidates] - even), shared[candidates]))
        cuts.append(int(candidates[best[0]]) if len(candidates) else low)
    cuts.append(len(rows))
    return [[i for key in keys[a:b] for i in members[key]] for a, b in pairwise(cuts)]


def divided(
    items: list[Item],
    sequences: Sequence[Sequence[int]],
    work: Callable[[list[Item]], list[Result]],
    rank: int,
) -> list[Result]:
    """Do the work on the items of all processes, each process on a part with prefixes of its own.

    Parameters
    ----------
    items : list
        This process's items; picklable.
    sequences : sequence of token id sequences
        The tokens of each.
    work : callable
        From items to a result for each.
    rank : int
        Number of this process.

    Returns
    -------
    list
        A result for each of this process's items.

    Notes
    -----
    Every process has to call it, with any number of items.

    """
    from accelerate.utils import gather_object

    gathered: list[tuple[list[Item], Sequence[Sequence[int]]]] = gather_object([(items, sequences)])
    everything = [item for held, _ in gathered for item in held]
    parts = divide([row for _, rows in gathered for row in rows], len(gathered))
    mine = parts[rank]
    done: list[list[Result]] = gather_object([work([everything[i] for i in mine])])
    result_of = {
        index: result
        for part, results in zip(parts, done, strict=True)
        for index, result in zip(part, results, strict=True)
    }
    first = sum(len(held) for held, _ in gathered[:rank])
    return [result_of[first + i] for i in range(len(items))]


def with_progress(
    items: list[Item],
    work: Callable[[list[Item], Any], list[Result]],
    sequences: Callable[[], Sequence[Sequence[int]]],
    *,
    label: str,
    is_quiet: bool,
    rank: int,
    n_processes: int,
) -> list[Result]:
    """Do the work on items behind a progress bar, divided where there are several processes.

    Parameters
    ----------
    items : list
        This process's items; picklable.
    work : callable
        From items and a bar, which it advances, to a result for each item.
    sequences : callable
        Returns the tokens of each item; called where there are several processes.
    label : str
        What the bar shows.
    is_quiet : bool
        Show no bar.
    rank, n_processes : int
        Number of this process, and how many there are.

    Returns
    -------
    list
        A result for each item.

    """
    with tqdm(total=len(items), desc=label, disable=is_quiet) as bar:

        def on_part(part: list[Item]) -> list[Result]:
            if len(part) != bar.total:
                bar.reset(total=len(part))
            return work(part, bar)

        if n_processes > 1:
            return divided(items, sequences(), on_part, rank)
        return on_part(items)
