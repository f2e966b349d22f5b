"""Fit capability in the training compute of the reference's best-known family."""

from __future__ import annotations

import pandas as pd

from ..law.efficiency import FamilyLaw, fit_family_law
from ..reference import Population
from ..table.facts import family_key

__all__ = ["REFERENCE_FAMILY", "reference_line"]

REFERENCE_FAMILY = {"base": "Llama-2", "instruct": "Llama-2-Chat"}


def reference_line(
    capability: pd.Series, facts: pd.DataFrame, population: Population = "base"
) -> FamilyLaw | None:
    """Fit a capability (n,) in the training FLOPs of the reference family.

    Parameters
    ----------
    capability : Series
        By model.
    facts : DataFrame
        By model, with the columns family and training_flops.
    population : {"base", "instruct"}, default "base"
        Decides which family is the reference.

    Returns
    -------
    FamilyLaw or None
        None where fewer than two models of the family are there.

    See Also
    --------
    equivalent_scale : Reads a capability off the line as training FLOPs.

    Examples
    --------
    >>> from capspace.fit import load_reference, reference_line
    >>> reference = load_reference()
    >>> mmlu = reference.scores("base")["MMLU"]
    >>> reference_line(mmlu, reference.table.models)
    FamilyLaw(Llama-2: +0.25 per decade, 3 models, R² 0.98)

    """
    family = REFERENCE_FAMILY[population]
    known = facts.reindex(capability.index)
    own = known["family"].map(family_key) == family_key(family)
    rows = own & known["training_flops"].notna()
    if rows.sum() < 2:
        return None
    return fit_family_law(capability[rows], known.loc[rows, "training_flops"], family=family)
