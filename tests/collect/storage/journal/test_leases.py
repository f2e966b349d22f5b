"""Leases: one owner at a time, and a dead owner's cell is free."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from capspace.collect.run import turns
from capspace.collect.storage.journal import Journal, Lease, Leases
from capspace.collect.storage.journal import leases as leases_module

HOLD = """
import os, sys
from pathlib import Path
from capspace.collect.storage.journal import Leases
leases = Leases(Path(sys.argv[1]))
print(leases.acquire("cell") is not None, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    return Leases(tmp_path / "claims")


def age(leases: Leases, seconds: float) -> Path:
    """Make the one lease look as old as that, without a wait."""
    (file,) = leases._path.glob("*.json")
    then = file.stat().st_mtime - seconds
    os.utime(file, (then, then))
    return file


def of_another_machine(leases: Leases) -> None:
    (file,) = leases._path.glob("*.json")
    owner = json.loads(file.read_text())
    file.write_text(json.dumps(owner | {"host": "elsewhere"}))


def test_one_owner_at_a_time(leases: Leases) -> None:
    mine = leases.acquire("cell")
    assert mine is not None
    assert leases.acquire("cell") is None
    assert leases.acquire("another cell") is not None
    assert leases.holder("cell") == mine
    leases.release(mine)
    assert leases.holder("cell") is None


def test_living_process_keeps_its_lease_and_a_dead_one_loses_it_at_once(leases: Leases) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, leases._path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        age(leases, 10_000)  # on one machine the process itself counts, not its heartbeat
        assert leases.acquire("cell") is None
        holder = leases.holder("cell")
        assert holder is not None
        assert holder.pid == other.pid
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert leases.acquire("cell") is not None


def test_lease_of_another_machine_lives_by_its_heartbeat(leases: Leases) -> None:
    assert leases.acquire("cell") is not None
    of_another_machine(leases)
    assert leases.acquire("cell") is None
    age(leases, 119)
    assert leases.acquire("cell") is None
    age(leases, 10)
    assert leases.acquire("cell") is not None


def test_heartbeat_makes_a_lease_young_and_a_lost_one_is_noticed(leases: Leases) -> None:
    mine = leases.acquire("cell")
    assert mine is not None
    file = age(leases, 1000)
    before = file.stat().st_mtime
    assert leases.beat(mine)
    assert file.stat().st_mtime > before + 900
    assert not leases.beat(replace(mine, token="stolen"))  # noqa: S106 - no password
    leases.release(replace(mine, token="stolen"))  # noqa: S106 - no password
    assert leases.holder("cell") == mine


def test_number_taken_over_by_a_later_process_is_not_the_owner(leases: Leases) -> None:
    mine = leases.acquire("cell")
    assert mine is not None
    (file,) = leases._path.glob("*.json")
    owner = json.loads(file.read_text())
    file.write_text(json.dumps(owner | {"started": "0"}))
    assert leases.holder("cell") is None


def test_torn_lease_is_nobodys(leases: Leases) -> None:
    assert leases.acquire("cell") is not None
    (file,) = leases._path.glob("*.json")
    file.write_text('{"cell": ')
    assert leases.acquire("cell") is not None


def test_hold_gives_the_cell_back_also_after_an_error(leases: Leases) -> None:
    def work() -> None:
        with leases.hold("cell") as lease:
            assert lease is not None
            with leases.hold("cell") as second:
                assert second is None
            raise ValueError("the work failed")

    with pytest.raises(ValueError, match="the work failed"):
        work()
    assert leases.holder("cell") is None


def test_cells_of_others_come_last_and_done_ones_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_POLL_SECONDS", 0.0)
    with Journal(tmp_path) as journal:
        taken = journal.leases.acquire("b")
        assert taken is not None
        seen = []
        done = {"c"}
        cells = turns.in_turn(
            ["a", "b", "c", "d"], key=str, is_done=done.__contains__, journal=journal
        )
        for cell in cells:
            seen.append(cell)
            assert journal.leases.holder(cell) is not None
            if cell == "d":  # the other run is done with its cell
                journal.leases.release(taken)
        assert seen == ["a", "d", "b"]
        assert list((tmp_path / "claims").glob("*.json")) == []


def test_heartbeat_outlives_an_error_and_ends_with_the_lease(
    leases: Leases, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    quick = Leases(leases._path, expiry=0.0)
    lease = quick.acquire("cell")
    assert lease is not None
    beats = [OSError(5, "Input/output error"), None]
    beat = quick.beat

    def once_in_vain(given: Lease) -> bool:
        error = beats.pop(0)
        if error is not None:
            raise error
        quick.release(given)
        return beat(given)

    monkeypatch.setattr(quick, "beat", once_in_vain)
    quick._beat_until(lease, threading.Event())
    assert beats == []
    assert "cannot renew the lease on cell: [Errno 5] Input/output error" in caplog.text


def test_lease_that_cannot_be_given_back_stops_nothing(
    leases: Leases, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(lease: Lease) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(leases, "release", refuse)
    with leases.hold("cell") as lease:
        assert lease is not None
    assert "the lease on cell stays until this process ends: [Errno 30]" in caplog.text


def test_a_process_is_known_without_proc_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases_module, "Path", lambda path: Path("/nowhere") / path.lstrip("/"))
    assert leases_module._started(os.getpid()) == "running"
    assert leases_module._started(2**30) == ""
    assert int(leases_module._namespace.__wrapped__(), 16) == uuid.getnode()


def test_without_proc_a_process_of_another_user_is_known_to_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases_module, "Path", lambda path: Path("/nowhere") / path.lstrip("/"))
    if os.geteuid():
        assert leases_module._started(1) == "running"
        return
    child = os.fork()  # root may signal every process: ask as another user
    if not child:
        os.setuid(65534)
        os._exit(0 if leases_module._started(os.getppid()) == "running" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
