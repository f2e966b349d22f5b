"""The page's words and tables, from the study's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from capspace.fit.figures.style import short_name
from capspace.fit.study.compare import Comparison
from capspace.fit.study.coverage import Coverage
from capspace.fit.study.page import Card, Gallery, Section, Shown, Table
from capspace.fit.study.results import HEADLINE, LEVEL, AnalysisResult, Results

__all__ = ["page_cards", "page_sections", "pooled"]

Figures = Mapping[str, Sequence[Shown]]
_VERDICT = {"same": "same", "better": "lower loss", "differs": "differs"}


def page_cards(results: Results) -> list[Card]:
    """Return the page's headline numbers."""
    found = results.comparisons
    counts = {v: sum(c.verdict == v for c in found) for v in _VERDICT}
    share = results.space.space.explained_variance_ratio_[:3].sum()
    coverage, width = pooled(results.coverage)
    return [
        Card(
            "Numbers compared",
            f"{len(found)}",
            f"{counts['same']} agree, {counts['better']} at a lower loss or better criterion, "
            f"{counts['differs']} differ",
        ),
        Card("Three components hold", f"{share:.1%}", "of the variance of eight benchmarks"),
        Card(
            "PC-1 in training compute",
            f"R² {results.efficiency[0].r2_mean:.3f}",
            f"mean over families; {results.efficiency[0].pooled.r2:.3f} for one line through all",
        ),
        Card(
            f"{LEVEL:.0%} intervals hold",
            f"{coverage:.1%}",
            f"of test models, mean width {width:.2f}, all targets at three cutoffs",
        ),
    ]


def page_sections(results: Results, figures: Figures) -> list[Section]:
    """Return the page's sections in order."""
    return [
        _space(figures),
        _efficiency(results, figures),
        *(_analyses(results, figures, *group) for group in _GROUPS),
        _reach(figures),
        _gains(results, figures),
        _selection(results, figures),
        _later(results, figures),
        _coverage(results),
        _numbers(results.comparisons),
        _slips(),
    ]


def pooled(rows: Sequence[Coverage]) -> tuple[float, float]:
    """Return the coverage and mean width over all test models of all targets and cutoffs."""
    known = [r for r in rows if not r.failure]
    n = np.array([r.n_test for r in known], dtype=float)
    coverage, width = (np.array([getattr(r, q) for r in known]) for q in ("coverage", "width"))
    return float(coverage @ n / n.sum()), float(width @ n / n.sum())


_GROUPS = (
    (
        "emergent",
        "Emergent capabilities",
        "BIG-bench tasks that look sudden in compute, predicted from models below the cutoff by a "
        "sigmoid in three components. Arithmetic leaves GSM8K out of the space.",
    ),
    (
        "post-training",
        "Post-training interventions",
        "GSM8K and BBH with and without chain of thought and self-consistency; a sigmoid with a "
        "fitted floor. Laws of GSM8K leave GSM8K out of the space.",
    ),
    (
        "agentic",
        "Agentic capabilities",
        "AgentBench and AgentBoard from instruct models' seven other benchmarks. The held-out "
        "sides are two models and one: the errors say little, the intervals are there for that.",
    ),
)


def _space(figures: Figures) -> Section:
    text = (
        "Principal components of eight benchmarks over 77 base models, missing scores imputed by a "
        "rank-one fit whose stop rule looks at the missing cells. Signs are fixed so that PC-1 "
        "rises with the benchmarks and each other component with its largest loading."
    )
    return Section("space", "Capability space", [text], galleries=[Gallery(figures["space"], 1)])


def _efficiency(results: Results, figures: Figures) -> Section:
    rows = []
    for law in results.efficiency:
        more = [f for f in law.laws.values() if f.n_models > 2]
        worst = min((f for f in more if not np.isnan(f.r2)), key=lambda f: f.r2)
        rows.append(
            [
                law.capability,
                f"{law.r2_mean:.3f}",
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
            f"differ in slope and height. Left out: {left}.",
        ],
        [
            Table(
                ["Capability", "Mean R² by family", "Lowest R²", "R² of one line"],
                rows,
                title="Fit of the log-linear law",
                note="Families of three or more models; two models always lie on a line.",
            ),
            Table(
                ["Model", "Trained with", "Equivalent", "90% interval", ""],
                equivalents,
                title=f"Training FLOPs at which {eq.family} would reach the same PC-1",
                note="Fieller intervals of the reference line, which three models determine; the "
                "scatter of single models about it is not in them.",
                folded=True,
            ),
        ],
        [Gallery(figures["efficiency"], 1)],
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
                    "Test MSE",
                    "of FLOPs",
                    "of size",
                    "Held",
                    "Width",
                ],
                [_analysis_row(a) for a in own],
                note="Models: fitted on / tested on. Held: share of test models inside their 90% "
                "interval, and its mean width as a fraction of the perfect score. Errors are on "
                "scores with chance at 0 and perfect at 1.",
                text_columns=2,
            )
        ],
        [
            Gallery(_kind(figures[group], "target")),
            Gallery(_kind(figures[group], "baselines"), 3, "Against other predictors", folded=True),
            Gallery(
                _kind(figures[group], "predicted"), 3, "Predicted against measured", folded=True
            ),
        ],
    )


def _kind(figures: Sequence[Shown], kind: str) -> list[Shown]:
    return [f for f in figures if f.name.startswith(f"{kind}-")]


def _analysis_row(result: AnalysisResult) -> list[str]:
    fit, tested = result.fits[HEADLINE], result.backtest
    rivals = [result.fits.get(k) for k in ("Training FLOPs", "Model Size")]
    return [
        result.case.analysis.label,
        tested.rule.replace("<=", "≤"),
        f"{fit.n_train} / {fit.n_test}",
        f"{fit.mse_train:.2g}",
        f"{fit.mse_test:.2g}",
        *("–" if r is None else f"{r.mse_test:.2g}" for r in rivals),
        f"{tested.coverage:.0%}",
        f"{tested.width:.2f}",
    ]


def _reach(figures: Figures) -> Section:
    text = (
        "The strongest models by the target held out, from 60% of all down to 5%: the fewer are "
        "left to fit on, the farther the law must reach. The area is the integral under the curve. "
        "Every point is the lowest training error over many starts; where that law overfits, the "
        "lower training error has the larger test error, and the curve shows it."
    )
    return Section("reach", "Error by reach", [text], galleries=[Gallery(figures["reach"])])


def _gains(results: Results, figures: Figures) -> Section:
    rows = [
        [
            g.plan.label,
            f"{g.fit.n_models} / {int(g.models['is_test'].sum())}",
            f"{g.models.loc[g.models['is_test'], 'gain'].mean():+.3f}",
            f"{g.mse_test:.2g}",
            f"{g.coverage:.0%}",
            f"{g.width:.2f}",
            f"{g.correlation:+.2f}",
        ]
        for g in results.gains
    ]
    return Section(
        "gain",
        "Gain of an intervention",
        [
            "Base and treated score are fitted to the same models, and refitted under the same "
            "weights, so that errors the two share cancel in the gain's interval.",
        ],
        [
            Table(
                [
                    "Intervention",
                    "Models",
                    "Mean gain",
                    "Test MSE",
                    "Held",
                    "Width",
                    "Correlation",
                ],
                rows,
                note="Correlation: between the errors of the two predictions. Held and width as "
                "above, of the gain.",
            )
        ],
        [Gallery(figures["gain"], 1)],
    )


def _selection(results: Results, figures: Figures) -> Section:
    tables = [
        Table(
            ["Budget", "Models", "V", "Families"],
            [
                [f"{c.budget:g}", f"{c.n_models}", f"{c.value:.3f}", ", ".join(c.units)]
                for c in guide.choices
            ],
            title=f"V-optimal families, {guide.label}",
            note=f"{guide.choices[0].method.capitalize()} search, {guide.choices[0].n_evaluated:,} "
            f"subsets of the families of {len(guide.models)} models.",
            folded=True,
        )
        for guide in results.guides
    ]
    unfit = [
        f"{b:g}"
        for b, v in zip(results.quality.budgets, results.quality.chosen, strict=True)
        if np.isnan(v)
    ]
    texts = [
        "Which families to measure when the budget is a number of models: V-optimality minimises "
        "the summed prediction variance over all candidates. The search looks at every subset.",
    ]
    if unfit:
        texts.append(
            f"Budget {', '.join(unfit)}: the chosen models are fewer than the five parameters of "
            "the law, so there is no fit to score; the study scores one all the same."
        )
    return Section("selection", "Choice of models", texts, tables, figures["selection"], wide=True)

    return Section(
        "selection", "Choice of models", texts, tables, [Gallery(figures["selection"], 1)]
    )


def _later(results: Results, figures: Figures) -> Section:
    rows = []
    for a in results.analyses:
        if a.later is None:
            continue
        error = a.later["prediction"] - a.later["truth"]
        inside = (a.later["lower"] <= a.later["truth"]) & (a.later["truth"] <= a.later["upper"])
        rows.append(
            [
                a.case.analysis.label,
                f"{a.case.train.sum()} / {len(a.later)}",
                f"{(error**2).mean():.2g}",
                f"{error.abs().mean():.3f}",
                f"{inside.mean():.0%}",
                f"{(a.later['upper'] - a.later['lower']).mean():.2f}",
            ]
        )
    return Section(
        "preregistered",
        "Pre-registered predictions",
        [
            "Laws fitted on the earlier models below the cutoff, scored on models released after "
            "the study had fixed them. `capspace ledger` does the same for laws of one's own.",
        ],
        [Table(["Target", "Models", "MSE", "MAE", "Held", "Width"], rows)],
        [Gallery(figures["preregistered"], 3)],
    )


def _coverage(results: Results) -> Section:
    known = [r for r in results.coverage if not r.failure]
    worst = min(known, key=lambda r: r.coverage)
    coverage, width = pooled(results.coverage)
    rows = [
        [
            r.label,
            r.split.replace("<=", "≤"),
            f"{r.n_train} / {r.n_test}",
            *(
                ["no fit", r.failure.split(";")[0]]
                if r.failure
                else [f"{r.coverage:.0%}", f"{r.width:.2f}"]
            ),
        ]
        for r in results.coverage
    ]
    return Section(
        "coverage",
        "Do the intervals hold?",
        [
            f"Over {len(known)} targets and cutoffs, {coverage:.1%} of test models lie inside "
            f"their {LEVEL:.0%} interval, of mean width {width:.2f}. The worst: {worst.label} "
            f"({worst.split.replace('<=', '≤')}), {worst.coverage:.0%} at width {worst.width:.2f}: "
            "where the models to fit on are all at chance, nothing says when the rise begins.",
        ],
        [Table(["Target", "Split", "Models", "Held", "Width"], rows, text_columns=2)],
    )


def _numbers(found: Sequence[Comparison]) -> Section:
    sections: dict[str, list[Comparison]] = {}
    for c in found:
        sections.setdefault(c.section, []).append(c)
    rows = [
        [
            name,
            f"{len(own)}",
            *(f"{sum(c.verdict == v for c in own)}" for v in _VERDICT),
        ]
        for name, own in sections.items()
    ]
    apart = [
        [
            c.section,
            c.item,
            c.quantity,
            f"{c.ours:.6g}",
            f"{c.published:.6g}",
            _VERDICT[c.verdict],
            c.note,
        ]
        for c in found
        if c.verdict != "same"
    ]
    return Section(
        "numbers",
        "Ours against the study's",
        [
            "Same: errors within 1% or 1e-5, explained variance, loadings and R² within 1e-4, "
            "equivalent FLOPs within 1%. Lower loss: the study minimises the same loss from one "
            "start and does not look whether it converged; the fit here has the lower training "
            "error (or the subset the better criterion), and is what capspace uses. All numbers "
            "are in comparison.csv beside this page.",
        ],
        [
            Table(
                ["Analysis", "Compared", "Same", "Lower loss", "Differs"],
                rows,
                folded=True,
                title="By analysis",
            ),
            Table(
                ["Analysis", "Predictor", "Quantity", "Ours", "Study's", "", "Why"],
                apart,
                title="Every number that is not the same",
                text_columns=3,
                folded=True,
            ),
        ],
    )


def _slips() -> Section:
    rows = [
        [
            "cerebras/btlm-3b-8k-base",
            "tokens given as 627 trillion, hence FLOPs 1,000 times too large",
            "0.627 trillion in the reference",
        ],
        [
            "Mixtral, DeepSeek-V2, Jamba, Qwen2-57B-A14B, DeepSeek-MoE",
            "some sizes count all parameters, others those active",
            "all parameters as size, active ones for compute, in the reference",
        ],
        ["column Winograd", "holds WinoGrande scores", "read as Winogrande"],
        [
            "axes of size and compute figures",
            "natural logarithms labelled Log10",
            "drawn in FLOPs on a logarithmic axis",
        ],
        [
            "predictors compared",
            "FLOPs is scored without the test models of unknown compute",
            "the number of test models is told with every error",
        ],
    ]
    return Section(
        "slips",
        "Known slips of the published data and code",
        [
            "The reproduction above uses the tables as published, so that numbers can be compared; "
            "the first two touch none of the laws above but the size baseline."
        ],
        [Table(["Where", "What", "Here"], rows, text_columns=3)],
    )


def _flops(value: float) -> str:
    if np.isnan(value):
        return "unknown"
    if value == 0 or np.isinf(value):
        return "unbounded"
    return f"{value:.1e}".replace("e+", "e")
