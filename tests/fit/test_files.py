"""Every file that capspace.fit writes is there whole, or as it was before."""

import os
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_disk import enter_mounts_of_its_own, skip_without_namespaces
from small_files import files_limited_to

from capspace.fit import ScoreTable, draw_baselines, save, write_report, write_table
from capspace.fit._files import append_line, replacing, write_new, write_together, write_whole
from capspace.fit.errors import FitError, TableError
from capspace.fit.law import JackknifePlus
from capspace.fit.prediction import place_model
from capspace.fit.reference import load_reference

ROW = {"MMLU": 0.62, "HellaSwag": 0.81, "GSM8K": 0.4}


def write_many_scores(path: Path) -> None:
    wide = pd.DataFrame(np.linspace(0, 1, 200).reshape(50, 4), columns=list("ABCD"))
    write_table(ScoreTable.from_wide(wide.rename("m{}".format)), path)


def save_a_figure(path: Path) -> None:
    # So coarse that the PNG fits where the SVG does not.
    dpi = 10 if path.suffix == ".svg" else 200
    save(draw_baselines({"law": 1e-3, "FLOPs": 0.04}, ours="law", label="BBH"), path, dpi=dpi)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "limit", "write", "error"),
    [
        ("scores.csv", 1024, write_many_scores, TableError),
        ("scores.parquet", 1024, write_many_scores, TableError),
        ("figure.png", 1024, save_a_figure, OSError),
        ("figure.svg", 8192, save_a_figure, OSError),
    ],
    ids=["scores.csv", "scores.parquet", "figure.png", "figure.svg"],
)
def test_a_file_that_does_not_fit_on_the_disk_leaves_the_earlier_one(
    tmp_path: Path, name: str, limit: int, write: Callable[[Path], None], error: type[Exception]
) -> None:
    path = tmp_path / name
    path.write_text("earlier")
    with files_limited_to(limit), pytest.raises(error, match="too large"):
        write(path)
    assert path.read_text() == "earlier"
    assert [p.name for p in tmp_path.iterdir()] == [name]
    write(path)
    assert path.stat().st_size > limit
    if name == "figure.svg":  # which is what did not fit
        assert path.with_suffix(".png").stat().st_size < limit


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
    assert partial.name == "link"  # whose ending says what it is
    assert link.is_symlink()
    assert goal.read_text() == "new"
    assert goal.stat().st_mode & 0o777 == 0o600


def test_what_is_no_plain_file_is_written_to_as_it_is() -> None:
    write_many_scores(Path("/dev/null"))
    assert not Path("/dev/null").is_file()


def test_links_around_a_circle_are_refused_in_one_line(tmp_path: Path) -> None:
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)
    with pytest.raises(TableError, match=r"loop\.csv: cannot be written \(Too many levels"):
        write_many_scores(loop)
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        write_whole(loop, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["loop.csv"]
    assert loop.is_symlink()


@pytest.mark.parametrize(
    "name", ["n" * 251 + ".csv", "\u00e9" * 125 + ".csv"], ids=["letters", "accents"]
)
def test_a_name_may_be_as_long_as_a_name_can_be(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_many_scores(path)
    write_many_scores(path)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("folder_is_closed", [False, True], ids=["mount", "closed folder"])
def test_a_file_that_cannot_be_replaced_is_written_in_place(
    tmp_path: Path, folder_is_closed: bool
) -> None:
    skip_without_namespaces()
    source, folder = tmp_path / "source", tmp_path / "folder"
    folder.mkdir()
    mounted = folder / "scores.csv"
    source.write_text("earlier, and longer")
    mounted.touch()

    def write_on_a_mount() -> None:
        enter_mounts_of_its_own()
        if folder_is_closed:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], check=True)
            mounted.touch()
        subprocess.run(["mount", "--bind", source, mounted], check=True)
        if folder_is_closed:
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        write_whole(mounted, "new")
        assert source.read_text() == mounted.read_text() == "new"
        with files_limited_to(8), pytest.raises(OSError, match="too large"):
            write_whole(mounted, "0123456789")
        assert source.read_text() == "new"
        assert os.listdir(folder) == ["scores.csv"]  # noqa: PTH208 - names are compared

    in_a_process_of_its_own(write_on_a_mount)


def test_a_file_in_a_folder_that_takes_none_is_written_in_place_or_gets_back_what_it_held() -> None:
    name, score = Path("/proc/self/comm"), Path("/proc/self/oom_score_adj")
    earlier, held = name.read_text(), score.read_text()
    try:
        write_whole(name, "scores")
        assert name.read_text() == "scores\n"
    finally:
        name.write_text(earlier)
    with pytest.raises(OSError, match="Invalid argument"):
        write_whole(score, "1001")  # above what the kernel takes
    assert score.read_text() == held


def in_a_process_of_its_own(check: Callable[[], None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which it does not use
        child = os.fork()
    if child == 0:
        try:
            check()
        except BaseException as error:  # whatever it is, the child must not go on as pytest
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_files_that_belong_together_are_all_replaced_or_none(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("earlier")
    with files_limited_to(16), pytest.raises(OSError, match="too large"):
        write_together({first: "new", second: "x" * 17})
    assert first.read_text() == "earlier"
    assert [p.name for p in tmp_path.iterdir()] == ["first"]


def test_a_new_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new"
    with files_limited_to(16), pytest.raises(OSError, match="too large"):
        write_new(path, "x" * 17)
    assert not path.exists()
    write_new(path, "x" * 17)
    with pytest.raises(FileExistsError):
        write_new(path, "other")
    assert path.read_text() == "x" * 17


def test_a_line_that_does_not_fit_leaves_neither_file_nor_folder(tmp_path: Path) -> None:
    with files_limited_to(16), pytest.raises(OSError, match="too large"):
        append_line(tmp_path / "deep" / "er" / "lines", "x" * 17)
    assert not list(tmp_path.iterdir())
    (tmp_path / "link").symlink_to(tmp_path / "goal")
    with files_limited_to(16), pytest.raises(OSError, match="too large"):
        append_line(tmp_path / "link", "x" * 17)
    assert [p.name for p in tmp_path.iterdir()] == ["link"]
