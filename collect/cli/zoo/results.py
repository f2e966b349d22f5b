"""The commands ``zoo fit`` and ``export`` use a measured zoo."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import options as o
from .files import ZooPath, opened_zoo, read_file

if TYPE_CHECKING:
    from capspace.fit.zoo.fitting import ZooFit

__all__ = ["export", "fit", "print_fit"]


def fit(
    zoo: ZooPath,
    store: o.StorePath = None,
    target_scores: Annotated[Path | None, o.target_scores("no targets of your own")] = None,
    out: Annotated[Path | None, o.out("capspace-report/NAME")] = None,
    level: o.Level = 0.9,
    as_json: o.Json = False,
) -> None:
    """Fit the space and laws of the measured zoo, and predict its largest from the others."""
    from capspace.fit.zoo.fitting import fit_zoo
    from capspace.fit.zoo.report import write_report

    from ...zoo.table import zoo_table

    file = read_file(zoo)
    with opened_zoo(file, store, must_have_run=True) as (opened, folder):
        table, chance = zoo_table(folder, opened)
    fitted = fit_zoo(file.name, table, chance, target_scores=target_scores, level=level)
    page = write_report(fitted, out or Path("capspace-report") / file.name)
    if as_json:
        o.print_json(fitted.to_dict())
    else:
        print_fit(fitted)
        o.console().print(f"report: {page}", soft_wrap=True)


def export(
    zoo: ZooPath,
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    store: o.StorePath = None,
) -> None:
    """Write the measured zoo as a reference that others can predict from (--reference)."""
    from capspace.fit._display import counted

    from ...zoo.table import export_reference, zoo_table

    file = read_file(zoo)
    with opened_zoo(file, store, must_have_run=True) as (opened, folder):
        table, chance = zoo_table(folder, opened)
    export_reference(table, chance, out)
    counts = f"{counted(len(table), 'score')} of {counted(len(table.models), 'model')}"
    o.console().print(f"{counts}: {out}", soft_wrap=True)


def print_fit(fit: ZooFit) -> None:
    """Print what a measured zoo shows."""
    from capspace.fit._display import counted
    from capspace.fit.zoo.report import verdict

    laws = {} if fit.efficiency is None else fit.efficiency.laws
    share = fit.space.explained_variance_ratio_[0]
    models = counted(len(fit.places), "model")
    title = f"zoo {fit.name}: PC-1 explains {share:.0%} of the variance of {models}"
    if laws:
        o.print_table(
            title,
            ("Family", "Models", "PC-1 per tenfold compute", "R²"),
            [
                (law.family, str(law.n_models), f"{law.slope:+.3f}", _figure(law.r2, 2))
                for law in laws.values()
            ],
            numbers=("Models", "PC-1 per tenfold compute", "R²"),
        )
    else:
        o.console().print(title, markup=False)
    if fit.predictions:
        o.print_table(
            f"{fit.largest}, predicted from smaller models",
            (
                "Benchmark", "Predicted", f"{fit.level:.0%} interval", "Measured",
                "From compute alone",
            ),
            [
                (
                    p.benchmark,
                    _figure(p.mean, 3),
                    f"{p.lower:.3f}-{p.upper:.3f}",
                    _figure(p.measured, 3) + ("" if p.is_inside else " outside"),
                    _figure(p.compute_only, 3),
                )
                for p in fit.predictions
                if p.model == fit.largest
            ],
            numbers=("Predicted", "Measured", "From compute alone"),
        )  # fmt: skip
    o.console().print(verdict(fit), markup=False)
    if fit.targets:
        o.print_table(
            "Targets",
            ("Model", "Target", "Predicted", f"{fit.level:.0%} interval"),
            [
                (p.model, p.benchmark, _figure(p.mean, 3), f"{p.lower:.3f}-{p.upper:.3f}")
                for p in fit.targets
            ],
            numbers=("Predicted",),
        )
    for notice in fit.notices:
        o.console().print(notice, markup=False)


def _figure(value: float, digits: int) -> str:
    return "?" if math.isnan(value) else f"{value:.{digits}f}"
