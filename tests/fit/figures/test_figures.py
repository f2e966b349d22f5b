"""Every figure: drawn from fitted results, readable, saved the same way twice."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from capspace.fit import ScoreTable, backtest, figures, make_problem, select_models
from capspace.fit.analyses import predict_gain
from capspace.fit.analyses.splits import by_flops
from capspace.fit.decide import Cost, Intervention, Lift, Measurement, NextEvaluations, Step
from capspace.fit.decide._outlook import Bounds
from capspace.fit.figures import Curve, NewModel, Treatment, save
from capspace.fit.figures.marks import FAMILIES as KNOWN
from capspace.fit.figures.marks import family_style
from capspace.fit.figures.style import short_name, signed
from capspace.fit.law.efficiency import FamilyLaw, fit_efficiency, fit_family_law
from capspace.fit.law.intervals import TwoView
from capspace.fit.law.path import fitted_curve
from capspace.fit.prediction import Support

BENCHMARKS = ["MMLU", "ARC-C", "HellaSwag", "Winogrande", "TruthfulQA", "GSM8K"]
FAMILIES = [f for f in KNOWN[:20] for _ in range(3)]


def draw_all():
    """Return each figure, by its function's name, on made-up results."""
    rng = np.random.default_rng(0)
    n = len(FAMILIES)
    flops = 10 ** rng.uniform(20, 25, n)
    points = np.column_stack([0.3 * (np.log10(flops) - 22), rng.normal(0, 0.1, n)])
    c = 3 * points[:, 0]
    truth = 1 / (1 + np.exp(-c)) + rng.normal(0, 0.04, n)
    x = np.linspace(c.min(), c.max(), 50)
    y = 1 / (1 + np.exp(-x))
    curve = Curve(x, y, y - 0.1, y + 0.1)
    test = flops > 1e23
    loadings = np.linalg.qr(rng.normal(size=(6, 5)))[0].T
    reference = pd.DataFrame(rng.uniform(0.2, 0.9, (n, 6)), columns=BENCHMARKS)
    scores = pd.Series([0.5, 0.6, 0.7, np.nan, 0.4, 0.1], index=BENCHMARKS)
    drawn = {
        "draw_space": figures.draw_space([0.8, 0.1, 0.05, 0.03, 0.02], loadings, BENCHMARKS),
        "draw_map": figures.draw_map(
            points,
            FAMILIES,
            explained_variance_ratio=[0.8, 0.1],
            name="org/a-new-model-7b",
            mean=points[5],
            covariance=np.diag([0.01, 0.002]),
        ),
        "draw_efficiency": figures.draw_efficiency(
            fit_efficiency(points[:, 0], flops, FAMILIES, name="PC-1"),
            points[:, 0],
            flops,
            FAMILIES,
        ),
        "draw_target": figures.draw_target(
            c,
            truth,
            FAMILIES,
            curve,
            label="Word unscrambling",
            is_test=test,
            cutoff=(1.0, "10²³ FLOPs"),
            reference=FamilyLaw("Llama-2", 3, 0.9, -19.8, 0.99, 23.0, 0.5, 0.01, (1e22, 1e24)),
            new=NewModel("org/a-new-model-7b", 0.2, 0.55, 0.4, 0.7),
            subtitle="test MSE 2.6e-3",
        ),
        "draw_predicted": figures.draw_predicted(
            truth, truth + 0.05, truth - 0.1, truth + 0.1, FAMILIES, label="unscrambling"
        ),
        "draw_baselines": figures.draw_baselines(
            {"three components": 1e-3, "FLOPs": 0.04, "size": 0.2, "MMLU": float("nan")},
            ours="three components",
            label="Word unscrambling",
            n_test=19,
        ),
        "draw_error_curves": figures.draw_error_curves(
            {
                "three components": ([0.6, 0.3, 0.05], [0.1, 0.01, 0.001]),
                "FLOPs": ([0.6, 0.3, 0.05], [0.2, 0.1, np.nan]),
            },
            label="Word unscrambling",
            ours="three components",
            areas={"FLOPs": 0.1},
        ),
        "draw_gain": figures.draw_gain(
            c,
            FAMILIES,
            [Treatment("5-shot", 0.3 * truth, Curve(x, 0.3 * y)), Treatment("CoT", truth, curve)],
            Curve(x, 0.7 * y, 0.7 * y - 0.1, 0.7 * y + 0.1),
            measured_gain=0.7 * truth,
            label="GSM8K accuracy",
            is_test=test,
        ),
        "draw_weights": figures.draw_weights(
            pd.DataFrame(
                np.where(np.arange(12).reshape(2, 6) == 4, np.nan, rng.normal(0, 3, (2, 6))),
                index=["5-shot", "CoT"],
                columns=BENCHMARKS,
            )
        ),
        "draw_selection": figures.draw_selection(
            [4, 8, 12], [0.01, 0.005, 0.003], [rng.uniform(0.01, 0.1, 5)] * 3, everything=0.0028
        ),
        "draw_scores": figures.draw_scores(
            scores,
            reference,
            name="org/a-new-model-7b",
            stderr=pd.Series(0.01, index=BENCHMARKS),
            chance={"MMLU": 0.25},
            note="60 reference models",
        ),
        "draw_predictions": figures.draw_predictions(
            ["AgentBench", "GSM8K CoT", "Persian QA"],
            [0.2, 0.5, 0.9],
            [0.1, 0.4, 0.7],
            [0.4, 0.6, 1.0],
            name="org/a-new-model-7b",
            inside=[False, True, True],
            truth=[np.nan, 0.55, 0.8],
        ),
    }
    drawn |= draw_of_backtest() | draw_of_decisions()
    assert set(drawn) == {name for name in figures.__all__ if name.startswith("draw_")}
    return drawn


def draw_of_backtest():
    """Return the figures of a backtest of planted models."""
    rng = np.random.default_rng(1)
    models = [f"org/{family}-{i}" for i, family in enumerate(FAMILIES)]
    flops = 10 ** rng.uniform(20, 25, len(models))
    x = 0.3 * (np.log10(flops) - 22)
    scores = pd.DataFrame(
        np.clip(0.5 + np.outer(x, [0.5, 0.4, 0.3, 0.2]) + rng.normal(0, 0.02, (60, 4)), 0, 1),
        index=models,
        columns=BENCHMARKS[:4],
    )
    truth = pd.Series(1 / (1 + np.exp(-4 * x)), index=models)
    facts = pd.DataFrame(
        {"family": FAMILIES, "training_flops": flops, "parameters": 1e9, "release_date": ""},
        index=models,
    )
    problem = make_problem(scores, truth, facts, name="Word unscrambling")
    result = backtest(
        problem,
        by_flops(facts, 1e23),
        n_components=2,
        method=TwoView(n_refits=4),
        baselines=["flops", "all-benchmarks"],
    )
    curve = fitted_curve(result.fitted, -3, 3, method=TwoView(n_refits=4))
    own = result.models[result.models["family"] == "Llama-2"]
    reference = fit_family_law(own["linear_predictor"], own["training_flops"], family="Llama-2")
    treated = truth.to_numpy() ** 0.5
    gain = predict_gain(
        problem, treated, flops < 1e23, treated_name="chain of thought", n_components=2
    )
    selection = select_models(ScoreTable.from_wide(scores, models=facts), 12, n_components=2)
    return {
        "draw_gain_analysis": figures.draw_gain_analysis(gain, gain.curves(n_points=10)),
        "draw_budget_curve": figures.draw_budget_curve(selection, selection.over_budgets()),
        "draw_backtest": figures.draw_backtest(
            result, curve, reference=reference, cutoff_flops=1e23
        ),
        "draw_backtest_predictions": figures.draw_backtest_predictions(result),
        "draw_backtest_baselines": figures.draw_backtest_baselines(result),
    }


def draw_of_decisions():
    """Return the figures of what to measure next, and of what interventions would gain."""
    widths = [0.16, 0.12, 0.1, 0.095, 0.094]
    path = [
        Step(
            Measurement(name, 1000, Cost(hours, "device-hours")),
            (width,),
            0.1,
            Cost(2.0 * hours, "device-hours"),
            Bounds(*np.zeros((3, 1, 1))),
        )
        for hours, (name, width) in enumerate(zip(BENCHMARKS, widths, strict=False), 1)
    ]
    further = NextEvaluations("org/a-new-model-7b", ("bbh",), 0.9, (0.2,), tuple(path), tuple(path))
    lifts = [
        Lift(
            "org/a-new-model-7b", Intervention(name, "gsm8k", "treated"), 0.1, 0.1 + gain, gain,
            gain - 0.06, gain + 0.08, 0.9, 60, 0.03, 0.05, Support(True, 0.0, "inside"), advised,
        )
        for name, gain, advised in (
            ("GSM8K: chain of thought", 0.3, True),
            ("GSM8K: majority of 5 chains", 0.35, False),
            ("BBH: chain of thought", -0.02, False),
        )
    ]  # fmt: skip
    return {
        "draw_cost_and_width": figures.draw_cost_and_width(further),
        "draw_lift": figures.draw_lift(lifts),
    }


def test_a_lift_names_its_base() -> None:
    (axes,) = draw_of_decisions()["draw_lift"].axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert "GSM8K: chain of thought\ninstead of gsm8k, 0.100" in names


@pytest.fixture(scope="module")
def drawn():
    return draw_all()


NAMES = sorted(name for name in figures.__all__ if name.startswith("draw_"))


@pytest.mark.parametrize("n", [1, 2, 14])
def test_the_legend_of_predictions_lies_below_their_axis_and_names_the_best_tenth(n: int) -> None:
    figure = figures.draw_predictions(
        [f"target {i}" for i in range(n)], [0.3] * n, [0.2] * n, [0.4] * n,
        name="mine", attainable=[0.36] * n,
    )  # fmt: skip
    (axes,) = figure.axes
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    legend = axes.get_legend()
    assert "best tenth" in [text.get_text() for text in legend.get_texts()]
    boxes = [part.get_window_extent(renderer) for part in (axes.xaxis.label, legend)]
    assert not boxes[0].overlaps(boxes[1])
    (marks,) = (line for line in axes.lines if line.get_label() == "best tenth")
    assert list(marks.get_xdata()) == [0.36] * n


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_text_is_cut_off_or_overlaps(drawn, name):
    figure = drawn[name]
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    hidden = hidden_tick_labels(figure)
    boxes = [
        (text.get_text(), text.get_window_extent(canvas.get_renderer()))
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden
        # The box of slanted text is larger than the text.
        if text.get_rotation() in (0, 90)
    ]
    width, height = canvas.get_width_height()
    for text, box in boxes:
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= width + 1, text
        assert box.y1 <= height + 1, text
    for (name, a), (other, b) in itertools.combinations(boxes, 2):
        apart = a.x1 <= b.x0 + 1 or b.x1 <= a.x0 + 1 or a.y1 <= b.y0 + 1 or b.y1 <= a.y0 + 1
        assert apart, f"{name!r} overlaps {other!r}"


def hidden_tick_labels(figure):
    """Return labels of ticks outside the limits, which matplotlib keeps but does not draw."""
    hidden = set()
    for axes in figure.findobj(Axes):
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            room = 1e-9 * (high - low)
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low - room <= tick.get_loc() <= high + room:
                    hidden |= {tick.label1, tick.label2}
    return hidden


@pytest.mark.slow
@pytest.mark.parametrize("place", [(0.0, 0.0), (-3.0, -0.7), (0.5, 0.7)])
def test_the_label_of_a_model_does_not_hide_its_star(place):
    rng = np.random.default_rng(2)
    figure = figures.draw_map(
        rng.normal(0, 0.3, (60, 2)), FAMILIES, name="org/tiny-llama",
        mean=place, covariance=np.diag([0.01, 0.01]),
    )  # fmt: skip
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (axes,) = figure.axes
    (label,) = [text for text in axes.texts if text.get_text() == "tiny-llama"]
    star = axes.transData.transform(place)
    box = Text.get_window_extent(label, canvas.get_renderer())  # an annotation's holds its arrow
    nearest = np.clip(star, *box.get_points())
    radius = 19 / 2 / 72 * figure.dpi  # of a star of 19 points
    assert np.linalg.norm(nearest - star) > radius


def test_saved_as_png_and_svg_with_the_same_bytes(tmp_path):
    def draw():
        return figures.draw_predictions(["AgentBench"], [0.2], [0.1], [0.4], name="org/model")

    first = save(draw(), tmp_path / "one" / "figure.png")
    second = save(draw(), tmp_path / "two" / "figure")
    assert [p.name for p in first] == ["figure.png", "figure.svg"]
    assert first[0].read_bytes().startswith(b"\x89PNG")
    for former, latter in zip(first, second, strict=True):
        assert former.read_bytes() == latter.read_bytes()


@pytest.mark.slow
def test_settings_of_matplotlib_are_left_alone_and_pyplot_is_not_loaded():
    code = (
        "import matplotlib, sys; before = matplotlib.rcParams.copy()\n"
        "from capspace.fit.figures import draw_space, save\n"
        "draw_space([0.9, 0.1], [[0.6, 0.8], [0.8, -0.6]], ['A', 'B'])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "now = matplotlib.rcParams\n"
        "assert not [k for k in now if k != 'backend' and now[k] != before[k]]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_each_family_has_its_own_mark():
    families = [*KNOWN, "A family of one's own", "Another"]
    marks = {
        (str(s["marker"]), s["color"], s["markerfacecolor"])
        for s in (family_style(f, families) for f in families)
    }
    assert len(marks) == len(families)
    assert family_style("OPT", ["OPT"]) == family_style("OPT", families)


def test_texts():
    assert short_name("meta-llama/Llama-2-7b-hf") == "Llama-2-7b"
    assert short_name("runs/step-1000/") == "step-1000"
    assert signed(-0.001, 2) == "0.00"
    assert signed(-0.5, 1) == "−0.5"
    assert signed(0.5, 1) == "+0.5"


def test_a_space_of_models_that_are_all_alike_is_drawn(tmp_path: Path) -> None:
    figure = figures.draw_space([1e-30, 0.0], [[0.0, 0.0], [0.0, 0.0]], ["ARC-C", "HellaSwag"])
    save(figure, tmp_path / "space")
    assert (tmp_path / "space.png").stat().st_size > 1000
