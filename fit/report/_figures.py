"""Draw the figures of a placement from its fitted parts, without fitting any score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ..decide import Lift
from ..decide._stopping import StoppingPlan
from ..prediction import Placement, Prediction
from .words import reference_words

__all__ = ["draw_lifts", "draw_placement"]

_CURVE_POINTS = 200
_CURVE_MARGIN = 0.05


def draw_placement(
    placement: Placement, stopping: StoppingPlan | None = None
) -> dict[str, tuple[Figure, str]]:
    """Return the figures with their captions, by file name without suffix."""
    from ..figures import draw_map, draw_predictions, draw_scores
    from ..figures.stopping import draw_stopping

    reference = placement.reference
    chance = {name: b.chance for name, b in reference.benchmarks.items()}
    families = reference.table.models["family"].reindex(placement.points.index)
    base = "base " if reference.place_population == "base" else ""
    note = "" if placement.comparable else "not comparable with published scores"
    words = reference_words(reference)
    named = ", ".join(f"PC-{i}: {name}" for i, name in enumerate(placement.names[:2], start=1))
    drawn = {
        "scores": (
            draw_scores(
                placement.scores,
                reference.scores(reference.place_population),
                name=placement.model,
                stderr=placement.stderr,
                chance=chance,
                note=note,
            ),
            f"{placement.model} against the {len(placement.points)} {base}models of {words}.",
        ),
        "place": (
            draw_map(
                placement.points.to_numpy(),
                list(families),
                explained_variance_ratio=placement.space.explained_variance_ratio_,
                name=placement.model,
                mean=placement.place.mean[0],
                covariance=placement.place.covariance[0],
                level=placement.predictions[0].level if placement.predictions else 0.9,
            ),
            f"The first two components of the capability space, with the {base}models of {words}. "
            f"By their loadings they are {named}. The ellipse shows the uncertainty from missing "
            "benchmarks and from noisy scores.",
        ),
    }
    if stopping is not None:
        drawn["stopping"] = (
            draw_stopping(stopping),
            "How much the remaining items would narrow the intervals, had all of them been chosen "
            "optimally from the start.",
        )
    if not placement.predictions:
        return drawn
    drawn["predictions"] = (
        draw_predictions(
            [p.label for p in placement.predictions],
            [p.mean for p in placement.predictions],
            [p.lower for p in placement.predictions],
            [p.upper for p in placement.predictions],
            name=placement.model,
            inside=[p.support.inside for p in placement.predictions],
            attainable=[p.attainable for p in placement.predictions],
            level=placement.predictions[0].level,
        ),
        "Predicted scores with their intervals, and what the best tenth of such models exceed.",
    )
    for prediction in (p for p in placement.predictions if p.target in placement.laws):
        drawn[f"target-{prediction.target}"] = (
            _draw_target(placement, prediction),
            placement.reference.targets[prediction.target].description,
        )
    return drawn


def _draw_target(placement: Placement, prediction: Prediction) -> Figure:
    from ..figures import Curve, NewModel, draw_target

    law = placement.laws[prediction.target]
    c = law.linear_predictor_.to_numpy()
    ends = np.array([*c, prediction.linear_predictor])
    margin = _CURVE_MARGIN * np.ptp(ends)
    grid = np.linspace(ends.min() - margin, ends.max() + margin, _CURVE_POINTS)
    return draw_target(
        c,
        law.truth_.to_numpy(),
        list(law.families_),
        Curve(grid, law.law_.curve(grid)),
        label=prediction.label,
        reference=placement.axes.get(prediction.target),
        new=NewModel(
            placement.model,
            prediction.linear_predictor,
            prediction.mean,
            prediction.lower,
            prediction.upper,
        ),
    )


def draw_lifts(lifts: Sequence[Lift]) -> tuple[Figure, str]:
    """Return the figure of what interventions would gain, with its caption."""
    from ..figures import draw_lift

    errors = ", ".join(
        f"{each.intervention.name} {each.error:.3f} ({each.baseline_error:.3f} by the mean gain)"
        for each in lifts
    )
    beyond = dict.fromkeys(
        f"{each.model} lies outside the capabilities that these laws were fitted on, so that "
        f"nothing is advised by those in grey: {each.support.summary}. "
        for each in lifts
        if not each.support.inside
    )
    filled = (
        "The filled marker is the cheapest whose interval lies above 0. "
        if any(each.advised for each in lifts)
        else ""
    )
    return draw_lift(lifts), (
        f"Predicted gains of other ways of answering. {filled}{''.join(beyond)}"
        f"Mean errors with families left out: {errors}. Costs are additional tokens per item, for "
        "the answer lengths that the table of interventions assumes."
    )
