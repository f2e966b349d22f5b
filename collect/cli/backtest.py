"""The command that tests a law on models it was not fitted on: backtest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from . import options as o
from . import tables as t

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from capspace.fit.analyses._backtest import Backtest
    from capspace.fit.analyses.splits import Split
    from capspace.fit.law.intervals import IntervalMethod
    from capspace.fit.law.law import LinkName
    from capspace.fit.law.problem import Problem
    from capspace.fit.table.table import ScoreTable

__all__ = ["add_to"]

SPLIT = "Split (one of them)"
Interval = Annotated[
    Literal["two-view", "jackknife+"], typer.Option(help="How intervals are made.")
]


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command(rich_help_panel=o.STUDY)(backtest)


def backtest(
    scores: t.Scores,
    target: Annotated[str, typer.Option(help="Column to predict.")],
    target_scores: t.TargetScores = None,
    cutoff_flops: Annotated[
        float | None,
        typer.Option(help="Train on models of at most these FLOPs.", rich_help_panel=SPLIT),
    ] = None,
    cutoff_size: Annotated[
        float | None,
        typer.Option(help="Train on models of at most this size.", rich_help_panel=SPLIT),
    ] = None,
    cutoff_date: Annotated[
        str | None,
        typer.Option(help="Train on models released by this date.", rich_help_panel=SPLIT),
    ] = None,
    top: Annotated[
        float | None,
        typer.Option(
            help="Test on the best by the target: a share, or a number.", rich_help_panel=SPLIT
        ),
    ] = None,
    random_share: Annotated[
        float | None,
        typer.Option("--random", help="Test on a random share.", rich_help_panel=SPLIT),
    ] = None,
    by_family: Annotated[
        bool, typer.Option("--by-family", help="Leave one family out.", rich_help_panel=SPLIT)
    ] = False,
    components: t.Components = 3,
    drop: t.Drop = None,
    keep: t.Keep = False,
    chance: t.Chance = 0.0,
    ceiling: Annotated[
        float, typer.Option(help="Perfect target score; scores above 1 are divided by it.")
    ] = 1.0,
    link: t.Link = "sigmoid",
    interval: Interval = "two-view",
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Compare with FLOPs, size and benchmarks.")
    ] = False,
    error_curve: Annotated[
        bool, typer.Option("--error-curve", help="Error against how many are held out.")
    ] = False,
    level: o.Level = 0.9,
    seed: Annotated[int, typer.Option(help="Of --random.")] = 0,
    out: t.Out = None,
    as_json: o.Json = False,
) -> None:
    """Fit a law on some models and see how well it predicts the others.

    Without a split it leaves one family out at a time.
    """
    from capspace.fit.analyses._backtest import BASELINES
    from capspace.fit.analyses._backtest import backtest as run
    from capspace.fit.analyses._backtest import error_curve as curve_of

    table = t.read_scores(scores, drop=drop, keep=keep)
    problem, notes = _problem(table, scores, target_scores, target, chance, ceiling, link, keep)
    split = _split(
        problem,
        flops=cutoff_flops,
        size=cutoff_size,
        date=cutoff_date,
        top=top,
        random_share=random_share,
        by_family=by_family,
        seed=seed,
    )
    found = run(
        problem,
        split,
        n_components=components,
        level=level,
        method=_method(interval),
        baselines=BASELINES if baselines else (),
    )
    curve = curve_of(problem, n_components=components) if error_curve else None
    if as_json:
        result = found.to_dict()
        result["notes"] = [*notes, *result["notes"]]
        if curve is not None:
            result["error_curve"] = {
                "held_out": curve.held_out.tolist(),
                "mse_test": [None if v != v else v for v in curve.mse_test.tolist()],
                "area": curve.area,
            }
        o.print_json(result)
    else:
        _print_backtest(found)
        t.say_notes([*notes, *found.notes])
    if out is not None or not as_json:
        figures = _backtest_figures(found, cutoff_flops)
        if curve is not None:
            from capspace.fit.figures import draw_error_curves

            figures["error-curve"] = draw_error_curves(
                {"capabilities": (curve.held_out, curve.mse_test)},
                label=found.target,
                ours="capabilities",
                areas={"capabilities": curve.area},
            )
        t.save_figures(figures, out or Path("capspace-report", "backtest"))


def _problem(
    table: ScoreTable,
    scores: Path,
    target_scores: Path | None,
    target: str,
    chance: float,
    ceiling: float,
    link: LinkName,
    keep: bool,
) -> tuple[Problem, list[str]]:
    from capspace.fit.analyses._backtest import make_problem
    from capspace.fit.errors import FitError
    from capspace.fit.reference import load_reference
    from capspace.fit.table.doubtful import is_far_below_chance
    from capspace.fit.table.readers import read_table

    if not 0 <= chance < ceiling:
        raise FitError(f"--chance {chance:g} must lie between 0 and --ceiling {ceiling:g}")
    notes = list(table.notes)
    if target_scores is None:
        truth = t.target_column(read_table(scores), target, scores)
    else:
        truth = t.read_target(target_scores, target)
    if ceiling > 1:
        truth, chance, ceiling, scale = truth / ceiling, chance / ceiling, 1.0, ceiling
        notes.append(f"{target} was divided by its perfect score, {scale:g}")
    if chance > 0:
        far = is_far_below_chance(truth, chance)
        notes += [
            f"{model}: {target} is {truth[model]:g}, far below chance: "
            f"{'kept' if keep else 'left out (--keep uses it)'}"
            for model in truth.index[far]
        ]
        truth = truth if keep else truth.mask(far)
    problem = make_problem(
        table.wide(),
        truth,
        table.models,
        name=target,
        chance=chance,
        ceiling=ceiling,
        link=link,
        benchmark_chance=t.chance_of(table.benchmarks, load_reference()),
        keep=keep,
    )
    return problem, notes


def _split(
    problem: Problem,
    *,
    flops: float | None,
    size: float | None,
    date: str | None,
    top: float | None,
    random_share: float | None,
    by_family: bool,
    seed: int,
) -> Split:
    from capspace.fit.analyses import splits
    from capspace.fit.errors import FitError

    given = [v for v in (flops, size, date, top, random_share) if v is not None]
    if len(given) + by_family > 1:
        raise FitError("give one split only: --cutoff-flops, --cutoff-size, --top, --by-family ...")
    if flops is not None:
        return splits.by_flops(problem.facts, flops)
    if size is not None:
        return splits.by_size(problem.facts, size)
    if date is not None:
        return splits.by_date(problem.facts, date)
    if top is not None:
        return splits.by_rank(problem.truth, top)
    if random_share is not None:
        return splits.randomly(len(problem.truth), random_share, random_state=seed)
    return splits.by_family()


def _method(name: str) -> IntervalMethod:
    from capspace.fit.law.intervals import JackknifePlus, TwoView

    return TwoView() if name == "two-view" else JackknifePlus()


def _print_backtest(found: Backtest) -> None:
    from capspace.fit.report.words import score, share

    o.print_table(
        f"{found.target}: {found.rule}",
        ("", "Models", "MSE", "MAE"),
        [
            ("train", str(found.n_train), f"{found.mse_train:.3g}", f"{found.mae_train:.3g}"),
            ("test", str(found.n_test), f"{found.mse_test:.3g}", f"{found.mae_test:.3g}"),
        ],
        numbers=("Models", "MSE", "MAE"),
    )
    o.console().print(
        f"{share(found.level)} intervals ({found.method}) hold {share(found.coverage)} of the "
        f"{found.n_test} test models, mean width {found.width:.3f}; rank correlation "
        f"{score(found.rank_correlation)}\n",
        markup=False,
    )
    if found.baselines:
        o.print_table(
            "Test error against other predictors, on the models each can predict",
            ("Predictor", "Test models", "Its MSE", "The law's"),
            [
                (b.name, str(b.n_test), f"{b.mse_test:.3g}", f"{b.law_mse_test:.3g}")
                for b in sorted(found.baselines, key=lambda b: b.mse_test)
            ],
            numbers=("Test models", "Its MSE", "The law's"),
        )
    rows = found.models[found.models["side"] == "test"].reset_index(names="model")
    o.print_table(
        "Test models",
        ("Model", "Family", "Truth", "Prediction", "Interval", ""),
        [
            (
                str(r["model"]),
                str(r["family"]),
                score(r["truth"]),
                score(r["prediction"]),
                f"{score(r['lower'])} – {score(r['upper'])}",
                "" if r["lower"] <= r["truth"] <= r["upper"] else "outside",
            )
            for r in rows.sort_values("truth").to_dict("records")
        ],
        numbers=("Truth", "Prediction", "Interval"),
    )


def _backtest_figures(found: Backtest, cutoff_flops: float | None) -> dict[str, Figure]:
    import pandas as pd

    from capspace.fit.figures import (
        draw_backtest,
        draw_backtest_baselines,
        draw_backtest_predictions,
        draw_weights,
    )
    from capspace.fit.law.path import fitted_curve
    from capspace.fit.prediction import reference_line

    c = found.models["linear_predictor"]
    figures = {
        "target": draw_backtest(
            found,
            fitted_curve(
                found.fitted,
                float(c.min()),
                float(c.max()),
                method=_method(found.method),
                level=found.level,
            ),
            reference=reference_line(c, found.models),
            cutoff_flops=cutoff_flops,
        ),
        "predicted": draw_backtest_predictions(found),
        "weights": draw_weights(pd.DataFrame([found.weights], index=[found.target])),
    }
    if found.baselines:
        figures["baselines"] = draw_backtest_baselines(found)
    return figures
