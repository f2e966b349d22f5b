"""What the README says runs, runs: each command and each block of Python."""

import re
import shlex
import shutil
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from checkout import ROOT
from commands import MINE, Command

from capspace.collect.zoo.config.config import read_zoo

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once", "laws_fitted_once")

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


COMMANDS = [
    line.split("#")[0].strip()
    for block in blocks("bash")
    for line in block.splitlines()
    if line.startswith("capspace ")
]


@pytest.fixture
def desk(tmp_path: Path, zoo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the files the README names."""
    monkeypatch.chdir(tmp_path)
    scores = pd.read_csv(StringIO(MINE)).assign(**{"GPQA-diamond": 0.58, "MMLU-Pro": 0.74})
    other = scores.assign(Model="other", MMLU=0.7, GSM8K=0.6)
    pd.concat([scores, other]).assign(release_date="2025-09").to_csv("scores.csv", index=False)
    pd.read_csv(zoo).rename(columns={"Agents, treated": "Treated"}).to_csv("base.csv", index=False)
    return tmp_path


def test_the_readme_has_commands_and_python() -> None:
    assert len(COMMANDS) >= 5
    assert blocks("python")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_command_runs(
    capspace: Command, desk: Path, tiny_checkpoint: Path, command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("CAPSPACE_DATA_ROOT", "embedded")
    shutil.copytree(tiny_checkpoint, "other")
    words = shlex.split(command)[1:]
    if words[0] in ("place", "collect"):
        words = [w for w in words if w not in ("--panel", "classic-8")]
        words += ["--panel", "smoke", "--limit", "1"]
    names = {"org/model": str(tiny_checkpoint), "org/other": "other"}
    run = capspace(*(names.get(word, word) for word in words))
    assert run.code == 0, run.err


@pytest.mark.parametrize(("code", "printed"), [*zip(blocks("python"), ("mine: 0.",), strict=True)])
def test_python_runs(
    desk: Path, code: str, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own README
    assert printed in capsys.readouterr().out


def test_output_it_shows_is_printed_but_for_the_digits(
    capspace: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tutorial = (ROOT / "docs" / "tutorials" / "score-table.md").read_text()
    (table,) = re.findall(r'```csv title="scores.csv"\n(.*?)```', tutorial, flags=re.DOTALL)
    Path("scores.csv").write_text(table)
    (shown,) = blocks("text")
    printed = _masked(capspace("predict", "scores.csv", "--target", "hle/no-tools").out)
    assert [line for line in _masked(shown) if line not in printed] == []


def _masked(text: str) -> list[str]:
    """Return the lines with each digit as 0, as a reference's update changes numbers.

    A rule is a single dash, as versions of rich differ on the width of a table.
    """
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [re.sub("─+", "─", re.sub(r"\d", "0", line)) for line in lines]


@pytest.mark.parametrize("text", blocks("yaml"))
def test_zoo_file_is_right(tmp_path: Path, text: str) -> None:
    path = tmp_path / "zoo.yaml"
    path.write_text(text)
    config = read_zoo(path).config
    assert [entry.ref for entry in config.checkpoints][-1] == "org/model"
    assert config.limits.disk == 500 * 10**9


def test_names_it_imports_from_the_packages_are_functions_and_classes() -> None:
    inline = re.findall(r"`(from capspace\.\w+ import [\w, ]+)`", README)
    assert "from capspace.collect import collect_scores, place" in inline
    for line in inline:
        names: dict[str, object] = {}
        exec(line, names)  # noqa: S102 - our own README
        names.pop("__builtins__")
        assert all(callable(value) for value in names.values())


def test_pictures_and_pages_are_there() -> None:
    assert len(re.findall(r"!\[[^\]]*\]", README)) == 2
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / link).is_file(), link
