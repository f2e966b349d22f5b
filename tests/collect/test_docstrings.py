"""The examples in the docstrings of what measures and places run, and give what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest
from checkout import ROOT

FILES = sorted(
    file
    for part in ("collect", "tasks")
    for file in (ROOT / part).rglob("*.py")
    if ">>> " in file.read_text()
)
MODULES = [
    ".".join(("capspace", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for file in FILES
]
OF_A_MODEL = {"capspace.collect.run.collect", "capspace.collect.run._place"}


def run_examples(name: str) -> None:
    module = import_module(name)
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder(exclude_empty=True).find(module):
        runner.run(example)
    assert runner.tries
    assert not runner.failures


@pytest.mark.parametrize("name", sorted({*MODULES} - OF_A_MODEL))
def test_examples_run(name: str) -> None:
    run_examples(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OF_A_MODEL))
def test_examples_of_measuring_run(
    name: str, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my-model").symlink_to(tiny_checkpoint)
    run_examples(name)
