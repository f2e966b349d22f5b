"""The stored laws of a reference predict all of its targets at once, beside the baselines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from .._json import json_safe
from ..completion import FittedPredictor
from ..errors import FitError
from ..reference import Evaluation, Reference
from ..reference._source_spread import SourceSpread, source_spread, spread_frame
from ..reference._training_arguments import facts_of, training_arguments
from ..reference.overlap import find_overlap
from ..table._table import ScoreTable

__all__ = ["BASELINES", "TargetPrediction", "predict_targets"]

BASELINES = ("mean", "trend", "nearest", "single")
"""What stands beside each prediction: mean of the reference's models, trend over the release date,
score of the nearest model, and the best single benchmark."""

Status = Literal["offered", "weak", "refused", "not evaluated"]


@dataclass(frozen=True)
class TargetPrediction:
    """The predicted score of a model on a target of a reference.

    Attributes
    ----------
    reference, target, label, model : str
    status : str
        "offered", "weak" or "refused" as the target was evaluated, or "not evaluated".
    mean, lower, upper : float
        Fractions; NaN where ``reason`` refuses a number.
    level : float
        Nominal coverage of (lower, upper).
    reason : str
        Why there is no number, or why it is worth little; "" where neither holds.
    gate : str
        The part of the reason that is about the model and not the target alone; "" for none.
    baselines : mapping of name to float
        Of ``BASELINES``, fractions; NaN where a baseline says nothing.
    nearest_model, single_benchmark : str
        What the last two of them are.
    evaluation : Evaluation or None
        How well the target is predicted.
    notes : tuple of str
        Which models of the reference were left out because they are, or likely are, this model.

    """

    reference: str
    target: str
    label: str
    model: str
    status: Status
    mean: float
    lower: float
    upper: float
    level: float
    reason: str
    gate: str
    baselines: dict[str, float]
    nearest_model: str
    single_benchmark: str
    evaluation: Evaluation | None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; what is unknown is null."""
        evaluation = None if self.evaluation is None else self.evaluation.to_dict()
        safe: dict[str, Any] = json_safe({**vars(self), "evaluation": evaluation})
        return safe


def predict_targets(
    table: ScoreTable,
    reference: Reference,
    *,
    targets: Iterable[str] | None = None,
    level: float = 0.9,
    force: bool = False,
    exclude: Collection[str] = (),
    today: date | None = None,
) -> list[TargetPrediction]:
    """Predict targets of models by the stored laws of a reference, refitting nothing.

    Parameters
    ----------
    table : ScoreTable
        Scores of the models, fractions, and their facts: a release date, and the mode in which
        they answered.
    reference : Reference
        One with stored laws. Models of it that are, or likely are, among ``table`` are left out of
        the laws that predict them, which takes a refit.
    targets : iterable of str, optional
        Names of targets; all of the reference's by default.
    level : float, default 0.9
        Nominal coverage of the intervals.
    force : bool, default False
        Give the numbers that a gate or the evaluation refuses, beside their reason.
    exclude : collection of str, default ()
        Models of the reference to leave out of the laws, which are then fitted anew; the scale of
        the intervals stays as stored.
    today : date, optional
        The release of models that state none, and are none of the reference; the day of the call
        by default.

    Raises
    ------
    FitError
        The reference has no stored laws, or the level lies outside (0, 1).
    UnknownNameError
        A target is unknown, or no benchmark of the reference was measured.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import ScoreTable, load_reference, predict_targets
    >>> scores = pd.DataFrame({"GPQA-diamond": 0.6, "MMLU-Pro": 0.75}, index=["mine"])
    >>> facts = pd.DataFrame({"release_date": "2025-06"}, index=["mine"])
    >>> table = ScoreTable.from_wide(scores, models=facts)
    >>> (p,) = predict_targets(table, load_reference("frontier-2026"), targets=["hle/no-tools"])
    >>> 0 < p.lower < p.mean < p.upper < 0.3
    True

    """
    laws = stored_laws(reference)
    wanted = reference.targets if targets is None else targets
    chosen = [reference.target(name) for name in wanted]
    names = [target.name for target in chosen]
    benchmarks = [b for b in reference.benchmarks if b in table.benchmarks]
    wide = table.wide(benchmarks).dropna(how="all")
    published = reference.scores()
    made: list[TargetPrediction] = []
    for model, row in wide.iterrows():
        overlap = find_overlap(str(model), row, published)
        unseen = {*overlap.reasons, *exclude}
        own = laws_without(laws, reference, unseen) if unseen else laws
        facts = release_and_mode(table, str(model), reference, overlap.sure, today)
        spreads = source_spread(reference, _sources(table, str(model), benchmarks))
        frame = own.predict(
            wide.loc[[model]],
            facts,
            targets=names,
            level=level,
            force=True,
            spread=spread_frame(spreads, str(model)) if spreads else None,
        )
        lines = (overlap.note(), _undated(table, str(model), facts), _widened(str(model), spreads))
        notes = tuple(line for line in lines if line)
        for target, cells in zip(chosen, frame.to_dict("records"), strict=True):
            evaluation = reference.evaluations.get(target.name)
            status: Status = "not evaluated" if evaluation is None else evaluation.status
            refused = evaluation is not None and status == "refused"
            reasons = [cells["reason"], "" if evaluation is None else evaluation.reason]
            is_shown = force or not (cells["reason"] or refused)
            mean, lower, upper = (cells[c] if is_shown else float("nan") for c in _NUMBERS)
            made.append(
                TargetPrediction(
                    reference=reference.name,
                    target=target.name,
                    label=target.label,
                    model=str(model),
                    status=status,
                    mean=mean,
                    lower=lower,
                    upper=upper,
                    level=level,
                    reason="; ".join(reason for reason in reasons if reason),
                    gate=str(cells["reason"]),
                    baselines={name: float(cells[name]) for name in BASELINES},
                    nearest_model=str(cells["nearest_model"]),
                    single_benchmark=str(cells["single_benchmark"]),
                    evaluation=evaluation,
                    notes=notes,
                )
            )
    return made


_NUMBERS = ("prediction", "lower", "upper")


def release_and_mode(
    table: ScoreTable,
    model: str,
    reference: Reference,
    same: Iterable[str],
    today: date | None,
) -> pd.DataFrame:
    """Return the facts of a model that the laws use.

    Without a release date it has that of the models of the reference that it is, or today's.
    """
    released = reference.table.models["release_date"]
    dated = [str(released[name]) for name in same if released[name]]
    day = str(table.models.at[model, "release_date"]) or max(
        dated, default=(today or date.today()).isoformat()
    )
    return facts_of(table.models.loc[[model]].assign(release_date=day))


def _undated(table: ScoreTable, model: str, facts: pd.DataFrame) -> str:
    """Return in a line which release date was assumed, "" where it was given."""
    if table.models.at[model, "release_date"]:
        return ""
    day = str(facts.at[model, "release_date"])
    return f"{model}: no release date is given, {day} is assumed; give it in a column release_date"


def _sources(table: ScoreTable, model: str, benchmarks: Collection[str]) -> dict[str, str]:
    """Return who measured each benchmark of a model, "" where that is not stated."""
    rows = table.scores[
        (table.scores["model"] == model) & table.scores["benchmark"].isin(benchmarks)
    ]
    return dict(zip(rows["benchmark"], rows["source"].fillna("").astype(str), strict=True))


def _widened(model: str, spreads: Mapping[str, SourceSpread]) -> str:
    """Return in a line which intervals are wider, as another source measured; "" if none is."""
    if not spreads:
        return ""
    parts = (f"{b} {100 * s.deviation:.1f}" for b, s in spreads.items())
    return (
        f"{model}: measured by another source than the reference's; its intervals include by how "
        f"many points the two differ: {', '.join(parts)}"
    )


def stored_laws(reference: Reference) -> FittedPredictor:
    """Return the laws that lie beside the tables of a reference."""
    if reference.laws is None:
        raise FitError(
            f"{reference.name or 'the reference'} has no stored laws (laws.npz, laws.json); "
            "TargetLaw fits its targets"
        )
    return FittedPredictor.load(Path(reference.laws))


def laws_without(
    laws: FittedPredictor, reference: Reference, models: Collection[str]
) -> FittedPredictor:
    """Return laws that were fitted without some models; the scale of intervals is as stored."""
    scores, facts, arguments = training_arguments(reference, exclude=models)
    return laws.refitted(
        scores, facts, anchors=arguments["anchors"], sample_weight=arguments["sample_weight"]
    )
