"""Targets are offered, weak or refused by a rule on their back-tests, fixed beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Unpack, get_args

import numpy as np
import pandas as pd

from ..errors import check_choice
from ._backtests import (
    conformal_scores,
    forward_tests,
    provider_tests,
    quantile,
    time_splits,
)
from ._baselines import NAIVE
from ._blended import BlendedPredictor
from ._fitted import FittedPredictor
from ._gates import Gate
from ._training import TrainingSettings, TrainingTable, training_table
from ._views import FEWEST_MODELS, Kind, Recipe

__all__ = ["Status", "evaluate_targets", "fit_and_evaluate", "judge_target"]

Status = Literal["offered", "weak", "refused"]

FEWEST_TESTS = 20
BEST_RATIO = 0.8
LEAST_COVERAGE = 0.8

# What a new model is asked for, not how far the target is: a back-test keeps to these alone.
_INPUT_GATES = (Gate.FEW_CHEAP, Gate.NO_ANCHOR)


def evaluate_targets(
    scores: pd.DataFrame,
    facts: pd.DataFrame,
    *,
    kind: Kind = "vendor-reported",
    **settings: Unpack[TrainingSettings],
) -> pd.DataFrame:
    """Back-test each target on models that a fit has not seen, and say whether to offer it.

    Parameters
    ----------
    scores, facts
        As for ``BlendedPredictor.fit``.
    kind : {"vendor-reported", "single-protocol"}, default "vendor-reported"
        As for ``BlendedPredictor``.
    **settings
        ``cheap``, ``targets``, ``linear``, ``anchors``, ``cut`` and ``sample_weight``, as for
        ``BlendedPredictor.fit``.

    Returns
    -------
    DataFrame
        A row per target. ``n``: models predicted with their provider left out, of those that have
        the cheap scores which a prediction needs. ``mae``: mean absolute error on them, in the
        target's unit. ``baseline`` and ``baseline_mae``: the best of the mean, the mean of the
        last five models released before, and the trend over the release date, on the same models.
        ``ratio``: of the two errors. ``n_forward`` and ``forward_mae``: predictions forward in
        time that no gate refuses, and their error. ``forward_coverage``: share of them inside 90%
        intervals that were calibrated on earlier models alone. ``k``: scale of the intervals,
        of all targets together. ``status`` and ``reason``.

    See Also
    --------
    Evaluation : What is returned for each target.
    predict_targets : Offers the targets that pass.

    Notes
    -----
    "offered": n ≥ 20, error below 0.8 of the best baseline's, and forward coverage ≥ 0.8.
    "weak": at least 12 models, and an error below the best baseline's, but not all three. Else
    "refused": the best baseline does as well.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from capspace.fit import evaluate_targets
    >>> rng = np.random.default_rng(0)
    >>> ability = rng.normal(size=40)
    >>> names = [f"m{i}" for i in range(40)]
    >>> scores = pd.DataFrame(
    ...     {b: 1 / (1 + np.exp(-ability - rng.normal(0, 0.2, 40))) for b in "ABC"}, index=names)
    >>> dates = [f"2025-{1 + i % 12:02d}-01" for i in range(40)]
    >>> facts = pd.DataFrame(
    ...     {"release_date": dates, "provider": [f"p{i % 5}" for i in range(40)]}, index=names)
    >>> table = evaluate_targets(
    ...     scores, facts, cheap=["A", "B"], targets=["C"], kind="single-protocol")
    >>> table.loc["C", "status"]
    'offered'

    """
    check_choice(kind, get_args(Kind), "kind")
    table, recipe = training_table(scores, facts, **settings), Recipe(kind)
    return judged_by_tests(
        table, recipe, provider_tests(table, recipe), forward_tests(table, recipe)
    )


def fit_and_evaluate(
    scores: pd.DataFrame,
    facts: pd.DataFrame,
    *,
    kind: Kind = "vendor-reported",
    **settings: Unpack[TrainingSettings],
) -> tuple[FittedPredictor, pd.DataFrame, pd.DataFrame]:
    """Return what ``BlendedPredictor`` fits, what ``evaluate_targets`` says, and their back-test.

    The last has the models left out with their provider, as of ``provider_tests``.

    Parameters
    ----------
    scores, facts, **settings
        As for ``BlendedPredictor.fit``.
    kind : {"vendor-reported", "single-protocol"}, default "vendor-reported"
        As for ``BlendedPredictor``.

    """
    model = BlendedPredictor(kind=kind).fit(scores, facts, **settings)
    table, tests = training_table(scores, facts, **settings), model.provider_tests_
    return model.fitted_, judged_by_tests(table, Recipe(kind), tests, model.forward_tests_), tests


def judged_by_tests(
    table: TrainingTable, recipe: Recipe, providers: pd.DataFrame, forward: pd.DataFrame
) -> pd.DataFrame:
    """Return the table of ``evaluate_targets`` from the back-tests of a training table."""
    k = quantile(*conformal_scores(providers, forward), 0.9)
    targets = [table.columns.names[j] for j in table.columns.targets]
    return judge(targets, providers, with_intervals(table, recipe, forward), k)


def with_intervals(table: TrainingTable, recipe: Recipe, forward: pd.DataFrame) -> pd.DataFrame:
    """Return forward tests with ``covered``, by intervals calibrated before each origin.

    Without earlier back-tests to calibrate on, ``covered`` is NaN.
    """
    covered = pd.Series(np.nan, forward.index)
    for origin, train, _ in time_splits(table):
        before = table.rows(train)
        ratios, weight = conformal_scores(
            provider_tests(before, recipe), forward_tests(before, recipe)
        )
        half = quantile(ratios, weight, 0.9) * forward["width"]
        inside = ((forward["truth"] - forward["point"]).abs() <= half).astype(float)
        here = forward["origin"] == origin
        covered[here] = inside[here] if len(ratios) else np.nan
    return forward.assign(covered=covered)


def judge(
    targets: Sequence[str], providers: pd.DataFrame, forward: pd.DataFrame, k: float
) -> pd.DataFrame:
    """Return the table of ``evaluate_targets`` from back-tests."""
    rows = []
    for t, name in enumerate(targets):
        tests = providers[(providers["target"] == t) & ~providers["gate"].isin(_INPUT_GATES)]
        ahead = forward[(forward["target"] == t) & (forward["gate"] == 0)]
        row = {"target": name, "n": len(tests), **_errors(tests)}
        row["n_forward"] = len(ahead)
        row["forward_mae"] = _mae(ahead, "predicted")
        row["forward_coverage"] = float(ahead["covered"].mean()) if len(ahead) else float("nan")
        row["k"] = k
        row["status"], row["reason"] = judge_target(row)
        rows.append(row)
    return pd.DataFrame(rows).set_index("target")


def _errors(tests: pd.DataFrame) -> dict[str, object]:
    if not len(tests):
        empty = float("nan")
        return {"mae": empty, "baseline": "", "baseline_mae": empty, "ratio": empty}
    naive = {name: _mae(tests, name) for name in NAIVE}
    best = min(naive, key=naive.__getitem__)
    mae = _mae(tests, "predicted")
    ratio = mae / naive[best] if naive[best] > 0 else float("nan")
    return {"mae": mae, "baseline": best, "baseline_mae": naive[best], "ratio": ratio}


def _mae(tests: pd.DataFrame, column: str) -> float:
    if not len(tests):
        return float("nan")
    weight = tests["weight"].to_numpy(dtype=float)
    off = (tests[column] - tests["score"]).abs().to_numpy(dtype=float)
    return float(weight @ off / weight.sum())


def judge_target(row: Mapping[str, object]) -> tuple[Status, str]:
    """Return status and reason of a target from n, baseline, ratio and forward_coverage."""
    n, ratio, coverage = (float(str(row[name])) for name in ("n", "ratio", "forward_coverage"))
    if n < FEWEST_MODELS:
        return "refused", f"{n:.0f} models could be tested; {FEWEST_MODELS} are needed"
    best = str(row["baseline"]).replace("_", " ")
    if not ratio < 1:
        return "refused", f"the {best} baseline does as well (ratio {ratio:.2f})"
    short = []
    if n < FEWEST_TESTS:
        short.append(f"{n:.0f} models tested, {FEWEST_TESTS} wanted")
    if ratio >= BEST_RATIO:
        short.append(f"error {ratio:.3f} of the {best} baseline's, below {BEST_RATIO:.3f} wanted")
    if not coverage >= LEAST_COVERAGE:
        seen = "not tested" if np.isnan(coverage) else f"{coverage:.1%}"
        short.append(f"coverage forward in time {seen}, {LEAST_COVERAGE:.1%} wanted")
    return ("weak", "; ".join(short)) if short else ("offered", "")
