"""What runs of lm-eval's own command leave behind, and what they need to look up only once."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from capspace.collect.storage.journal import Journal


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
def looked_up_once() -> Iterator[None]:
    """Let runs of lm-eval list the packages installed and read its 14,000 task files once.

    The first takes each run a second, the second, where a run needs all tasks, six.
    """
    from torch.utils import collect_env

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collect_env, "get_pretty_env_info", cache(collect_env.get_pretty_env_info))
        with _tasks_indexed_once():
            yield


@contextmanager
def _tasks_indexed_once() -> Iterator[None]:
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
