"""Repeat the study's choices of models, and test the laws of the chosen models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...analyses.design import Candidates, Choice, choose_over_budgets, random_choices
from ...space._space import CapabilitySpace
from .compare import Comparison, lookup
from .data import Study
from .run import fit_case

__all__ = [
    "BUDGETS",
    "Guide",
    "SelectionQuality",
    "compare_guides",
    "selection_guides",
    "selection_quality",
]

Floats = NDArray[np.float64]

BUDGETS = (4, 8, 12, 16, 20, 24, 28, 32, 36)
MAX_FLOPS = 84e21
TARGETS = ("GSM8K, 5-shot", "GSM8K CoT", "GSM8K CoT + SC@5")


@dataclass(frozen=True)
class Guide:
    """Chosen families over all budgets, from one set of candidates.

    Attributes
    ----------
    label : str
    models : tuple of str
        The candidates, which ``Choice.rows`` count.
    choices : tuple of Choice
        One per budget of ``BUDGETS``.
    published : tuple of str
        Where the study's numbers are.

    """

    label: str
    models: tuple[str, ...]
    choices: tuple[Choice, ...]
    published: tuple[str, ...]


@dataclass(frozen=True)
class SelectionQuality:
    """How well laws fitted on few models predict the models above the cutoff.

    Attributes
    ----------
    budgets : (m,) array
    chosen : (m,) array
        Geometric mean over the targets of the test MSE; NaN where the models chosen are fewer than
        the law's parameters.
    random : list of m arrays
        The same of random subsets that fill the budget.
    everything : float
        The same of all candidates.

    """

    budgets: Floats
    chosen: Floats
    random: list[Floats]
    everything: float


def selection_guides(study: Study) -> list[Guide]:
    """Choose families for every budget: below the cutoff, among all models, and up to 7B."""
    facts = study.facts["base"].loc[study.base_models]
    scores = study.features["base"].loc[study.base_models]
    below = (facts["training_flops"] <= MAX_FLOPS) & scores.notna().all(axis=1)
    small = facts["parameters"] <= 7e9
    sets = [
        ("below the compute cutoff", below.to_numpy(), (), ("selection",)),
        (
            "all models, with Llama-2",
            np.ones(len(facts), bool),
            ("Llama-2",),
            ("selection_guide", "all_models"),
        ),
        ("up to 7B, with Llama-2", small.to_numpy(), ("Llama-2",), ("selection_guide", "sub_7B")),
    ]
    guides = []
    for label, keep, include, published in sets:
        x = scores[keep]
        space = CapabilitySpace(n_components=3, estimator="pca", clip=(0.0, 1.0)).fit(x)
        choices = choose_over_budgets(
            Candidates(space.transform(x), list(facts.loc[keep, "family"])),
            budgets=BUDGETS,
            include=include,
        )
        guides.append(Guide(label, tuple(x.index), tuple(choices), published))
    return guides


def compare_guides(guides: Sequence[Guide], published: Mapping[str, Any]) -> list[Comparison]:
    """Compare the criterion of every choice: equal to the study's or better."""
    out = []
    for guide in guides:
        for choice in guide.choices:
            theirs = lookup(
                published, *guide.published, "budgets", f"{choice.budget:g}", "objective"
            )
            if theirs is None:
                continue
            value = -float(theirs)
            section, item = f"choice of models, {guide.label}", f"budget {choice.budget:g}"
            if abs(choice.value - value) <= 1e-4 * value:
                out.append(Comparison(section, item, "V", choice.value, value, "same"))
            elif choice.value < value:
                note = (
                    f"{choice.method} search over any number of families: {', '.join(choice.units)}"
                )
                out.append(Comparison(section, item, "V", choice.value, value, "better", note))
            else:
                out.append(
                    Comparison(section, item, "V", choice.value, value, "differs", choice.method)
                )
    return out


def selection_quality(
    study: Study, guide: Guide, *, n_random: int = 6, random_state: int = 0
) -> SelectionQuality:
    """Fit the study's post-training laws on chosen and on random models; test above the cutoff."""
    facts = study.facts["base"]
    units = list(facts.loc[list(guide.models), "family"])
    x = study.features["base"].loc[list(guide.models)]
    space = CapabilitySpace(n_components=3, estimator="pca", clip=(0.0, 1.0)).fit(x)
    candidates = Candidates(space.transform(x), units)
    chosen, random = [], []
    for i, choice in enumerate(guide.choices):
        chosen.append(_quality(study, [guide.models[row] for row in choice.rows]))
        drawn = random_choices(
            candidates,
            budget=choice.budget,
            n_choices=n_random,
            random_state=random_state + i,
        )
        random.append(
            np.array([_quality(study, [guide.models[row] for row in d.rows]) for d in drawn])
        )
    everything = _quality(study, None)
    budgets = np.array([c.budget for c in guide.choices])
    return SelectionQuality(budgets, np.array(chosen), random, everything)


def _quality(study: Study, models: list[str] | None) -> float:
    """Geometric mean of the test MSE over the targets, fitted on ``models`` (None: all)."""
    errors = []
    for label in TARGETS:
        case = study.case(study.plan.analysis(label))
        if models is not None:
            case = case.select(~case.train | case.truth.index.isin(models))
        errors.append(fit_case(case, "PC-1..3", n_starts=40).mse_test)
    return float(np.exp(np.mean(np.log(errors))))
