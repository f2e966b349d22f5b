"""A store is read where nothing can be written, and says that it is only read."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import NoReturn

import pytest
from small_disk import on_a_small_disk

from capspace.collect.errors import JournalError, NoRoomError
from capspace.collect.storage.readonly import is_unwritable, open_unwritable

pytestmark = pytest.mark.usefixtures("forked")

STORE = """
import os, shutil
from dataclasses import replace
from capspace.collect.errors import StoreError
from capspace.collect.storage.result import Missing
from capspace.collect.storage.store import Store
from store_parts import RESULT

def one_line(work):
    try:
        work()
    except StoreError as error:
        print(error)

def killed(last_acts):
    if not os.fork():
        last_acts(Store(path))
        os.kill(os.getpid(), 9)
    os.wait()

path = disk / "store"
"""
WITH_LOG = """
def last_acts(store):  # as the first version did it: the score is in the write-ahead log alone
    db = store._file._db
    db.execute("PRAGMA journal_mode = WAL")
    store.put(RESULT, [{"doc": 1}])

killed(last_acts)
assert (path / "store.sqlite-wal").stat().st_size
"""
WITH_JOURNAL = """
def last_acts(store):  # the killed transaction is half in the file
    store.put(RESULT, [{"doc": 1}])
    db = store._file._db
    db.execute("PRAGMA cache_size = 1")
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM results")
    for n in range(20):
        db.execute("INSERT INTO failures VALUES (?,?,?,?,?)", ("m", "r", f"{n}", "x" * 2000, ""))

killed(last_acts)
assert (path / "store.sqlite-journal").stat().st_size
"""
CHECK = """
with Store(path, must_write=False) as store:
    assert [r.score for r in store.results()] == [RESULT.score]
    assert list(store.samples(RESULT.key)) == [{"doc": 1}]
    print(*store.notices, sep="\\n")
    one_line(lambda: store.put(replace(RESULT, key="b" * 64)))
    one_line(lambda: store.remove([RESULT.key]))
one_line(lambda: Store(path))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["full", "read-only", "read-only without index"])
def test_store_of_a_killed_run_is_read_where_nothing_can_be_written(
    tmp_path: Path, how: str
) -> None:
    spoil = "fill()" if how == "full" else 'mount("-o", "remount,ro", disk)'
    if how != "read-only":
        spoil = f'(path / "store.sqlite-shm").unlink()\n{spoil}'
    program = f"{STORE}{WITH_LOG}\n{spoil}\n{CHECK}"
    notice, *refused = on_a_small_disk(tmp_path, program).splitlines()
    assert "cannot write the store" in notice
    assert notice.endswith("it is only read")
    assert len(refused) == 3
    assert all("--store" in line for line in refused)


@pytest.mark.slow
def test_store_killed_while_writing_is_read_from_a_read_only_disk(tmp_path: Path) -> None:
    program = f'{STORE}{WITH_JOURNAL}\nmount("-o", "remount,ro", disk)\n{CHECK}'
    lines = on_a_small_disk(tmp_path, program).splitlines()
    assert len(lines) == 4
    assert lines[0].endswith("it is only read")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_store_that_was_closed_is_read_where_nothing_can_be_written(
    tmp_path: Path, how: str
) -> None:
    spoil = "fill()" if how == "full" else 'mount("-o", "remount,ro", disk)'
    program = f"""
with Store(path) as store:
    store.put(RESULT, [{{"doc": 1}}])
assert len(list(path.glob("store.sqlite*"))) == 1
{spoil}
{CHECK}
"""
    lines = on_a_small_disk(tmp_path, STORE + program).splitlines()
    # A full disk is in the way of nothing but writing.
    assert len(lines) == 4 - (how == "full")
    assert all("store" in line for line in lines if line)


@pytest.mark.slow
def test_store_that_is_not_there_is_not_made_up(tmp_path: Path) -> None:
    output = on_a_small_disk(
        tmp_path,
        """
        from capspace.collect.errors import StoreError
        from capspace.collect.storage.store import Store
        mount("-o", "remount,ro", disk)
        try:
            Store(disk / "store", must_write=False)
        except StoreError as error:
            print(error)
        """,
    )
    assert "Read-only file system" in output


def test_what_counts_as_unwritable(tmp_path: Path) -> None:
    assert is_unwritable(OSError(errno.EROFS, ""))
    assert is_unwritable(OSError(errno.ENOSPC, ""))
    assert is_unwritable(NoRoomError())
    assert not is_unwritable(JournalError())
    assert not is_unwritable(FileNotFoundError(errno.ENOENT, ""))
    (tmp_path / "text").write_text("no database")
    db = sqlite3.connect(tmp_path / "text")
    with pytest.raises(sqlite3.DatabaseError) as caught:
        db.execute("SELECT * FROM sqlite_master")
    db.close()
    assert not is_unwritable(caught.value)


def test_copy_cannot_be_written_and_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, temporary = tmp_path / "file.sqlite", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE t (x)")
    with open_unwritable(path) as db:
        assert list(temporary.iterdir())
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.execute("INSERT INTO t VALUES (1)")
    assert writer.execute("SELECT count(*) FROM t").fetchone() == (0,)
    writer.close()
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_no_room_for_a_copy_either_is_one_line(tmp_path: Path) -> None:
    program = """
import tempfile
tempfile.tempdir = str(disk)
(path / "store.sqlite-shm").unlink()
fill()
one_line(lambda: Store(path, must_write=False))
assert not list(disk.glob("capspace-*"))
"""
    (line,) = on_a_small_disk(tmp_path, STORE + WITH_LOG + program).splitlines()
    assert "No space left on device" in line
    assert "set TMPDIR" in line


def test_file_without_a_log_is_read_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.sqlite"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("CREATE TABLE t (x)")
    writer.close()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))  # no copy is made
    with open_unwritable(path) as db:
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.execute("INSERT INTO t VALUES (1)")


@pytest.mark.parametrize(
    ("in_search", "in_use", "why"),
    [
        (FileNotFoundError(2, "No usable"), None, "no folder for temporary files can be written"),
        (None, OSError(errno.ENOSPC, "No space left"), r"No space left in .*\(set TMPDIR\)"),
        (None, OSError(errno.EIO, "Input/output error"), r"^\[Errno 5\] Input/output error$"),
    ],
)
def test_copy_that_cannot_be_made_says_where(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_search: OSError | None,
    in_use: OSError | None,
    why: str,
) -> None:
    def fail(error: OSError) -> NoReturn:
        raise error

    (tmp_path / "file.sqlite-wal").write_bytes(b"log")
    if in_search is not None:
        monkeypatch.setattr("tempfile.gettempdir", lambda: fail(in_search))
    if in_use is not None:
        monkeypatch.setattr("tempfile.mkdtemp", lambda *_: fail(in_use))
    with pytest.raises(OSError, match=why), open_unwritable(tmp_path / "file.sqlite"):
        pass
