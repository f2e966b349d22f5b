"""Write a zoo's fit as a self-contained page, its figures, ``zoo.json`` and the score table."""

from __future__ import annotations

import base64
import json
import math
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from .._display import counted
from .._files import making_folder, write_together
from ..errors import FitError
from .fitting import ZooFit
from .predictions import ZooPrediction

__all__ = ["verdict", "write_report"]


def write_report(fit: ZooFit, out: Path) -> Path:
    """Write the report of a zoo into a folder and return the page's path.

    Raises
    ------
    FitError
        The folder cannot be written.

    """
    from ..figures import draw_space, save
    from .figures import draw_zoo

    page = out / "report.html"
    try:
        with making_folder(out):
            picture = save(draw_zoo(fit), out / "zoo")
            space = save(
                draw_space(
                    fit.space.explained_variance_ratio_,
                    fit.space.components_,
                    list(map(str, fit.space.feature_names_in_)),
                ),
                out / "space",
            )
            write_together(
                {
                    out / "zoo.json": json.dumps(fit.to_dict(), indent=2, allow_nan=False) + "\n",
                    out / "scores.csv": fit.table.scores.to_csv(index=False),
                    out / "models.csv": fit.table.models.to_csv(),
                    page: _render(fit, picture, space),
                }
            )
    except OSError as error:
        raise FitError(f"cannot write the report to {out}: {error.strerror}") from None
    return page


def verdict(fit: ZooFit) -> str:
    """Return in one sentence how well the held-out models were predicted."""
    known = [p for p in fit.predictions if not math.isnan(p.measured)]
    checkpoints = counted(len(fit.held_out), "checkpoint")
    if not known:
        return (
            f"no score of the {checkpoints} of the largest size could be predicted from smaller "
            "ones, so the law is not tested"
        )
    inside = sum(p.is_inside for p in known)
    alone = fit.error("compute_only")
    compare = "" if math.isnan(alone) else f"; from compute alone {alone:.3f}"
    return (
        f"{checkpoints} of the largest size held out: {inside} of {counted(len(known), 'score')} "
        f"inside their {fit.level:.0%} intervals, mean absolute error {fit.error():.3f}{compare}"
    )


def _render(fit: ZooFit, picture: list[Path], space: list[Path]) -> str:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        (files("capspace.fit.zoo") / "zoo.html.j2").read_text(encoding="utf-8")
    )
    wide = fit.table.wide().loc[fit.places.index]
    facts = fit.table.models.loc[fit.places.index].sort_values(
        ["family", "parameters", "training_flops"]
    )
    laws = {} if fit.efficiency is None else fit.efficiency.laws
    return template.render(
        name=fit.name,
        summary=f"{counted(len(fit.places), 'checkpoint')}, {counted(len(fit.table), 'score')}, "
        f"{counted(wide.shape[1], 'benchmark')}",
        notices=fit.notices,
        picture=_uri(picture),
        space_picture=_uri(space),
        largest=fit.largest,
        level=f"{fit.level:.0%}",
        rows=[_row(p) for p in fit.predictions if p.model == fit.largest],
        verdict=verdict(fit),
        targets=[_row(p) for p in fit.targets],
        laws=[
            {
                "family": law.family or "no family",
                "n": law.n_models,
                "slope": f"{law.slope:+.3f}",
                "r2": _number(law.r2, 2),
            }
            for law in laws.values()
        ],
        benchmarks=list(map(str, wide.columns)),
        scores=[_scores_row(str(m), facts.loc[m], wide.loc[m]) for m in facts.index],
        footer=f"capspace {version('capspace')}. Observational scaling laws (Ruan, Maddison & "
        "Hashimoto, 2024, arXiv 2405.10938). Intervals: two-view, leaving out whole training runs.",
    )


def _row(prediction: ZooPrediction) -> dict[str, Any]:
    return {
        "model": prediction.model,
        "benchmark": prediction.benchmark,
        "mean": _number(prediction.mean, 3),
        "interval": f"{_number(prediction.lower, 3)}-{_number(prediction.upper, 3)}",
        "measured": _number(prediction.measured, 3),
        "compute_only": _number(prediction.compute_only, 3),
        "inside": prediction.is_inside or math.isnan(prediction.measured),
    }


def _scores_row(model: str, facts: pd.Series, scores: pd.Series) -> dict[str, Any]:
    return {
        "model": model,
        "family": facts["family"],
        "parameters": _number(facts["parameters"], 0),
        "flops": "" if math.isnan(facts["training_flops"]) else f"{facts['training_flops']:.2g}",
        "scores": [_number(s, 3) for s in scores],
    }


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:,.{digits}f}"


def _uri(paths: list[Path]) -> str:
    png = next(p for p in paths if p.suffix == ".png")
    return "data:image/png;base64," + base64.b64encode(png.read_bytes()).decode("ascii")
