"""Locks: one holder at a time, none of a dead process, and an error where there are none."""

from __future__ import annotations

import errno
import fcntl
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from capspace.collect.errors import JournalError
from capspace.collect.storage.journal import Journal
from capspace.collect.storage.journal.locks import lock_at, try_lock, unlock

COUNT = """
import sys
from pathlib import Path
from capspace.collect.storage.journal.locks import lock_at
folder = Path(sys.argv[1])
for _ in range(200):
    with lock_at(folder / "lock"):
        number = int((folder / "number").read_text())
        (folder / "number").write_text(str(number + 1))
"""
HOLD = """
import sys
from pathlib import Path
from capspace.collect.storage.journal.locks import try_lock
lock = try_lock(Path(sys.argv[1]))
print(lock is not None, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_two_processes_that_add_under_one_lock_lose_nothing(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("0")
    both = [subprocess.Popen([sys.executable, "-c", COUNT, tmp_path]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert (tmp_path / "number").read_text() == "400"


def test_a_lock_is_free_as_soon_as_its_process_is_dead(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert try_lock(path) is None
        other.send_signal(signal.SIGKILL)
        other.wait()
    lock = try_lock(path)
    assert lock is not None
    unlock(lock)
    assert path.exists()


def test_a_lock_is_neither_taken_on_a_file_that_is_gone_nor_does_it_empty_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lock"
    first = try_lock(path)
    assert first is not None
    assert try_lock(path) is None
    unlock(first, remove=True)
    assert not path.exists()
    with lock_at(path):
        assert path.exists()
        assert try_lock(path) is None


def test_a_folder_without_locks_is_an_error_and_no_soft_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(JournalError, match="Function not implemented"):
        Journal(tmp_path)
