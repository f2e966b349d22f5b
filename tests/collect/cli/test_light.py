"""The commands on published scores import nothing that they do not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from packaging.version import Version

HEAVY = {"torch", "transformers", "lm_eval", "datasets", "matplotlib", "pandas", "pyarrow"}
FITTING = {"scipy", "sklearn"}
ROWS = (
    "model,GPQA-diamond,MMLU-Pro,IFEval,AIME 2025,release_date\nmine,0.66,0.78,0.86,0.7,2025-09\n"
)

IMPORTED = """
import sys
from capspace.collect.cli import main
commands = {commands!r}
for words in commands:
    try:
        main(words)
    except SystemExit as stop:
        assert not stop.code, words
print(*sys.modules, file=sys.stderr)
"""


def imported(*commands: list[str]) -> set[str]:
    """Return the modules that commands import in a fresh interpreter."""
    script = IMPORTED.format(commands=list(commands))
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stderr.split())


@pytest.fixture
def scores(tmp_path: Path) -> str:
    path = tmp_path / "scores.csv"
    path.write_text(ROWS)
    return str(path)


@pytest.mark.slow
def test_published_scores_need_numpy_alone(scores: str) -> None:
    shown = (["targets"], ["references"])
    modules = imported(["predict", scores], ["predict", scores, "--json"], *shown)
    assert {name.partition(".")[0] for name in modules}.isdisjoint(HEAVY | FITTING)
    # Of the command line only what the command is made of.
    assert "capspace.collect.cli.gather" not in modules
    assert "capspace.collect.settings" not in modules


@pytest.mark.slow
def test_json_needs_no_tables_and_a_packaged_reference_no_yaml(scores: str) -> None:
    unused = {"rich", "yaml"} | ({"numpy.ma"} if Version(np.__version__) >= Version("2") else set())
    assert unused.isdisjoint(imported(["predict", scores, "--json"]))


@pytest.mark.slow
def test_measuring_needs_no_law() -> None:
    """No law is fitted as a model is measured, and its libraries are imported when it is loaded."""
    script = "import sys, capspace.collect.run.collect; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names = {name.partition(".")[0] for name in run.stdout.split()}
    assert names.isdisjoint(FITTING | {"nltk", "peft", "torch", "transformers", "lm_eval"})
