"""What runs of lm-eval's own command leave behind, and what they need to look up only once."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from capspace.collect.storage.journal import Journal

# Where a forked interpreter finds lm-eval's index of tasks.
TASKS = "PYTEST_LM_EVAL_TASKS"


def results(out: Path) -> tuple[Any, list[Any]]:
    """Return the newest scores and samples that lm-eval wrote."""
    scores, samples = max(out.rglob("results_*.json")), max(out.rglob("samples_*.jsonl"))
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    return json.loads(scores.read_text())["results"], lines


def n_kept(store: Path) -> int:
    """Return how many answers a store keeps."""
    with Journal(store / "journal") as journal:
        return sum(journal.info().n_responses.values())


@contextmanager
def looked_up_once(known: Path) -> Iterator[None]:
    """Let runs of lm-eval list the packages installed and read its 14,000 task files once.

    The first takes each run a second, the second, where a run needs all tasks, six. What was read
    is kept in the file ``known``, for the other processes that these tests run in.
    """
    from torch.utils import collect_env

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collect_env, "get_pretty_env_info", cache(collect_env.get_pretty_env_info))
        with _tasks_indexed_once(known):
            yield


@contextmanager
def _tasks_indexed_once(known: Path) -> Iterator[None]:
    if importlib.util.find_spec("lm_eval.tasks._index") is None:  # in other versions
        yield
        return
    import lm_eval.tasks
    from lm_eval.tasks._index import TaskIndex

    build, packaged = TaskIndex.build, Path(lm_eval.tasks.__file__).parent

    @cache
    def build_packaged() -> dict[str, Any]:
        if known.is_file():
            return {name: _entry(*parts) for name, *parts in json.loads(known.read_text())}
        index = build([packaged])
        entries = [
            [name, e.name, e.kind.name, str(e.yaml_path or ""), e.cfg, sorted(e.tags)]
            for name, e in index.items()
        ]
        assert index == {name: _entry(*parts) for name, *parts in json.loads(json.dumps(entries))}
        mine = known.with_name(f"{known.name}.{os.getpid()}")
        mine.write_text(json.dumps(entries))
        mine.replace(known)
        return dict(index)

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


def _entry(name: str, kind: str, path: str, config: dict[str, Any] | None, tags: list[str]) -> Any:
    from lm_eval.tasks._index import Entry, Kind

    return Entry(name, Kind[kind], Path(path) if path else None, config, set(tags))
