"""The footer states the basis of the numbers: the reference, the method and the licences."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from ..prediction import Placement
from ..reference import Reference
from .words import reference_words

__all__ = ["foot_of"]

_TWO_SPACES = (
    "The model's place comes from a factor model of all benchmarks, fitted to the base models of "
    "the reference. Each prediction comes from a law with a space of its own, because a target "
    "must not help to build the space that it is predicted from, and because a law can only be "
    "fitted to models whose score on the target is known."
)
_OWN_BASELINES = (
    "The baselines are the mean of the models that the law was fitted to, the trend over the "
    "release date where the models' dates are known, the nearest model, and the best single "
    "benchmark."
)
_STUDY = "observational scaling laws (Ruan, Maddison & Hashimoto, 2024, arXiv 2405.10938)"
_BLEND = {
    "vendor-reported": "the mean of a Bayesian factor model of all benchmarks and a line on the "
    "best single benchmark",
    "single-protocol": "the mean of a Bayesian factor model of all benchmarks, a line on the best "
    "single benchmark, and a Gaussian process on the places of the models",
}


def foot_of(placements: Sequence[Placement]) -> list[str]:
    """Return the sentences of the foot: the references that answer, then how they do."""
    lines = [f"capspace {version('capspace')}."]
    lines += [_reference_line(placement.reference) for placement in placements]
    for placement in placements:
        lines += _method(placement)
    return list(dict.fromkeys(lines))


def _reference_line(reference: Reference) -> str:
    """Return which reference it is, on how many models it rests, and its licence."""
    families = reference.models()["family"].nunique()
    line = (
        f"Reference: {reference_words(reference)}, "
        f"{len(reference.models())} models of {families} families."
    )
    if not reference.licence:
        return line
    return f"{line} Licence: {reference.licence}. {reference.attribution.rstrip('.')}."


def _method(placement: Placement) -> list[str]:
    """Return how the predictions of a placement were made."""
    if not placement.evaluated:
        beside = [_OWN_BASELINES] if placement.predictions else []
        return [f"Method: {_STUDY}.", _TWO_SPACES, *beside]
    reference = placement.reference
    return [
        f"Each prediction of {reference.name} is {_BLEND[str(reference.kind)]}. The width of an "
        "interval comes from errors on models from providers, or released in periods, that the law "
        "was not fitted on. Errors and statuses come from back-tests. The baselines are the mean "
        "of the reference's models, the trend over the release date, the nearest model, and the "
        "best single benchmark.",
    ]
