"""Continuations get their log-likelihoods in passes that read each distinct token once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, DynamicLayer

from .attention.backends import AttentionBackend, marks_for, suitable_backends
from .attention.blocks import attention_over_tree
from .attention.kernels import HALF
from .forward import Autocast, forward_of
from .plan import Chunk
from .tree import IntArray, build_tree

__all__ = ["Budget", "ScoringStats", "Target", "TargetScores", "score_targets"]

_NORMALISED = 16
"""Rows of logits that are normalised at once, as each takes copies of them."""


@dataclass(frozen=True)
class Target:
    """One continuation to score.

    Parameters
    ----------
    inputs : sequence of int
        The tokens the model reads: context and continuation without its last token.
    continuation : sequence of int
        The tokens to score, at most as many as ``inputs``.

    """

    inputs: Sequence[int]
    continuation: Sequence[int]


@dataclass(frozen=True)
class Budget:
    """How much goes through the model at once.

    Parameters
    ----------
    tokens : int
        Tokens per forward pass.
    rows : int
        Positions per forward pass whose logits, one per vocabulary entry, are computed.
    state_bytes : int
        Bytes of recurrent states, keys and values, where texts go on from copies of them: of the
        copies of a pass and the states held meanwhile. One copy is made at any rate.

    """

    tokens: int
    rows: int
    state_bytes: int = 2**28


@dataclass
class ScoringStats:
    """What a scoring call did.

    Attributes
    ----------
    requested_tokens : int
        Tokens a scorer without sharing would read, padding not counted.
    unique_tokens : int
        Distinct prefixes among them, the least any scorer can read. In half precision on a CPU,
        a prefix counts once for each mark it has, see
        :func:`~capspace.collect.engine.attention.flash_cpu.marks_of_text`.
    fed_tokens : int
        Tokens read.
    logit_rows : int
        Positions whose logits were computed.
    chunks : int
        Forward passes.

    """

    requested_tokens: int = 0
    unique_tokens: int = 0
    fed_tokens: int = 0
    logit_rows: int = 0
    chunks: int = 0

    def __iadd__(self, other: ScoringStats) -> Self:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        return self


class TargetScores:
    """The log-probabilities of all targets, gathered entry by entry of their prefix tree.

    Parameters
    ----------
    targets : sequence of Target
        At least one.
    located : list of arrays
        For each target the entries of the tree after which the tokens of its continuation stand.
    softmax_dtype : dtype, optional
        As for :func:`score_targets`.

    Attributes
    ----------
    needed : array of shape (m,)
        The entries whose logits are needed, ascending.

    """

    def __init__(
        self,
        targets: Sequence[Target],
        located: Sequence[IntArray],
        softmax_dtype: torch.dtype | None,
    ) -> None:
        entry = np.concatenate(located)
        self._token = np.concatenate([np.asarray(t.continuation, dtype=np.int64) for t in targets])
        self._logprob = np.empty(len(entry))
        self._greedy = np.empty(len(entry), dtype=bool)
        self._order = np.argsort(entry, kind="stable")
        self._sorted = entry[self._order]
        self._sizes = [len(entries) for entries in located]
        self._dtype = softmax_dtype
        self.needed = np.unique(self._sorted)
        self._is_done = np.zeros(len(self.needed), dtype=bool)
        self._last = np.searchsorted(self.needed, [entries[-1] for entries in located])

    def is_needed(self, entries: IntArray) -> NDArray[np.bool_]:
        """Return for which entries logits are needed."""
        return np.isin(entries, self.needed)

    @property
    def n_done(self) -> int:
        """Number of targets whose last token is scored."""
        return int(self._is_done[self._last].sum())

    def add(self, entries: IntArray, logits: Tensor) -> None:
        """Take the logits (n, vocabulary) of n needed entries."""
        begin, end = (np.searchsorted(self._sorted, entries, side) for side in ("left", "right"))
        n_targets = end - begin
        row_of = np.repeat(np.arange(len(entries)), n_targets)
        offset = np.arange(len(row_of)) - np.repeat(np.cumsum(n_targets) - n_targets, n_targets)
        wanted = self._order[begin[row_of] + offset]
        self._dtype = self._dtype or logits.dtype
        chosen = _choose(logits, row_of, self._token[wanted], self._dtype)
        self._logprob[wanted], self._greedy[wanted] = chosen[0], chosen[1] != 0
        self._is_done[np.searchsorted(self.needed, entries)] = True

    def totals(self) -> list[tuple[float, bool]]:
        """Return for each target the sum of its log-probabilities and whether it is greedy."""
        first = np.cumsum([0, *self._sizes])[:-1]
        sums = np.add.reduceat(self._logprob, first)
        if self._dtype in HALF:
            parts = np.split(self._logprob, first[1:])
            sums = np.array([float(torch.from_numpy(p).to(self._dtype).sum()) for p in parts])
        all_greedy = np.logical_and.reduceat(self._greedy, first)
        return list(zip(sums.tolist(), all_greedy.tolist(), strict=True))


def _choose(
    logits: Tensor, row_of: IntArray, token: IntArray, dtype: torch.dtype
) -> NDArray[np.float64]:
    """Return (log-probability, is most probable) of ``token[i]`` at ``logits[row_of[i]]``."""
    if not len(token):
        return np.empty((2, 0))
    rows = torch.from_numpy(row_of).to(logits.device)
    tokens = torch.from_numpy(token).to(logits.device)
    if dtype in HALF:  # after rounding several may be the most probable: the first, as in lm-eval
        logits = logits.log_softmax(-1, dtype=dtype)
        best = logits.argmax(-1)[rows] == tokens
        logprob = logits[rows, tokens]
    else:
        best = logits.argmax(-1)[rows] == tokens
        logits = logits.to(dtype)
        blocks = torch.split(logits, _NORMALISED)
        normalisers = torch.cat([block.logsumexp(-1) for block in blocks])
        logprob = logits[rows, tokens] - normalisers[rows]
    chosen: NDArray[np.float64] = (
        torch.stack([logprob, best.to(logprob.dtype)]).cpu().double().numpy()
    )
    return chosen


class _PathLayer(DynamicLayer):  # type: ignore[no-untyped-call]  # its base hooks subclasses untyped
    """Keys and values of the path shared with the next chunk; the others are dropped at once."""

    def __init__(self, shared_path: _SharedPath) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        self._shared_path = shared_path

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        keys, values = super().update(key_states, value_states)
        index = self._shared_path.index.to(keys.device)
        self.keys, self.values = keys.index_select(2, index), values.index_select(2, index)
        return keys, values


@dataclass
class _SharedPath:
    """Which of the ancestors and tokens of the running chunk the next one needs."""

    index: Tensor


def score_targets(
    model: nn.Module,
    targets: Sequence[Target],
    budget: Budget,
    *,
    attention_backend: AttentionBackend | None = None,
    softmax_dtype: torch.dtype | None = None,
    autocast: Autocast = nullcontext,
    on_progress: Callable[[int], Any] | None = None,
) -> tuple[list[tuple[float, bool]], ScoringStats]:
    """Score every continuation, reading each distinct prefix of all inputs once.

    Parameters
    ----------
    model : Module
        A causal language model that the engine serves, see
        :func:`~capspace.collect.engine.support.unsupported_reason`.
    targets : sequence of Target
        In any order; shared prefixes are found across all of them.
    budget : Budget
        Limits of one forward pass. They change time and memory, and scores by rounding only.
    attention_backend : callable, optional
        How attention is computed; the first of
        :func:`~capspace.collect.engine.attention.backends.suitable_backends` if None.
    softmax_dtype : dtype, optional
        Precision of the log-softmax, and of the sums if it is half; that of the logits if None, as
        in lm-eval.
    autocast : callable
        Makes the context of each forward pass.
    on_progress : callable, optional
        Called after each forward pass with the number of targets scored so far.

    Returns
    -------
    scores : list of (float, bool)
        For each target the sum of the log-probabilities of its continuation (nats) and whether
        every token of it is the most probable one.
    stats : ScoringStats
        Tokens requested and tokens read.

    """
    device = next(model.parameters()).device
    attention_backend = attention_backend or suitable_backends(model, autocast)[0]
    tree, located = build_tree(
        [target.inputs for target in targets],
        [len(target.continuation) for target in targets],
        marks_for(attention_backend),
    )
    stats = ScoringStats(
        requested_tokens=sum(len(target.inputs) for target in targets), unique_tokens=len(tree)
    )
    if not targets:
        return [], stats
    scores = TargetScores(targets, located, softmax_dtype)
    forward = forward_of(model)

    # no inference mode: weights that unpack themselves, as quantised ones do, fail under it
    with attention_over_tree(model) as slot, torch.no_grad():
        shared_path = _SharedPath(torch.empty(0, dtype=torch.long))
        cache = DynamicCache()
        cache.layer_class_to_replicate = partial(_PathLayer, shared_path)  # type: ignore[assignment]  # called as a class, with no arguments
        path = np.empty(0, dtype=np.int64)
        needed = scores.needed
        start = 0
        while start < len(tree):
            stop = _stop(start, len(tree), needed, budget)
            keys = np.concatenate([path, np.arange(start, stop)])
            mark = None if tree.mark is None else tree.mark[keys]
            slot.attention = attention_backend(
                Chunk(len(path), tree.depth[keys], tree.end[keys] - start, mark)
            )
            next_path = tree.path_after(path, start, stop)
            shared_path.index = torch.from_numpy(np.searchsorted(keys, next_path)).to(device)
            rows = needed[slice(*np.searchsorted(needed, [start, stop]))]
            places = rows - start
            if len(rows) == 1:  # twice, for the same reason as no token is left alone in `_stop`
                places = places.repeat(2)
            before = _contents(cache)
            try:
                with autocast():
                    logits = forward(
                        *(model, tree.tokens[start:stop], tree.depth[start:stop]),
                        *(places, cache),
                    )
                scores.add(rows, logits[: len(rows)])
            except torch.OutOfMemoryError:
                if stop - start == 1:
                    raise
                budget = Budget(max(1, (stop - start) // 2), max(1, len(rows) // 2))
                _restore(cache, before)
                continue
            stats.fed_tokens += stop - start
            stats.logit_rows += len(rows)
            stats.chunks += 1
            path, start = next_path, stop
            if on_progress is not None:
                on_progress(scores.n_done)
    return scores.totals(), stats


def _stop(start: int, size: int, needed: IntArray, budget: Budget) -> int:
    """Return where a chunk from ``start`` ends: what is left is cut evenly, within the budget.

    Unless the budget is that small, the last token is not left alone: matrices of one row are
    multiplied by other code, which in half precision shows.
    """
    left = size - start
    stop = start + -(-left // -(-left // budget.tokens))
    first = int(np.searchsorted(needed, start))
    if first + budget.rows < len(needed):
        stop = min(stop, int(needed[first + budget.rows]))
    leaves_one = size - stop == 1 and stop - start > 2
    return stop - 1 if leaves_one else stop


def _contents(cache: DynamicCache) -> list[tuple[_PathLayer, Tensor | None, Tensor | None]]:
    return [
        (layer, layer.keys, layer.values) for layer in cache.layers if isinstance(layer, _PathLayer)
    ]


def _restore(
    cache: DynamicCache, before: list[tuple[_PathLayer, Tensor | None, Tensor | None]]
) -> None:
    """Take back what a failed forward pass added to the cache."""
    cache.layers = [layer for layer, _, _ in before]
    for layer, keys, values in before:
        layer.keys, layer.values = keys, values
