"""The gaps of a table are filled from its known cells, by the stored laws of a reference."""

from __future__ import annotations

from datetime import date

import pandas as pd

from ..completion._gates import Gate
from ..errors import UnknownNameError
from ..reference import Reference
from ..reference._training_arguments import facts_of
from ..reference.overlap import find_overlap
from ..table._table import ScoreTable
from ._extrapolation import extrapolation, score_ranges
from ._reference_laws import is_refused, laws_without, stored_laws
from ._release import release_of

__all__ = ["complete_table"]


def complete_table(
    table: ScoreTable,
    reference: Reference,
    *,
    level: float = 0.9,
    force: bool = False,
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
        the laws that fill their rows, which takes a refit: what others published of a model later
        does not help it.
    level : float, default 0.9
        Nominal coverage of the intervals, for single cells of a model that has others of all
        kinds.
    force : bool, default False
        Give the numbers that a gate or a back-test refuses, beside their reason.
    today : date, optional
        The release of models that state none, and are none of the reference; the day of the call
        by default, which the notes say.

    Returns
    -------
    DataFrame
        A row per model and benchmark: model, benchmark, known, score, lower, upper, status, gate
        and reason. A known cell is its own interval. ``status`` is how back-tests judged a target's
        prediction from cheap benchmarks alone; "" for a benchmark that is none. ``reason`` is why
        there is no number, or why it is worth little, ``gate`` the part of it that is about the
        model and not the target alone; "" where neither holds. Targets are refused as
        ``predict_targets`` refuses them; of other benchmarks a number is refused for a model that
        is too new for the reference, or unlike all its models. ``attrs["notes"]`` are what was
        assumed, a line each.

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
        given = ", ".join(table.benchmarks) or "the columns"
        raise UnknownNameError(
            f"{reference.name} knows none of {given}; it has {', '.join(laws.columns)}"
        )
    wide = table.wide(names).dropna(how="all")
    published = reference.scores()
    shared = [b for b in names if b in published]
    ranges = score_ranges(reference, laws.targets)
    filled, notes = [], []
    for model in wide.index:
        row = wide.loc[[model]]
        overlap = find_overlap(str(model), row[shared].iloc[0], published)
        own = laws_without(laws, reference, overlap.reasons) if overlap.reasons else laws
        release = release_of(table, str(model), reference, overlap.sure, today)
        facts = facts_of(table.models.loc[[model]].assign(release_date=release.day))
        cells = own.complete(row, facts, level=level, force=True)
        late = own.gates.reason(Gate.TOO_LATE, 0)
        notes += [overlap.note(), release.note(list(cells["reason"]), late)]
        cells["reason"] = [
            release.reason(reason, late) or extrapolation(name, lower, upper, ranges)
            for name, lower, upper, reason in zip(
                *(cells[c] for c in ("benchmark", "lower", "upper", "reason")), strict=True
            )
        ]
        cells.loc[cells["known"], "reason"] = ""
        filled.append(cells)
    made = _judged(pd.concat(filled, ignore_index=True), reference, force=force)
    made.attrs["notes"] = tuple(line for line in notes if line)
    return made


def _judged(cells: pd.DataFrame, reference: Reference, *, force: bool) -> pd.DataFrame:
    """Return cells with the status of their benchmark, and without the numbers that are refused."""
    evaluations = [reference.evaluations.get(name) for name in cells["benchmark"]]
    missing = ~cells["known"]
    by_back_test = cells["benchmark"].map(lambda name: is_refused(reference, name))
    refused = missing & ((cells["reason"] != "") | by_back_test)
    reasons = [
        "; ".join(filter(None, (gate, e.reason if e and is_missing else "")))
        for gate, e, is_missing in zip(cells["reason"], evaluations, missing, strict=True)
    ]
    judged = cells.drop(columns="reason").assign(
        status=[e.status if e else "" for e in evaluations], gate=cells["reason"], reason=reasons
    )
    if not force:
        judged.loc[refused, ["score", "lower", "upper"]] = float("nan")
    return judged
