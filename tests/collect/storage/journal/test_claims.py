"""Claims: one owner at a time, and a dead owner's cell is free."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from capspace.collect.run.turns import in_turn
from capspace.collect.storage.journal import Claims, Journal

pytestmark = pytest.mark.usefixtures("forked")

HOLD = """
import os, sys
from pathlib import Path
from capspace.collect.storage.journal import Claims
claims = Claims(Path(sys.argv[1]))
print(claims.acquire("cell") is not None, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    return Claims(tmp_path / "claims")


def age(claims: Claims, seconds: float) -> Path:
    """Make the one claim look as old as that, without a wait."""
    (file,) = claims._path.glob("*.json")
    then = file.stat().st_mtime - seconds
    os.utime(file, (then, then))
    return file


def of_another_machine(claims: Claims) -> None:
    (file,) = claims._path.glob("*.json")
    told = json.loads(file.read_text())
    file.write_text(json.dumps(told | {"host": "elsewhere"}))


def test_one_owner_at_a_time(claims: Claims) -> None:
    mine = claims.acquire("cell")
    assert mine is not None
    assert claims.acquire("cell") is None
    assert claims.acquire("another cell") is not None
    assert claims.holder("cell") == mine
    claims.release(mine)
    assert claims.holder("cell") is None


def test_living_process_keeps_its_claim_and_a_dead_one_loses_it_at_once(claims: Claims) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, claims._path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        age(claims, 10_000)  # on one machine the process itself counts, not its heartbeat
        assert claims.acquire("cell") is None
        holder = claims.holder("cell")
        assert holder is not None
        assert holder.pid == other.pid
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert claims.acquire("cell") is not None


def test_claim_of_another_machine_lives_by_its_heartbeat(claims: Claims) -> None:
    assert claims.acquire("cell") is not None
    of_another_machine(claims)
    assert claims.acquire("cell") is None
    age(claims, 119)
    assert claims.acquire("cell") is None
    age(claims, 10)
    assert claims.acquire("cell") is not None


def test_heartbeat_makes_a_claim_young_and_a_lost_one_is_noticed(claims: Claims) -> None:
    mine = claims.acquire("cell")
    assert mine is not None
    file = age(claims, 1000)
    before = file.stat().st_mtime
    assert claims.beat(mine)
    assert file.stat().st_mtime > before + 900
    assert not claims.beat(replace(mine, token="stolen"))  # noqa: S106 - no password
    claims.release(replace(mine, token="stolen"))  # noqa: S106 - no password
    assert claims.holder("cell") == mine


def test_number_taken_over_by_a_later_process_is_not_the_owner(claims: Claims) -> None:
    mine = claims.acquire("cell")
    assert mine is not None
    (file,) = claims._path.glob("*.json")
    told = json.loads(file.read_text())
    file.write_text(json.dumps(told | {"started": "0"}))
    assert claims.holder("cell") is None


def test_torn_claim_is_nobodys(claims: Claims) -> None:
    assert claims.acquire("cell") is not None
    (file,) = claims._path.glob("*.json")
    file.write_text('{"cell": ')
    assert claims.acquire("cell") is not None


def test_hold_gives_the_cell_back_also_after_an_error(claims: Claims) -> None:
    def work() -> None:
        with claims.hold("cell") as claim:
            assert claim is not None
            with claims.hold("cell") as second:
                assert second is None
            raise ValueError("the work failed")

    with pytest.raises(ValueError, match="the work failed"):
        work()
    assert claims.holder("cell") is None


def test_cells_of_others_come_last_and_done_ones_not_at_all(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        taken = journal.claims.acquire("b")
        assert taken is not None
        seen = []
        done = {"c"}
        turns = in_turn(["a", "b", "c", "d"], key=str, is_done=done.__contains__, journal=journal)
        for cell in turns:
            seen.append(cell)
            assert journal.claims.holder(cell) is not None
            if cell == "d":  # the other run is done with its cell
                journal.claims.release(taken)
        assert seen == ["a", "d", "b"]
        assert list((tmp_path / "claims").glob("*.json")) == []
