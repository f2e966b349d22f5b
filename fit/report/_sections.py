"""Each section of the page shows the predictions of one reference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..prediction import Placement, Prediction
from ._drawn import Drawn
from .words import outside, score, share

__all__ = ["section_of"]


def section_of(
    placement: Placement, drawn: Mapping[str, Drawn], following: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the template shows of a placement, with its figures by name.

    ``following`` is what ``next_section`` returns of it.
    """
    reference = placement.reference
    first = placement.predictions[0] if placement.predictions else None
    return {
        "reference": reference.name or reference.title,
        "about": _about(placement),
        "predictions": [_prediction(placement, i) for i in range(len(placement.predictions))],
        "unpredicted": _unpredicted(placement),
        "level": "" if first is None else share(first.level),
        "method": "" if first is None else first.method,
        "following": following,
        "next_steps": []
        if following["rows"]
        else [
            {
                "benchmark": n.benchmark,
                "reason": n.reason,
                "gain": f"reduces the uncertainty of the place by {share(n.shrinkage)}",
            }
            for n in placement.next_benchmarks
        ],
        "figures": {
            "scores": drawn["scores"],
            "place": drawn["place"],
            "stopping": drawn.get("stopping"),
            "lift": drawn.get("lift"),
            "targets": [d for name, d in drawn.items() if name.startswith("target-")],
        },
        "fitted_on": _fitted_on(placement),
        "baselines": _baselines(placement),
        "reasons": _reasons(placement),
        "has_errors": bool(reference.evaluations),
        "is_fitted_now": not placement.evaluated,
    }


def _about(placement: Placement) -> str:
    """Return how recent the reference is, and on which terms it may be used."""
    reference = placement.reference
    until = "" if reference.date is None else f"models until {reference.date:%d %B %Y}"
    return "; ".join(part for part in (until, reference.licence) if part)


def _unpredicted(placement: Placement) -> list[dict[str, str]]:
    """Return the targets without a number, those of one reason together."""
    targets = placement.reference.targets
    return [
        {"label": ", ".join(targets[name].label for name in names), "reason": reason}
        for reason, names in placement.unpredicted_by_reason().items()
    ]


def _baselines(placement: Placement) -> list[str]:
    """Return the headings of the baselines' columns."""
    first = next(iter(placement.predictions), None)
    return [] if first is None else [name.capitalize() for name in first.baselines]


def _prediction(placement: Placement, index: int) -> dict[str, Any]:
    p = placement.predictions[index]
    target = placement.reference.targets[p.target]
    scale = target.published_scale
    return {
        "label": p.label,
        "target": p.target,
        "unit": f"published as 0–{scale:g}" if scale != 1 else "",
        "description": target.description,
        "mean": score(p.mean),
        "attainable": score(p.attainable) if math.isfinite(p.attainable) else "",
        "lower": score(p.lower),
        "upper": score(p.upper),
        "left": round(100 * p.lower, 2),
        "width": round(100 * (p.upper - p.lower), 2),
        "at": round(100 * float(np.clip(p.mean, 0, 1)), 2),
        "inside": p.support.inside,
        "support": p.support.summary,
        "distance": outside(p),
        "fitted_on": f"{p.n_models} models, {len(p.families)} families",
        **_back_test(placement, p),
    }


def _back_test(placement: Placement, prediction: Prediction) -> dict[str, Any]:
    """Return what stands beside a prediction."""
    evaluation = placement.reference.evaluations.get(prediction.target)
    error = math.nan if evaluation is None or evaluation.mae is None else evaluation.mae
    return {
        "status": prediction.status,
        "why": prediction.reason,
        "error": score(error),
        "baselines": [score(value) for value in prediction.baselines.values()],
    }


def _reasons(placement: Placement) -> list[str]:
    """Return why targets are not offered, in a line those of one status and reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    for p in placement.predictions:
        if p.reason:
            groups.setdefault((p.status, p.reason), []).append(p.label)
    return [f"{status}: {', '.join(names)}: {why}" for (status, why), names in groups.items()]


def _fitted_on(placement: Placement) -> list[dict[str, str]]:
    groups: dict[tuple[str, ...], list[str]] = {}
    for p in placement.predictions:
        groups.setdefault(p.models, []).append(p.label)
    return [
        {
            "title": f"{', '.join(labels)}: fitted on {len(models)} models",
            "models": ", ".join(models),
        }
        for models, labels in groups.items()
    ]
