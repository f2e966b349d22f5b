"""What runs of lm-eval's own command leave behind, and what they need to look up only once."""

from __future__ import annotations

import fcntl
import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from capspace.collect.storage.journal import Journal

# Names the file of lm-eval's index of tasks to every process of a test run.
TASKS = "PYTEST_LM_EVAL_TASKS"


def index_file(folder: Path) -> Path | None:
    """Return the file of the installed lm-eval's index in a folder, None without lm-eval."""
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or spec.origin is None:
        return None
    packaged = Path(spec.origin).parent / "tasks"
    which = f"{version('lm-eval')} {packaged} {packaged.stat().st_mtime_ns}"
    return folder / f"tasks-{sha256(which.encode()).hexdigest()[:16]}.json"


@cache
def read_index(known: Path) -> dict[str, Any]:
    """Return lm-eval's index as it was written to a file.

    A fork has what the process that it was forked of has read.
    """
    return {name: _entry(*parts) for name, *parts in json.loads(known.read_text())}


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
    is kept in the file ``known``, for the other processes and the next run of the tests. Templates
    are compiled once, too, where lm-eval itself compiles them for each document.
    """
    import lm_eval.utils
    from torch.utils import collect_env

    environment = lm_eval.utils.env
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collect_env, "get_pretty_env_info", cache(collect_env.get_pretty_env_info))
        patch.setattr(environment, "from_string", cache(environment.from_string))
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
    build_folder = cache(lambda folder: build([folder]))  # nobody changes lm-eval's own

    def build_packaged() -> dict[str, Any]:
        with known.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a second process waits for the first one's
            if not known.is_file():
                with _included_once():
                    index = build([packaged])
                entries = [
                    [name, e.name, e.kind.name, str(e.yaml_path or ""), e.cfg, sorted(e.tags)]
                    for name, e in index.items()
                ]
                part = known.with_suffix(".part")
                part.write_text(json.dumps(entries))
                assert index == read_index.__wrapped__(part)
                part.replace(known)
        return read_index(known)

    def build_once(paths: list[Path], **settings: Any) -> dict[str, Any]:
        if settings:
            return dict(build(paths, **settings))
        index: dict[str, Any] = {}
        for path in paths:
            if path == packaged:
                index |= build_packaged()
            elif packaged in path.parents:
                index |= build_folder(path)
            else:
                index |= build([path])
        return index

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TaskIndex, "build", staticmethod(build_once))
        yield


@contextmanager
def _included_once() -> Iterator[None]:
    """Let lm-eval read once what its task files include: that is half of all that it reads."""
    from lm_eval.tasks import _yaml_loader

    load = _yaml_loader.load_yaml
    read: dict[str, tuple[dict[str, Any], set[Path]]] = {}

    def included(path: Path, *, _seen: set[Path], **settings: Any) -> dict[str, Any]:
        configuration, files = read.get(str(path), ({}, _seen))
        if _seen & files:  # it is not read yet, or goes round in a circle
            before = set(_seen)
            configuration = load(path, _seen=_seen, **settings)
            read[str(path)] = configuration, _seen - before
        else:
            _seen |= files
        return dict(configuration)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_yaml_loader, "load_yaml", included)
        patch.setattr(_yaml_loader, "_make_loader", cache(_yaml_loader._make_loader))
        yield


def _entry(name: str, kind: str, path: str, config: dict[str, Any] | None, tags: list[str]) -> Any:
    from lm_eval.tasks._index import Entry, Kind

    return Entry(name, Kind[kind], Path(path) if path else None, config, set(tags))
