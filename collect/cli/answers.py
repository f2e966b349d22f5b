"""The predictions of one reference are printed as tables, or written as JSON and CSV."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from . import options as o

if TYPE_CHECKING:
    import pandas as pd

    from capspace.fit.decide import ScoreAlarm
    from capspace.fit.prediction import Prediction, TargetPrediction
    from capspace.fit.reference import Reference
    from capspace.fit.table import ScoreTable

__all__ = ["Answer", "FittedAnswer", "StoredAnswer", "by_fitted_laws", "by_stored_laws"]


@dataclass(frozen=True)
class _Answer:
    """What a reference predicts for the models of a table.

    Attributes
    ----------
    reference : mapping
        What it is, and why it answers.
    predictions : sequence
    notes : sequence of str
        What was left out or assumed.
    skipped : sequence of str
        Why targets are not among the predictions, a line each.
    alarms : sequence of ScoreAlarm
        Scores that the others of the same model contradict.

    """

    reference: dict[str, Any]
    predictions: Sequence[Any]
    notes: Sequence[str]
    skipped: Sequence[str] = ()
    alarms: Sequence[ScoreAlarm] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what is printed as JSON."""
        return {
            "reference": self.reference,
            "predictions": [p.to_dict() for p in self.predictions],
            "skipped": self.skipped,
            "notes": self.notes,
            "alarms": [alarm.to_dict() for alarm in self.alarms],
        }


@dataclass(frozen=True)
class StoredAnswer(_Answer):
    """Every target by laws that lie beside the reference, with baselines and gates."""

    def to_frame(self) -> pd.DataFrame:
        """Return a row per prediction, with the baselines."""
        from capspace.fit.prediction import TargetPredictions

        return TargetPredictions(self.predictions).to_frame()

    def print_text(self, *, all_shown: bool) -> None:
        """Print tables and what is to be known about them."""
        from .target_tables import print_target_predictions

        o.console().print(self.reference["reason"], style="dim", markup=False)
        print_target_predictions(self.predictions, all_shown=all_shown)
        warnings = [*self.notes, *(alarm.line for alarm in self.alarms)]
        _print_notes([line for p in self.predictions for line in p.notes], warnings)
        o.console().print(self.reference["attribution"], style="dim", markup=False)


@dataclass(frozen=True)
class FittedAnswer(_Answer):
    """Targets by laws that are fitted now, a law each, with baselines."""

    models: Sequence[str] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return a row per prediction, with the baselines."""
        from capspace.fit.prediction import Predictions

        return Predictions(self.predictions).to_frame()

    def print_text(self, *, all_shown: bool) -> None:
        """Print tables and what is to be known about them; no target is left out."""
        from .show import print_predictions

        o.console().print(self.reference["reason"], style="dim", markup=False)
        for model in self.models:
            rows = [p for p in self.predictions if p.model == model]
            print_predictions(model, rows)
            inferred = sorted({b for p in rows for b in p.missing})
            if inferred:
                o.console().print(
                    f"inferred from the other benchmarks: {', '.join(inferred)}", markup=False
                )
            _print_notes([note for p in rows for note in p.notes], [])
        _print_notes(self.skipped, [*self.notes, *(alarm.line for alarm in self.alarms)])


Answer = StoredAnswer | FittedAnswer


def by_stored_laws(
    own: ScoreTable,
    reference: Reference,
    targets: Collection[str] | None,
    about: dict[str, Any],
    notes: Sequence[str],
    **settings: Any,
) -> StoredAnswer:
    """Predict by laws that lie beside the reference; ``settings`` are of ``predict_targets``."""
    from capspace.fit.prediction import predict_targets

    from .two_estimators import TRUSTED

    models = own.facts["model"].tolist()
    predictions: list[TargetPrediction] = []
    for start in range(0, len(models), _AT_ONCE):
        chunk = models[start : start + _AT_ONCE]
        part = own if len(chunk) == len(models) else own.select(models=chunk)
        if len(part):
            predictions += predict_targets(part, reference, targets=targets, **settings)
        _show_progress(start + len(chunk), len(models))
    both = [TRUSTED] if any(math.isfinite(p.mean) for p in predictions) else []
    return StoredAnswer(about, predictions, [*notes, *both])


_AT_ONCE = 100


def _show_progress(n_done: int, n: int) -> None:
    """Show on a terminal how many of many models are predicted."""
    if n > _AT_ONCE and sys.stderr.isatty():
        end = "\n" if n_done == n else ""
        print(f"\rpredicted {n_done:,} of {n:,} models", end=end, file=sys.stderr, flush=True)


def by_fitted_laws(
    own: ScoreTable,
    reference: Reference,
    targets: Collection[str] | None,
    about: dict[str, Any],
    notes: Sequence[str],
    *,
    level: float,
    force: bool = False,
    today: date | None = None,
) -> FittedAnswer:
    """Predict by a law that is fitted to each target now.

    A target that its evaluation refuses has no number, but its reason, unless ``force``. ``today``
    is the release of models that state none, for the trend among the baselines.
    """
    from dataclasses import replace

    from capspace.fit.errors import DegenerateError, TooFewModelsError
    from capspace.fit.prediction import Predictions, TargetLaw
    from capspace.fit.prediction._release import known_release_dates
    from capspace.fit.table.sampling import with_sampling_errors

    wide, stderr = own.wide(), with_sampling_errors(own).wide(value="stderr")
    dates = known_release_dates(own, reference, today)
    made: list[Prediction] = []
    skipped: list[str] = []
    too_few: list[TooFewModelsError] = []
    for chosen in [reference.target(name) for name in (targets or reference.targets)]:
        usable = set(reference.space_benchmarks(chosen)) & set(wide.columns[wide.notna().any()])
        if not usable and not targets:
            skipped.append(f"{chosen.label}: none of its benchmarks is in the table")
            continue
        try:
            law = TargetLaw(chosen).fit(reference)
            predicted = law.predict(
                wide, level=level, stderr=stderr, keep=True, release_dates=dates
            )
        except DegenerateError as error:
            skipped.append(f"{chosen.label}: {error}")
            continue
        except TooFewModelsError as error:
            too_few.append(error)
            skipped.append(str(error))
            continue
        evaluation = reference.evaluations.get(chosen.name)
        if evaluation is not None:
            status, why = evaluation.status, evaluation.reason
            predicted = Predictions(replace(p, status=status, reason=why) for p in predicted)
        placed = [p for p in predicted if not math.isnan(p.mean)]
        if evaluation is not None and evaluation.status == "refused" and not force:
            nan = math.nan
            placed = [
                replace(p, mean=nan, lower=nan, upper=nan, linear_predictor=nan) for p in placed
            ]
        made += placed
    if too_few and not made:
        raise too_few[0]
    names = list(map(str, wide.index))
    return FittedAnswer(about, made, notes, skipped, models=names)


def _print_notes(lines: Iterable[str], warnings: Iterable[str]) -> None:
    for line in dict.fromkeys(lines):
        o.console().print(line, markup=False)
    for line in warnings:
        o.console().print(line, style="yellow", markup=False)
