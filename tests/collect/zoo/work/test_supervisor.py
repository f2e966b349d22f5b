"""What a supervisor shows of its work, and how it speaks of a process that ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from capspace.collect.settings import RunSettings
from capspace.collect.zoo.planning.cost import Estimate
from capspace.collect.zoo.planning.plan import Cell, Model, Plan, Unit
from capspace.collect.zoo.work.child import death
from capspace.collect.zoo.work.folder import ZooFolder
from capspace.collect.zoo.work.supervisor import Supervisor


@pytest.fixture
def folder(tmp_path: Path) -> ZooFolder:
    """A zoo with one unit."""
    made = ZooFolder(tmp_path)
    model = Model("m", "m", "m", "0", (), RunSettings(), {}, (), 10, 40, 0, 1)
    cells = (Cell("key", "panel", "b", False, Estimate(1.0, 0.1, 0.1)),)
    unit = Unit(model, "panel", cells, Estimate(1.0, 0.1, 0.1))
    made.write_work(Plan("z", (model,), {model.row: cells}, (unit,)), [], None)
    return made


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "its process ended with exit code 3"),
        (-9, "its process was ended by SIGKILL (out of memory, or killed by someone)"),
        (-11, "its process was ended by SIGSEGV"),
        (-99, "its process was ended by signal 99"),
    ],
)
def test_the_end_of_a_process_is_put_in_words(code: int, words: str) -> None:
    assert death(code) == words


def test_a_worker_shows_what_its_unit_waits_for(folder: ZooFolder) -> None:
    (unit,) = folder.read_work().units
    with Supervisor(folder, "w") as supervisor:
        for what in ("downloading", "downloading", "waiting for devices"):
            supervisor._stated = 0.0  # as if the last state were long ago
            supervisor.announce(unit, what)
            (shown,) = folder.workers()
            assert (shown.unit, shown.model, shown.benchmark) == (unit.id, "m", what)
    assert folder.workers() == []
