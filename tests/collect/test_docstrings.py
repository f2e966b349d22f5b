"""The examples in the docstrings of what measures and places run, and give what they say."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from pathlib import Path

import pytest

from capspace.collect import collect_scores, place, place_collection
from capspace.tasks import load_panel, panel_names


def failures(*functions: Callable[..., object]) -> int:
    runner = doctest.DocTestRunner()
    for function in functions:
        for example in doctest.DocTestFinder(exclude_empty=True).find(function):
            runner.run(example)
    assert runner.tries >= 2 * len(functions)
    return runner.failures


def test_examples_of_panels_run() -> None:
    assert failures(load_panel, panel_names) == 0


@pytest.mark.slow
def test_examples_of_measuring_run(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my-model").symlink_to(tiny_checkpoint)
    assert failures(collect_scores, place, place_collection) == 0
