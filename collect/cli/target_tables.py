"""Print predictions by stored laws, and the accuracy of those laws, as tables."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .options import console, print_table

if TYPE_CHECKING:
    from capspace.fit.prediction import TargetPrediction
    from capspace.fit.reference import Evaluation

__all__ = ["evaluation_words", "print_target_predictions"]

_TITLES = {
    "offered": "offered",
    "weak": "weak, little better than the baselines or little tested",
    "refused": "refused, shown by --force",
    "not evaluated": "not back-tested",
}

_GAP = 3
_FORCED = "shown by --force"
_REFUSED = "refused by their back-tests (see `capspace targets`)"


def print_target_predictions(
    predictions: Sequence[TargetPrediction], *, all_shown: bool = False
) -> None:
    """Print predictions by model and status, beside the baselines; below, reasons against them.

    The baselines have a table of their own where a terminal is too narrow for all columns. What
    speaks against a target is printed once, not for each model. Targets that were refused are
    named, not listed, unless ``all_shown``.
    """
    models = list(dict.fromkeys(p.model for p in predictions))
    numbers = [p for p in predictions if math.isfinite(p.mean)]
    for model in models:
        for status, title in _TITLES.items():
            if rows := [p for p in numbers if p.model == model and p.status == status]:
                _print_rows(f"{model}: {title}", rows)
    _print_reasons(numbers, n_models=len(models))
    _print_gated([p for p in predictions if not math.isfinite(p.mean)], all_shown, len(models))


def _print_rows(title: str, predictions: Sequence[TargetPrediction]) -> None:
    own = ("Prediction", f"{predictions[0].level:.0%} interval", "Best tenth", "Mean error")
    others = ("Mean", "Trend", "Nearest", "Single")
    rows = [
        (
            p.target,
            _score(p.mean),
            f"{_score(p.lower)} – {_score(p.upper)}",
            _score(p.attainable),
            _score(None if p.evaluation is None else p.evaluation.mae),
            *(_score(value) for value in p.baselines.values()),
        )
        for p in predictions
    ]
    columns = ("Name", *own, *others)
    widths = (max(map(len, column)) for column in zip(columns, *rows, strict=True))
    if sum(widths) + _GAP * (len(columns) - 1) <= console().width:
        print_table(title, columns, rows, numbers=columns[1:])
        return
    n = 1 + len(own)
    print_table(title, columns[:n], [row[:n] for row in rows], numbers=own)
    print_table(
        f"{title.partition(',')[0]}, beside the baselines",
        ("Name", "Prediction", *others),
        [(*row[:2], *row[n:]) for row in rows],
        numbers=("Prediction", *others),
    )


def _print_reasons(predictions: Sequence[TargetPrediction], *, n_models: int) -> None:
    """Print what speaks against the numbers of the tables, a line per reason."""
    groups: dict[tuple[str, str, str], dict[str, None]] = {}
    for p in predictions:
        judged = "" if p.evaluation is None else p.evaluation.reason
        weight = _FORCED if p.status == "refused" else p.status
        of = f" of {p.model}" if n_models > 1 else ""
        for key in ((_FORCED, p.gate, of), (weight, judged, "")):
            if key[1]:
                groups.setdefault(key, {})[p.target] = None
    for (label, reason, of), targets in groups.items():
        shown = dict.fromkeys(p.target for p in predictions if of in ("", f" of {p.model}"))
        others = [name for name in shown if name not in targets]
        names = ", ".join(targets)
        if len(targets) > 2 and len(others) * 2 < len(targets):
            but = f" but {', '.join(others)}" if others else ""
            names = f"all {len(shown)} targets above{but}"
        console().print(f"{label}: {names}{of}: {reason}", markup=False)
    if groups:
        console().print()


def _print_gated(predictions: Sequence[TargetPrediction], all_shown: bool, n_models: int) -> None:
    """Print why there is no number, a line per reason; refused targets in one line."""
    refused = [p for p in predictions if p.status == "refused" and not all_shown]
    others = [p for p in predictions if p.status != "refused" or all_shown]
    gates = Counter((p.model, p.gate) for p in others if p.gate)
    for (model, gate), n in gates.items():
        if n > 1:
            line = f"no number for {model}'s {n} other targets: {gate}"
            console().print(f"{line}; --force shows the numbers", markup=False)
    models: dict[tuple[str, str], list[str]] = {}
    for p in refused:
        models.setdefault((_REFUSED, p.target), [])
    for p in others:
        if gates[p.model, p.gate] <= 1:
            own = [p.model] if p.gate and n_models > 1 else []
            models.setdefault((p.reason, p.target), []).extend(own)
    groups: dict[tuple[str, str], list[str]] = {}
    for (why, target), names in models.items():
        groups.setdefault((why, f" of {', '.join(names)}" if names else ""), []).append(target)
    for (why, of), targets in groups.items():
        console().print(f"no number for {', '.join(targets)}{of}: {why}", markup=False)


def evaluation_words(evaluation: Evaluation | None, n: int) -> tuple[str, str, str, str, str]:
    """Return status, models with the score, error, that of the best baseline, and coverage."""
    if evaluation is None:
        return "not back-tested", str(n), "–", "–", "–"
    coverage = "–" if evaluation.coverage is None else f"{evaluation.coverage:.0%}"
    best = f"{_score(evaluation.baseline_mae)} {evaluation.baseline.replace('_', ' ')}".strip()
    return evaluation.status, str(n), _score(evaluation.mae), best, coverage


def _score(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}"
