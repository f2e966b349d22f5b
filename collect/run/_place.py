"""``place`` measures a checkpoint, places it, predicts its scores, and writes the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from capspace.fit._display import counted, frame_html
from capspace.fit.decide import (
    INTERVENTIONS,
    Lift,
    NextEvaluations,
    ScoreAlarm,
    check_scores,
    lift_card,
)
from capspace.fit.prediction import Placement, place_model

from ..settings import DEFAULT_PANEL, RunChanges, RunSettings
from ..storage.result import Result
from ..storage.score_table import to_table
from ._advice import PricesOf, estimated_prices, next_of
from ._measurement_notes import (
    foot_notes,
    further_note,
    measurement_notes,
    page_data,
    subtitle,
    unfinished_shares,
)
from .collection import Collection

if TYPE_CHECKING:
    import pandas as pd

    from capspace.fit.decide import Verdict
    from capspace.fit.reference import Reference

    from ..comparison.twin_score import TwinScore

__all__ = ["Deciding", "PlacedModel", "place", "place_collection"]


class Deciding(TypedDict, total=False):
    """By what is decided on a placed model."""

    judge: Callable[[Sequence[Placement]], Verdict | str | None]
    """Returns a verdict on a costly run from the placements, or why there is none."""
    prices: PricesOf
    """What benchmarks cost, by which those to measure next are ordered."""


@dataclass(frozen=True, repr=False)
class PlacedModel:
    """A measured model, its placement, and where its report is.

    See Also
    --------
    place : Makes one.
    capspace.fit.Placement : The placement in it.

    """

    collection: Collection
    placement: Placement
    report: Path | None
    others: tuple[Placement, ...] = ()
    """By further references, in their order; a reference that has no score to place by has none."""
    alarms: tuple[ScoreAlarm, ...] = ()
    """Scores that the model's other scores contradict."""
    lifts: tuple[Lift, ...] = ()
    """What interventions would gain, where a score of theirs is among the targets."""
    following: tuple[NextEvaluations | str, ...] = ()
    """What to measure next by each reference, or why that is not known."""

    verdict: Verdict | None = None
    """On a costly run, where one was asked for."""
    no_verdict: str = ""
    """Why there is none, although one was asked for."""

    drifts: tuple[TwinScore, ...] = ()
    """Scores that differ from published or imported ones of the same model, with likely causes."""

    def to_frame(self) -> pd.DataFrame:
        """Return a row per prediction, as ``Placement.to_frame``; scores are the collection's."""
        return self.placement.to_frame()

    def __repr__(self) -> str:
        (checkpoint,) = self.collection.checkpoints
        n_scores = counted(len(self.collection.results), "score")
        n_predictions = counted(len(self.placement.predictions), "prediction")
        report = "" if self.report is None else f", report {self.report}"
        return f"PlacedModel({checkpoint.name}: {n_scores}, {n_predictions}{report})"

    def _repr_html_(self) -> str:
        return frame_html(self)


def place(
    model: str,
    *,
    panel: str | Path = DEFAULT_PANEL,
    reference: Reference | Sequence[Reference] | None = None,
    targets: Iterable[str] | None = None,
    level: float = 0.9,
    out: Path | None = None,
    release_date: str | None = None,
    store: Path | str | None = None,
    settings: RunSettings | None = None,
    **changes: Unpack[RunChanges],
) -> PlacedModel:
    """Measure a checkpoint on a panel, place it, predict its scores, and write its report.

    Parameters
    ----------
    model : str
        Hub name ``org/model[@revision]`` or local folder.
    panel, store, settings, **changes
        As of ``capspace.collect.collect_scores``.
    reference : Reference or sequence of Reference, optional
        "study-2024" by default. Of several each answers, and the report has a map of each; the
        first decides when a run with ``until`` ends.
    targets : iterable of str, optional
        Names of targets; all of a reference's by default. Each of several references predicts those
        that it has.
    level : float
        Nominal coverage of the intervals.
    out : Path, optional
        Folder of the report; none is written by default.
    release_date : str, optional
        When the model was released, an ISO date, month or year; today by default. This year's
        references predict nothing for a model that is much later than they are.

    See Also
    --------
    collect_scores : Only measures.
    capspace.fit.place_model : Places a model whose scores are known.

    Examples
    --------
    >>> from capspace.collect import place
    >>> run = {"panel": "smoke", "data_root": "embedded", "limit": 1, "store": "store"}
    >>> placed = place("my-model", targets=["bbh"], **run)
    >>> [prediction.target for prediction in placed.placement.predictions]
    ['bbh']

    """
    from capspace.fit.decide._noise_effect import PredictedWidths
    from capspace.fit.prediction._several import targets_of_each

    from ..comparison.twin_comparison import drifting_twins
    from ..storage.store import Store, default_store_path
    from .collect import collect_scores

    references = _references(reference)
    targets = None if targets is None else list(targets)
    first, *_ = targets_of_each(references, targets)
    collection = collect_scores(
        model,
        panel=panel,
        store=store,
        settings=settings,
        widths=PredictedWidths(references[0], targets=first, level=level),
        **changes,
    )
    named = default_store_path() if store is None else Path(store)
    with Store(named, must_write=False, create=False) as opened:
        drifts = drifting_twins(collection.results, opened, collection.panel, references)
    return place_collection(
        collection,
        reference=references,
        targets=targets,
        level=level,
        out=out,
        release_date=release_date,
        drifts=drifts,
    )


def place_collection(
    collection: Collection,
    *,
    reference: Reference | Sequence[Reference] | None = None,
    targets: Iterable[str] | None = None,
    level: float = 0.9,
    out: Path | None = None,
    keep: bool = False,
    release_date: str | None = None,
    further: Iterable[Result] = (),
    drifts: Iterable[TwinScore] = (),
    **deciding: Unpack[Deciding],
) -> PlacedModel:
    """Place the one model of a collection; see ``place`` and ``place_model``.

    Parameters
    ----------
    collection, reference, targets, level, out, keep, release_date
        As of ``place`` and ``place_model``.
    further : iterable of Result, default ()
        Scores of the same checkpoint on other benchmarks, from which references predict, too.
    drifts : iterable of TwinScore, default ()
        Scores that differ from others of the same model, as ``place`` finds them in the store.
    **deciding
        ``judge`` returns a verdict on a costly run from the placements, or why there is none;
        ``prices`` returns what benchmarks cost, by default as estimated from the model's size.

    See Also
    --------
    place : Measures first.
    capspace.fit.place_model : Places a model by its scores, whoever measured them.

    Examples
    --------
    >>> from capspace.collect import collect_scores, place_collection
    >>> run = {"panel": "smoke", "data_root": "embedded", "limit": 1, "store": "store"}
    >>> collection = collect_scores("my-model", **run)
    >>> placed = place_collection(collection, targets=["bbh"])
    >>> [prediction.target for prediction in placed.placement.predictions]
    ['bbh']

    """
    from capspace.fit.prediction._several import targets_of_each

    targets = None if targets is None else list(targets)
    references = _references(reference)
    (checkpoint,) = collection.checkpoints
    more = list(further)
    results = (*collection.results, *more)
    table = to_table((replace(r, revision=checkpoint.revision) for r in results), states_sizes=True)
    if release_date is not None:
        table = replace(table, models=table.models.assign(release_date=release_date))
    own = table.select(models=[checkpoint.name])
    alarms = tuple(alarm for each in references for alarm in check_scores(own, each))
    differing = tuple(drifts)
    warnings = [*(twin.line for twin in differing), *(alarm.line for alarm in alarms)]
    every_note = [*measurement_notes(collection), *further_note(more), *warnings]
    placement, *others = (
        place_model(
            table,
            each,
            model=checkpoint.name,
            targets=wanted,
            level=level,
            missing={m.benchmark: m.reason for m in collection.missing},
            comparable=all(r.comparable for r in results),
            notes=every_note,
            keep=keep,
        )
        for each, wanted in zip(references, targets_of_each(references, targets), strict=True)
    )
    judge = deciding.get("judge")
    verdict = None if judge is None else judge([placement, *others])
    lifts = _lifts(placement, wanted=targets)
    prices = deciding.get("prices", estimated_prices)
    following = [next_of(each, prices, level=level, keep=keep) for each in (placement, *others)]
    report = None
    if out is not None:
        from capspace.fit.report import write_report

        report = write_report(
            placement,
            out,
            others=others,
            subtitle=subtitle(collection),
            foot=foot_notes(collection),
            extra=page_data(collection, alarms),
            verdict=verdict,
            stopping=next((p for p in collection.stopping.values() if not p.is_whole), None),
            lifts=lifts,
            following=following,
            marks={name: f"{n:.1%} unfinished" for name, n in unfinished_shares(results).items()},
        )
    no_verdict = verdict if isinstance(verdict, str) else ""
    return PlacedModel(
        collection,
        placement,
        report,
        others=tuple(others),
        alarms=alarms,
        lifts=tuple(lifts),
        following=tuple(following),
        verdict=None if isinstance(verdict, str) else verdict,
        no_verdict=no_verdict,
        drifts=differing,
    )


def _lifts(placement: Placement, wanted: Iterable[str] | None) -> list[Lift]:
    """Return what interventions would gain, where a score of theirs is among the targets."""
    names = None if wanted is None else {name.lower() for name in wanted}
    usable = [i for i in INTERVENTIONS if names is None or {i.base, i.treated} & names]
    scores = placement.scores.to_frame(placement.model).T.astype(float)
    stderr = placement.stderr.to_frame(placement.model).T.astype(float)
    return lift_card(scores, placement.reference, interventions=usable, stderr=stderr)


def _references(given: Reference | Sequence[Reference] | None) -> list[Reference]:
    """Return the references that answer, none of them twice."""
    from capspace.fit.prediction._several import check_different
    from capspace.fit.reference import Reference, load_reference

    if given is None:
        return [load_reference()]
    references = [given] if isinstance(given, Reference) else list(given)
    check_different([each.name for each in references])
    return references
