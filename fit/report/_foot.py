"""The foot of the page says what the numbers rest on: the reference, the method, the licences."""

from __future__ import annotations

from importlib.metadata import version

from ..prediction import Placement
from ..reference import Reference

__all__ = ["foot_of", "reference_words"]

_TWO_SPACES = (
    "The model's place comes from a factor model of all benchmarks, which is fitted to the base "
    "models of the reference. Each prediction comes from a law in a space of its own: a target "
    "must not help to build the space that it is predicted from, and the law can only be fitted "
    "to models whose score on the target is known."
)
_STUDY = "observational scaling laws (Ruan, Maddison & Hashimoto, 2024, arXiv 2405.10938)"
_BLEND = {
    "vendor-reported": "the mean of a Bayesian factor model of all benchmarks and a line on the "
    "best single benchmark",
    "single-protocol": "the mean of a Bayesian factor model of all benchmarks, a line on the best "
    "single benchmark, and a Gaussian process on the places of the models",
}


def foot_of(placement: Placement) -> list[str]:
    """Return the sentences of the foot."""
    reference = placement.reference
    families = reference.models()["family"].nunique()
    first = (
        f"capspace {version('capspace')}. Reference: {reference_words(reference)}, "
        f"{len(reference.models())} models of {families} families."
    )
    if reference.licence:
        first += f" Licence: {reference.licence}. {reference.attribution.rstrip('.')}."
    if not placement.evaluated:
        return [first, f"Method: {_STUDY}.", _TWO_SPACES]
    return [
        first,
        f"Each prediction is {_BLEND[str(reference.kind)]}; the interval's width is that of the "
        "errors on models whose provider, or whose time, the law had not seen. Errors and "
        "statuses are those of back-tests, and the baselines are the mean of the reference's "
        "models, the trend over the release date, the nearest model, and the best single "
        "benchmark.",
    ]


def reference_words(reference: Reference) -> str:
    """Return what a reference is called, and how recent it is."""
    name = reference.name or reference.title
    return name if reference.date is None else f"{name}, models until {reference.date:%d %B %Y}"
