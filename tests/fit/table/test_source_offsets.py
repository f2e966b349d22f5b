"""Planted offsets between two sources, and their spread, are found and stated."""

import numpy as np
import pandas as pd
import pytest

from capspace.fit.errors import TableError, UnknownNameError
from capspace.fit.table import ScoreTable
from capspace.fit.table._source_offsets import (
    SourceAgreement,
    SourceOffset,
    SourceOffsets,
    compare_sources,
    scaffold_offsets,
    source_offsets,
)
from capspace.fit.table.offset_files import read_offsets, write_offsets


def planted(n, offset, spread, rng, benchmark="GPQA", sources=("board", "vendor")):
    """Return rows of n models by two sources; the first lies ``offset`` above the second."""
    skill = rng.uniform(0.2, 0.8, n)
    other = skill + offset + rng.normal(0, spread, n)
    return [
        {"model": f"m{i}", "benchmark": benchmark, "score": v, "source": s, "protocol": s}
        for s, column in zip(sources, (other, skill), strict=True)
        for i, v in enumerate(column)
    ]


def test_a_planted_offset_and_its_spread_are_found():
    rows = planted(2000, 0.04, 0.02, np.random.default_rng(1))
    (pair,) = source_offsets(ScoreTable.from_records(rows)).pairs
    assert (pair.source, pair.other, pair.n_shared) == ("board", "vendor", 2000)
    assert pair.offset == pytest.approx(0.04, abs=0.002)
    assert pair.spread == pytest.approx(0.02, rel=0.05)
    assert pair.r > 0.95
    assert pair.problem == ""


@pytest.mark.parametrize("n", [5, 20])
def test_the_spread_of_few_models_is_not_biased(n):
    rng = np.random.default_rng(2)
    own = pd.DataFrame(rng.normal(0.5, 0.1, (200, n)))
    noise = pd.DataFrame(rng.normal(0.03, 0.02, (200, n)))
    spreads = [
        compare_sources("b", {"a": own.loc[i] + noise.loc[i], "b": own.loc[i]}).spread
        for i in range(200)
    ]
    assert np.mean(spreads) == pytest.approx(0.02, rel=0.08)


@pytest.mark.slow
def test_an_interval_of_the_next_model_has_its_coverage():
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(800):
        d = rng.normal(0.05, 0.03, 13)
        own, other = pd.Series(0.5 + d[:12]), pd.Series(np.full(12, 0.5))
        pair = compare_sources("b", {"a": own, "b": other})
        inside.append(abs(d[12] - pair.offset) < 1.645 * pair.spread_of_next())
    assert 0.86 < np.mean(inside) < 0.92  # of n = 12, by a normal quantile


def test_copied_scores_and_one_slip_leave_the_spread_between():
    rng = np.random.default_rng(4)
    own = pd.Series(rng.uniform(0.3, 0.8, 40))
    other = own.copy()
    other[:15] += rng.normal(0, 0.03, 15)
    pair = compare_sources("b", {"a": own, "b": other})
    assert pair.n_equal == 25
    assert 0.005 < pair.spread < 0.03
    slipped = other.copy()
    slipped[39] = 1 - slipped[39]
    with_slip = compare_sources("b", {"a": own, "b": slipped})
    sd = float((own - slipped).std())
    assert pair.spread < with_slip.spread < 0.6 * sd


def test_sources_that_agree_badly_are_named():
    rng = np.random.default_rng(5)
    rows = planted(12, 0.09, 0.01, rng, "SWE-bench", ("vendor", "mini-SWE-agent"))
    rows += planted(12, 0.014, 0.02, rng, "GPQA-diamond", ("hub", "vendor"))
    rows += planted(4, 0.3, 0.02, rng, "HLE", ("hub", "vendor"))
    result = source_offsets(ScoreTable.from_records(rows))
    (apart,) = result.disagreeing()
    assert apart.benchmark == "SWE-bench"
    assert 8 < float(apart.problem.removesuffix(" points apart")) < 10
    assert np.isnan(result.spread("SWE-bench"))  # it is no spread of one protocol
    assert 0 < result.spread("GPQA-diamond") < 0.05
    assert np.isnan(result.spread("HLE"))  # four models do not tell
    assert np.isnan(result.spread("unknown"))
    noise = planted(30, 0.0, 0.3, rng, "noise")
    noisy = source_offsets(ScoreTable.from_records(noise)).pairs[0]
    assert noisy.problem.startswith("r only") or "apart" in noisy.problem


def test_a_source_is_judged_over_all_its_cells():
    rng = np.random.default_rng(6)
    rows = []
    for benchmark in ("A", "B", "C"):
        rows += planted(4, 0.0, 0.01, rng, benchmark, ("one", "two"))
        rows += planted(4, 0.1, 0.01, rng, benchmark, ("odd", "unused"))[:4]
    table = ScoreTable.from_records([r for r in rows if r["source"] != "unused"])
    by_source = {a.source: a for a in source_offsets(table).agreements}
    assert by_source["odd"].n_shared == 12
    assert by_source["odd"].problem


def test_turning_a_pair_turns_its_offset_only():
    rows = planted(10, 0.04, 0.02, np.random.default_rng(7))
    result = source_offsets(ScoreTable.from_records(rows))
    there, back = (
        result.between("GPQA", "board", "vendor"),
        result.between("GPQA", "vendor", "board"),
    )
    assert back.offset == -there.offset
    assert (back.spread, back.r, back.n_shared) == (there.spread, there.r, there.n_shared)
    assert result.between("GPQA", "board", "nobody") is None


def test_two_shared_models_state_an_offset_but_no_spread():
    pair = compare_sources("b", {"a": pd.Series([0.5, 0.7]), "b": pd.Series([0.4, 0.5])})
    assert pair.offset == pytest.approx(0.15)
    assert np.isnan(pair.spread)
    assert np.isnan(pair.r)
    assert compare_sources("b", {"a": pd.Series({"x": 0.5}), "b": pd.Series({"y": 0.5})}) is None


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_does_not_matter(seed):
    rows = planted(6, 0.04, 0.02, np.random.default_rng(8))
    order = np.random.default_rng(seed).permutation(12)
    (pair,) = source_offsets(ScoreTable.from_records([rows[i] for i in order])).pairs
    result = SourceOffsets((pair,)).between("GPQA", "board", "vendor")
    (first,) = source_offsets(ScoreTable.from_records(rows)).pairs
    assert result.offset == pytest.approx(first.offset)
    assert result.spread == pytest.approx(first.spread)


def test_scaffolds_of_one_board_are_set_side_by_side():
    rows = planted(40, 0.09, 0.02, np.random.default_rng(9), "", ("vendor", "mini-swe-agent"))
    rows = [r | {"benchmark": f"swe/{r['source']}", "source": "hub"} for r in rows]
    rows += [{"model": "m0", "benchmark": "bfcl/live", "score": 0.5, "source": "hub"}]
    (pair,) = scaffold_offsets(ScoreTable.from_records(rows), ["swe"]).pairs
    assert (pair.benchmark, pair.source, pair.other) == ("swe", "vendor", "mini-swe-agent")
    assert pair.offset == pytest.approx(0.09, abs=0.01)
    with pytest.raises(UnknownNameError, match="no target is called sw/SCAFFOLD"):
        scaffold_offsets(ScoreTable.from_records(rows), ["sw"])


def test_offsets_read_back_as_they_were_written(tmp_path):
    offsets = SourceOffsets(
        (SourceOffset("A", "one", "two", 2, 0.1, float("nan"), float("nan"), 0),
         SourceOffset("B", "one", "two", 9, -0.02, 0.01, 0.9, 3))
    )  # fmt: skip
    write_offsets(offsets, tmp_path / "offsets.csv")
    again = read_offsets(tmp_path / "offsets.csv")
    pd.testing.assert_frame_equal(again.to_frame(), offsets.to_frame())
    (tmp_path / "other.csv").write_text("Model,MMLU\na,0.5\n")
    with pytest.raises(TableError, match=r"other.csv: no column 'benchmark'"):
        read_offsets(tmp_path / "other.csv")
    with pytest.raises(TableError, match="no such file"):
        read_offsets(tmp_path / "none.csv")
    (tmp_path / "blank.csv").write_text((tmp_path / "offsets.csv").read_text().replace("two", ""))
    with pytest.raises(TableError, match=r"blank\.csv: a row has no benchmark, source or other"):
        read_offsets(tmp_path / "blank.csv")


def test_offsets_are_rounded_for_a_file():
    agreement = SourceAgreement("one", 9, 0.1, 0.9)
    pair = SourceOffset("A", "one", "two", 9, 0.03149, 0.01251, 0.98765, 3)
    rounded = SourceOffsets((pair,), (agreement,)).rounded(3)
    assert rounded.pairs == (SourceOffset("A", "one", "two", 9, 0.031, 0.013, 0.988, 3),)
    assert rounded.agreements == (agreement,)
