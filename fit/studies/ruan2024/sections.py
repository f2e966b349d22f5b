"""Write the page's sections on spaces and laws, from the study's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...figures.style import short_name
from .compare import Comparison
from .outcome import outcome_sections
from .page import Gallery, Section, Shown, Table
from .results import HEADLINE, AnalysisResult, Results

__all__ = ["page_sections"]

Figures = Mapping[str, Sequence[Shown]]


def page_sections(results: Results, figures: Figures) -> list[Section]:
    """Return the page's sections in order."""
    return [
        _space(figures),
        _efficiency(results, figures),
        *(_analyses(results, figures, *group) for group in _GROUPS if group[0] in figures),
        _reach(figures),
        _gains(results, figures),
        *outcome_sections(results, figures),
    ]


_GROUPS = (
    (
        "emergent",
        "Emergent capabilities",
        "BIG-bench tasks whose scores rise suddenly with compute, predicted by a sigmoid in three "
        "components that is fitted to models below the cutoff. For arithmetic, the space has no "
        "GSM8K.",
    ),
    (
        "post-training",
        "Post-training interventions",
        "GSM8K and BBH with and without chain of thought and self-consistency, predicted by a "
        "sigmoid with a fitted floor. For the laws of GSM8K, the space has no GSM8K.",
    ),
    (
        "agentic",
        "Agentic capabilities",
        "AgentBench and AgentBoard, predicted from seven other benchmarks of instruct models. Only "
        "two models and one are held out, so that the errors say little; the intervals show how "
        "little is known.",
    ),
)


def _space(figures: Figures) -> Section:
    text = (
        "Principal components of eight benchmarks over 77 base models. Missing scores are imputed "
        "by a rank-one fit, whose stopping rule looks at the missing cells. Signs are chosen so "
        "that PC-1 rises with the benchmarks and each other component with its largest loading."
    )
    return Section(
        "space", "Capability space", [text], galleries=[Gallery(figures.get("space", ()), 1)]
    )


def _efficiency(results: Results, figures: Figures) -> Section:
    rows = []
    for law in results.efficiency:
        more = [f for f in law.laws.values() if f.n_models > 2]
        worst = min((f for f in more if not np.isnan(f.r2)), key=lambda f: f.r2)
        rows.append(
            [
                law.capability,
                f"{law.r2_mean:.4f}",
                _theirs_r2(results.comparisons, law.capability),
                f"{worst.r2:.3f} ({worst.family})",
                f"{law.pooled.r2:.3f}",
            ]
        )
    named = list(results.space.facts.index)
    eq = results.equivalent
    order = np.argsort(-eq.scale)
    equivalents = [
        [
            short_name(named[i]),
            _flops(results.space.facts["training_flops"].iloc[i]),
            _flops(eq.scale[i]),
            f"{_flops(eq.lower[i])} – {_flops(eq.upper[i])}",
            "" if eq.inside[i] else "beyond the family's own range",
        ]
        for i in order
    ]
    left = "; ".join(f"{k}: {v}" for k, v in results.efficiency[0].left_out.items())
    return Section(
        "efficiency",
        "Compute efficiency by family",
        [
            "Within a family, capability is linear in the logarithm of training compute; families "
            f"differ in slope and intercept. Left out: {left}.",
        ],
        [
            Table(
                [
                    "Capability",
                    "Mean R² by family",
                    "Study's",
                    "Lowest R²",
                    "R² of one line for all",
                ],
                rows,
                title="Fit of the log-linear law",
                note="Families of three or more models; two models always lie on a line.",
            ),
            Table(
                ["Model", "Trained with", "Equivalent", "90% interval", ""],
                equivalents,
                title=f"Training FLOPs at which {eq.family} would reach the same PC-1",
                note="Fieller intervals of the reference line, which is fitted to three models; "
                "they do not include the scatter of single models about it.",
                folded=True,
            ),
        ],
        [Gallery(figures.get("efficiency", ()), 1)],
    )


def _analyses(results: Results, figures: Figures, group: str, title: str, text: str) -> Section:
    own = [a for a in results.analyses if a.case.analysis.group == group]
    return Section(
        group,
        title,
        [text],
        [
            Table(
                [
                    "Target",
                    "Split",
                    "Models",
                    "Train MSE",
                    "Study's",
                    "Test MSE",
                    "Study's",
                    "By FLOPs",
                    "By size",
                    "Coverage",
                    "Width",
                ],
                [_analysis_row(a, results.comparisons) for a in own],
                note="Models: fitted on / tested on. Coverage: share of the test models inside "
                "their 90% intervals, whose mean width is a fraction of the perfect score. Errors "
                "are those of scores rescaled to 0 at chance and 1 at the perfect score. * The "
                "study's optimiser stopped above the lowest training error.",
                text_columns=2,
            )
        ],
        [
            Gallery(_kind(figures.get(group, ()), "target")),
            Gallery(
                _kind(figures.get(group, ()), "baselines"),
                3,
                "Against other predictors",
                folded=True,
            ),
            Gallery(
                _kind(figures.get(group, ()), "predicted"),
                3,
                "Predicted against measured",
                folded=True,
            ),
        ],
    )


def _kind(figures: Sequence[Shown], kind: str) -> list[Shown]:
    return [f for f in figures if f.name.startswith(f"{kind}-")]


def _analysis_row(result: AnalysisResult, comparisons: Sequence[Comparison]) -> list[str]:
    fit, tested = result.fits[HEADLINE], result.backtest
    rivals = [result.fits.get(k) for k in ("Training FLOPs", "Model Size")]
    return [
        result.case.analysis.label,
        tested.rule.replace("<=", "≤"),
        f"{fit.n_train} / {fit.n_test}",
        f"{fit.mse_train:.2g}",
        _theirs(comparisons, result.case.analysis.label, HEADLINE, "mse_train"),
        f"{fit.mse_test:.2g}",
        _theirs(comparisons, result.case.analysis.label, HEADLINE, "mse_test"),
        *("–" if r is None else f"{r.mse_test:.2g}" for r in rivals),
        f"{tested.coverage:.0%}",
        f"{tested.width:.2f}",
    ]


def _theirs_r2(comparisons: Sequence[Comparison], capability: str) -> str:
    section = f"{capability} by family in log10 FLOPs_1E21"
    for c in comparisons:
        if (c.section, c.item, c.quantity) == (section, "mean", "R²"):
            return f"{c.published:.4f}"
    return "–"


def _theirs(comparisons: Sequence[Comparison], section: str, item: str, quantity: str) -> str:
    """Return the study's number, with a mark where its optimiser stopped short; "–" for none."""
    for c in comparisons:
        if (c.section, c.item, c.quantity) == (section, item, quantity):
            return f"{c.published:.2g}" + ("*" if c.verdict == "better" else "")
    return "–"


def _reach(figures: Figures) -> Section:
    text = (
        "The models with the highest scores on the target are held out, from 60% of all models "
        "down to 5%: the fewer are left to fit on, the farther the law must extrapolate. The area "
        "is the integral under the curve. Each point is the fit with the lowest training error "
        "among many starts; where that law overfits, its test error is larger, and the curve shows "
        "it."
    )
    return Section("reach", "Error by reach", [text], galleries=[Gallery(figures.get("reach", ()))])


def _gains(results: Results, figures: Figures) -> Section:
    rows = [
        [
            g.plan.label,
            f"{gain.fit.n_models} / {len(gain.to_frame())}",
            f"{gain.to_frame()['measured_gain'].mean():+.3f}",
            f"{gain.mse:.2g}",
            f"{gain.coverage:.0%}",
            f"{gain.width:.2f}",
            f"{gain.correlation:+.2f}",
        ]
        for g, gain in ((g, g.analysis) for g in results.gains)
    ]
    return Section(
        "gain",
        "Gain of an intervention",
        [
            "The laws of the base score and of the treated score are fitted to the same models and "
            "refitted under the same weights, so that errors which both share cancel in the "
            "interval of the gain.",
        ],
        [
            Table(
                [
                    "Intervention",
                    "Models",
                    "Mean gain",
                    "Test MSE",
                    "Coverage",
                    "Width",
                    "Correlation",
                ],
                rows,
                note="Correlation: between the errors of the two predictions. Coverage and width "
                "are those of the gain's intervals.",
            )
        ],
        [Gallery(figures.get("gain", ()), 1)],
    )


def _flops(value: float) -> str:
    if np.isnan(value):
        return "unknown"
    if value == 0 or np.isinf(value):
        return "unbounded"
    return f"{value:.1e}".replace("e+", "e")
