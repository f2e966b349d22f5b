"""Running commands in this process, and the tables they are given."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import typer

from capspace.collect.cli import main
from capspace.collect.runtime.progress import SilentProgress

BENCHMARKS = "MMLU,ARC-C,HellaSwag,Winogrande,TruthfulQA,GSM8K,XWinograd,HumanEval"
MINE = f"Model,{BENCHMARKS}\nmine,0.62,0.58,0.81,0.77,0.45,0.40,0.80,0.30\n"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


# Making the commands out of their functions takes longer than most of them run.
_made_once = cache(typer.main.get_command)


class Command:
    """Runs a command in this process, as the console script does."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Ran:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([*map(str, arguments)])
        printed = self._capsys.readouterr()
        code = stop.value.code
        return Ran(
            code if isinstance(code, int) else int(code is not None), printed.out, printed.err
        )

    def refused(self, *arguments: object) -> str:
        """Run what must be refused and return its one line."""
        run = self(*arguments)
        assert run.code == 2, run
        lines = run.err.strip().splitlines()
        assert len(lines) == 1, run.err
        assert lines[0].startswith("capspace: ")
        return lines[0]


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Let writing fail beyond some bytes, as it does where a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Notes(SilentProgress):
    """Remembers the notes of a run."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Remember it."""
        self.lines.append(text)


@pytest.fixture
def capspace(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(typer.main, "get_command", _made_once)
    return Command(capsys)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "scores.csv"
    path.write_text(MINE)
    return path


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wide table, in the study's layout, of 40 models of 8 families and a target."""
    import pandas as pd  # here, as the engine's tests run where it is not

    rng = np.random.default_rng(7)
    rows = []
    for family in range(8):
        for size in range(5):
            flops = 10.0 ** (0.6 * size + 0.1 * family)
            skill = 0.5 * np.log10(flops) - 0.7 + 0.1 * rng.normal()
            sigmoid = 1 / (1 + np.exp(-(skill + rng.normal(0, 0.15, 4))))
            rows.append(
                {
                    "Model": f"org{family}/m{size}",
                    "Model Family": f"F{family}",
                    "Model Size (B)": 0.1 * 4**size,
                    "FLOPs (1E21)": flops,
                    "MMLU": 0.25 + 0.6 * sigmoid[0],
                    "ARC-C": 0.25 + 0.5 * sigmoid[1],
                    "HellaSwag": 0.25 + 0.7 * sigmoid[2],
                    "GSM8K": 0.8 * sigmoid[3],
                    "Agents": 1 / (1 + np.exp(-(2 * skill - 0.5))),
                    "Agents, treated": 1 / (1 + np.exp(-(2 * skill + 0.5))),
                }
            )
    path = tmp_path_factory.mktemp("zoo") / "zoo.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path
