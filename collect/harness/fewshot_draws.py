"""A subset of the documents gets the same few-shot examples as in lm-eval's full run.

lm-eval draws the examples of all documents from one stream, in the order in which a process builds
them. A process that builds every other document, or a few chosen ones, would give each the
examples of another. Here the draws for the documents in between are made too, and discarded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from ..errors import HarnessError

__all__ = ["positions_of", "whole_run_draws"]


def positions_of(samples: Sequence[int] | None) -> Sequence[int] | None:
    """Return the documents of an item subset in the order in which lm-eval takes them."""
    return sorted(set(samples)) if samples else None


@contextmanager
def whole_run_draws(task: Any, subset: Sequence[int] | None) -> Iterator[None]:
    """Give each document that is built within the examples it has in the whole plain run.

    Parameters
    ----------
    task : lm_eval.api.task.ConfigurableTask
        Its sampler's seed is set and nothing is drawn yet.
    subset : sequence of int, optional
        The positions of an item subset, ascending; None for all documents, or the first of them.

    Raises
    ------
    HarnessError
        The task draws examples otherwise than once for each document.

    """
    from lm_eval.api.samplers import FirstNSampler

    sampler = getattr(task, "sampler", None)
    if sampler is None or type(sampler).sample is FirstNSampler.sample:  # draws nothing
        yield
        return
    draws = _Draws(task, sampler.sample, subset)
    task.doc_iterator, sampler.sample = draws.doc_iterator, draws.sample
    try:
        yield
    finally:
        del task.doc_iterator, sampler.sample
    draws.require_one_each()


class _Draws:
    """Stands between a task and its sampler while documents are built."""

    def __init__(self, task: Any, sample: Any, subset: Sequence[int] | None) -> None:
        self._task, self._sample, self._subset = task, sample, subset
        self._iterate = task.doc_iterator
        self._positions: list[int] = []
        self._n_sampled = 0
        self._n_drawn = 0
        self._documents: Iterator[Any] | None = None

    def doc_iterator(self, **settings: Any) -> Iterator[tuple[int, Any]]:
        """Yield what lm-eval's own does, with each document's position in the whole run noted."""
        for index, document in self._iterate(**settings):
            self._positions.append(index if self._subset is None else self._subset[index])
            yield index, document

    def sample(self, *given: Any, **settings: Any) -> Any:
        """Draw for the next document, after all before it that were not drawn for."""
        if self._n_sampled == len(self._positions):
            raise self._unforeseen()
        position = self._positions[self._n_sampled]
        self._n_sampled += 1
        n_skipped = position - self._n_drawn
        self._n_drawn = position + 1
        if settings.get("eval_doc") is None:
            for _ in range(n_skipped):
                self._sample(*given, **settings)
        else:  # the document itself is no example of its own
            if self._documents is None:
                self._documents = iter(self._task.eval_docs)
            for document in islice(self._documents, n_skipped):
                self._sample(*given, **{**settings, "eval_doc": document})
            next(self._documents, None)
        return self._sample(*given, **settings)

    def require_one_each(self) -> None:
        """Refuse draws that were not one per document, as they cannot be assigned to documents."""
        if self._n_sampled not in (0, len(self._positions)):
            raise self._unforeseen()

    def _unforeseen(self) -> HarnessError:
        return HarnessError(
            f"task {self._task.config.task} does not draw its examples once for each document, "
            "so that they depend on which documents are measured together; take another task"
        )
