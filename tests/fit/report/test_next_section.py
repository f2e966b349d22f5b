"""What the page and the command line say of the benchmarks to measure next."""

import numpy as np
import pytest

from capspace.fit import Cost, Measurement, NextEvaluations, Step, draw_cost_and_width
from capspace.fit.decide._outlook import Bounds
from capspace.fit.report._next_section import path_words, saved_note, saved_words


def step_of(saved: float, *widths: float) -> Step:
    cost = Cost(1, "device-hours")
    bounds = Bounds(*(np.zeros((1, len(widths))) for _ in range(3)))
    return Step(Measurement("ARC-C", 10, cost), widths, saved, cost, bounds)


def test_what_several_intervals_save_is_one_number_wherever_it_stands() -> None:
    """The plain mean of the widths halves here; the one narrow interval grows to five times."""
    widens = step_of(-0.7, 0.1, 0.05)
    narrows = step_of(0.5, 0.2, 0.005)
    advice = NextEvaluations("m", ("a", "b"), 0.9, (0.4, 0.01), (narrows, widens), (narrows,))
    assert saved_words(widens) == "none"
    assert saved_words(narrows) == "50.0%"
    assert saved_note(advice) == (
        "Saved: share of the width of the 2 intervals together (root mean square, each relative "
        "to now); none: no narrowing is expected, or a widening"
    )
    assert advice.width_left(narrows) == pytest.approx(0.5)
    assert path_words(advice) == (
        "ARC-C narrows the intervals to 50% of their width now for 1 GPU-hours"
    )
    axes = draw_cost_and_width(advice).axes[0]
    assert axes.get_ylabel() == "Expected width of the intervals, now = 1"
    assert list(axes.lines[0].get_ydata()) == pytest.approx([1, 0.5])
    alone = NextEvaluations("m", ("a",), 0.9, (0.4,), (step_of(0.5, 0.2),), (step_of(0.5, 0.2),))
    assert saved_note(alone) == "Saved: share of the interval's width now"
    assert path_words(alone) == "ARC-C narrows the width to 0.200 from 0.400 for 1 GPU-hours"
