"""Reading the tables that the study's commands share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from capspace.fit.errors import DegenerateError, FitError, UnknownNameError, near_matches

from .options import console

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from capspace.fit.reference import Reference
    from capspace.fit.table.table import ScoreTable

__all__ = [
    "Chance",
    "Components",
    "Drop",
    "Estimator",
    "Keep",
    "Link",
    "Out",
    "Scores",
    "TargetScores",
    "chance_of",
    "families_of",
    "read_scores",
    "read_target",
    "save_figures",
    "say_notes",
    "target_column",
    "without_doubtful",
]

Scores = Annotated[
    Path, typer.Option(help="Benchmark scores with families and FLOPs: CSV or Parquet.")
]
TargetScores = Annotated[
    Path | None,
    typer.Option(help="Target scores, joined by model name. [default: in --scores]",
                 show_default=False),
]  # fmt: skip
Components = Annotated[int, typer.Option(min=1, help="Coordinates of the capability space.")]
Drop = Annotated[
    list[str] | None, typer.Option(help="Leave this benchmark out of the space; may be repeated.")
]
Keep = Annotated[
    bool,
    typer.Option(
        "--keep",
        help="Use what is otherwise left out as doubtful: scores far below chance, and columns "
        "that are an average of others or the target under another name.",
    ),
]
Chance = Annotated[float, typer.Option(help="Target score of guessing: the law's floor.")]
Estimator = Annotated[Literal["factor", "pca"], typer.Option(help="factor, or pca: the study's.")]
Link = Annotated[
    Literal["sigmoid", "sigmoid-floor", "linear", "exp"], typer.Option(help="Form of the law.")
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for the figures. [default: capspace-report/COMMAND]",
                 show_default=False),
]  # fmt: skip


def read_scores(
    path: Path, *, drop: list[str] | None = None, keep: bool = False, averages: bool = False
) -> ScoreTable:
    """Read benchmark scores, fractions in [0, 1], without the benchmarks of ``drop``.

    Scores far below chance, and with ``averages`` columns that average others, are left out unless
    ``keep``; the table's notes tell of them.
    """
    from capspace.fit.table.readers import canonical_benchmark, read_table

    table = read_table(path)
    left_out = {canonical_benchmark(name) for name in drop or []}
    for name in left_out:
        if name not in table.benchmarks:
            raise UnknownNameError(
                f"{path}: no benchmark {name!r} to drop{near_matches(name, table.benchmarks)}; "
                f"there are {', '.join(table.benchmarks)}"
            )
    kept = [b for b in table.benchmarks if b not in left_out]
    if not kept:
        raise DegenerateError(f"{path}: no benchmark is left")
    table = without_doubtful(table.select(benchmarks=kept).require_fractions(), keep=keep)
    return _without_averages(table, keep=keep) if averages else table


def without_doubtful(
    table: ScoreTable, *, keep: bool, chance: Mapping[str, float] | None = None
) -> ScoreTable:
    """Return a table without scores far below chance, as reference and panels know it."""
    from capspace.fit.reference import load_reference
    from capspace.fit.table.doubtful import leave_out_doubtful
    from capspace.tasks.panel import load_panel, panel_names

    panels = [b for name in panel_names() for b in load_panel(name).benchmarks]
    known = {b.name: b.chance for b in panels if b.chance is not None}
    levels = {**known, **load_reference().chance_levels, **(chance or {})}
    checked = leave_out_doubtful(table, levels, keep=keep)
    if keep or len(checked) == len(table):
        return checked
    return replace(checked, notes=(*checked.notes, "--keep uses what was left out"))


def _without_averages(table: ScoreTable, *, keep: bool) -> ScoreTable:
    from capspace.fit.table.columns import find_averages

    odd = find_averages(table.wide())
    notes = [f"{c} {'stays in' if keep else 'left out of'} the space: {w}" for c, w in odd.items()]
    if keep or not odd:
        return replace(table, notes=(*table.notes, *notes))
    left = [b for b in table.benchmarks if b not in odd]
    return replace(table.select(benchmarks=left), notes=(*table.notes, *notes))


def read_target(path: Path, column: str) -> pd.Series:
    """Read one column of target scores, by model."""
    from capspace.fit.table.readers import read_table

    return target_column(read_table(path), column, path)


def target_column(table: ScoreTable, column: str, path: Path) -> pd.Series:
    """Return one column of a table, by model."""
    if column not in table.benchmarks:
        raise UnknownNameError(
            f"{path}: no column {column!r}{near_matches(column, table.benchmarks)}"
        )
    return table.wide([column])[column]


def chance_of(benchmarks: list[str], reference: Reference) -> dict[str, float]:
    """Return the score of guessing of the benchmarks that the reference describes."""
    known = reference.chance_levels
    return {b: known[b] for b in benchmarks if b in known}


def families_of(table: ScoreTable) -> NDArray[np.str_]:
    """Return the family of each model; a model without one is its own."""
    family = table.models["family"]
    return family.where(family != "", family.index.to_series()).to_numpy(dtype=str)


def say_notes(notes: tuple[str, ...] | list[str]) -> None:
    """Print what was assumed or left out."""
    for note in notes:
        console().print(f"note: {note}", style="dim", markup=False)


def save_figures(figures: dict[str, Figure], out: Path) -> None:
    """Save figures by name as PNG and SVG and say where they are."""
    from capspace.fit.figures import save

    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            save(figure, out / name)
    except OSError as error:
        raise FitError(f"cannot write figures to {out}: {error.strerror}") from None
    console().print(f"figures: {out}/{{{','.join(figures)}}}.png, .svg", markup=False)
