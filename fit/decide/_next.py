"""The next evaluation is the benchmark that narrows the chosen predictions most for its cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from .._display import counted, frame_html
from .._json import json_dict
from ..errors import RefusedTargetError
from ..reference import Reference, Target
from ..table._table import ScoreTable
from ._options import few_items_notes, make_outlook, options_of, require_prices
from ._outlook import only_model
from ._path import Step, criterion, first_steps, walk
from .cost import Cost

__all__ = ["NextEvaluations", "next_evaluations"]


@dataclass(frozen=True, repr=False)
class NextEvaluations:
    """Benchmarks in the order of what they are worth for some predictions of a model.

    Attributes
    ----------
    model : str
    targets : tuple of t str
    level : float
        Nominal coverage of the intervals.
    widths : tuple of t float
        Of the intervals now, fractions of the perfect score.
    single : tuple of Step
        Every benchmark as the only one to be measured, the most width saved per cost first; those
        without a price stand last.
    path : tuple of Step
        Benchmarks one after another, each the best after those before it, as long as one narrows.
    notes : tuple of str

    See Also
    --------
    next_evaluations : Makes one.
    draw_cost_and_width : Draws it.

    """

    model: str
    targets: tuple[str, ...]
    level: float
    widths: tuple[float, ...]
    single: tuple[Step, ...]
    path: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        best = self.path[0].measurement.benchmark if self.path else "nothing"
        targets = counted(len(self.targets), "target")
        return f"NextEvaluations({self.model}: {best} first, for {targets})"

    def _repr_html_(self) -> str:
        return frame_html(self)

    @property
    def in_order(self) -> tuple[Step, ...]:
        """Steps of ``single``, those of the path first and in its order."""
        places = {step.measurement.benchmark: i for i, step in enumerate(self.path)}
        last = len(places)
        # The rest of them stay by what each saves for its cost.
        return tuple(sorted(self.single, key=lambda s: places.get(s.measurement.benchmark, last)))

    def width_left(self, step: Step) -> float:
        """Return the share of the width now that is left after a step and those before it.

        Of several targets it is the root mean square of the intervals' shares, as of ``saved``.

        Parameters
        ----------
        step : Step
            One of ``single`` or of ``path``.

        """
        return float(criterion(np.array(step.widths), np.array(self.widths)))

    def to_frame(self) -> pd.DataFrame:
        """Return a row per benchmark, each as the only one to be measured.

        Returns
        -------
        DataFrame
            benchmark, n_items, cost, unit, saved, place (in the path, from 1; NaN where it is not
            in it), and the expected width of each target.

        """
        places = {s.measurement.benchmark: i + 1 for i, s in enumerate(self.path)}
        rows = []
        for step in self.single:
            m = step.measurement
            rows.append(
                {
                    "benchmark": m.benchmark,
                    "n_items": m.n_items,
                    "cost": None if m.cost is None else m.cost.amount,
                    "unit": "" if m.cost is None else m.cost.unit,
                    "saved": step.saved,
                    "place": places.get(m.benchmark),
                    **dict(zip(self.targets, step.widths, strict=True)),
                }
            )
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; what is unknown is null."""
        return json_dict(
            {
                "model": self.model,
                "targets": self.targets,
                "level": self.level,
                "width": dict(zip(self.targets, self.widths, strict=True)),
                "single": [step.to_dict(self.targets) for step in self.single],
                "path": [step.to_dict(self.targets) for step in self.path],
                "notes": self.notes,
            }
        )


def next_evaluations(
    table: ScoreTable,
    reference: Reference,
    *,
    prices: Mapping[str, Cost],
    model: str | None = None,
    targets: Iterable[str] | None = None,
    n_items: int | None = None,
    level: float = 0.9,
    force: bool = False,
    today: date | None = None,
) -> NextEvaluations:
    r"""Order the benchmarks that are not measured by what they would narrow for their cost.

    Parameters
    ----------
    table : ScoreTable
        Scores of the model, fractions in [0, 1]. One that states fewer items than the benchmark has
        (``n_items``, or what its ``stderr`` implies) may be measured further.
    reference : Reference
        What predicts.
    prices : mapping of benchmark to Cost
        Of all items of a benchmark, in one unit.
    model : str, optional
        Which model of the table; may be left out where it has only one.
    targets : iterable of str, optional
        What is to be predicted; by default every target that no back-test refuses.
    n_items : int, optional
        Measure each benchmark on this many items at most; on all by default.
    level : float, default 0.9
        Nominal coverage of the intervals.
    force : bool, default False
        Decide about targets that a back-test or a gate refuses, too.
    today : date, optional
        The release of a model that states none; the day of the call by default.

    Raises
    ------
    UnknownNameError
        The model or a target is unknown, or the model has no score to start from.
    RefusedTargetError
        A target is refused.
    UnknownCostError
        No benchmark that could be measured has a price.
    NothingToMeasureError
        Every benchmark is measured.
    TooFewItemsError
        ``n_items`` is below ten.

    See Also
    --------
    judge_run : Whether to run the target itself.

    Notes
    -----
    With y what a benchmark's measurement may give, and W(x, y) the width of a target's interval
    that the law states for known scores x and y, the expected width is

    .. math:: E[W] = \int W(x, y)\, p(y \mid x)\, dy .

    p(y | x) is the law's own: for stored laws that of the factor model, for fitted laws that of the
    model which infers missing scores. It includes the noise of measuring n items. The integral is
    the mean over 64 seeded draws, the same for all benchmarks. Several targets count as the root
    mean square of their widths, each in units of what it is now; every ``saved`` is a share of
    this one number, so that it may differ from what the plain mean of the widths saves.

    References
    ----------
    Chaloner & Verdinelli (1995), Bayesian experimental design: a review. Statistical Science 10.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import Cost, ScoreTable, load_reference, next_evaluations
    >>> scores = pd.DataFrame({"MMLU": 0.62, "HellaSwag": 0.81}, index=["mine"])
    >>> prices = {"GSM8K": Cost(2, "device-hours"), "ARC-C": Cost(1, "device-hours")}
    >>> next_evaluations(
    ...     ScoreTable.from_wide(scores), load_reference(), prices=prices, targets=["bbh"])
    NextEvaluations(mine: GSM8K first, for 1 target)

    """
    name = only_model(table, model)
    chosen, skipped = _targets(reference, targets)
    outlook = make_outlook(table, name, reference, chosen, level=level, force=force, today=today)
    options = options_of(outlook, reference, prices, n_items=n_items)
    require_prices(options)
    now = outlook.now()
    single = first_steps(outlook, now, options)
    return NextEvaluations(
        name,
        tuple(target.name for target in outlook.targets),
        level,
        tuple(map(float, now.width)),
        tuple(single),
        tuple(walk(outlook, now, single)),
        (*skipped, *outlook.notes, *few_items_notes(outlook, reference)),
    )


def _targets(
    reference: Reference, names: Iterable[str] | None
) -> tuple[list[Target], tuple[str, ...]]:
    """Return the named targets, or those that no back-test refuses, and what was left out."""
    if names is not None:
        return list(dict.fromkeys(reference.target(name) for name in names)), ()
    judged = reference.evaluations
    chosen = [
        t
        for t in reference.targets.values()
        if t.name not in judged or judged[t.name].status != "refused"
    ]
    if not chosen:
        raise RefusedTargetError("every target of the reference is refused by its back-test")
    left_out = len(reference.targets) - len(chosen)
    return chosen, (
        f"{counted(left_out, 'target')} left out, refused by back-tests",
    ) if left_out else ()
