"""The packaged references state date, licence and source of all they hold, cleaned and weighted."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import ROOT

from capspace.fit import Reference, load_reference, reference_names
from capspace.fit.completion._evaluate import BEST_RATIO, judge_target
from capspace.fit.reference import (
    About,
    Evaluation,
    Target,
    _checked_entries,
    _load,
    _read_entries,
)

TABLES = ROOT / "../shared/data/results/modern"
MODERN = ("openllm-v2", "frontier-2026", "epoch-2026")
ALL = ("study-2024", *MODERN)


@pytest.fixture
def no_stored_entries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look for the file of checked entries under a name that none has."""
    monkeypatch.setattr(_checked_entries, "ENTRIES", "none.json")
    _checked_entries._stored.cache_clear()
    yield
    _checked_entries._stored.cache_clear()


@pytest.fixture(scope="module")
def references() -> dict[str, Reference]:
    return {name: load_reference(name) for name in ALL}


def test_the_packaged_references_are_these() -> None:
    assert set(reference_names()) == set(ALL)
    assert load_reference().name == "study-2024"


def test_checked_entries_are_those_of_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    as_stored = _load.packaged_entries()
    text = (ROOT / "fit/reference" / _checked_entries.ENTRIES).read_text(encoding="utf-8")
    # Run scripts/build_reference --entries after a change of a file of entries.
    assert text == _checked_entries.entries_as_json(as_stored)
    monkeypatch.setattr(_checked_entries, "_stored", dict)
    for file, entries in as_stored.items():
        kind = type(entries[0])
        if kind is Evaluation:
            targets = {e.target: None for e in entries}
            anew = [*_read_entries.read_evaluations(Path(str(file)).parent, targets).values()]
        elif kind is About:
            anew = [_read_entries.read_about(file)]
        else:
            anew = [*_read_entries._entries(kind, file)]
        assert repr(anew) == repr(entries)


@pytest.mark.usefixtures("no_stored_entries")
def test_entries_that_are_stored_nowhere_are_read_from_their_files(
    references: dict[str, Reference],
) -> None:
    file = ROOT / "fit/reference/study-2024/targets.yaml"
    assert _checked_entries.checked_entries(Target, file) is None
    entries = _read_entries._entries(Target, file)
    assert {e.name: e for e in entries} == references["study-2024"].targets


@pytest.mark.parametrize("name", ALL)
def test_date_licence_attribution_and_sources(name: str, references: dict[str, Reference]) -> None:
    reference = references[name]
    assert reference.name == name
    assert reference.version
    assert reference.about is not None
    released = [d for d in reference.table.models["release_date"] if d]
    assert not released or max(released) <= reference.date.isoformat()
    licences = (ROOT / "fit/reference/LICENSES.md").read_text(encoding="utf-8")
    assert f"## {name}\n" in licences
    assert reference.about.sources
    for source in reference.about.sources:
        assert source.url.removeprefix("https://") in licences
        assert source.licence.removesuffix("-4.0") in licences.replace("CC-BY 4.0", "CC-BY")
    assert set(reference.licence.split(", ")) == {s.licence for s in reference.about.sources}


@pytest.mark.parametrize("name", MODERN)
def test_every_cell_is_a_fraction_with_a_source(
    name: str, references: dict[str, Reference]
) -> None:
    reference = references[name]
    reference.table.require_fractions()
    assert (reference.table.scores["source"].str.len() > 10).all()
    assert (reference.table.models["provider"] != "").all()
    assert (reference.table.models["family"] != "").all()
    assert set(reference.benchmarks).isdisjoint(reference.targets)


@pytest.mark.parametrize("name", MODERN)
def test_targets_name_scaffold_or_version(name: str, references: dict[str, Reference]) -> None:
    assert all("/" in target for target in references[name].targets)


@pytest.mark.parametrize("name", ALL)
def test_targets_were_back_tested(name: str, references: dict[str, Reference]) -> None:
    reference = references[name]
    assert set(reference.evaluations) == set(reference.targets)
    for evaluation in reference.evaluations.values():
        assert (evaluation.reason == "") == (evaluation.status == "offered")
        if evaluation.status == "offered":
            assert evaluation.n >= 20
            assert evaluation.ratio < 0.8
            assert evaluation.coverage >= 0.8
        if evaluation.status == "weak":
            assert evaluation.n >= 12
            assert evaluation.ratio < 1


def test_function_calling_is_native_and_of_runs_that_worked(
    references: dict[str, Reference],
) -> None:
    for name in ("frontier-2026", "openllm-v2"):
        scores = references[name].table.scores
        board = scores[scores["benchmark"].str.startswith("bfcl-v4")]
        assert len(board) >= 4 * 12
        assert board["source"].str.endswith(", FC").all()
        single = board[board["benchmark"].isin(["bfcl-v4/live", "bfcl-v4/non-live"])]
        assert single["score"].min() > 0


@pytest.mark.parametrize("name", MODERN)
def test_offsets_between_sources_are_stated(name: str, references: dict[str, Reference]) -> None:
    reference = references[name]
    titles = {source.title for source in reference.about.sources}
    assert reference.offsets.pairs
    assert any({p.source, p.other} & titles for p in reference.offsets.pairs)
    assert {p.benchmark for p in reference.offsets.pairs} & set(reference.benchmarks)
    assert all(p.n_shared >= 3 for p in reference.offsets.pairs)


def test_two_boards_of_one_exam_lie_a_point_and_a_half_apart(
    references: dict[str, Reference],
) -> None:
    offsets = references["frontier-2026"].offsets
    exam = offsets.between("GPQA-diamond", "BenchPress", "Epoch AI Benchmarking Hub")
    assert exam.n_shared == 50
    assert exam.offset == pytest.approx(0.014, abs=5e-4)
    board = "Epoch AI Benchmarking Hub, mini-swe-agent"
    issues = offsets.between("swe-bench-verified/vendor", "BenchPress", board)
    assert "8.2 points apart" in issues.problem


def test_what_vendors_report_is_cleaned(references: dict[str, Reference]) -> None:
    scores = references["frontier-2026"].table.wide()
    assert not [c for c in scores if c.lower().startswith(("gpqa-main", "gpqa_main", "hle_text"))]
    assert pd.isna(scores.at["gpt-3.5-turbo", "mmmu/val"])  # a zero that nobody measured
    assert scores["simpleqa/closed-book"].max() < 0.8  # more is with search
    assert pd.isna(scores.at["grok-4-heavy", "hle/no-tools"])  # with tools, the method not stated
    assert scores.at["gpt-oss-120b", "hle/no-tools"] == 0.149  # 0.19 is with tools
    assert scores.at["claude-haiku-4.5", "AIME 2025"] == 0.807  # 0.963 is with Python
    assert scores.at["gpt-4o", "arc-agi-2/semi-private"] == 0  # this one was


def test_variants_of_a_base_count_as_one_model(references: dict[str, Reference]) -> None:
    reference = references["openllm-v2"]
    weights, facts = reference.weights, reference.table.models
    assert weights["Qwen/Qwen2.5-7B-Instruct"] == 1
    variants = weights[facts["family"] == "Qwen2ForCausalLM 7.6"]
    assert len(variants) > 100
    assert variants.sum() == pytest.approx(1, abs=0.01 * len(variants) / 100)
    assert (references["frontier-2026"].weights == 1).all()


def test_chance_of_the_leaderboard_is_that_of_its_subtasks(
    references: dict[str, Reference],
) -> None:
    levels = references["openllm-v2"].chance_levels
    assert levels["leaderboard_musr"] == pytest.approx(
        (250 / 2 + 256 / 5 + 250 / 3) / 756, abs=1e-4
    )
    assert 0.25 < levels["leaderboard_bbh"] < 0.35
    assert levels["leaderboard_mmlu_pro"] == 0.1


def test_standard_errors_and_days_of_the_hub_are_there(references: dict[str, Reference]) -> None:
    rows = references["epoch-2026"].table.scores
    own = rows[rows["benchmark"] == "GPQA-diamond"]
    assert own["stderr"].notna().mean() > 0.9
    assert own["stderr"].median() == pytest.approx(0.03, abs=0.015)


@pytest.mark.slow
@pytest.mark.skipif(not TABLES.is_dir(), reason="the modern tables are not in ../shared")
@pytest.mark.parametrize("name", MODERN)
def test_rebuilding_gives_the_committed_tables(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    module = import_module(f"references.{name.partition('-')[0]}")
    module.build(TABLES).write(tmp_path)
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (ROOT / "fit/reference" / name / file.name).read_bytes()
    assert (tmp_path / "reference.yaml").is_file()


def test_figures_in_a_reason_are_those_of_the_table_and_can_be_compared(
    references: dict[str, Reference],
) -> None:
    for reference in references.values():
        for target, known in reference.evaluations.items():
            row = {
                "n": known.n,
                "baseline": known.baseline,
                "ratio": known.ratio,
                "forward_coverage": np.nan if known.coverage is None else known.coverage,
            }
            if known.ratio is None or known.ratio == BEST_RATIO:
                continue  # rounded, it may lie on the other side
            assert judge_target(row) == (known.status, known.reason), target


def test_an_error_just_above_what_is_wanted_shows_that_it_is() -> None:
    row = {"n": 30, "baseline": "trend", "ratio": 0.8023, "forward_coverage": 0.7967}
    assert judge_target(row) == (
        "weak",
        "error 0.802 of the trend baseline's, below 0.800 wanted; "
        "coverage forward in time 79.7%, 80.0% wanted",
    )
