"""``complete`` fills the gaps of a user's table, and leaves what is known as it is."""

import json
from pathlib import Path

import pandas as pd
import pytest
from commands import Command

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
    gaps = cells[~cells["known"]]
    assert ((gaps["lower"] <= gaps["score"]) & (gaps["score"] <= gaps["upper"])).all()
    assert (gaps["lower"] < gaps["upper"]).all()
    assert set(gaps["status"].dropna()) == {"offered", "weak", "refused"}


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
    assert (less[~first["known"]] < width[~first["known"]]).all()
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
    assert "study-2024 has no stored laws" in line
