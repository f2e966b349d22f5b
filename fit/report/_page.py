"""Write a placement as ``report.html``, PNG and SVG figures, and ``result.json``."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from matplotlib.figure import Figure

from .._files import making_folder, write_together
from ..decide import StoppingPlan
from ..errors import FitError
from ..prediction import Placement, Prediction, TargetPrediction
from ._figures import draw_placement
from ._foot import foot_of, reference_words
from .words import count, equivalent_flops, outside, score, share

__all__ = ["write_report"]


@dataclass(frozen=True)
class _Drawn:
    """A figure on disk and in the page."""

    uri: str
    caption: str


def write_report(
    placement: Placement,
    out: str | Path,
    *,
    subtitle: Iterable[str] = (),
    foot: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
    stopping: StoppingPlan | None = None,
) -> Path:
    """Write the report of a placement into a folder and return the page's path.

    Parameters
    ----------
    placement : Placement
        What to report.
    out : path
        Folder, made if it is not there; files of an earlier report are replaced.
    subtitle : iterable of str, default ()
        What tells this measurement from others (revision, dtype, panel, ...).
    foot : iterable of str, default ()
        Further sentences of the page's foot: how the scores were measured.
    extra : mapping, optional
        Further entries of ``result.json``.
    stopping : StoppingPlan, optional
        Why only some items were measured.

    Raises
    ------
    FitError
        The folder cannot be written.

    See Also
    --------
    place_model : Makes a placement.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import ScoreTable, load_reference, place_model, write_report
    >>> scores = pd.DataFrame({"MMLU": 0.62, "HellaSwag": 0.81, "GSM8K": 0.4}, index=["mine"])
    >>> placement = place_model(ScoreTable.from_wide(scores), load_reference(), targets=[])
    >>> write_report(placement, "my-report").name
    'report.html'

    """
    out = Path(out)
    page = out / "report.html"
    try:
        with making_folder(out):
            drawn = {
                name: _drawn(figure, caption, out / name)
                for name, (figure, caption) in draw_placement(placement, stopping).items()
            }
            result = {"capspace": version("capspace"), **placement.to_dict(), **(extra or {})}
            write_together(
                {
                    out / "result.json": json.dumps(result, indent=2, allow_nan=False) + "\n",
                    page: _render(placement, drawn, subtitle, foot),
                }
            )
    except OSError as error:
        raise FitError(f"cannot write the report to {out}: {error.strerror}") from None
    return page


def _render(
    placement: Placement,
    drawn: Mapping[str, _Drawn],
    subtitle: Iterable[str],
    foot: Iterable[str],
) -> str:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        (files("capspace.fit.report") / "page.html.j2").read_text(encoding="utf-8")
    )
    reference = placement.reference
    return template.render(
        model=placement.model,
        subtitle=[*subtitle, *_facts(placement), f"{datetime.now(UTC):%d %B %Y}"],
        notices=placement.notes,
        cards=_cards(placement),
        predictions=[_prediction(placement, i) for i in range(len(placement.predictions))],
        unpredicted=[
            {"label": reference.targets[name].label, "reason": reason}
            for name, reason in placement.unpredicted.items()
        ],
        level=share(placement.predictions[0].level) if placement.predictions else "",
        method=placement.predictions[0].method if placement.predictions else "",
        next_steps=[
            {
                "benchmark": n.benchmark,
                "reason": n.reason,
                "gain": f"makes the place {share(n.shrinkage)} less uncertain",
            }
            for n in placement.next_benchmarks
        ],
        figures={
            "scores": drawn["scores"],
            "place": drawn["place"],
            "predictions": drawn.get("predictions"),
            "stopping": drawn.get("stopping"),
            "targets": [d for name, d in drawn.items() if name.startswith("target-")],
        },
        scores=_score_rows(placement),
        missing=[{"benchmark": b, "reason": r} for b, r in placement.missing.items()],
        fitted_on=_fitted_on(placement),
        baselines=_baselines(placement),
        footer=[*foot_of(placement), *foot],
    )


def _baselines(placement: Placement) -> list[str]:
    """Return the headings of the baselines' columns; none where nothing was back-tested."""
    first = next(iter(placement.evaluated.values()), None)
    return [] if first is None else [name.capitalize() for name in first.baselines]


def _facts(placement: Placement) -> list[str]:
    """Return what is known of the model and decides how it is predicted."""
    facts = placement.table.models.loc[placement.model]
    released = f"released {facts['release_date']}" if facts["release_date"] else ""
    mode = f"{facts['mode']} mode" if facts["mode"] else ""
    return [words for words in (released, mode) if words]


def _cards(placement: Placement) -> list[dict[str, str]]:
    n, of = int(placement.scores.notna().sum()), len(placement.scores)
    cards = [
        {"label": "Benchmarks measured", "value": f"{n} of {of}", "note": _missing_note(placement)},
        {
            "label": "Nearest reference model",
            "value": placement.nearest[0].split("/")[-1],
            "note": "then " + ", ".join(m.split("/")[-1] for m in placement.nearest[1:]),
        },
    ]
    if placement.equivalent is not None:
        value, note = equivalent_flops(placement.equivalent)
        label = f"Equivalent training compute in {placement.equivalent.family} terms"
        cards.append({"label": label, "value": value, "note": note})
    if placement.reference.date is not None:
        reference = placement.reference
        cards.append(
            {
                "label": "Reference",
                "value": reference.name,
                "note": f"{reference_words(reference).partition(', ')[2]}; {reference.licence}",
            }
        )
    inside = sum(p.support.inside for p in placement.predictions)
    if placement.predictions:
        cards.append(
            {
                "label": "Predictions with support",
                "value": f"{inside} of {len(placement.predictions)}",
                "note": "inside the capabilities that the law was fitted on",
            }
        )
    return cards


def _missing_note(placement: Placement) -> str:
    return "missing: " + ", ".join(placement.missing) if placement.missing else "none missing"


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
        "lower": score(p.lower),
        "upper": score(p.upper),
        "left": round(100 * p.lower, 2),
        "width": round(100 * (p.upper - p.lower), 2),
        "at": round(100 * float(np.clip(p.mean, 0, 1)), 2),
        "inside": p.support.inside,
        "support": p.support.summary,
        "distance": outside(p),
        "fitted_on": f"{p.n_models} models, {len(p.families)} families",
        **_back_test(placement.evaluated.get(p.target), p),
    }


def _back_test(evaluated: TargetPrediction | None, prediction: Prediction) -> dict[str, Any]:
    """Return what stands beside a prediction; error and baselines only by stored laws."""
    if evaluated is None:
        about = {"status": prediction.status, "why": prediction.reason}
        return {**about, "error": "", "baselines": []}
    evaluation = evaluated.evaluation
    error = math.nan if evaluation is None or evaluation.mae is None else evaluation.mae
    return {
        "status": evaluated.status,
        "why": evaluated.reason,
        "error": score(error),
        "baselines": [score(value) for value in evaluated.baselines.values()],
    }


def _score_rows(placement: Placement) -> list[dict[str, str]]:
    return [
        {
            "benchmark": str(row["benchmark"]),
            "score": score(row["score"]),
            "stderr": score(row["stderr"]),
            "n_items": count(row["n_items"]),
            "n_shot": count(row["n_shot"]),
            "protocol": str(row["protocol"]),
            "source": str(row["source"]),
        }
        for row in placement.table.scores.to_dict("records")
    ]


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


def _drawn(figure: Figure, caption: str, path: Path) -> _Drawn:
    from ..figures import save

    for file in save(figure, path):
        if file.suffix == ".svg":
            data = base64.b64encode(file.read_bytes()).decode("ascii")
    return _Drawn(f"data:image/svg+xml;base64,{data}", caption)
