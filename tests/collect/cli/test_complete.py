"""``complete`` fills the gaps of a user's table, and leaves what is known as it is."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from commands import Command

from capspace.fit import ScoreTable, complete_table, load_reference

COLUMNS = "Model,GPQA-diamond,MMLU-Pro,aider-polyglot/diff,release_date,mode"
ROWS = "mine-32B,0.66,0.78,0.45,2025-09-01,thinking\nother,0.5,,,2025-06-01,chat\n"


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    path = tmp_path / "scores.csv"
    path.write_text(f"{COLUMNS}\n{ROWS}")
    return path


def test_gaps_are_filled_with_intervals(capspace: Command, sparse: Path) -> None:
    csv = sparse.with_name("filled.csv")
    shown = capspace("complete", sparse, "--reference", "frontier-2026", "--csv", csv).out
    assert shown.startswith("frontier-2026: named by --reference")
    assert "mine-32B: scores that are missing" in shown
    assert "90% interval" in shown
    assert "llm-stats" in shown  # the attribution
    cells = pd.read_csv(csv).set_index(["model", "benchmark"])
    known = cells[cells["known"]]
    assert len(known) == 4
    assert known.loc[("mine-32B", "aider-polyglot/diff"), "score"] == 0.45
    assert (known["lower"] == known["upper"]).all()
    missing = cells[~cells["known"]]
    refused = missing["gate"].notna() | (missing["status"] == "refused")
    assert (missing["score"].isna() == refused).all()
    assert missing.loc[refused, "reason"].notna().all()
    fewer = missing.loc["other"]["gate"].dropna()
    assert "fewer than 2 of the reference's cheap benchmarks are known" in set(fewer)
    assert "MMLU-Pro" not in fewer  # of a cheap benchmark there is a number
    gaps = missing[~refused]
    assert ((gaps["lower"] <= gaps["score"]) & (gaps["score"] <= gaps["upper"])).all()
    assert (gaps["lower"] < gaps["upper"]).all()
    assert set(gaps["status"].dropna()) == {"offered", "weak"}
    assert "no number for mine-32B: bfcl-v4/multi-turn: the trend baseline does as well" in shown
    forced = capspace("complete", sparse, "--reference", "frontier-2026", "--force", "--json").out
    by_force = pd.DataFrame(json.loads(forced)["cells"]).set_index(["model", "benchmark"])
    assert by_force["score"].notna().all()
    reasons = cells["reason"].fillna("")
    assert by_force["reason"].to_dict() == reasons.to_dict()
    pd.testing.assert_series_equal(by_force.loc[gaps.index, "score"], gaps["score"])


def test_a_known_target_helps_and_a_lower_level_is_narrower(
    capspace: Command, sparse: Path
) -> None:
    def cells(*more: str) -> pd.DataFrame:
        made = capspace("complete", sparse, "--reference", "frontier-2026", "--json", *more).out
        document = json.loads(made)
        assert document["reference"]["attribution"]
        return pd.DataFrame(document["cells"]).set_index(["model", "benchmark"])

    first, narrow = cells(), cells("--level", "0.5")
    width, less = (t["upper"] - t["lower"] for t in (first, narrow))
    has_width = ~first["known"] & first["score"].notna()
    assert (less[has_width] < width[has_width]).all()
    sparse.write_text(sparse.read_text().replace("0.45", "0.85"))
    swe = ("mine-32B", "swe-bench-verified/vendor")
    assert cells().loc[swe, "score"] > first.loc[swe, "score"]


@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        ("Model,GPQA-diamond,IFEval", "mine,0.5,85", "mine: IFEval is 85, outside"),
        ("Model,nonsense", "mine,0.5", "nonsense"),
    ],
)
def test_bad_input_is_one_line(
    capspace: Command, tmp_path: Path, columns: str, rows: str, message: str
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(f"{columns}\n{rows}\n")
    out = tmp_path / "out.csv"
    assert message in capspace.refused("complete", path, "--csv", out)
    assert not out.exists()


def test_a_reference_without_stored_laws_cannot_fill(capspace: Command, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("Model,MMLU,GSM8K\nmine,0.5,0.4\n")
    line = capspace.refused("complete", path, "--reference", "study-2024")
    assert "study-2024 has no stored laws (laws.npz, laws.json); capspace predict, and" in line
    path.write_text("Model,IFEval,BBH\nmine,0.5,0.4\n")
    line = capspace.refused("complete", path, "--reference", "openllm-v2")
    assert "openllm-v2 knows none of the columns; it has leaderboard_ifeval, " in line


def test_a_model_that_is_too_new_or_states_no_date_has_no_number_and_says_so(
    capspace: Command, tmp_path: Path
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("Model,GPQA-diamond,MMLU-Pro,release_date\nlate,0.7,0.8,2027-06\nno,0.6,0.7,\n")
    frontier = ("--reference", "frontier-2026")
    shown = capspace("complete", path, *frontier, "--release-date", "2027-05").out
    assert "scores that are missing" not in shown
    late = "the model was released more than 6 months after the last model of the reference"
    (first, second) = (line for line in shown.splitlines() if " columns: " in line)
    assert first.startswith(f"no number for late: 83 columns: {late}")
    assert "with the given release date, 2027-05-31, the model was released" in second
    assert (
        shown.count("the column release_date states the date of the model and takes precedence")
        == 1
    )
    assert "no number for no: 83" in second
    in_time = capspace("complete", path, *frontier, "--release-date", "2025-05").out
    assert "no: scores that are missing" in in_time
    assert "no release date" not in in_time


LONG = "model,benchmark,score,date,cut,release_date"
EARLY = [f"{{}},{b},2025-05,2025-06,2025-05" for b in ("GPQA-diamond,0.6", "MMLU-Pro,0.7")]
LATER = [f"{{}},{b},2025-09,2025-06,2025-05" for b in ("hle/no-tools,0.5", "AIME 2025,0.99")]


def test_a_models_own_later_scores_never_help(capspace: Command, tmp_path: Path) -> None:
    def cells(name: str, rows: list[str]) -> pd.DataFrame:
        path = tmp_path / "long.csv"
        path.write_text("\n".join([LONG, *rows]).format(*[name] * 9) + "\n")
        made = capspace("complete", path, "--reference", "frontier-2026", "--json").out
        document = json.loads(made)
        later = [note for note in document["notes"] if "after the cut 2025-06; left out" in note]
        assert len(later) == len(rows) - len(EARLY)
        return pd.DataFrame(document["cells"])

    pd.testing.assert_frame_equal(cells("mine", [*EARLY, *LATER]), cells("mine", EARLY))


@pytest.mark.slow
def test_what_the_reference_has_of_a_model_does_not_fill_its_gaps() -> None:
    reference = load_reference("frontier-2026")
    name = "claude-sonnet-4.5"
    own = reference.scores().loc[[name], ["GPQA-diamond", "MMLU-Pro"]]
    table = ScoreTable.from_wide(own)
    rows = reference.table.scores
    others = ~(rows["model"] == name) | rows["benchmark"].isin(own.columns)
    without = replace(reference, table=replace(reference.table, scores=rows[others]))
    filled, expected = complete_table(table, reference), complete_table(table, without)
    pd.testing.assert_frame_equal(filled, expected)
    assert filled["known"].sum() == 2
