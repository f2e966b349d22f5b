"""A name that is no text, and a number that is none, are refused like any other wrong one."""

import numpy as np
import pandas as pd
import pytest

from capspace.fit import ScoreTable, load_reference, place_model
from capspace.fit.errors import (
    FitError,
    UnknownNameError,
    check_choice,
    check_count,
    check_level,
    check_positive,
    near_matches,
)


def test_near_matches_of_what_is_no_text():
    assert near_matches(10, ["100", "x"]) == "; did you mean '100'?"
    assert near_matches("10", [100, None]) == "; did you mean 100?"
    assert near_matches(None, ["x"]) == ""


@pytest.mark.parametrize("name", [0, None, 1.5, ("MMLU",)])
def test_a_name_that_is_no_text_is_unknown(name):
    table = ScoreTable.from_wide(pd.DataFrame({"MMLU": [0.4]}, index=["a"]))
    reference = load_reference()
    for refused in (
        lambda: table.select(models=[name]),
        lambda: table.select(benchmarks=[name]),
        lambda: table.wide([name]),
        lambda: reference.target(name),
        lambda: place_model(table, reference, model=0 if name is None else name),
    ):
        with pytest.raises(UnknownNameError) as caught:
            refused()
        assert "\n" not in str(caught.value)


def test_numbers_that_parameters_cannot_be():
    for check, wrong, right in (
        (check_count, (0, -1, 2.5, 2.0, None, "3", np.nan), (1, np.int64(3))),
        (check_positive, (0, -1.0, np.nan, None, "1", 1j), (0.1, np.float64(2), np.inf)),
    ):
        for value in wrong:
            with pytest.raises(FitError, match=r"n is .*; it must be"):
                check(value, "n")
        for value in right:
            check(value, "n")
    for level in (0, 1, 90, np.nan, "0.9", None, True):
        with pytest.raises(FitError, match=r"level is .* as in 0\.9"):
            check_level(level)
    check_level(np.float64(0.5))
    with pytest.raises(FitError, match="by 1 is none of a, b"):
        check_choice(1, ("a", "b"), "by")
