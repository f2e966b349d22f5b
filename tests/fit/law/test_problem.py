"""What a problem cannot be made of is refused in one line, before anything is fitted."""

import numpy as np
import pandas as pd
import pytest

from capspace.fit import gain_problem, make_problem, target_problem
from capspace.fit.errors import DegenerateError, FitError
from capspace.fit.law.problem import check_target
from capspace.fit.table import ScoreTable

MODELS = [f"m{i}" for i in range(6)]


def parts():
    rng = np.random.default_rng(0)
    scores = pd.DataFrame(rng.uniform(0.2, 0.8, (6, 3)), MODELS, list("ABC"))
    truth = pd.Series(rng.uniform(0.2, 0.8, 6), MODELS)
    facts = pd.DataFrame({"family": list("xxyyzz"), "training_flops": 1e22}, MODELS)
    return scores, truth, facts


def test_scores_of_any_type_make_the_same_problem():
    scores, truth, facts = parts()
    scores.iloc[0, 1] = np.nan
    same = scores.astype(object).where(scores.notna(), None)
    first, second = (make_problem(s, truth, facts, name="t") for s in (scores, same))
    pd.testing.assert_frame_equal(first.scores, second.scores)


def test_what_makes_no_problem_is_refused():
    scores, truth, facts = parts()
    odd = scores.astype(object)
    for given, message in (
        ((100 * scores, truth, facts), "m0: A is .*these look like percentages: divide by 100"),
        ((-scores, truth, facts), r"m0: A is .*outside \[0, 1\]"),
        ((odd.assign(B="high"), truth, facts), "m0: B is 'high', not a number"),
        ((odd.assign(B=pd.Timestamp(0)), truth, facts), "m0: B is Timestamp.*, not a number"),
        ((scores, truth.astype(object) + 1j, facts), "m0: t is .*, not a number"),
        ((pd.concat([scores, scores[:1]]), truth, facts), "m0 is twice among the models of the s"),
        ((scores[["A", "B", "A"]], truth, facts), "A is twice among the benchmarks of the scores"),
        ((scores, truth, pd.concat([facts, facts])), "m0 is twice among the models of the facts"),
    ):
        with pytest.raises(FitError, match=message) as caught:
            make_problem(*given, name="t")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.1, 0.1], "t is at the floor .0.1. for all 2 models"),
        ([1.0, 1.0], "t is at the ceiling .1. for all 2 models"),
        ([0.5, 0.5], "t is constant .0.5. for all 2 models"),
        ([0.1, 0.2], "t is at or below chance .0.25. for all 2 models"),
        ([1.0, 1.1], "t is at its ceiling .1. for all 2 models"),
    ],
)
def test_a_target_without_variation_above_chance_has_no_law(values, message):
    with pytest.raises(DegenerateError, match=message) as caught:
        check_target(pd.Series(values), "t", 0.25, 1.0)
    assert "\n" not in str(caught.value)


def test_a_target_of_no_range_and_a_gain_of_no_model_are_refused():
    scores, truth, _ = parts()
    table = ScoreTable.from_wide(scores)
    for chance, ceiling in ((1.0, 1.0), (-0.1, 1.0)):
        with pytest.raises(FitError, match="must lie between 0 and the ceiling, 1"):
            target_problem(table, truth.rename("t"), chance=chance, ceiling=ceiling)
    before, after = truth[:3].rename("direct"), truth[3:].rename("cot")
    with pytest.raises(DegenerateError, match="no model has both 'direct' and 'cot'"):
        gain_problem(table, before, after)
