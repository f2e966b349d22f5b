"""``references``, ``targets`` and ``predict`` on this year's references, and bad input to them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from commands import Command

from capspace.collect.zoo.table import export_reference
from capspace.fit.table import ScoreTable

COLUMNS = "Model,GPQA-diamond,MMLU-Pro,IFEval,AIME 2025,release_date,mode"
MINE = f"{COLUMNS}\nmine-32B,0.66,0.78,0.86,0.70,2025-09-01,thinking\n"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "scores.csv"
    path.write_text(MINE)
    return path


@pytest.mark.slow
def test_references_are_listed_with_age_licence_and_attribution(capspace: Command) -> None:
    shown = capspace("references").out
    listed = json.loads(capspace("references", "--json").out)
    assert [r["name"] for r in listed][-1] == "study-2024"
    for reference in listed:
        assert {"date", "licence", "attribution", "version", "n_models", "n_families"} <= set(
            reference
        )
        assert reference["n_targets"] >= 13
        assert reference["benchmarks"]
        assert f"{reference['name']}: " in shown
    assert "CC-BY 4.0" in shown


@pytest.mark.slow
def test_targets_lead_with_this_years_offered_ones(capspace: Command) -> None:
    listed = json.loads(capspace("targets", "--json").out)
    assert listed[0]["reference"] == "epoch-2026"
    assert listed[0]["status"] == "offered"
    assert listed[-1]["reference"] == "study-2024"
    refused = [t for t in listed if t["status"] == "refused"]
    assert refused
    assert all(t["reason"] for t in refused)
    assert {"n", "mae", "baseline", "ratio", "coverage", "k", "date"} <= set(
        refused[0]["evaluation"]
    )
    shown = capspace("targets", "--reference", "frontier-2026").out
    assert shown.index("aider-polyglot/diff") < shown.index("swe-bench-verified/vendor")
    assert shown.index("swe-bench-verified/vendor") < shown.index("swe-bench-pro/vendor")
    assert "agentbench" not in shown


def test_predict_chooses_the_reference_and_prints_baselines(capspace: Command, mine: Path) -> None:
    csv = mine.with_name("out.csv")
    shown = capspace("predict", mine, "--csv", csv).out
    assert shown.startswith("frontier-2026 (models until 2026-04-22): it knows 4 of 4 benchmarks")
    assert "mine-32B: offered" in shown
    assert "aider-polyglot/diff" in shown
    assert "90% interval" in shown
    for word in ("Mean", "Trend", "Nearest", "Single"):
        assert word in shown
    assert "refused by their back-tests" in shown
    assert "llm-stats" in shown  # the attribution
    table = pd.read_csv(csv).set_index("target")
    assert table.loc["hle/no-tools", "lower"] < table.loc["hle/no-tools", "prediction"]


def test_predict_json_has_it_all(capspace: Command, mine: Path) -> None:
    made = json.loads(capspace("predict", mine, "--json").out)
    assert made["reference"]["name"] == "frontier-2026"
    assert made["reference"]["attribution"]
    assert "it knows 4 of 4" in made["reference"]["reason"]
    by_target = {p["target"]: p for p in made["predictions"]}
    offered = by_target["aider-polyglot/diff"]
    assert offered["lower"] < offered["mean"] < offered["upper"]
    assert set(offered["baselines"]) == {"mean", "trend", "nearest", "single"}
    assert offered["evaluation"]["status"] == "offered"
    assert by_target["swe-bench-pro/vendor"]["mean"] is None
    assert by_target["swe-bench-pro/vendor"]["reason"]
    forced = json.loads(capspace("predict", mine, "--json", "--force").out)["predictions"]
    assert all(p["mean"] is not None for p in forced)


def test_another_reference_answers_by_name(capspace: Command, mine: Path) -> None:
    words = ("predict", mine, "--reference", "epoch-2026", "--target", "weirdml/v2")
    assert "weirdml/v2: no number is given: fewer than 2 of the" in capspace.refused(*words)
    shown = capspace(*words, "--target", "vpct/public").out
    assert "epoch-2026: named by --reference" in shown
    assert "fewer than 2 of the reference's cheap benchmarks" in shown
    assert "not known to epoch-2026, left out: MMLU-Pro, IFEval, AIME 2025" in shown


@pytest.mark.slow
def test_benchmarks_of_panels_that_a_reference_does_not_know_are_left_out_with_a_line(
    capspace: Command, mine: Path
) -> None:
    """As ``capspace scores --csv`` writes two panels that were collected into one store."""
    known = json.loads(capspace("predict", mine, "--json").out)["predictions"]
    modern = ["HumanEval+", "MBPP+", "MATH-500"]
    board = ["leaderboard_gpqa", "leaderboard_mmlu_pro", "leaderboard_bbh", "leaderboard_musr"]
    header, row = MINE.splitlines()
    mine.write_text(f"{header},HumanEval+,MBPP+,agentboard\n{row},0.9,0.8,0.7\n")
    line = "not known to frontier-2026, left out: HumanEval+, MBPP+, agentboard"
    made = json.loads(capspace("predict", mine, "--json").out)
    assert made["predictions"] == known
    assert made["notes"][0] == line
    for command in ("predict", "compare", "complete"):
        rows = f"{row},0.9,0.8,0.7\n{row.replace('mine', 'other')},0.9,0.8,0.7\n"
        mine.write_text(f"{header},HumanEval+,MBPP+,agentboard\n{rows}")
        assert line in capspace(command, mine).out.replace("\n", " "), command

    names = ["GPQA-diamond", "MMLU-Pro", *modern, *board]
    mine.write_text(
        "model,benchmark,score\n" + "".join(f"mine,{benchmark},0.4\n" for benchmark in names)
    )
    both = json.loads(capspace("predict", mine, "--json").out)
    assert both["reference"]["name"] == "openllm-v2"
    assert any("not known to openllm-v2, left out: GPQA-diamond" in n for n in both["notes"])
    this_year = json.loads(capspace("predict", mine, "--reference", "frontier-2026", "--json").out)
    left_out = f"left out: HumanEval+, MBPP+, {', '.join(board)}"
    assert any(left_out in note for note in this_year["notes"])


def test_forced_numbers_stand_above_the_reasons_that_were_overridden(
    capspace: Command, tmp_path: Path
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("model,GPQA-diamond,release_date\nmine,0.66,2025-09\n")
    words = ("--reference", "frontier-2026")
    for target, before in (
        ("hle/no-tools", "capspace: hle/no-tools: no number is given: "),
        ("swe-bench-pro/vendor", "capspace: swe-bench-pro/vendor: no number is given: "),
    ):
        run = capspace("predict", path, *words, "--target", target)
        plain = f"{run.out}{run.err.replace('; --force predicts all the same', '')}"
        forced = capspace("predict", path, *words, "--target", target, "--force").out
        reasons = " ".join(plain.split()).partition(before)[2]
        reasons = reasons.partition(" no standard error")[0]
        assert reasons.startswith("fewer than 2 of the reference's cheap benchmarks are known")
        for reason in reasons.split("; "):
            assert f"shown by --force: {target}: {reason}" in " ".join(forced.split())
    everything = " ".join(capspace("predict", path, *words, "--force").out.split())
    assert re.search(r"all \d+ targets above( but [^:]+)?: fewer than 2 of the", everything)
    assert "weak: scicode/vendor" in everything
    assert "19 models tested, 20 wanted" in everything


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            f"{COLUMNS}\nmine,0.66,0.78,0.86,0.7,2025-09-01,thinking+plain\n",
            "mine: mode is 'thinking+plain'; it is one of",
        ),
        (
            "model,benchmark,score,mode\nmine,GPQA-diamond,0.6,thinking\nmine,MMLU-Pro,0.7,plain\n",
            "mine: mode is both thinking and plain; scores of two modes belong under two names",
        ),
        (
            f"{COLUMNS}\na,0.66,0.78,0.86,0.7,2025,\nb,66,78,86,70,2025,\n",
            "percentages and fractions in one column",
        ),
        (
            "model,benchmark,score,protocol\nmine,GPQA-diamond,0.6,\n"
            "mine,MMLU-Pro,0.4,lm-eval 0.4.12 leaderboard_mmlu_pro\n",
            "mine: MMLU-Pro was measured by another protocol (log-likelihood",
        ),
        (
            "Model,GPQA-diamond,IFEvl,HumanEval+\nmine,0.6,0.8,0.5\n",
            "unknown column 'IFEvl'; did you mean 'IFEval'",
        ),
        ("model,MMLU,HellaSwag\nmine,0.01,0.02\n", "no score is left to predict from; "),
    ],
    ids=["mode", "modes", "percent", "protocol", "typo", "below-chance"],
)
def test_bad_input_gets_one_line(capspace: Command, mine: Path, text: str, line: str) -> None:
    mine.write_text(text)
    assert line in capspace.refused("predict", mine)


def test_an_unknown_reference_is_met_with_the_known_ones(capspace: Command, mine: Path) -> None:
    line = capspace.refused("predict", mine, "--reference", "frontier-2025")
    assert "did you mean 'frontier-2026'" in line


def test_a_reference_of_one_s_own_is_shown_without_back_tests_and_terms(
    capspace: Command, tmp_path: Path
) -> None:
    names = [f"m{i}" for i in range(4)]
    scores = pd.DataFrame(
        {
            name: [0.2 + 0.1 * i + shift for i in range(4)]
            for name, shift in (("A", 0.0), ("B", 0.1), ("C", 0.2))
        },
        index=names,
    )
    out = tmp_path / "own"
    export_reference(ScoreTable.from_wide(scores), dict.fromkeys("ABC", 0.0), out)
    shown = " ".join(capspace("targets", "--reference", out).out.split())
    assert shown.startswith("Targets Name Target Description Fitted on Predicted from ")
    assert "4 base models, 4 families all but A b B B, predicted" in shown
    shown = capspace("references", "show", out).out
    assert shown.splitlines() == [
        f"{out}: a table of one's own; it states no sources",
        "how far its sources differ is not known",
    ]


def test_a_target_without_a_score_to_start_from_is_left_out_with_a_line(
    capspace: Command, tmp_path: Path
) -> None:
    names = [f"m{i:02}" for i in range(12)]
    scores = pd.DataFrame(
        {
            name: [0.2 + 0.05 * i + 0.01 * (i * k % 3) for i in range(12)]
            for k, name in enumerate("AB", start=1)
        },
        index=names,
    )
    export_reference(ScoreTable.from_wide(scores), dict.fromkeys("AB", 0.0), tmp_path / "own")
    path = tmp_path / "scores.csv"
    path.write_text("model,A\nmine,0.5\n")
    shown = json.loads(capspace("predict", path, "--reference", tmp_path / "own", "--json").out)
    assert [p["target"] for p in shown["predictions"]] == ["b"]
    assert shown["skipped"] == ["A: none of its benchmarks is in the table"]
