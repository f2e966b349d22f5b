"""The correlations of a packaged reference's scores are stored as JSON beside its tables."""

from __future__ import annotations

import json
from dataclasses import fields
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..completion._variational import FactorPosterior
from ..errors import TableError
from ._siblings import SiblingModel, Units
from ._tail import Tail

__all__ = ["SIBLINGS", "as_json", "read_siblings"]

SIBLINGS = "siblings.json"
"""What the file in the folder of a packaged reference is called."""

_PARTS = {"posterior": FactorPosterior, "units": Units, "cells": Tail, "models": Tail}


def as_json(model: SiblingModel) -> str:
    """Return a sibling model as JSON text, its numbers with seven digits."""
    state: dict[str, Any] = {
        "label": model.label,
        "n_models": model.n_models,
        "benchmarks": model.benchmarks,
        "generated": model.generated.tolist(),
    }
    for part, kind in _PARTS.items():
        held = getattr(model, part)
        state[part] = {f.name: _plain(getattr(held, f.name)) for f in fields(kind)}
    return json.dumps(state, ensure_ascii=False, allow_nan=False) + "\n"


def read_siblings(file: Traversable) -> SiblingModel:
    """Return what a file in the folder of a reference holds.

    Raises
    ------
    TableError
        The file holds no such model.

    """
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
        parts = {
            part: kind(**{name: _array(value) for name, value in state[part].items()})
            for part, kind in _PARTS.items()
        }
        model = SiblingModel(
            benchmarks=tuple(map(str, state["benchmarks"])),
            generated=np.array(state["generated"], dtype=bool),
            n_models=int(state["n_models"]),
            label=str(state["label"]),
            **parts,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise TableError(f"{file}: damaged ({what:.200}); delete it to fit it again") from None
    _refuse_damaged(model, file)
    return model


def _refuse_damaged(model: SiblingModel, file: Traversable) -> None:
    """Raise TableError where shapes disagree, or a number is not finite."""
    p, posterior, units = len(model.benchmarks), model.posterior, model.units
    k = np.shape(posterior.weight_mean)[-1:]
    shapes = (
        *((part, (p,)) for part in (model.generated, posterior.centre, posterior.scale)),
        (posterior.precision, (p,)),
        (posterior.weight_mean, (p, *k)),
        (posterior.weight_covariance, (p, *k, *k)),
        (units.knot, (p + 1, np.size(units.unit) // (p + 1))),
        (units.unit, (p + 1, np.size(units.knot) // (p + 1))),
        *((tail.value, (np.size(tail.share),)) for tail in (model.cells, model.models)),
        *((tail.share, (np.size(tail.value),)) for tail in (model.cells, model.models)),
    )
    if not all(np.shape(part) == shape and np.isfinite(part).all() for part, shape in shapes):
        raise TableError(f"{file}: damaged (numbers are missing); delete it to fit it again")


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(part) for part in value]
    return value if isinstance(value, bool) else float(f"{float(value):.7g}")


def _array(value: Any) -> NDArray[np.float64] | bool:
    return value if isinstance(value, bool) else np.array(value, dtype=float)
