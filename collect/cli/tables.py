"""The commands on score tables share their arguments and the way they read the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from capspace.fit.errors import DegenerateError, FitError, UnknownNameError, near_matches

from .options import console, out, target_scores

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from capspace.fit.decide import ScoreAlarm
    from capspace.fit.table import ScoreTable
    from capspace.tasks.panel import Benchmark

__all__ = [
    "Components",
    "CutoffFlops",
    "Drop",
    "Estimator",
    "Keep",
    "Link",
    "Out",
    "Scores",
    "Seed",
    "TargetColumn",
    "TargetScores",
    "base_column",
    "own_dates",
    "panel_benchmarks",
    "print_alarms",
    "print_notes",
    "read_scores",
    "read_target",
    "save_figures",
    "target_column",
    "treated_column",
    "without_doubtful",
    "without_scores",
]

Scores = Annotated[
    Path,
    typer.Argument(
        metavar="SCORES",
        help="Benchmark scores of many models, with their families and training FLOPs: a CSV or "
        "Parquet table with a row per model, or a row per score.",
    ),
]
TargetScores = Annotated[Path | None, target_scores("SCORES itself")]
TargetColumn = Annotated[str, typer.Option(help="Column with the target's scores.")]
Components = Annotated[
    int, typer.Option(min=1, help="Number of components of the capability space.")
]
Drop = Annotated[
    list[str] | None,
    typer.Option(help="Leave this benchmark out of the space. May be repeated."),
]
Force = Annotated[
    bool,
    typer.Option(help="Also show the numbers that a gate or a back-test refuses, with the reason."),
]
Keep = Annotated[
    bool,
    typer.Option(
        "--keep",
        help="Also use data that are otherwise left out as doubtful: scores far below chance, and "
        "columns that average others or repeat the target under another name.",
    ),
]
Estimator = Annotated[
    Literal["factor", "pca"],
    typer.Option(
        help="How the space is fitted: by a factor model, or by principal components of imputed "
        "scores, as in the study."
    ),
]
Link = Annotated[
    Literal["sigmoid", "sigmoid-floor", "linear", "exp"],
    typer.Option(
        help="Form of the law; sigmoid-floor also fits the floor, the score of the weakest models."
    ),
]
CutoffFlops = Annotated[
    float | None,
    typer.Option(help="Fit on models of at most this many training FLOPs; test on the others."),
]
Seed = Annotated[
    int,
    typer.Option(min=0, help="Seed of all random numbers: the same seed gives the same output."),
]
Out = Annotated[Path | None, out("capspace-report/COMMAND")]


def base_column() -> Any:
    """Return the option ``--base``."""
    return typer.Option("--base", help="Column of scores without the intervention.")


def treated_column() -> Any:
    """Return the option ``--treated``."""
    return typer.Option("--treated", help="Column of scores with the intervention.")


def read_scores(
    path: Path, *, drop: list[str] | None = None, keep: bool = False, averages: bool = False
) -> ScoreTable:
    """Read benchmark scores, fractions in [0, 1], without the benchmarks of ``drop``.

    Scores far below chance, and with ``averages`` columns that average others, are left out unless
    ``keep``; the table's notes name them.
    """
    from capspace.fit.table.columns import leave_out_averages
    from capspace.fit.table.readers import canonical_benchmark, read_table

    table = read_table(path)
    dropped = {canonical_benchmark(name) for name in drop or []}
    for name in dropped:
        if name not in table.benchmarks:
            raise UnknownNameError(
                f"{path}: no benchmark {name!r} to drop{near_matches(name, table.benchmarks)}; "
                f"there are {', '.join(table.benchmarks)}"
            )
    remaining = [b for b in table.benchmarks if b not in dropped]
    if not remaining:
        raise DegenerateError(f"{path}: no benchmark is left")
    table = without_doubtful(table.select(benchmarks=remaining).require_fractions(), keep=keep)
    return leave_out_averages(table, keep=keep) if averages else table


def without_doubtful(
    table: ScoreTable, *, keep: bool, chance: Mapping[str, float] | None = None
) -> ScoreTable:
    """Return a table without scores far below chance, as reference and panels know it."""
    from capspace.fit.table.doubtful import leave_out_doubtful

    levels = dict(chance or {})
    if not set(table.benchmarks) <= set(levels):
        from capspace.fit.reference import load_reference

        known = {b.name: b.chance for b in panel_benchmarks() if b.chance is not None}
        levels = {**known, **load_reference().chance_levels, **levels}
    checked = leave_out_doubtful(table, levels, keep=keep)
    if keep or len(checked) == len(table):
        return checked
    return replace(checked, notes=(*checked.notes, "--keep uses what was left out"))


def panel_benchmarks() -> list[Benchmark]:
    """Return the benchmarks of every packaged panel, one after the other."""
    from capspace.tasks.panel import load_panel, panel_names

    return [b for name in panel_names() for b in load_panel(name).benchmarks]


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


def own_dates(table: ScoreTable, release_date: str | None) -> list[str]:
    """Return in a line that the column release_date wins, where --release-date is given, too."""
    n = sum(bool(date) for date in table.facts["release_date"].tolist())
    if release_date is None or not n:
        return []
    models = "the model" if n == 1 else f"{n} models"
    return [
        f"the column release_date states the date of {models} and takes precedence; "
        "--release-date applies to models without one"
    ]


def without_scores(table: ScoreTable, scored: Iterable[str]) -> list[str]:
    """Return in a line which models of a table are not among ``scored``, those with a score."""
    used = set(scored)
    bare = [model for model in dict.fromkeys(table.facts["model"].tolist()) if model not in used]
    return [f"no score to predict from: {', '.join(bare)}"] if bare else []


def print_alarms(alarms: Iterable[ScoreAlarm]) -> None:
    """Print which scores the others of the same model contradict."""
    for alarm in alarms:
        console().print(alarm.line, style="yellow", markup=False)


def print_notes(notes: Iterable[str]) -> None:
    """Print what was assumed or left out."""
    for note in notes:
        console().print(f"note: {note}", style="dim", markup=False)


def save_figures(figures: dict[str, Figure], out: Path) -> None:
    """Save figures by name as PNG and SVG and print where they are."""
    from capspace.fit.figures import save

    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            save(figure, out / name)
    except OSError as error:
        raise FitError(f"cannot write figures to {out}: {error.strerror}") from None
    names = next(iter(figures)) if len(figures) == 1 else f"{{{','.join(figures)}}}"
    console().print(f"figures: {out}/{names}.png, .svg", markup=False)
