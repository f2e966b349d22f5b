"""The laws of a reference are fitted, back-tested, and stored beside its tables."""

from __future__ import annotations

from math import inf, isfinite, nan
from pathlib import Path

import pandas as pd

from .._files import write_whole
from ..completion._gates import FEWEST_CHEAP
from ..completion._views import FEWEST_MODELS
from ..errors import FitError
from ._digest import tables_digest
from ._entries import Evaluation
from ._load import load_reference
from ._training_arguments import training_arguments
from .left_out import LEFT_OUT, left_out_of_tests, write_left_out

__all__ = ["EVALUATION", "LAWS", "store_laws", "write_evaluation"]

EVALUATION = "evaluation.csv"
LAWS = "laws"
"""What the files of laws are called, before ``.npz`` and ``.json``."""
_TOO_FEW = (
    "no laws are stored, as too few models have both a target and the cheap scores that a "
    "prediction needs"
)
_DIGITS = {"mae": 4, "baseline_mae": 4, "ratio": 3, "coverage": 3, "k": 3}


def store_laws(folder: Path) -> str:
    """Write ``evaluation.csv``, ``left-out.csv`` and the laws' files into a reference's folder.

    Parameters
    ----------
    folder : Path
        As ``load_reference`` reads it; what it holds of these files is replaced or removed.

    Returns
    -------
    str
        Why none was written, in a line; "" where all were. Laws are stored where their intervals
        could be calibrated: some model was predicted by a fit without its provider, or without all
        later models, and no gate refused it.

    """
    # scikit-learn is imported by those who fit alone.
    from ..completion._evaluate import fit_and_evaluate

    for name in (EVALUATION, LEFT_OUT, f"{LAWS}.npz", f"{LAWS}.json"):
        (folder / name).unlink(missing_ok=True)  # they may be those of earlier tables
    reference = load_reference(folder)
    kind = reference.kind
    if kind is None or kind == "study":
        return "laws of a study are fitted when they predict"
    scores, facts, settings = training_arguments(reference)
    if not _has_enough(scores, settings["cheap"], settings["targets"]):
        return _TOO_FEW
    try:
        fitted, judged, tests = fit_and_evaluate(scores, facts, kind=kind, **settings)
    except FitError as error:
        return f"no laws can be stored: {error}"
    if not isfinite(fitted.scale()):
        return _TOO_FEW
    table = judged.rename(columns={"forward_coverage": "coverage"}).reset_index()
    write_evaluation(table.assign(date=reference.date), folder)
    refused = judged.index[judged["status"] == "refused"]
    if parts := left_out_of_tests(tests, fitted, without=list(map(str, refused))):
        write_left_out(parts, folder)
    fitted.save(folder / LAWS, tables=tables_digest(folder, reference))
    return ""


def _has_enough(scores: pd.DataFrame, cheap: list[str], targets: list[str]) -> bool:
    """Return whether any target has as many models as its back-test needs."""
    known = scores[cheap].notna().sum(axis=1) >= FEWEST_CHEAP
    return bool((scores.loc[known, targets].notna().sum() >= FEWEST_MODELS).any())


def write_evaluation(table: pd.DataFrame, folder: Path) -> None:
    """Write a row per target, with the fields of ``Evaluation``, rounded."""
    finite = table.replace([inf, -inf], nan)  # a ratio to a baseline without errors is unknown
    rows = finite.round(_DIGITS)[list(Evaluation.model_fields)]
    text = rows.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_whole(folder / EVALUATION, text)
