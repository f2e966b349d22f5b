"""The correlations of a reference's scores are read from its folder, or fitted to its models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import TooFewModelsError
from ..reference.left_out import has_copied_files
from ._fitted_siblings import LeftOut, fit_siblings
from ._siblings import SiblingModel
from ._stored_siblings import SIBLINGS, read_siblings

if TYPE_CHECKING:
    from ..reference import Reference

__all__ = ["fit_reference_siblings", "is_generated", "sibling_model"]


def sibling_model(reference: Reference) -> SiblingModel | None:
    """Return how a reference's scores go together: stored in its folder, or fitted now.

    None where the reference has too few models.
    """
    if reference.folder is not None and (reference.folder / SIBLINGS).is_file():
        stored = None if has_copied_files(reference) else _stored(reference.folder)
        if stored is not None and stored.label == label_of(reference):
            return stored
    try:
        return fit_reference_siblings(reference)[0]
    except TooFewModelsError:
        return None


def label_of(reference: Reference) -> str:
    """Return what tells a state of a reference's tables from others."""
    return f"{reference.name} {reference.version}, {len(reference.table)} scores"


@cache
def _stored(folder: Path) -> SiblingModel:
    return read_siblings(folder / SIBLINGS)


def fit_reference_siblings(reference: Reference) -> tuple[SiblingModel, LeftOut]:
    """Fit how a reference's benchmarks go together over its models of all populations.

    Raises
    ------
    TooFewModelsError
        See ``fit_siblings``.

    """
    scores = reference.scores()
    facts = reference.table.models.reindex(scores.index)
    family = facts["family"].where(facts["family"] != "", scores.index.to_series())
    own = facts["provider"] if reference.kind != "study" else family
    groups = own.where(own != "", family)
    return fit_siblings(
        scores.to_numpy(dtype=float),
        list(map(str, scores.columns)),
        groups.tolist(),
        generated=is_generated(list(map(str, scores.columns)), reference),
        weight=reference.weights.reindex(scores.index).to_numpy(dtype=float),
        student=reference.kind == "vendor-reported",
        label=label_of(reference),
    )


def is_generated(benchmarks: Sequence[str], reference: Reference) -> dict[str, bool]:
    """Return which benchmarks are answered in generated text.

    Where a reference does not state it, those are that nobody can guess.
    """
    about = reference.benchmarks
    return {
        str(b): about[b].protocol.startswith("generated")
        if about[b].protocol
        else about[b].chance == 0
        for b in benchmarks
    }
