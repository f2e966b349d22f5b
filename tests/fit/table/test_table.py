"""The score table keeps what was measured, refuses contradictions, and never invents a zero."""

from copy import deepcopy
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from capspace.fit import ScoreTable
from capspace.fit.errors import TableError, UnknownNameError


def row(model="a", benchmark="MMLU", score=0.5, **more):
    return {"model": model, "benchmark": benchmark, "score": score, **more}


FACTS = pd.DataFrame(
    {"model": ["a", "b"], "family": ["A", "B"], "parameters": [7e9, np.nan], "tuning": "base"}
)


def test_a_missing_cell_is_a_missing_row_and_never_zero():
    table = ScoreTable.from_records([row(), row("b", "GSM8K", 0.0), row("b", score=None)])
    assert len(table) == 2
    wide = table.wide()
    assert np.isnan(wide.loc["b", "MMLU"])
    assert wide.loc["b", "GSM8K"] == 0.0


def test_wide_and_back():
    wide = pd.DataFrame(
        {"MMLU": [0.4, np.nan, 0.6], "GSM8K": [0.1, 0.2, np.nan]}, index=["a", "b", "c"]
    )
    stderr = wide * 0.1
    table = ScoreTable.from_wide(wide, source="paper", stderr=stderr)
    pd.testing.assert_frame_equal(table.wide(), wide, check_names=False)
    pd.testing.assert_frame_equal(table.wide(value="stderr"), stderr, check_names=False)
    assert set(table.scores["source"]) == {"paper"}


def test_agreeing_duplicates_merge_and_others_name_both_sources():
    first, second = row(source="paper"), row(source="leaderboard")
    assert len(ScoreTable.from_records([first, second])) == 1
    with pytest.raises(TableError, match=r"a: MMLU is 0.5 \(paper\) but 0.6 \(leaderboard\)"):
        ScoreTable.from_records([first, {**second, "score": 0.6}])


def test_two_protocols_may_stand_beside_each_other_until_a_wide_table_is_asked_for():
    table = ScoreTable.from_records([row(n_shot=0), row(n_shot=5, score=0.6)])
    assert len(table) == 2
    with pytest.raises(TableError, match=r"2 scores of MMLU: .*0-shot.*5-shot"):
        table.wide()


def test_selection_keeps_order_and_models_without_scores():
    table = ScoreTable(pd.DataFrame([row(), row("b"), row("b", "GSM8K", 0.1)]), FACTS)
    assert list(table.select(models=["b", "a"]).models.index) == ["b", "a"]
    only = table.select(benchmarks=["GSM8K"])
    assert list(only.models.index) == ["a", "b"]
    assert only.benchmarks == ["GSM8K"]
    assert list(table.select(families=["B"]).models.index) == ["b"]
    with pytest.raises(UnknownNameError, match="did you mean 'MMLU'"):
        table.select(benchmarks=["MMLUU"])
    with pytest.raises(UnknownNameError, match="GSM8"):
        table.wide(["GSM8"])


def test_merging_fills_gaps_and_refuses_contradictions():
    table = ScoreTable(pd.DataFrame([row()]), FACTS)
    more = FACTS.assign(parameters=[7e9, 13e9])
    both = table.merge(ScoreTable(pd.DataFrame([row("c")]), more))
    assert both.models.loc["b", "parameters"] == 13e9
    assert list(both.models.index) == ["a", "b", "c"]
    with pytest.raises(TableError, match=r"a: parameters is 7"):
        table.merge(ScoreTable(pd.DataFrame([row()]), FACTS.assign(parameters=[8e9, 1e9])))
    with pytest.raises(TableError, match=r"a: MMLU is 0.5"):
        table.merge(ScoreTable.from_records([row(score=0.7)]))


def test_percentages_are_recognised():
    table = ScoreTable.from_records([row(score=45.0), row("b", score=60.0)])
    with pytest.raises(TableError, match=r"a: MMLU is 45.*divide by 100"):
        table.require_fractions()
    with pytest.raises(TableError, match="check the table"):
        ScoreTable.from_records([row(score=-0.5)]).require_fractions()
    fine = ScoreTable.from_records([row()])
    assert fine.require_fractions() is fine


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([row(score=np.inf)], "score of MMLU is infinite"),
        ([row(score="many")], "a: score of MMLU is 'many', not a number"),
        ([row(stderr=-0.1)], "stderr of MMLU is negative"),
        ([row(n_items=-5)], "n_items of MMLU is negative"),
        ([row(n_items=0)], "n_items of MMLU is 0; it is a whole number from 1 to"),
        ([row(n_items=2.5)], "n_items of MMLU is 2.5; it is a whole number"),
        ([row(n_items=1e10)], "n_items of MMLU is 10000000000; it is a whole number"),
        ([row(model="")], "row 1 names no model"),
        ([row(benchmark=None)], "row 1 names no benchmark"),
        ([row(scores=1)], "unknown column 'scores'; did you mean 'score'"),
    ],
)
def test_bad_records_are_refused(records, message):
    with pytest.raises(TableError, match=message):
        ScoreTable.from_records(records)


def test_bad_facts_are_refused():
    scores = pd.DataFrame([row()])
    with pytest.raises(TableError, match="a: parameters is 0; it must be > 0"):
        ScoreTable(scores, FACTS.assign(parameters=[0.0, 1.0]))
    twice = pd.DataFrame({"model": ["a", "a"], "family": ["A", "Z"]})
    with pytest.raises(TableError, match="a: family is both A and Z"):
        ScoreTable(scores, twice)


def test_notes_travel_with_the_table():
    table = ScoreTable(pd.DataFrame([row()]), FACTS, ("read in 1E21",))
    other = ScoreTable(pd.DataFrame([row("c")]), pd.DataFrame(), ("Winograd is Winogrande",))
    assert table.select(models=["a"]).notes == ("read in 1E21",)
    assert table.merge(other).notes == ("read in 1E21", "Winograd is Winogrande")


def test_two_revisions_are_never_one_row():
    rows = [
        {"model": "a", "revision": "5e12345", "benchmark": "MMLU", "score": 0.4},
        {"model": "a", "revision": "6e54321", "benchmark": "ARC-C", "score": 0.5},
        {"model": "b", "revision": "", "benchmark": "MMLU", "score": 0.4},
        {"model": "b", "revision": "main", "benchmark": "ARC-C", "score": 0.5},
    ]
    table = ScoreTable.from_records(rows)
    assert table.select(models=["b"]).wide().notna().all(axis=None)
    with pytest.raises(
        TableError, match=r"a has scores of 2 revisions \(5e12345, 6e54321\), which"
    ):
        table.wide()


def test_a_wide_frame_may_name_its_benchmarks_as_it_likes():
    wide = pd.DataFrame({"model": [0.1, 0.2], "score": [0.3, None]}, index=["a", "b"])
    table = ScoreTable.from_wide(wide)
    assert table.benchmarks == ["model", "score"]
    assert list(table.scores["score"]) == [0.1, 0.3, 0.2]


@pytest.mark.parametrize("value", [pd.Timestamp("2024-01-01"), 1j, "high", pd.NaT, [1]])
def test_a_cell_of_a_wide_frame_that_is_no_number_is_named(value):
    wide = pd.DataFrame({"MMLU": pd.Series([value], index=["a"])})
    with pytest.raises(TableError, match=r"a: MMLU is .*, not a number"):
        ScoreTable.from_wide(wide)


NO_NUMBERS = [
    pd.Timestamp("2024-01-01"), pd.Timedelta("1D"), pd.NaT, 1j, "1_0", "\u0663", [1], 10**400
]  # fmt: skip


@pytest.mark.parametrize("column", ["score", "stderr", "n_items", "n_shot"])
@pytest.mark.parametrize("value", NO_NUMBERS, ids=range(len(NO_NUMBERS)))
def test_a_number_of_a_record_that_is_none_is_named(column, value):
    for rows in ([row(**{column: value})], [row(), row("b", **{column: value})]):
        with pytest.raises(TableError, match=rf"[ab]: {column} of MMLU is .*a number") as caught:
            ScoreTable.from_records(rows)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=range(len(NO_NUMBERS)))
def test_a_number_of_the_facts_that_is_none_is_named(value):
    facts = pd.DataFrame({"training_flops": pd.Series([value], index=["a"], dtype=object)})
    with pytest.raises(TableError, match=r"a: training_flops is .*a number"):
        ScoreTable(pd.DataFrame([row()]), facts)


def test_numbers_of_any_type_are_numbers():
    for score in (1, True, "0.5", " 5e-1 ", Decimal("0.5"), Fraction(1, 2), np.float32(0.5)):
        (read,) = ScoreTable.from_records([row(score=score)]).scores["score"]
        assert read == float(score)
    for nothing in (None, pd.NA, "", "nan", np.nan):
        assert np.isnan(ScoreTable.from_records([row(n_items=nothing)]).scores["n_items"][0])
    nullable = pd.DataFrame([row(), row("b", score=None)]).convert_dtypes()
    assert list(ScoreTable(nullable, pd.DataFrame()).scores["score"]) == [0.5]


def test_a_column_or_row_that_stands_twice_is_named():
    rows, facts = pd.DataFrame([row()]), FACTS.set_index("model")
    wide = pd.DataFrame({"MMLU": [0.4, 0.5]}, index=["a", "b"])
    for refused, message in (
        (lambda: ScoreTable(pd.concat([rows, rows], axis=1), facts), "model is twice among"),
        (lambda: ScoreTable(rows, pd.concat([facts, facts], axis=1)), "family is twice among"),
        (
            lambda: ScoreTable.from_wide(wide, stderr=pd.concat([wide, wide[:1]])),
            "a is twice among the models of the stderr",
        ),
        (
            lambda: ScoreTable.from_wide(wide, stderr=pd.concat([wide, wide], axis=1)),
            "MMLU is twice among the benchmarks of the stderr",
        ),
    ):
        with pytest.raises(TableError, match=message):
            refused()


def test_a_copy_of_a_table_has_frames_of_its_own():
    table = ScoreTable(pd.DataFrame([row(), row("b", score=0.7)]), FACTS)
    assert table.scores["score"].tolist() == [0.5, 0.7]
    other = deepcopy(table)
    other.scores.loc[0, "score"] = 0.1
    other.models.loc["a", "family"] = "Z"
    assert (other.rows["score"].tolist(), other.facts["family"][0]) == ([0.1, 0.7], "Z")
    assert (table.rows["score"].tolist(), table.facts["family"][0]) == ([0.5, 0.7], "A")
