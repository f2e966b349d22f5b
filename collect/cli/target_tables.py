"""Print predictions by stored laws, and the accuracy of those laws, as tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .options import console, print_table

if TYPE_CHECKING:
    import pandas as pd

    from capspace.fit.prediction import TargetPrediction
    from capspace.fit.reference import Evaluation

__all__ = ["evaluation_words", "print_target_predictions", "target_frame"]

_TITLES = {
    "offered": "offered",
    "weak": "weak, little better than the baselines or little tested",
    "refused": "refused, shown by --force",
    "not evaluated": "not back-tested",
}

_FORCED = "shown by --force"


def print_target_predictions(
    predictions: Sequence[TargetPrediction], *, all_shown: bool = False
) -> None:
    """Print predictions by model and status, beside the baselines; below, reasons against them.

    Targets that were refused are named, not listed, unless ``all_shown``.
    """
    models = list(dict.fromkeys(p.model for p in predictions))
    for model in models:
        own = [p for p in predictions if p.model == model]
        for status, title in _TITLES.items():
            rows = [p for p in own if p.status == status and math.isfinite(p.mean)]
            if rows:
                _print_rows(f"{model}: {title}", rows)
                _print_reasons(rows)
        gated = [p for p in own if not math.isfinite(p.mean)]
        _print_gated(model, gated, all_shown, of=f" of {model}" if len(models) > 1 else "")


def _print_rows(title: str, predictions: Sequence[TargetPrediction]) -> None:
    interval = f"{predictions[0].level:.0%} interval"
    numbers = (
        "Prediction",
        interval,
        "Best tenth",
        "Mean error",
        "Mean",
        "Trend",
        "Nearest",
        "Single",
    )
    print_table(
        title,
        ("Name", *numbers),
        [
            (
                p.target,
                _score(p.mean),
                f"{_score(p.lower)} – {_score(p.upper)}",
                _score(p.attainable),
                _score(None if p.evaluation is None else p.evaluation.mae),
                *(_score(value) for value in p.baselines.values()),
            )
            for p in predictions
        ],
        numbers=numbers,
    )


def _print_reasons(predictions: Sequence[TargetPrediction]) -> None:
    """Print what speaks against the numbers of a table, a line per reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    for p in predictions:
        judged = "" if p.evaluation is None else p.evaluation.reason
        weight = _FORCED if p.status == "refused" else p.status
        for label, reason in ((_FORCED, p.gate), (weight, judged)):
            if reason:
                groups.setdefault((label, reason), []).append(p.target)
    for (label, reason), targets in groups.items():
        is_all = len(targets) == len(predictions) > 2
        names = f"all {len(targets)} targets above" if is_all else ", ".join(targets)
        console().print(f"{label}: {names}: {reason}", markup=False)
    if groups:
        console().print()


def _print_gated(
    model: str, predictions: Sequence[TargetPrediction], all_shown: bool, *, of: str
) -> None:
    """Print why there is no number, a line per reason; refused targets in one line.

    ``of`` names the model after the targets, where there are several models.
    """
    refused = [p for p in predictions if p.status == "refused" and not all_shown]
    others = [p for p in predictions if p not in refused]
    gates = Counter(p.gate for p in others if p.gate)
    for gate, n in gates.most_common(1):  # that of the model, of which it has one
        if n > 1:
            line = f"no number for {model}'s {n} other targets: {gate}"
            console().print(f"{line}; --force shows the numbers", markup=False)
            others = [p for p in others if p.gate != gate]
    groups: dict[str, list[str]] = {}
    if refused:
        why = "refused by their back-tests (see `capspace targets`)"
        groups[why] = [p.target for p in refused]
    for p in others:
        groups.setdefault(p.reason, []).append(p.target)
    for why, targets in groups.items():
        console().print(f"no number for {', '.join(targets)}{of}: {why}", markup=False)


def target_frame(predictions: Iterable[TargetPrediction]) -> pd.DataFrame:
    """Return a row per prediction, with the baselines."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "model": p.model,
                "reference": p.reference,
                "target": p.target,
                "status": p.status,
                "prediction": p.mean,
                "lower": p.lower,
                "upper": p.upper,
                "level": p.level,
                "attainable": p.attainable,
                **p.baselines,
                "nearest_model": p.nearest_model,
                "single_benchmark": p.single_benchmark,
                "reason": p.reason,
            }
            for p in predictions
        ]
    )


def evaluation_words(evaluation: Evaluation | None, n: int) -> tuple[str, str, str, str, str]:
    """Return status, models with the score, error, that of the best baseline, and coverage."""
    if evaluation is None:
        return "not back-tested", str(n), "–", "–", "–"
    coverage = "–" if evaluation.coverage is None else f"{evaluation.coverage:.0%}"
    best = f"{_score(evaluation.baseline_mae)} {evaluation.baseline.replace('_', ' ')}".strip()
    return evaluation.status, str(n), _score(evaluation.mae), best, coverage


def _score(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}"
