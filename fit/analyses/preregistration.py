"""Fit a law to pre-register without any model whose score it is to predict."""

from __future__ import annotations

import pandas as pd

from ..prediction import TargetLaw
from ..reference import Reference
from ..reference.overlap import find_overlap

__all__ = ["fit_unseen"]


def fit_unseen(
    reference: Reference, target: str, scores: pd.DataFrame | None = None
) -> tuple[TargetLaw, tuple[str, ...]]:
    """Fit a target's law without the models that are to be predicted by it.

    Parameters
    ----------
    reference : Reference
        Scores of the models to fit on.
    target : str
        Name of one of its targets.
    scores : (models × benchmarks) DataFrame, optional
        Models to predict. Those of the reference that are the same under any spelling are left
        out of the law.

    Returns
    -------
    fit : TargetLaw
    notes : tuple of str
        Which models were left out, and why.

    Raises
    ------
    UnknownNameError
        There is no such target.
    FitError
        As ``TargetLaw.fit``.

    See Also
    --------
    Ledger : Freezes the law before the scores are known.
    TargetLaw : The law that is fitted.

    Examples
    --------
    >>> from capspace.fit import fit_unseen, load_reference
    >>> law, notes = fit_unseen(load_reference(), "agentbench")
    >>> law, notes
    (TargetLaw(target='agentbench'), ())

    """
    known = reference.scores()
    rows = () if scores is None else scores.iterrows()
    overlaps = [find_overlap(str(model), row, known) for model, row in rows]
    same = {name for overlap in overlaps for name in overlap.reasons}
    notes = tuple(note for overlap in overlaps if (note := overlap.note()))
    return TargetLaw(target).fit(reference, exclude=same), notes
