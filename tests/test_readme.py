"""What the README shows is so; its commands are run by ``scripts/docs``."""

import json
import re
import shlex
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

import pandas as pd
import pytest
from checkout import ROOT
from commands import MINE, Command

from capspace.collect.zoo.config.config import read_zoo

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}(?: [^\n]*)?\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the table that its Python reads."""
    monkeypatch.chdir(tmp_path)
    scores = pd.read_csv(StringIO(MINE)).assign(**{"GPQA-diamond": 0.58, "MMLU-Pro": 0.74})
    other = scores.assign(Model="other", MMLU=0.7, GSM8K=0.6)
    pd.concat([scores, other]).assign(release_date="2025-09").to_csv("scores.csv", index=False)
    return tmp_path


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


CONSOLE = """
import sys
from capspace.collect.cli import main
from capspace.collect.runtime.progress import PlainProgress

# A line about items for each chunk, where a run that takes minutes has one in half a minute.
PlainProgress.__init__.__kwdefaults__["every"] = 0.0
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.usefixtures("forked")
def test_a_killed_run_resumes_and_prints_what_the_page_shows(
    tiny_checkpoint: Path, fault_tasks: Path, tmp_path: Path
) -> None:
    (shown,) = blocks("console")
    lines = shown.splitlines()
    first, again = (
        [sys.executable, "-c", CONSOLE, *shlex.split(line[2:], comments=True)[1:]]
        for line in lines
        if line.startswith("$ capspace ")
    )
    assert first == again
    (tmp_path / "my-model").symlink_to(tiny_checkpoint)
    panel: dict[str, Any] = {"name": "mine", "version": 1, "description": "Two benchmarks."}
    common = {"n_shot": 0, "metric": "acc", "chance": 0.25, "source": "made up"}
    panel["benchmarks"] = [
        {"name": "ARC-C", "tasks": ["fault_choice"], **common},
        {"name": "Answer", "tasks": ["fault_answer"], **common, "metric": "exact_match"},
    ]
    (tmp_path / "mine.yaml").write_text(json.dumps(panel))
    slowly = ["--include-path", str(fault_tasks), "--device", "cpu", "--batch-size", "8"]
    command = [*first, *slowly, "--backend", "hf"]
    killed = ""
    with subprocess.Popen(command, cwd=tmp_path, stdout=PIPE, stderr=STDOUT, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            killed += line
            # At most 432 of the 1,000 responses were not on disk by then.
            if re.match(r"\[1/2\] ARC-C: (1[5-9]\d|2\d\d)/250 items", line):
                run.kill()
    assert run.returncode == -signal.SIGKILL, killed
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = [*_numberless(killed), *_numberless(done.stdout + done.stderr)]
    of_output = "\n".join(line for line in lines if not line.startswith("$"))
    assert [line for line in _numberless(of_output) if line not in printed] == []


def _numberless(text: str) -> list[str]:
    """Return the lines with each number but those of a label as 0."""
    return [re.sub(r"(?<![\[/])\b\d[\d.,]*\b(?<![.,])", "0", line) for line in text.splitlines()]


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
