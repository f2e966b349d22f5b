"""Fit what the study has no figure of: other cutoffs, other spaces, single BBH tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .compare import Comparison, compare_fit, lookup
from .data import Analysis, Study
from .run import fit_case, predictors

__all__ = ["compare_more", "further_analyses"]


def further_analyses(
    study: Study, published: Mapping[str, Any]
) -> Iterator[tuple[str, Analysis, Mapping[str, Any]]]:
    """Yield a section, an analysis and the study's numbers by predictor, as far as these go."""
    by_column = {a.column: a for a in study.plan.analyses}
    emergent = (
        ("arithmetic_default_cutoff_84", "at 84e21 FLOPs", {"max_flops": 84e21}),
        ("arithmetic_with_GSM8K_in_PCA_cutoff_22_EXTRA", "with GSM8K in the space", {"drop": ()}),
    )
    for key, words, change in emergent:
        for column, numbers in (lookup(published, "emergent", key) or {}).items():
            if column in by_column:
                analysis = by_column[column].model_copy(update=change)
                yield f"{analysis.label}, {words}", analysis, numbers
    bbh = next((a for a in study.plan.analyses if a.column.startswith("bbh_fewshot")), None)
    if bbh is None:
        return
    for key in ("bbh_overall", "bbh_subtasks_norm"):
        for column, numbers in (lookup(published, "post_training", key) or {}).items():
            if column not in by_column:
                yield f"BBH, {column}", bbh.model_copy(update={"column": column}), numbers


def compare_more(study: Study, published: Mapping[str, Any]) -> list[Comparison]:
    """Fit these analyses in the predictors that the study has numbers for, and compare."""
    out = []
    for section, analysis, numbers in further_analyses(study, published):
        case = study.case(analysis)
        for predictor in predictors(case):
            theirs = numbers.get(predictor)
            if theirs is not None:
                out += compare_fit(section, fit_case(case, predictor), theirs)
    return out
