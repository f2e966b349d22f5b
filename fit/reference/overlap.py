"""Find which reference models a new model may be, so that no law was fitted on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..table.names import match_names

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Overlap", "find_overlap", "overlap_of_rows"]

_LEAST_EQUAL = 4
_LIKELY = "likely the same: "
_ROUNDING = 5.1e-4  # three digits of a fraction, one of a percentage


@dataclass(frozen=True)
class Overlap:
    """Reference models that a model is, or likely is.

    Attributes
    ----------
    model : str
    reasons : mapping of reference model to reason
        What every fit for ``model`` leaves out, and why; "" for the very same name.

    """

    model: str
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def sure(self) -> tuple[str, ...]:
        """The reference models that this one surely is."""
        return tuple(n for n, why in self.reasons.items() if not why.startswith(_LIKELY))

    def note(self, among: Iterable[str] | None = None) -> str:
        """Return in one line what is left out (of the models ``among``), or "" if nothing is."""
        of = self.reasons if among is None else set(among)
        parts = [f"{name} ({why})" for name, why in self.reasons.items() if why and name in of]
        return f"{self.model}: left out of its fits: {', '.join(parts)}" if parts else ""


def find_overlap(model: str, scores: pd.Series, reference: pd.DataFrame) -> Overlap:
    """Return which reference models a model is by its name, or by its scores.

    Parameters
    ----------
    model : str
        Its name; see ``capspace.fit.table.names.match_names``.
    scores : Series by benchmark
        Its scores, fractions; NaN where not measured.
    reference : (models × benchmarks) DataFrame
        Scores of the reference models.

    Notes
    -----
    A model with the same scores, to three digits, as a reference model on four benchmarks or more
    is likely that model under another name. Scores of exactly 0 do not count as the same.

    """
    own = scores.reindex(reference.columns).to_numpy(dtype=float)
    names = list(map(str, reference.index))
    return overlap_of_rows(model, own, names, reference.to_numpy(dtype=float))


def overlap_of_rows(
    model: str,
    scores: NDArray[np.float64],
    names: Sequence[str],
    reference: NDArray[np.float64],
) -> Overlap:
    """Return what ``find_overlap`` returns, of scores (p,) and those (n, p) of n named models."""
    reasons = {
        match.name: match.reason if match.is_sure else f"{_LIKELY}{match.reason}"
        for match in match_names(model, names)
    }
    with np.errstate(invalid="ignore"):
        equal = (np.abs(reference - scores) <= _ROUNDING) & (scores != 0)
    for name, n_equal in zip(names, equal.sum(axis=1).tolist(), strict=True):
        if n_equal >= _LEAST_EQUAL:
            reasons.setdefault(name, f"{_LIKELY}equal scores on {n_equal} benchmarks")
    return Overlap(model, reasons)
