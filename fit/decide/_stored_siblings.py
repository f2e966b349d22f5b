"""How the scores of a packaged reference go together is stored beside its tables, as JSON."""

from __future__ import annotations

import json
from dataclasses import fields
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..completion._variational import FactorPosterior
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


def read_siblings(file: Traversable) -> SiblingModel | None:
    """Return what a file of a packaged reference holds; None where there is none."""
    if not file.is_file():
        return None
    state = json.loads(file.read_text(encoding="utf-8"))
    parts = {
        part: kind(**{name: _array(value) for name, value in state[part].items()})
        for part, kind in _PARTS.items()
    }
    return SiblingModel(
        benchmarks=tuple(state["benchmarks"]),
        generated=np.array(state["generated"], dtype=bool),
        n_models=state["n_models"],
        label=state["label"],
        **parts,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(part) for part in value]
    return value if isinstance(value, bool) else float(f"{float(value):.7g}")


def _array(value: Any) -> NDArray[np.float64] | bool:
    return value if isinstance(value, bool) else np.array(value, dtype=float)
