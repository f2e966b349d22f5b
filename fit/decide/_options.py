"""List what could be measured of a model, on how many items, and at which price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np

from .._display import counted
from ..errors import (
    FitError,
    NothingToMeasureError,
    RefusedTargetError,
    TooFewItemsError,
    UnknownCostError,
)
from ..reference import Reference, Target
from ..table._table import ScoreTable
from ._outlook import Outlook
from ._path import Measurement
from .cost import Cost

__all__ = ["few_items_notes", "make_outlook", "options_of", "require_items"]

_FEWEST_ITEMS = 10


def make_outlook(
    table: ScoreTable,
    model: str,
    reference: Reference,
    targets: Sequence[Target],
    *,
    level: float = 0.9,
    force: bool = False,
    today: date | None = None,
    needs_number: bool = False,
) -> Outlook:
    """Return the outlook by stored laws where the reference has them, else by fitted ones.

    ``needs_number`` refuses targets, too, that more scores would open.
    """
    if reference.laws is None:
        from ._fitted_outlook import fitted_outlook

        return fitted_outlook(table, model, reference, targets, level=level, force=force)
    from ._stored_outlook import stored_outlook

    return stored_outlook(
        table, model, reference, targets,
        level=level, force=force, today=today, needs_number=needs_number,
    )  # fmt: skip


def options_of(
    outlook: Outlook,
    reference: Reference,
    prices: Mapping[str, Cost],
    *,
    n_items: int | None = None,
) -> list[Measurement]:
    """Return what could be measured and has a part in predicting any of the targets.

    Parameters
    ----------
    outlook : Outlook
        Of the model.
    reference : Reference
        What predicts.
    prices : mapping of benchmark to Cost
        Of all items of a benchmark.
    n_items : int, optional
        Measure on this many items at most; all by default.

    Raises
    ------
    NothingToMeasureError
        Nothing is left.
    TooFewItemsError
        Fewer than ten items are to be measured.
    FitError
        Prices are in several units.

    """
    if n_items is not None and n_items < _FEWEST_ITEMS:
        raise TooFewItemsError(
            f"{counted(n_items, 'item')} of a benchmark say too little to decide from; measure "
            f"{_FEWEST_ITEMS} or more"
        )
    units = sorted({cost.unit for cost in prices.values()})
    if len(units) > 1:
        raise FitError(f"prices are in {' and in '.join(units)}; give all in one unit")
    used = {b for target in outlook.targets for b in reference.space_benchmarks(target)}
    measured = outlook.measured
    options = []
    for j in measured.open():
        name, full = measured.benchmarks[j], measured.n_full[j]
        if name not in used:
            continue
        have = 0.0 if np.isnan(measured.cells[j]) else float(np.nan_to_num(measured.n_items[j]))
        n = full if n_items is None else float(np.fmin(n_items, full))
        if have >= n:
            continue
        share = 1.0 if np.isnan(full) or np.isnan(n) else (n - have) / full
        price = prices.get(name)
        options.append(
            Measurement(
                name,
                None if np.isnan(n) else int(n),
                None if price is None else price * share,
            )
        )
    if not options:
        names = ", ".join(target.name for target in outlook.targets)
        raise NothingToMeasureError(
            f"{outlook.model}: every benchmark from which {names} is predicted is measured"
            + (f" on {n_items} items or more" if n_items is not None else "")
        )
    return options


def require_items(outlook: Outlook, reference: Reference) -> None:
    """Raise RefusedTargetError where no score that predicts rests on enough items for a verdict.

    On models left out, intervals from scores of ten items or more cover what they state; from
    scores of three or five they cover clearly less (scripts/bench_decide --only few).
    """
    named = _on_few_items(outlook, reference)
    used = {b for target in outlook.targets for b in reference.space_benchmarks(target)}
    measured = outlook.measured
    known = [b for b, s in zip(measured.benchmarks, measured.cells, strict=True) if not np.isnan(s)]
    if named and len(named) == len(used.intersection(known)):
        names = ", ".join(target.name for target in outlook.targets)
        raise RefusedTargetError(
            f"{names}: no verdict from so few items: {', '.join(named)}; measure "
            f"{_FEWEST_ITEMS} or more of one (`capspace next` says which)",
            can_force=True,
        )


def few_items_notes(outlook: Outlook, reference: Reference) -> list[str]:
    """Return in a line which scores rest on too few items to say much of the targets."""
    named = _on_few_items(outlook, reference)
    if not named:
        return []
    return [
        f"measured on too few items to say much: {', '.join(named)}; "
        f"measure {_FEWEST_ITEMS} or more"
    ]


def _on_few_items(outlook: Outlook, reference: Reference) -> list[str]:
    """Return the scores that rest on fewer items than a verdict can, with their numbers."""
    measured, named = outlook.measured, []
    used = {b for target in outlook.targets for b in reference.space_benchmarks(target)}
    for j in np.flatnonzero(measured.n_items < _FEWEST_ITEMS):
        name, n = measured.benchmarks[j], float(measured.n_items[j])
        if name in used:
            # A score of 0 or 1 has no number of items that its standard error implies.
            named.append(f"{name} ({counted(round(n), 'item') if n >= 1 else 'by its stderr'})")
    return named


def require_prices(options: Sequence[Measurement]) -> None:
    """Raise UnknownCostError where no measurement has a price."""
    if all(option.cost is None for option in options):
        names = ", ".join(option.benchmark for option in options)
        raise UnknownCostError(
            f"no benchmark has a price; give prices for some of {names}, as in "
            f"--price '{options[0].benchmark}=2gpu-hours'"
        )
