"""What runs of lm-eval's own command leave behind, and its task files read once for many runs."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from capspace.collect.journal import Journal


def results(out: Path) -> tuple[Any, list[Any]]:
    """Return the newest scores and samples that lm-eval wrote."""
    scores, samples = max(out.rglob("results_*.json")), max(out.rglob("samples_*.jsonl"))
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    return json.loads(scores.read_text())["results"], lines


def n_kept(store: Path) -> int:
    """Return how many answers a store keeps."""
    with Journal(store / "journal") as journal:
        return sum(journal.info().n_answers.values())


@contextmanager
def tasks_indexed_once() -> Iterator[None]:
    """Let lm-eval's command read its own 14,000 task files once: it takes six seconds each time."""
    if importlib.util.find_spec("lm_eval.tasks._index") is None:  # in other versions
        yield
        return
    from lm_eval.tasks._index import TaskIndex

    build, packaged = (
        TaskIndex.build,
        Path(importlib.import_module("lm_eval.tasks").__file__).parent,
    )
    build_packaged = cache(lambda: build([packaged]))

    def build_once(paths: list[Path], **settings: Any) -> dict[str, Any]:
        if settings:
            return dict(build(paths, **settings))
        index: dict[str, Any] = {}
        for path in paths:
            index |= build_packaged() if path == packaged else build([path])
        return index

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TaskIndex, "build", staticmethod(build_once))
        yield
