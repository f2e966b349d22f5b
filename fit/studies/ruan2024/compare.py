"""Compare our numbers with the study's: the same, from a better optimum, or different."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from ...errors import TableError
from .run import CaseFit

__all__ = ["Comparison", "Verdict", "compare_fit", "compare_value", "lookup", "read_published"]

Verdict = Literal["same", "better", "differs"]

MSE_RELATIVE, MSE_ABSOLUTE = 0.01, 1e-5


@dataclass(frozen=True)
class Comparison:
    """One number of ours beside the study's.

    Attributes
    ----------
    section, item, quantity : str
        Which analysis, which row of it, which number.
    ours, published : float
        NaN where there is none.
    verdict : {"same", "better", "differs"}
        "better": a lower training loss or a better criterion than the study's own code reached.
    note : str
        Why it is not the same.

    """

    section: str
    item: str
    quantity: str
    ours: float
    published: float
    verdict: Verdict
    note: str = ""


def read_published(path: str | Path | None = None) -> dict[str, Any]:
    """Return the study's numbers: the packaged summary, or all that a JSON file of them holds.

    Raises
    ------
    TableError
        The file is not such a file.

    """
    if path is None:
        text = (files("capspace.fit.studies.ruan2024") / "published.yaml").read_text(
            encoding="utf-8"
        )
        return dict(yaml.safe_load(text))
    try:
        numbers = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: no JSON file of expected numbers ({error})") from None
    if not isinstance(numbers, dict) or "pca" not in numbers:
        raise TableError(f"{path}: holds no section 'pca'; it is no file of the study's numbers")
    return numbers


def lookup(published: Mapping[str, Any], *keys: str) -> Any:
    """Return a nested entry, None where the file does not have it."""
    entry: Any = published
    for key in keys:
        if not isinstance(entry, Mapping) or key not in entry:
            return None
        entry = entry[key]
    return entry


def compare_value(
    section: str,
    item: str,
    quantity: str,
    ours: float,
    published: Any,
    *,
    absolute: float = 0.0,
    relative: float = 0.0,
) -> Comparison | None:
    """Compare a number; None where the study has none."""
    if not isinstance(published, int | float) or isinstance(published, bool):
        return None
    near = abs(ours - published) <= max(absolute, relative * abs(published))
    return Comparison(
        section, item, quantity, float(ours), float(published), "same" if near else "differs"
    )


def compare_fit(
    section: str, ours: CaseFit, published: Mapping[str, Any] | None
) -> list[Comparison]:
    """Compare the errors of a law; where they differ, tell whether the study's fit was the optimum.

    Notes
    -----
    The study minimises the same loss from a single start and ignores whether it converged. A fit of
    ours with a lower training error is therefore not a miss but the better optimum; where the file
    holds the result of the study's loss minimised from many starts, ours must agree with that.

    """
    if published is None:
        return []
    item = ours.predictor
    if ours.failure:
        return [
            Comparison(
                section, item, q, float("nan"), published[q], "differs", f"no fit: {ours.failure}"
            )
            for q in ("mse_train", "mse_test")
        ]
    pairs = [(q, getattr(ours, q), float(published[q])) for q in ("mse_train", "mse_test")]
    if all(_near(a, b) for _, a, b in pairs):
        return [Comparison(section, item, q, a, b, "same") for q, a, b in pairs]
    best = published.get("global_opt")
    better = ours.mse_train <= published["mse_train"] * (1 + 1e-9)
    agrees = best is None or all(_near(a, float(best[q])) for q, a, _ in pairs)
    verdict: Verdict = "better" if better and agrees else "differs"
    if better and not agrees:
        note = "lower training error than the study's, but not the best known"
    elif not better:
        note = "higher training error than the study's"
    else:
        flat = ours.mse_train > published["mse_train"] * (1 - 1e-6)
        mean_only = published.get("baseline_mse_test_train_mean", np.nan)
        constant = np.isclose(published["mse_test"], mean_only, rtol=0.05)
        where = "on a plateau, at a constant" if constant else "before the optimum"
        note = (
            f"the study's optimiser stopped {where}: its training MSE {published['mse_train']:.6g} "
            f"is above {ours.mse_train:.6g}"
        )
        if flat:
            note = "the training errors agree to six digits: the loss is flat between the two"
    return [Comparison(section, item, q, a, b, verdict, note) for q, a, b in pairs]


def _near(ours: float, published: float) -> bool:
    return abs(ours - published) <= max(MSE_RELATIVE * abs(published), MSE_ABSOLUTE)
