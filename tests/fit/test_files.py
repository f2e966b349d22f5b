"""Every file that capspace.fit writes is there whole, or as it was before."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_files import files_limited_to

from capspace.fit import ScoreTable, draw_baselines, save, write_report, write_table
from capspace.fit._files import replacing
from capspace.fit.errors import FitError, TableError
from capspace.fit.law import JackknifePlus
from capspace.fit.prediction import place_model
from capspace.fit.reference import load_reference

ROW = {"MMLU": 0.62, "HellaSwag": 0.81, "GSM8K": 0.4}


def write_many_scores(path: Path) -> None:
    wide = pd.DataFrame(np.linspace(0, 1, 200).reshape(50, 4), columns=list("ABCD"))
    write_table(ScoreTable.from_wide(wide.rename("m{}".format)), path)


def save_a_figure(path: Path) -> None:
    save(draw_baselines({"law": 1e-3, "FLOPs": 0.04}, ours="law", label="BBH"), path)


@pytest.mark.parametrize(
    ("name", "write", "error"),
    [
        ("scores.csv", write_many_scores, TableError),
        ("scores.parquet", write_many_scores, TableError),
        ("figure.png", save_a_figure, OSError),
        ("figure.svg", save_a_figure, OSError),
    ],
)
def test_a_file_that_does_not_fit_on_the_disk_leaves_the_earlier_one(
    tmp_path: Path, name: str, write: Callable[[Path], None], error: type[Exception]
) -> None:
    path = tmp_path / name
    path.write_text("earlier")
    with files_limited_to(1024), pytest.raises(error, match="too large"):
        write(path)
    assert path.read_text() == "earlier"
    assert [p.name for p in tmp_path.iterdir()] == [name]
    write(path)
    assert path.read_bytes() != b"earlier"


@pytest.mark.slow
def test_a_report_that_does_not_fit_on_the_disk_leaves_the_earlier_one(tmp_path: Path) -> None:
    table = ScoreTable.from_wide(pd.DataFrame(ROW, index=["mine"]))
    placement = place_model(table, load_reference(), targets=["agentbench"], method=JackknifePlus())
    (tmp_path / "report.html").write_text("earlier")
    with files_limited_to(300_000), pytest.raises(FitError, match=r"cannot write the report to"):
        write_report(placement, tmp_path)
    assert (tmp_path / "report.html").read_text() == "earlier"
    assert not [p for p in tmp_path.iterdir() if "partial" in p.name]


def test_a_table_in_a_folder_that_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"none/scores\.csv: cannot be written") as caught:
        write_many_scores(tmp_path / "none" / "scores.csv")
    assert "\n" not in str(caught.value)


def test_a_link_keeps_its_goal_and_a_file_its_rights(tmp_path: Path) -> None:
    goal, link = tmp_path / "goal", tmp_path / "link"
    goal.write_text("earlier")
    goal.chmod(0o600)
    link.symlink_to(goal)
    with replacing(link) as partial:
        partial.write_text("new")
    assert link.is_symlink()
    assert goal.read_text() == "new"
    assert goal.stat().st_mode & 0o777 == 0o600


def test_what_is_no_plain_file_is_written_to_as_it_is() -> None:
    write_many_scores(Path("/dev/null"))
    assert not Path("/dev/null").is_file()
