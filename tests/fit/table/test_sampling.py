"""Sampling errors are as stated, else of the number of items; a score of 0 or 1 is not exact."""

import numpy as np
import pandas as pd
import pytest

from capspace.fit import ScoreTable, load_reference, place_model, predict_targets
from capspace.fit.table.sampling import binomial_stderr, sampling_errors, unstated_errors


@pytest.mark.parametrize("p", [0.02, 0.3, 0.9])
def test_the_binomial_error_is_that_of_planted_answers(p):
    rng = np.random.default_rng(0)
    scores = rng.binomial(50, p, 4000) / 50
    stated = binomial_stderr(scores, 50)
    assert 0.95 < np.sqrt(np.mean(stated**2)) / scores.std() < 1.5
    assert (stated > 0).all()
    off = np.abs(scores - p) / stated
    assert np.mean(off <= 1.645) > 0.85  # the plain one covers 64% at 0.02


def rows(*cells):
    names = ("model", "benchmark", "score", "stderr", "n_items")
    return ScoreTable.from_records(dict(zip(names, ("mine", *cell), strict=True)) for cell in cells)


def test_what_is_stated_goes_first_and_an_error_of_0_is_none():
    table = rows(
        ("A", 0.5, 0.02, 100), ("B", 0.5, None, 100), ("C", 1.0, 0.0, 2), ("D", 0.5, None, None)
    )
    errors = sampling_errors(table.rows)
    np.testing.assert_allclose(errors[:3], [0.02, 0.05, 0.306], atol=1e-3)
    assert np.isnan(errors[3])
    line = unstated_errors(table)
    assert line.startswith("no standard error or number of items stated: D; ")
    assert unstated_errors(rows(("A", 0.5, None, 10))) == ""


def test_few_items_widen_intervals_of_stored_laws_and_a_full_run_does_not():
    reference = load_reference("frontier-2026")
    facts = pd.DataFrame({"release_date": "2025-09"}, index=["mine"])

    def predict(n):
        table = rows(("GPQA-diamond", 0.6, None, n), ("MMLU-Pro", 0.75, None, n))
        table = ScoreTable(table.scores, facts)
        return predict_targets(table, reference, targets=["mmmu/val"])[0]

    nothing, full, few = predict(None), predict(12032), predict(20)
    assert (full.lower, full.upper) == (nothing.lower, nothing.upper)
    assert few.mean == nothing.mean
    assert few.upper - few.lower > 1.2 * (nothing.upper - nothing.lower)
    assert not full.notes
    assert few.notes[0].startswith("mine: measured on fewer items than all; its intervals include")


@pytest.mark.slow
def test_few_items_widen_a_place_as_their_standard_error_would():
    reference = load_reference()
    placed = [
        place_model(rows(*cells), reference, targets=[])
        for cells in (
            [("MMLU", 0.6, None, None), ("GSM8K", 0.4, None, None)],
            [("MMLU", 0.6, None, 30), ("GSM8K", 0.4, None, 30)],
            [("MMLU", 0.6, float(binomial_stderr(0.6, 30)), None), ("GSM8K", 0.4, 0.088, None)],
        )
    ]
    nothing, of_items, stated = (np.trace(p.place.covariance[0]) for p in placed)
    assert of_items > 1.05 * nothing
    assert of_items == pytest.approx(stated, rel=0.02)
    assert placed[0].notes == (unstated_errors(placed[0].table),)
    assert placed[1].notes == ()
