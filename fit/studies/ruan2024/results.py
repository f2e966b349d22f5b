"""Run every analysis of the study, for its page, its figures and its table of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ...analyses._backtest import Backtest, backtest
from ...analyses.gain import GainAnalysis, GainCurves, predict_gain
from ...analyses.splits import Split
from ...errors import FitError
from ...law.efficiency import Efficiency, FamilyLaw, fit_family_law
from ...law.equivalent import EquivalentScale, equivalent_scale
from ...law.intervals import TwoView
from ...law.path import Curve, fitted_curve
from ._compare_analysis import compare_analysis
from .compare import Comparison
from .coverage import Coverage, interval_coverage
from .data import Analysis, Case, Intervention, Study
from .more import compare_more
from .reach import Reach, compare_reach, error_by_reach
from .run import CaseFit, fit_case, predictors
from .selection import (
    Guide,
    SelectionQuality,
    compare_guides,
    selection_guides,
    selection_quality,
)
from .space import (
    StudySpace,
    compare_efficiency,
    compare_spaces,
    study_efficiency,
    study_space,
)

__all__ = [
    "AnalysisResult",
    "GainResult",
    "Results",
    "run_analysis",
    "run_study",
]

LEVEL = 0.9
HEADLINE = "PC-1..3"


@dataclass(frozen=True)
class AnalysisResult:
    """One target: its law in every predictor, its intervals, and its pre-registered test.

    Attributes
    ----------
    case : Case
    fits : dict
        Predictor to CaseFit.
    backtest : Backtest
        Three components, with intervals.
    curve : Curve
    reference : FamilyLaw or None
        Linear predictor in training FLOPs of the reference family; None where it has fewer than
        two models with known compute.
    later : DataFrame or None
        Pre-registered models: ``truth, prediction, lower, upper``.

    """

    case: Case
    fits: dict[str, CaseFit]
    backtest: Backtest
    curve: Curve
    reference: FamilyLaw | None
    later: pd.DataFrame | None


@dataclass(frozen=True)
class GainResult:
    """One intervention: fitted below the cutoff, tested above it.

    Attributes
    ----------
    plan : Intervention
    analysis : GainAnalysis
    curves : GainCurves

    """

    plan: Intervention
    analysis: GainAnalysis
    curves: GainCurves


@dataclass(frozen=True, eq=False)
class Results:
    """All analyses, and ours against the study's numbers."""

    study: Study
    space: StudySpace
    efficiency: list[Efficiency]
    equivalent: EquivalentScale
    analyses: list[AnalysisResult]
    reach: dict[str, list[Reach]]
    gains: list[GainResult]
    guides: list[Guide]
    quality: SelectionQuality
    coverage: list[Coverage]
    comparisons: list[Comparison] = field(default_factory=list)

    def __repr__(self) -> str:
        return (
            f"Results({len(self.analyses)} targets, {len(self.gains)} interventions, "
            f"{len(self.comparisons)} numbers compared)"
        )


def run_study(
    study: Study,
    published: Mapping[str, Any],
    *,
    progress: Callable[[str], None] = lambda step: None,
) -> Results:
    """Run every analysis of the study and compare it with the published numbers."""
    progress("capability space and compute efficiency")
    space = study_space(study, study.base_models)
    laws = study_efficiency(space)
    comparisons = [*compare_spaces(study, published), *compare_efficiency(space, published)]
    analyses = []
    for analysis in study.plan.analyses:
        progress(analysis.label)
        result = run_analysis(study, analysis)
        analyses.append(result)
        comparisons += compare_analysis(result.case, result.fits, published)
    progress("other cutoffs and spaces, single BBH tasks")
    comparisons += compare_more(study, published)
    reach = {}
    for analysis in (a for a in study.plan.analyses if a.error_by_reach):
        progress(f"error by reach: {analysis.label}")
        reach[analysis.label] = error_by_reach(study, analysis)
        comparisons += compare_reach(study, analysis, reach[analysis.label], published)
    progress("gains of interventions")
    gains = [run_gain(study, plan) for plan in study.plan.interventions]
    progress("choice of models")
    guides = selection_guides(study)
    comparisons += compare_guides(guides, published)
    quality = selection_quality(study, guides[0])
    progress("coverage of intervals")
    return Results(
        study=study,
        space=space,
        efficiency=laws,
        equivalent=equivalent_scale(space.points[:, 0], laws[0].law("Llama-2"), level=LEVEL),
        analyses=analyses,
        reach=reach,
        gains=gains,
        guides=guides,
        quality=quality,
        coverage=interval_coverage(study, TwoView(), level=LEVEL),
        comparisons=comparisons,
    )


def run_analysis(study: Study, analysis: Analysis) -> AnalysisResult:
    """Fit one target in every predictor, backtest it, and test it on pre-registered models."""
    case = study.case(analysis)
    fits = {name: fit_case(case, name) for name in predictors(case)}
    result = backtest(case.problem, case.split, level=LEVEL)
    c = result.models["linear_predictor"]
    room = 0.05 * (c.max() - c.min())
    curve = fitted_curve(
        result.fitted, c.min() - room, c.max() + room, method=TwoView(), level=LEVEL
    )
    return AnalysisResult(
        case, fits, result, curve, _reference(result, analysis), _later(study, analysis, case)
    )


def run_gain(study: Study, plan: Intervention) -> GainResult:
    """Fit an intervention's pair of laws below the cutoff and predict the gain above it."""
    base, treated = (study.case(study.plan.analysis(k)) for k in (plan.base, plan.treated))
    shared = [m for m in treated.truth.index if m in base.truth.index]
    base = base.select(base.truth.index.isin(shared))
    treated = treated.select(treated.truth.index.isin(shared))
    after = treated.problem.truth.clip(0, 1).to_numpy(dtype=float)  # chance was taken off
    analysis = predict_gain(base.problem, after, base.train, treated_name=plan.treated, level=LEVEL)
    return GainResult(plan, analysis, analysis.curves())


def _reference(result: Backtest, analysis: Analysis) -> FamilyLaw | None:
    own = result.models[result.models["family"] == analysis.reference_family]
    try:
        return fit_family_law(
            own["linear_predictor"], own["training_flops"], family=analysis.reference_family
        )
    except FitError:
        return None


def _later(study: Study, analysis: Analysis, case: Case) -> pd.DataFrame | None:
    """Return the pre-registered models' predictions by the law of the earlier ones."""
    if analysis.features != "base":
        return None
    more = study.case(analysis, preregistered=True)
    is_later = more.truth.index.isin(study.plan.preregistered)
    wanted = more.select(more.train | is_later)
    if not is_later.any():
        return None
    split = Split(wanted.train, "pre-registered models")
    models = backtest(wanted.problem, split, level=LEVEL).models
    return models.loc[~wanted.train, ["family", "truth", "prediction", "lower", "upper"]]
