"""Write placements of a model as ``report.html``, PNG and SVG figures, and ``result.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypedDict, Unpack

import jinja2
from markupsafe import Markup

from .._files import making_folder, write_together
from ..decide import Lift, NextEvaluations, Verdict
from ..decide._stopping import StoppingPlan
from ..errors import FitError
from ..prediction import Placement
from ..table.sampling import shown_stderr
from ._cards import cards_of, columns_of
from ._drawn import written
from ._figures import draw_lifts, draw_placement
from ._foot import foot_of
from ._next_section import next_dict, next_section
from ._sections import section_of
from ._verdict_section import verdict_section
from .words import count, score

__all__ = ["Decisions", "write_report"]


class Decisions(TypedDict, total=False):
    """What was decided about a placed model, each part shown where it is given."""

    verdict: Verdict | str | None
    """On a costly run of the model, or why there is none: the first thing on the page."""
    stopping: StoppingPlan | None
    """Why only some items were measured."""
    lifts: Sequence[Lift]
    """What interventions would gain, as ``lift_card`` returns it."""
    following: Sequence[NextEvaluations | str]
    """What to measure next by each placement, or why that is not known: a benchmark's effect on the
    place is shown then."""


def write_report(
    placement: Placement,
    out: str | Path,
    *,
    others: Iterable[Placement] = (),
    subtitle: Iterable[str] = (),
    foot: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
    marks: Mapping[str, str] | None = None,
    **decisions: Unpack[Decisions],
) -> Path:
    """Write the report of a placement into a folder and return the page's path.

    Parameters
    ----------
    placement : Placement
        What to report.
    out : path
        Folder, made if it is not there; files of an earlier report are replaced.
    others : iterable of Placement, default ()
        Placements of the same model by further references, which stand beside the first: a map
        and predictions each. The files of their figures end in -2, -3, ...
    subtitle : iterable of str, default ()
        What tells this measurement from others (revision, dtype, panel, ...).
    foot : iterable of str, default ()
        Further sentences of the page's foot: how the scores were measured.
    extra : mapping, optional
        Further entries of ``result.json``.
    marks : mapping of benchmark to str, optional
        What a reader must know of single scores, in a few words, which stand beside them.
    **decisions
        ``verdict`` (on a costly run, or why there is none: the first thing on the page),
        ``stopping`` (why only some items were measured), ``lifts`` (as ``lift_card`` returns them),
        and ``following`` (of each placement what ``next_evaluations`` returns, or why that is not
        known).

    Raises
    ------
    FitError
        The folder cannot be written, or a placement is of another model.

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
    placements = [placement, *others]
    verdict, lifts = decisions.get("verdict"), decisions.get("lifts", ())
    following = list(decisions.get("following", ()))
    for other in placements[1:]:
        if other.model != placement.model:
            raise FitError(
                f"the report is of {placement.model}, another placement is of {other.model}; give "
                "placements of one model"
            )
    try:
        with making_folder(out):
            drawn = [
                {
                    name: written(figure, caption, out / (f"{name}-{k}" if k > 1 else name))
                    for name, (figure, caption) in draw_placement(
                        each, decisions.get("stopping") if k == 1 else None
                    ).items()
                }
                for k, each in enumerate(placements, start=1)
            ]
            coming = [
                next_section(advice, each, out / (f"next-{k}" if k > 1 else "next"))
                for k, (each, advice) in enumerate(
                    zip_longest(placements, following[: len(placements)]), start=1
                )
            ]
            first = None if verdict is None else verdict_section(verdict, out)
            if lifts:
                drawn[0]["lift"] = written(*draw_lifts(lifts), out / "lift")
            result = {"capspace": version("capspace"), **placement.to_dict(), **(extra or {})}
            result["lifts"] = [lift.to_dict() for lift in lifts]
            if isinstance(verdict, str):
                result["no_verdict"] = verdict
            elif verdict is not None:
                result["verdict"] = verdict.to_dict()
            if others := placements[1:]:
                result["others"] = [
                    {"reference": each.reference.name, **each.to_dict()} for each in others
                ]
            for advice, entry in zip(following, (result, *result.get("others", ())), strict=False):
                entry["next_evaluations"] = next_dict(advice)
            write_together(
                {
                    out / "result.json": json.dumps(result, indent=2, allow_nan=False) + "\n",
                    page: _render(
                        placements,
                        [
                            section_of(*parts)
                            for parts in zip(placements, drawn, coming, strict=True)
                        ],
                        (subtitle, foot, marks or {}),
                        first,
                    ),
                }
            )
    except OSError as error:
        raise FitError(f"cannot write the report to {out}: {error.strerror}") from None
    return page


def _render(
    placements: Sequence[Placement],
    sections: Sequence[Mapping[str, Any]],
    words: tuple[Iterable[str], Iterable[str], Mapping[str, str]],
    verdict: Mapping[str, Any] | None,
) -> str:
    subtitle, foot, marks = words
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template, section = (
        environment.from_string(
            (files("capspace.fit.report") / f"{name}.html.j2").read_text(encoding="utf-8")
        )
        for name in ("page", "verdict")
    )
    first, cards = placements[0], cards_of(placements)
    missing = {b: reason for each in placements for b, reason in each.missing.items()}
    return template.render(
        model=first.model,
        subtitle=[*subtitle, *_facts(first), f"{datetime.now(UTC):%d %B %Y}"],
        notices=list(dict.fromkeys(note for each in placements for note in each.notes)),
        # Text from outside is escaped by the section's own template.
        verdict=None if verdict is None else Markup(section.render(verdict)),  # noqa: S704
        cards=cards,
        columns=columns_of(cards),
        sections=sections,
        scores=_score_rows(first, marks),
        missing=[{"benchmark": b, "reason": reason} for b, reason in missing.items()],
        footer=[*foot_of(placements), *foot],
    )


def _facts(placement: Placement) -> list[str]:
    """Return what is known of the model and decides how it is predicted."""
    facts = placement.table.models.loc[placement.model]
    released = f"released {facts['release_date']}" if facts["release_date"] else ""
    mode = f"{facts['mode']} mode" if facts["mode"] else ""
    return [words for words in (released, mode) if words]


def _score_rows(placement: Placement, marks: Mapping[str, str]) -> list[dict[str, str]]:
    return [
        {
            "benchmark": str(row["benchmark"]),
            "score": score(row["score"]),
            "mark": marks.get(str(row["benchmark"]), ""),
            "stderr": score(shown_stderr(row["score"], row["stderr"], row["n_items"])),
            "n_items": count(row["n_items"]),
            "n_shot": count(row["n_shot"]),
            "protocol": str(row["protocol"]),
            "source": str(row["source"]),
        }
        for row in placement.table.scores.to_dict("records")
    ]
