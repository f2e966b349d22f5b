"""Every way to part models, and the sides that must not be empty."""

import numpy as np
import pandas as pd
import pytest

from capspace.fit.analyses.splits import by_date, by_family, by_flops, by_rank, by_size, randomly
from capspace.fit.errors import DegenerateError, FitError

FACTS = pd.DataFrame(
    {
        "parameters": [1e9, 7e9, 70e9, np.nan],
        "training_flops": [1e21, 84e21, 840e21, np.nan],
        "release_date": ["2023-01-05", "2023-07-18", "2024-04-18", ""],
    },
    index=pd.Index(["a", "b", "c", "d"], name="model"),
)


def test_a_cutoff_is_inclusive_and_what_is_unknown_is_tested_on():
    split = by_flops(FACTS, 84e21)
    assert split.train.tolist() == [True, True, False, False]
    assert split.unknown == ("d",)
    assert split.rule == "training FLOPs <= 8.4e+22"
    assert by_size(FACTS, 1e9).train.tolist() == [True, False, False, False]
    assert by_date(FACTS, "2023-12-31").train.tolist() == [True, True, False, False]
    assert by_date(FACTS, "2023-12-31").unknown == ("d",)


def test_the_best_by_the_target_are_tested_on_rounded_down():
    truth = pd.Series([0.1, 0.9, 0.5, 0.7, 0.9])
    assert by_rank(truth, 2).train.tolist() == [True, False, True, True, False]
    assert by_rank(truth, 0.39).train.tolist() == [True, False, True, True, True]


def test_random_splits_repeat_with_their_seed():
    once, same, other = (randomly(50, 0.3, random_state=s).train for s in (0, 0, 1))
    assert (once == same).all()
    assert (once != other).any()
    assert (~once).sum() == 15
    assert by_family().train is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: by_flops(FACTS, 1e18), "no training model; training FLOPs goes from 1e"),
        (lambda: by_flops(FACTS.iloc[:3], 1e30), "no test model"),
        (lambda: by_rank(pd.Series([0.1, 0.2]), 5), "leaves a side empty"),
        (lambda: by_rank(pd.Series([0.1, 0.2]), 0.1), "no test model"),
        (lambda: by_date(FACTS.iloc[3:], "2024-01-01"), "no model has a release date"),
        (lambda: randomly(3, 0.01), "no test model"),
    ],
)
def test_an_empty_side_is_refused(make, message):
    with pytest.raises(DegenerateError, match=message):
        make()


def test_nonsense_is_refused():
    with pytest.raises(FitError, match="not a date"):
        by_date(FACTS, "last year")
    with pytest.raises(FitError, match="between 0 and 1"):
        randomly(10, 30)
