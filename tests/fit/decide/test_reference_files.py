"""What lies beside a reference's tables is read from its own folder, and refused where damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from capspace.fit import ScoreTable, load_reference, predict_targets
from capspace.fit.decide._options import make_outlook
from capspace.fit.decide._reference_siblings import sibling_model
from capspace.fit.errors import FitError
from capspace.fit.reference._packaged import reference_folder
from capspace.fit.reference.left_out import LEFT_OUT, left_out_of, stale_note


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of a packaged reference, which can be changed."""
    own = tmp_path / "copied"
    shutil.copytree(str(reference_folder("study-2024")), own)
    return own


def test_a_copied_folder_uses_its_own_files(copied: Path) -> None:
    lines = (copied / LEFT_OUT).read_text().splitlines()
    (copied / LEFT_OUT).write_text("\n".join(lines[:6]) + "\n")
    left_out = left_out_of(load_reference(copied))
    assert left_out is not None
    assert len(left_out) == 5
    (copied / LEFT_OUT).unlink()
    assert left_out_of(load_reference(copied)) is None
    assert left_out_of(load_reference("study-2024")) is not None


def test_a_copy_with_other_tables_has_no_track_record(copied: Path) -> None:
    from capspace.fit.reference._digest import table_content

    content = table_content(copied, "models.csv")
    (copied / "models.csv.gz").unlink(missing_ok=True)
    (copied / "models.csv").write_bytes(content + b"\n")
    changed = load_reference(copied)
    assert left_out_of(changed) is None
    assert f"{LEFT_OUT} is not used: it is of the packaged study-2024" in stale_note(changed)
    assert stale_note(load_reference("study-2024")) == ""


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("bbh,0.5,0.4,1.6,0.5", "upper is 1.6, not in"),
        ("bbh,0.5,0.6,0.4,0.5", "lower lies above upper"),
        ("bbh,0.5,0.4,,0.5", "upper is nan, not in"),
    ],
)
def test_damaged_models_left_out_are_refused(copied: Path, row: str, message: str) -> None:
    (copied / LEFT_OUT).write_text(f"target,predicted,lower,upper,score\n{row}\n")
    with pytest.raises(FitError, match=rf"{LEFT_OUT}: .*{message}"):
        left_out_of(load_reference(copied))


@pytest.mark.parametrize("damage", ["{", "[]", "{}", "units", "knots", "generated"])
def test_damaged_siblings_are_refused(copied: Path, damage: str) -> None:
    file = copied / "siblings.json"
    state = json.loads(file.read_text())
    if damage == "units":
        state["units"] = 3
    elif damage == "knots":
        state["units"]["knot"] = state["units"]["knot"][:-1]
    elif damage == "generated":
        state["generated"] = state["generated"][1:]
    file.write_text(damage if damage in ("{", "[]", "{}") else json.dumps(state))
    with pytest.raises(FitError, match=r"siblings\.json: damaged"):
        sibling_model(load_reference(copied))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "benchmark", "target"),
    [("study-2024", "MMLU", "bbh"), ("frontier-2026", "GPQA-diamond", "hle/no-tools")],
)
def test_scores_on_few_items_widen_verdicts(name: str, benchmark: str, target: str) -> None:
    reference = load_reference(name)

    def width(n_items: float) -> float:
        table = on_items(benchmark, n_items)
        outlook = make_outlook(table, "z", reference, [reference.target(target)], force=True)
        return float(outlook.now().width[0])

    assert width(1) > 1.3 * width(1000)
    assert width(1000) >= 0.99 * width(np.nan)
    if reference.laws is not None:
        (few,) = predict_targets(on_items(benchmark, 1), reference, targets=[target], force=True)
        assert few.upper - few.lower == pytest.approx(width(1))


def on_items(benchmark: str, n_items: float) -> ScoreTable:
    cells = {"model": ["z"], "benchmark": [benchmark], "score": [0.5], "n_items": [n_items]}
    return ScoreTable.from_cells(cells, {"model": ["z"], "release_date": ["2025-06"]})
