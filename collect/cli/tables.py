"""Reading the tables that the study's commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from capspace.collect.cli.options import console
from capspace.fit.errors import DegenerateError, FitError, UnknownNameError, near_matches

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from capspace.fit.reference import Reference
    from capspace.fit.table import ScoreTable

__all__ = [
    "Chance",
    "Components",
    "Drop",
    "Estimator",
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


def read_scores(path: Path, *, drop: list[str] | None = None) -> ScoreTable:
    """Read benchmark scores, fractions in [0, 1], without the benchmarks of ``drop``."""
    from capspace.fit.read import canonical_benchmark, read_table

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
    return table.select(benchmarks=kept).require_fractions()


def read_target(path: Path, column: str) -> pd.Series:
    """Read one column of target scores, by model."""
    from capspace.fit.read import read_table

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
    known = reference.benchmarks
    return {b: known[b].chance for b in benchmarks if b in known}


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
