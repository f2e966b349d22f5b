"""Several references answer ``predict`` side by side, each by its own laws."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from commands import Command

HEADER = "model,GPQA-diamond,MMLU-Pro,MATH level 5,OTIS Mock AIME,release_date,mode"
BOTH = ("--reference", "frontier-2026", "--reference", "epoch-2026")


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    path = tmp_path / "scores.csv"
    path.write_text(f"{HEADER}\nmine,0.66,0.78,0.93,0.55,2025-09,thinking\n")
    return path


def test_each_answers_and_what_both_predict_stands_side_by_side(
    capspace: Command, scores: Path, tmp_path: Path
) -> None:
    out = tmp_path / "predictions.csv"
    made = json.loads(capspace("predict", scores, *BOTH, "--json", "--csv", out).out)
    assert [a["reference"]["name"] for a in made["references"]] == ["frontier-2026", "epoch-2026"]
    for name, answer in zip(("frontier-2026", "epoch-2026"), made["references"], strict=True):
        alone = json.loads(capspace("predict", scores, "--reference", name, "--json").out)
        assert answer["predictions"] == alone["predictions"]
    by_target = {shared["target"]: shared["predictions"] for shared in made["shared"]}
    assert "arc-agi-1/semi-private" in by_target
    assert "mmmu/val" not in by_target
    for predictions in by_target.values():
        assert list(predictions) == ["frontier-2026", "epoch-2026"]
    rows = pd.read_csv(out)
    assert set(rows["reference"]) == {"frontier-2026", "epoch-2026"}

    shown = capspace("predict", scores, *BOTH).out
    beside = shown.partition("mine: side by side")[2]
    assert "arc-agi-1/semi-private" in beside
    assert "–" in beside.partition("arc-agi-1/semi-private")[2].splitlines()[0]
    assert "Epoch AI, 'AI Benchmarking Hub'" in shown
    assert "BenchPress" in shown


@pytest.mark.slow
def test_a_column_that_only_another_named_reference_knows_is_no_clash(
    capspace: Command, tmp_path: Path
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("model,GPQA-diamond,leaderboard_gpqa,leaderboard_bbh\nmine,0.3,0.3,0.5\n")
    both = ("--reference", "frontier-2026", "--reference", "openllm-v2")
    alone = json.loads(capspace("predict", path, *both[:2], "--json").out)
    left_out = "not known to frontier-2026, left out: leaderboard_gpqa, leaderboard_bbh"
    assert left_out in alone["notes"]
    made = json.loads(capspace("predict", path, *both, "--json").out)
    assert [a["reference"]["name"] for a in made["references"]] == ["frontier-2026", "openllm-v2"]
    assert not any("left out" in note for a in made["references"] for note in a["notes"])


def test_targets_go_to_the_references_that_have_them(capspace: Command, scores: Path) -> None:
    words = ("--target", "hle/no-tools", "--target", "mmmu/val", "--json")
    made = json.loads(capspace("predict", scores, *BOTH, *words).out)
    first, second = ([p["target"] for p in a["predictions"]] for a in made["references"])
    assert first == ["hle/no-tools", "mmmu/val"]
    assert second == ["hle/no-tools"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--reference", "epoch-2026", "--reference", "epoch-2026"), "epoch-2026 is given twice"),
        ((*BOTH, "--reference", "openllm-v2"), "no benchmark of openllm-v2, which predicts from"),
        ((*BOTH, "--target", "mmmu/val"), "epoch-2026 has none of the targets mmmu/val"),
        ((*BOTH, "--target", "hle"), "unknown target 'hle'"),
        ((*BOTH, "--release-date", "May"), "--release-date is 'May'; write dates as"),
        (("--release-date", ""), "--release-date is empty"),
        (("--release-date", "2025-08-01T00:00"), "; write the day alone, as 2025-08-01"),
        (("--release-date", "2101"), "--release-date is '2101', in the far future"),
    ],
    ids=["twice", "no-column", "no-target", "unknown-target", "date", "empty-date", "time", "far"],
)
def test_what_cannot_be_answered_is_one_line(
    capspace: Command, scores: Path, words: tuple[str, ...], line: str
) -> None:
    assert line in capspace.refused("predict", scores, *words)


def test_a_release_date_is_given_for_all_models_without_one(
    capspace: Command, tmp_path: Path
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("model,GPQA-diamond,MMLU-Pro\nmine,0.66,0.78\n")
    late = capspace("predict", path, "--release-date", "2027-06").out
    assert "release_date" not in late
    assert "is assumed" not in late
    assert "with the given release date, 2027-06-30, the model was released more than" in late
    in_time = capspace("predict", path, "--release-date", "2025-09").out
    assert "mine: offered" in in_time
    assert "release_date" not in in_time
    path.write_text("model,GPQA-diamond,MMLU-Pro,release_date\nmine,0.66,0.78,2025-03\n")
    both = capspace("predict", path, "--release-date", "2025-09").out
    assert (
        both.count("the column release_date states the date of the model and takes precedence") == 1
    )
    dated = tmp_path / "dated.csv"
    dated.write_text("model,GPQA-diamond,MMLU-Pro,release_date\nmine,0.66,0.78,2025-09-30\n")
    assert capspace("predict", dated).out == in_time
