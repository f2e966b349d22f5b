"""Room for downloads: what a zoo fetched makes way once it is measured, and nothing else does."""

from __future__ import annotations

import json
import os
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from capspace.collect.settings import RunSettings
from capspace.collect.zoo.planning.cost import Estimate
from capspace.collect.zoo.planning.plan import Cell, Model, Plan, Unit
from capspace.collect.zoo.work.downloads import Downloads, spare_bytes
from capspace.collect.zoo.work.folder import ZooFolder

COMMIT = {name: str(i) * 40 for i, name in enumerate("abc", start=1)}


def planned(*names: str, n_bytes: int = 5000) -> Plan:
    """A plan of one cell of each checkpoint of the Hub."""
    models = [
        Model(
            f"org/{name}", f"org/{name}@{COMMIT[name]}", name, COMMIT[name], (), RunSettings(), {},
            (), 10, 40, n_bytes, 1,
        )
        for name in names
    ]  # fmt: skip
    brief = Estimate(1.0, 0.1, 0.1)
    cells = {m.row: (Cell(f"{m.row}-key", "panel", "b", False, brief),) for m in models}
    return Plan(
        "z", tuple(models), cells, tuple(Unit(m, "panel", cells[m.row], brief) for m in models)
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Hub's local cache."""
    path = tmp_path / "hub"
    path.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(path))
    return path


def put(cache: Path, name: str, *, n_bytes: int = 5000) -> Path:
    """Write a repository of one commit into the cache, as the Hub's client does."""
    repo = cache / f"models--org--{name}"
    for part in ("blobs", "refs", f"snapshots/{COMMIT[name]}"):
        (repo / part).mkdir(parents=True)
    (repo / "blobs" / "0f").write_bytes(b"x" * n_bytes)
    (repo / "refs" / "main").write_text(COMMIT[name])
    (repo / "snapshots" / COMMIT[name] / "model.safetensors").symlink_to("../../blobs/0f")
    return repo


def test_what_is_measured_makes_way_and_what_was_there_before_counts(
    tmp_path: Path, cache: Path
) -> None:
    folder = ZooFolder(tmp_path / "zoo")
    folder.write_work(planned("a", "b"), [], None)
    a, b = sorted(folder.read_work().units, key=lambda unit: unit.model)
    lines: list[str] = []
    downloads = Downloads(folder, max_bytes=8000, tell=lines.append)
    assert downloads.take(replace(a, ref="org/local", n_download_bytes=0))  # none of the zoo's
    assert downloads.take(a)
    assert not downloads.take(b)  # a is still to be measured
    put(cache, "a")
    downloads.release(a)
    assert not downloads.take(b)
    assert spare_bytes(folder, planned("a", "b")) == 0
    folder.write_attempts(a.id, [], finished=True)
    assert spare_bytes(folder, planned("b")) == 5000
    assert downloads.take(b)
    assert lines == ["evicted org/a: 5e-06 GB of disk"]
    assert not (cache / "models--org--a").exists()
    # The next run remembers what this one fetched, if it is here.
    put(cache, "b")
    assert Downloads(folder, max_bytes=8000).take(b)
    record = folder.path / f"downloads-{socket.gethostname()}.json"
    assert json.loads(record.read_text()) == {b.ref: 5000}
    # What others fetched takes of the room and is not evicted.
    record.unlink()
    later = Downloads(folder, max_bytes=8000)
    assert not later.take(b)
    assert spare_bytes(folder, planned("a")) == 0


def test_no_more_makes_way_than_has_to(tmp_path: Path, cache: Path) -> None:
    folder = ZooFolder(tmp_path / "zoo")
    folder.write_work(planned("a", "b", "c"), [], None)
    a, b, c = sorted(folder.read_work().units, key=lambda unit: unit.model)
    downloads = Downloads(folder, max_bytes=10_000)
    for unit, name in ((a, "a"), (b, "b")):
        assert downloads.take(unit)
        put(cache, name)
        downloads.release(unit)
        folder.write_attempts(unit.id, [], finished=True)
    assert downloads.take(c)
    assert spare_bytes(folder, planned("c")) == 5000  # one of the two is still here
    assert len([*cache.iterdir()]) == 1


def test_a_download_that_fails_is_said_in_one_line_and_nobody_waits_for_it(
    tmp_path: Path, cache: Path
) -> None:
    folder = ZooFolder(tmp_path / "zoo")
    folder.write_work(planned("a", "b"), [], None)
    a, b = folder.read_work().units
    lines: list[str] = []
    downloads = Downloads(folder, tell=lines.append)
    assert downloads.take(a)
    downloads.wait(a, threading.Event())
    assert "\n" not in lines[0]
    assert lines[0].startswith(f"cannot download {a.model}: ")
    stopped = threading.Event()
    stopped.set()
    downloads.take(b)
    downloads.wait(b, stopped)


def test_a_torn_download_of_ours_is_removed_once_it_is_nobody_s(
    tmp_path: Path, cache: Path
) -> None:
    folder = ZooFolder(tmp_path / "zoo")
    blobs = put(cache, "a") / "blobs"
    record = folder.path / f"downloads-{socket.gethostname()}.json"
    record.write_text(json.dumps({f"org/{n}@{COMMIT[n]}": 5000 for n in ("a", "c")}))
    old, new = blobs / "1.incomplete", blobs / "2.incomplete"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    Downloads(folder)
    assert (old.exists(), new.exists()) == (False, True)
