"""Write the page's sections on results: model choices, later models, intervals, slips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .compare import Comparison
from .coverage import Coverage
from .page import Card, Gallery, Section, Shown, Table
from .results import LEVEL, Results

__all__ = ["outcome_sections", "page_cards", "pooled"]

Figures = Mapping[str, Sequence[Shown]]
_VERDICT = {"same": "same", "better": "lower loss", "differs": "differs"}


def outcome_sections(results: Results, figures: Figures) -> list[Section]:
    """Return the sections in order."""
    return [
        _selection(results, figures),
        _later(results, figures),
        _coverage(results),
        _numbers(results.comparisons),
        _slips(),
    ]


def page_cards(results: Results) -> list[Card]:
    """Return the page's headline numbers."""
    comparisons = results.comparisons
    counts = {v: sum(c.verdict == v for c in comparisons) for v in _VERDICT}
    share = results.space.space.explained_variance_ratio_[:3].sum()
    coverage, width = pooled(results.coverage)
    return [
        Card(
            "Numbers compared",
            f"{len(comparisons)}",
            f"{counts['same']} agree, {counts['better']} at a lower loss or better criterion, "
            f"{counts['differs']} differ",
        ),
        Card("Three components explain", f"{share:.1%}", "of the variance of eight benchmarks"),
        Card(
            "PC-1 in training compute",
            f"R² {results.efficiency[0].r2_mean:.3f}",
            f"mean over families; {results.efficiency[0].pooled.r2:.3f} for one line through all",
        ),
        Card(
            f"Coverage of {LEVEL:.0%} intervals",
            f"{coverage:.1%}",
            f"of test models, mean width {width:.2f}, all targets at three cutoffs",
        ),
    ]


def pooled(rows: Sequence[Coverage]) -> tuple[float, float]:
    """Return the coverage and mean width over all test models of all targets and cutoffs."""
    known = [r for r in rows if not r.failure]
    n = np.array([r.n_test for r in known], dtype=float)
    coverage, width = (np.array([getattr(r, q) for r in known]) for q in ("coverage", "width"))
    return float(coverage @ n / n.sum()), float(width @ n / n.sum())


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
        "Which families should be measured when the budget is a number of models? V-optimality "
        "minimises the summed prediction variance over all candidates. Every subset is searched.",
    ]
    if unfit:
        texts.append(
            f"With a budget of {', '.join(unfit)}, fewer models are chosen than the law has "
            "parameters (five), so that no law can be fitted; the study nevertheless reports one."
        )
    return Section(
        "selection", "Choice of models", texts, tables, [Gallery(figures.get("selection", ()), 1)]
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
            "These laws were fitted to the earlier models below the cutoff and are scored on "
            "models released after the study had fixed the laws. capspace ledger does the same for "
            "your own predictions.",
        ],
        [Table(["Target", "Models", "MSE", "MAE", "Coverage", "Width"], rows)],
        [Gallery(figures.get("preregistered", ()), 3)],
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
        "Coverage of the intervals",
        [
            f"Over {len(known)} combinations of target and cutoff, {coverage:.1%} of the test "
            f"models lie inside their {LEVEL:.0%} intervals, whose mean width is {width:.2f}. "
            f"Coverage is lowest for {worst.label} ({worst.split.replace('<=', '≤')}): "
            f"{worst.coverage:.0%} at width {worst.width:.2f}. Where all training models score at "
            "chance, the data do not show at which capability scores begin to rise.",
        ],
        [Table(["Target", "Split", "Models", "Coverage", "Width"], rows, text_columns=2)],
    )


def _numbers(comparisons: Sequence[Comparison]) -> Section:
    sections: dict[str, list[Comparison]] = {}
    for c in comparisons:
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
        for c in comparisons
        if c.verdict != "same"
    ]
    return Section(
        "numbers",
        "Ours against the study's",
        [
            "Same: errors agree within 1% or 1e-5; explained variance, loadings and R² within "
            "1e-4; equivalent FLOPs within 1%. Lower loss: the study minimises the same loss from "
            "one start and does not check convergence. The fit here has a lower training error (or "
            "the subset a better criterion), and capspace uses it. All numbers are in "
            "comparison.csv beside this page.",
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
            "the FLOPs baseline is scored without the test models of unknown compute",
            "every error is shown with its number of test models",
        ],
    ]
    return Section(
        "slips",
        "Known errors in the published data and code",
        [
            "The reproduction above uses the tables as published, so that the numbers can be "
            "compared. The first two errors affect only the baseline by model size."
        ],
        [Table(["Where", "What", "Here"], rows, text_columns=3)],
    )
