"""Names of components say what planted loadings set apart."""

import numpy as np
import pandas as pd
import pytest

from capspace.fit import (
    CapabilitySpace,
    ScoreTable,
    analyse_space,
    component_names,
    load_reference,
    place_model,
)
from capspace.fit.errors import FitError

CLASSIC = ["MMLU", "ARC-C", "HellaSwag", "Winogrande", "TruthfulQA", "GSM8K", "HumanEval"]


@pytest.mark.parametrize(
    ("loadings", "name"),
    [
        ([0.4, 0.4, 0.4, 0.3, 0.2, 0.5, 0.4], "general"),
        ([0.0, 0.0, -0.5, -0.4, 0.0, 0.6, 0.5], "mathematics and code against commonsense"),
        ([0.0, 0.1, 0.0, 0.0, 0.0, 0.1, 0.9], "code"),
        ([0.32, 0.35, 0.17, 0.15, 0.14, 0.67, 0.51], "general"),
        ([0.6, 0.6, 0.1, 0.1, -0.5, 0.0, 0.0], "knowledge against truthfulness"),
        ([-0.4, -0.4, -0.4, -0.4, -0.4, -0.4, -0.4], "general, falling"),
        ([0.0, 0.0, 0.0, 0.0, -0.9, 0.1, 0.1], "against truthfulness"),
        ([0.7, -0.7, 0.1, 0.0, 0.0, 0.0, 0.0], "MMLU against ARC-C"),
        ([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], "unnamed"),
    ],
)
def test_a_name_says_what_the_loadings_set_apart(loadings, name):
    assert component_names([loadings], CLASSIC) == (name,)


def test_the_larger_ability_comes_first_and_no_more_than_two_are_named():
    loadings = [0.5, 0.5, 0.0, 0.0, 0.0, 0.6, 0.45, -0.5]
    (name,) = component_names([loadings], [*CLASSIC, "IFEval"])
    assert name == "knowledge and mathematics against following instructions"


def test_benchmarks_that_are_not_known_are_abilities_of_their_own():
    assert component_names([[0.7, -0.7]], ["widgets", "gadgets"]) == ("widgets against gadgets",)
    assert component_names([[0.7, 0.7]], ["widgets", "gadgets"]) == ("general",)
    assert component_names([[0.7, 0.7]], ["gsm8k", "MATH-500"]) == ("mathematics",)


def test_names_differ_whatever_the_loadings():
    same = np.tile([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9], (3, 1))
    assert component_names(same, CLASSIC) == ("code", "HumanEval", "HumanEval (PC-3)")
    rng = np.random.default_rng(0)
    for _ in range(50):
        axes = np.linalg.qr(rng.normal(size=(7, 7)))[0]
        names = component_names(axes, CLASSIC)
        assert len(set(names)) == 7
        assert "" not in names


def test_spellings_of_harnesses_are_known():
    columns = ["leaderboard_mmlu_pro", "leaderboard_math_hard", "swe-bench-verified/mini-swe-agent"]
    assert component_names(np.eye(3), columns) == ("knowledge", "mathematics", "code")


def test_planted_components_are_named_after_what_was_planted():
    rng = np.random.default_rng(1)
    general, contrast = rng.normal(size=(2, 200))
    planted = np.array([0.12, 0.12, 0.12, 0.12, 0.12, 0.12, 0.12])
    against = np.array([0.0, 0.0, -0.06, -0.06, 0.0, 0.06, 0.06])
    scores = 0.5 + np.outer(general, planted) + np.outer(contrast, against)
    table = pd.DataFrame(
        np.clip(scores + 0.005 * rng.normal(size=scores.shape), 0, 1),
        index=[f"m{i}" for i in range(200)],
        columns=CLASSIC,
    )
    space = CapabilitySpace(n_components=2).fit(table)
    named = component_names(space.components_, CLASSIC)
    assert named[0] == "general"
    assert set(named[1].replace(" against ", " and ").split(" and ")) == {
        "mathematics",
        "code",
        "commonsense",
    }
    result = analyse_space(ScoreTable.from_wide(table), n_components=2)
    assert result.names == named
    assert result.to_dict()["names"] == list(named)


def test_a_placement_names_its_components():
    scores = pd.DataFrame({"MMLU": 0.62, "HellaSwag": 0.81, "GSM8K": 0.4}, index=["mine"])
    table = ScoreTable.from_wide(scores)
    place = place_model(table, load_reference("study-2024"), targets=[]).to_dict()["place"]
    assert len(place["names"]) == len(place["mean"]) == 3
    assert place["names"][0] == "general"


def test_loadings_of_other_benchmarks_are_refused():
    with pytest.raises(FitError, match="a loading per benchmark"):
        component_names(np.eye(3), CLASSIC)
