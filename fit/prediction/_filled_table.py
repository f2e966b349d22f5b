"""The gaps of a table are filled from its known cells, by the stored laws of a reference."""

from __future__ import annotations

from datetime import date

import pandas as pd

from ..errors import UnknownNameError
from ..reference import Reference
from ..reference._training_arguments import facts_of
from ..reference.overlap import find_overlap
from ..table._table import ScoreTable
from ._reference_laws import laws_without, release_of, stored_laws

__all__ = ["complete_table"]


def complete_table(
    table: ScoreTable,
    reference: Reference,
    *,
    level: float = 0.9,
    today: date | None = None,
) -> pd.DataFrame:
    """Fill the missing scores of models from all that are known, by the stored laws.

    Parameters
    ----------
    table : ScoreTable
        Scores of the models on benchmarks and targets of the reference, fractions, and their
        facts: a release date, and the mode in which they answered.
    reference : Reference
        One with stored laws. Models of it that are, or likely are, among ``table`` are left out of
        the laws that fill their rows, which takes a refit.
    level : float, default 0.9
        Nominal coverage of the intervals, for single cells of a model that has others of all
        kinds.
    today : date, optional
        The release of models that state none; the day of the call by default.

    Returns
    -------
    DataFrame
        A row per model and benchmark: model, benchmark, known, score, lower, upper and status. A
        known cell is its own interval. ``status`` is how back-tests judged a target's prediction
        from cheap benchmarks alone; "" for a benchmark that is none.

    Raises
    ------
    FitError
        The reference has no stored laws, or the level lies outside (0, 1).
    UnknownNameError
        No benchmark or target of the reference was measured.

    See Also
    --------
    predict_targets : Targets from cheap benchmarks alone, which back-tests have judged.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import ScoreTable, complete_table, load_reference
    >>> scores = pd.DataFrame({"GPQA-diamond": 0.6, "hle/no-tools": 0.06}, index=["mine"])
    >>> facts = pd.DataFrame({"release_date": "2025-06"}, index=["mine"])
    >>> table = ScoreTable.from_wide(scores, models=facts)
    >>> filled = complete_table(table, load_reference("frontier-2026"))
    >>> float(filled.set_index("benchmark").loc["GPQA-diamond", "score"])
    0.6

    """
    laws = stored_laws(reference)
    names = [b for b in laws.columns if b in table.benchmarks]
    if not names:
        raise UnknownNameError(
            f"{reference.name} knows none of {', '.join(table.benchmarks)}; it has "
            f"{', '.join(laws.columns)}"
        )
    wide = table.wide(names).dropna(how="all")
    published = reference.scores()
    shared = [b for b in names if b in published]
    filled = []
    for model in wide.index:
        row = wide.loc[[model]]
        overlap = find_overlap(str(model), row[shared].iloc[0], published)
        own = laws_without(laws, reference, overlap.reasons) if overlap.reasons else laws
        day = release_of(table, str(model), reference, overlap.sure, today)
        facts = facts_of(table.models.loc[[model]].assign(release_date=day))
        filled.append(own.complete(row, facts, level=level))
    cells = pd.concat(filled, ignore_index=True)
    statuses = {name: e.status for name, e in reference.evaluations.items()}
    return cells.assign(status=cells["benchmark"].map(statuses).fillna(""))
