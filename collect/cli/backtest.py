"""The command ``backtest`` tests a law on models that it was not fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from . import options as o
from . import tables as t
from .old_names import reading

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from capspace.fit import Backtest, ErrorCurve, Split
    from capspace.fit.law.problem import Problem

__all__ = ["add_to"]

SPLIT = "Split: which models to test on (give one; by default, one family at a time)"
Interval = Annotated[
    Literal["two-view", "jackknife+", "conformal"],
    typer.Option(
        help="Method of the prediction intervals; conformal estimates their width from the errors "
        "on the training models, and refuses a target that none of them has begun to solve."
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command(cls=reading(scores="SCORES", target="--target-column"))(backtest)


def backtest(
    scores: t.Scores,
    target_column: t.TargetColumn,
    target_scores: t.TargetScores = None,
    cutoff_flops: Annotated[
        float | None,
        typer.Option(
            help="Fit on models of at most this many training FLOPs; test on the others.",
            rich_help_panel=SPLIT,
        ),
    ] = None,
    cutoff_size: Annotated[
        float | None,
        typer.Option(
            help="Fit on models of at most this many parameters; test on the others.",
            rich_help_panel=SPLIT,
        ),
    ] = None,
    cutoff_date: Annotated[
        str | None,
        typer.Option(
            help="Fit on models released by this date, such as 2024-05-01; test on the others.",
            rich_help_panel=SPLIT,
        ),
    ] = None,
    top: Annotated[
        float | None,
        typer.Option(
            help="Test on the models with the highest target scores: a share of the models below "
            "1, or a number of them.",
            rich_help_panel=SPLIT,
        ),
    ] = None,
    random_share: Annotated[
        float | None,
        typer.Option(
            "--random", help="Test on this share of the models, at random.", rich_help_panel=SPLIT
        ),
    ] = None,
    by_family: Annotated[
        bool,
        typer.Option("--by-family", help="Leave out one family at a time.", rich_help_panel=SPLIT),
    ] = False,
    components: t.Components = 3,
    drop: t.Drop = None,
    keep: t.Keep = False,
    chance: Annotated[
        float, typer.Option(help="Target score of random guessing, the floor of the law.")
    ] = 0.0,
    ceiling: Annotated[
        float,
        typer.Option(
            help="Perfect target score; if it is above 1, target scores are divided by it."
        ),
    ] = 1.0,
    link: t.Link = "sigmoid",
    interval: Interval = "two-view",
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines",
            help="Also predict from training FLOPs, from size, and from benchmarks directly.",
        ),
    ] = False,
    error_curve: Annotated[
        bool,
        typer.Option(
            "--error-curve",
            help="Also test with more and more of the best models held out, and plot the errors.",
        ),
    ] = False,
    level: o.Level = 0.9,
    seed: t.Seed = 0,
    out: t.Out = None,
    as_json: o.Json = False,
) -> None:
    """Fit a law for your own target on some models, and test it on the others."""
    from capspace.fit import BASELINES, Conformal, JackknifePlus, TwoView, target_problem
    from capspace.fit import backtest as test_law
    from capspace.fit import error_curve as test_by_reach
    from capspace.fit.table.readers import read_table

    table = t.read_scores(scores, drop=drop, keep=keep)
    source = scores if target_scores is None else target_scores
    truth = t.target_column(read_table(source), target_column, source)
    problem = target_problem(table, truth, chance=chance, ceiling=ceiling, link=link, keep=keep)
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
    methods = {"two-view": TwoView, "jackknife+": JackknifePlus, "conformal": Conformal}
    result = test_law(
        problem,
        split,
        n_components=components,
        level=level,
        method=methods[interval](),
        baselines=BASELINES if baselines else (),
    )
    curve = test_by_reach(problem, n_components=components) if error_curve else None
    if as_json:
        more = {} if curve is None else {"error_curve": curve.to_dict()}
        o.print_json(result.to_dict() | more)
    else:
        _print_backtest(result)
        t.print_notes(result.notes)
    if out is not None or not as_json:
        t.save_figures(
            _figures(result, curve, cutoff_flops), out or Path("capspace-report", "backtest")
        )


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


def _print_backtest(result: Backtest) -> None:
    from capspace.fit.report.words import score, share

    o.print_table(
        f"{result.target}: {result.rule}",
        ("", "Models", "MSE", "MAE"),
        [
            ("train", str(result.n_train), f"{result.mse_train:.3g}", f"{result.mae_train:.3g}"),
            ("test", str(result.n_test), f"{result.mse_test:.3g}", f"{result.mae_test:.3g}"),
        ],
        numbers=("Models", "MSE", "MAE"),
    )
    o.console().print(
        f"{share(result.level)} intervals ({result.method}) contain {share(result.coverage)} of "
        f"the {result.n_test} test models, mean width {result.width:.3f}; rank correlation "
        f"{score(result.rank_correlation)}",
        markup=False,
    )
    o.console().print()
    if result.baselines:
        o.print_table(
            "Test error against other predictors, on the models each can predict",
            ("Predictor", "Test models", "Its MSE", "The law's"),
            [
                (b.name, str(b.n_test), f"{b.mse_test:.3g}", f"{b.law_mse_test:.3g}")
                for b in sorted(result.baselines, key=lambda b: b.mse_test)
            ],
            numbers=("Test models", "Its MSE", "The law's"),
        )
    rows = result.models[result.models["side"] == "test"].reset_index(names="model")
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


def _figures(
    result: Backtest, curve: ErrorCurve | None, cutoff_flops: float | None
) -> dict[str, Figure]:
    import pandas as pd

    from capspace.fit import figures as f

    drawn = {
        "target": f.draw_backtest(
            result, result.curve(), reference=result.compute_line(), cutoff_flops=cutoff_flops
        ),
        "predicted": f.draw_backtest_predictions(result),
        "weights": f.draw_weights(pd.DataFrame([result.weights], index=[result.target])),
    }
    if result.baselines:
        drawn["baselines"] = f.draw_backtest_baselines(result)
    if curve is not None:
        drawn["error-curve"] = f.draw_error_curves(
            {"capabilities": (curve.held_out, curve.mse_test)},
            label=result.target,
            ours="capabilities",
            areas={"capabilities": curve.area},
        )
    return drawn
