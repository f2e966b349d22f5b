"""The command ``lift`` predicts the gain from other ways of answering, and their price."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options as o
from . import tables as t

if TYPE_CHECKING:
    import pandas as pd

    from capspace.fit import Lift
    from capspace.fit.decide import Intervention
    from capspace.fit.table import ScoreTable

__all__ = ["add_to", "outside_notes", "print_lifts"]


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(lift)


def lift(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="SCORES",
            help="Benchmark scores of the models to predict: a table, or the folder of a store.",
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Table of other models: benchmarks, and scores without and with interventions.",
            show_default="the study's",
        ),
    ] = None,
    base: Annotated[str | None, t.base_column()] = None,
    treated: Annotated[list[str] | None, t.treated_column()] = None,
    tokens: Annotated[
        float, typer.Option(min=1, max=1e9, help="Tokens of an answer with the intervention.")
    ] = 128,
    base_tokens: Annotated[
        float, typer.Option(min=1, max=1e9, help="Tokens of an answer without it.")
    ] = 8,
    level: o.Level = 0.9,
    keep: t.Keep = False,
    out: Annotated[Path | None, o.out("no figure")] = None,
    as_json: o.Json = False,
) -> None:
    """Predict the gain from chain of thought or from several samples, with interval and price.

    Of several interventions on the same base, the recommended one costs the fewest extra tokens per
    point, among those whose interval lies above 0. --base and --treated are columns of --data;
    --treated may be repeated, and a column NAME@K holds the scores with K answers per item. --out
    plots the first model's gains.
    """
    from dataclasses import replace

    from capspace.fit.errors import FitError, check_level

    check_level(level)
    _check_columns(data, base, treated or [])
    _require_content(file, *([] if data is None else [data]))

    from capspace.fit.decide import INTERVENTIONS, Intervention, lift_card
    from capspace.fit.reference import load_reference
    from capspace.fit.table.comparable import not_comparable_notes
    from capspace.fit.table.readers import read_table

    table = _usable(file, keep=keep)
    scores, stderr = table.wide(), table.wide(value="stderr")
    if data is None:
        known = load_reference().table
        usual = [replace(each, tokens=tokens, base_tokens=base_tokens) for each in INTERVENTIONS]
        lifts = lift_card(scores, load_reference(), interventions=usual, level=level, stderr=stderr)
    else:
        chosen = [
            Intervention(n, str(base), n, _samples(n), tokens=tokens, base_tokens=base_tokens)
            for n in treated or []
        ]
        known = read_table(data)
        lifts = _own_lifts(scores, stderr, known, data, chosen, level)
    if not lifts:
        names = ", ".join(load_reference().benchmarks if data is None else ())
        hint = f"; laws of gains start from {names}, or from your own --data" if names else ""
        raise FitError(f"{file}: no score from which a gain can be predicted{hint}")
    used = table.select(benchmarks=[b for b in table.benchmarks if b in known.benchmarks])
    unlike = not_comparable_notes(used, known)
    last = [_UNLIKE_PREDICT] if data is None else []
    notes = [*unlike, *table.notes, *outside_notes(lifts), *last]
    if as_json:
        o.print_json({"lifts": [each.to_dict() for each in lifts], "notes": notes})
    else:
        print_lifts(lifts)
        for note in notes:
            o.console().print(note, style="dim", markup=False)
    if out is not None:
        from capspace.fit.figures import draw_lift

        first = [each for each in lifts if each.model == lifts[0].model]
        t.save_figures({"lift": draw_lift(first)}, out)


_UNLIKE_PREDICT = (
    "both scores of a gain come from laws in one space, fitted to the models that have both; "
    "predict fits each target to all models that have it, so its numbers differ by up to 0.02"
)


def _own_lifts(
    own: pd.DataFrame,
    stderr: pd.DataFrame,
    table: ScoreTable,
    data: Path,
    interventions: Sequence[Intervention],
    level: float,
) -> list[Lift]:
    """Return lifts by a table of the user's own."""
    from capspace.fit.decide import predict_lift
    from capspace.fit.decide._lift import advised

    columns = {each.base for each in interventions} | {each.treated for each in interventions}
    pairs = [
        (t.target_column(table, i.base, data), t.target_column(table, i.treated, data))
        for i in interventions
    ]
    space = table.select(benchmarks=[b for b in table.benchmarks if b not in columns])
    mine = [str(m) for m in own.index if str(m) in set(table.facts["model"])]
    if mine:  # a model does not help to predict itself
        space = space.select(models=[m for m in space.facts["model"] if m not in mine])
        pairs = [(before.drop(mine), after.drop(mine)) for before, after in pairs]
    return advised(
        [
            each
            for intervention, (before, after) in zip(interventions, pairs, strict=True)
            for each in predict_lift(
                own, space, before, after, intervention, level=level, stderr=stderr
            )
        ]
    )


def _usable(file: Path, *, keep: bool) -> ScoreTable:
    """Return scores with their standard errors as stated or by the number of items.

    Scores far below chance are left out, as the notes say, unless ``keep``.
    """
    from capspace.fit.errors import TableError
    from capspace.fit.table.readers import read_table
    from capspace.fit.table.sampling import with_sampling_errors

    from .store_scores import readable_table

    with readable_table(file) as path:
        table = read_table(path).require_fractions()
    usable = with_sampling_errors(t.without_doubtful(table, keep=keep))
    if table.benchmarks and not usable.benchmarks:
        raise TableError(f"{file}: no score is left to predict from; {'; '.join(usable.notes)}")
    return usable


def _samples(name: str) -> int:
    """Return the number of answers that a column NAME@K states, 1 where it states none."""
    from capspace.fit.errors import FitError

    _, at, number = name.rpartition("@")
    if not at or not number.isdecimal():
        return 1
    if len(number) > len(str(_MOST_ANSWERS)) or not 1 <= int(number) <= _MOST_ANSWERS:
        raise FitError(f"--treated {name}: NAME@K is for K answers, from 1 to {_MOST_ANSWERS:,}")
    return int(number)


_MOST_ANSWERS = 1_000_000


def _check_columns(data: Path | None, base: str | None, treated: Sequence[str]) -> None:
    """Refuse names of columns that say nothing together."""
    from capspace.fit.errors import FitError

    if data is None:
        if base is not None or treated:
            raise FitError("--base and --treated name columns of --data, which is not given")
        return
    if base is None or not treated:
        raise FitError("--data needs --base and --treated, the columns without and with it")
    for name in treated:
        if name.strip().lower() == base.strip().lower():
            raise FitError(
                f"--base and --treated are both {name}; a gain needs two different columns"
            )
        _samples(name)


def _require_content(*files: Path) -> None:
    """Refuse empty files before anything that takes long."""
    from capspace.fit.errors import TableError

    for file in files:
        if file.is_file() and not file.stat().st_size:
            raise TableError(f"{file}: the file is empty")


def outside_notes(lifts: Sequence[Lift]) -> list[str]:
    """Return in a line for each model outside the laws' support why nothing is advised."""
    named: dict[tuple[str, str], list[str]] = {}
    for each in lifts:
        if not each.support.inside:
            key = (each.model, each.support.summary)
            named.setdefault(key, []).append(each.intervention.name)
    return [
        f"{model}: {', '.join(names)} not advised; {summary}"
        for (model, summary), names in named.items()
    ]


def print_lifts(lifts: Sequence[Lift]) -> None:
    """Print what interventions would gain, a table per model."""
    for model in dict.fromkeys(each.model for each in lifts):
        own = [each for each in lifts if each.model == model]
        o.print_table(
            f"{model}: what would help",
            (
                *(
                    "Intervention",
                    "Base",
                    "Treated",
                    "Gain",
                    f"{own[0].level:.0%} interval",
                ),
                *("Tokens/point", ""),
            ),
            [
                (
                    each.intervention.name,
                    f"{each.base:.3f}",
                    f"{each.treated:.3f}",
                    f"{each.mean:+.3f}",
                    f"{each.lower:+.3f} – {each.upper:+.3f}",
                    "–" if math.isnan(each.tokens_per_point) else f"{each.tokens_per_point:,.0f}",
                    "advised" if each.advised else "" if each.support.inside else "outside",
                )
                for each in own
            ],
            numbers=("Base", "Treated", "Gain", f"{own[0].level:.0%} interval", "Tokens/point"),
        )
        o.print_table(
            f"{model}: errors of such gains on models left out",
            ("Intervention", "Gain", "Mean error", "By mean gain"),
            [
                (
                    each.intervention.name,
                    f"{each.mean:+.3f}",
                    f"{each.error:.3f}",
                    f"{each.baseline_error:.3f}",
                )
                for each in own
            ],
            numbers=("Gain", "Mean error", "By mean gain"),
        )
        bases = dict.fromkeys(
            each.intervention.base_label
            for each in own
            if each.intervention.base_label != each.intervention.base
        )
        if bases:
            o.console().print(f"base: {'; '.join(bases)}", markup=False)
