"""The journal: what is written stays exactly, whatever happens to the file or its writer."""

from __future__ import annotations

import errno
import math
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from checkout import TESTS
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_parts import crashed, fill, fill_one, key, shard_of, spoil, truth
from small_disk import on_a_small_disk

from capspace.collect.errors import JournalError, NoRoomError
from capspace.collect.storage.journal import (
    Failure,
    Journal,
    RequestKeys,
    folder,
    inspect_journal,
    is_sampled,
    live,
    writer,
)
from capspace.collect.storage.journal.live import count_of, lock_of
from capspace.collect.storage.journal.locks import try_lock, unlock
from capspace.collect.storage.journal.reader import _chunk, file_digest, read_shard
from capspace.collect.storage.journal.responses import pack, unpack
from capspace.collect.storage.journal.writer import SLACK_BYTES

pytestmark = pytest.mark.usefixtures("forked")

# The full counts run in scripts/soak.
SOAK = "CAPSPACE_SOAK" in os.environ
CORRUPTIONS = 200 if SOAK else 16

floats = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(alphabet=st.characters(), min_size=1)  # lone surrogates too: tokenizers make them


@given(st.lists(st.tuples(floats, st.booleans())))
def test_loglikelihoods_come_back_bit_for_bit(values: list[tuple[float, bool]]) -> None:
    keys = [key(i) for i in range(len(values))]
    back = unpack("loglikelihood", pack("loglikelihood", keys, values))
    bits = {k: (struct.pack("d", v), g) for k, (v, g) in zip(keys, values, strict=True)}
    assert {k: (struct.pack("d", v[0]), v[1]) for k, v in back.items()} == bits


@pytest.mark.slow
@given(st.lists(texts), st.lists(floats))
def test_texts_and_sums_come_back_exactly(answers: list[str], sums: list[float]) -> None:
    keys = [key(i) for i in range(len(answers))]
    packed = pack("generate_until", keys, answers) + b"\0" * 9
    assert unpack("generate_until", packed) == dict(zip(keys, answers, strict=True))
    keys = [key(i) for i in range(len(sums))]
    back = unpack("loglikelihood_rolling", pack("loglikelihood_rolling", keys, sums))
    assert back == dict(zip(keys, sums, strict=True))


def test_key_sees_everything_that_decides_an_answer() -> None:
    asked = {
        RequestKeys(kind).key(arguments, draw=draw)
        for kind in ("loglikelihood", "generate_until")
        for arguments in (
            ("a", "b"),
            ("ab", ""),
            ("", "ab"),
            ("a", {"until": ["\n"]}),
            ("a", {"until": ["\n"], "temperature": 0.5}),
            ("a", {"until": "\n"}),
        )
        for draw in (None, (0, 0), (0, 1), (1, 0))
    }
    assert len(asked) == 2 * 6 * 4


def test_key_does_not_depend_on_neighbours_or_on_the_order_of_settings() -> None:
    keys = RequestKeys("generate_until")
    first = keys.key(("a", {"x": 1, "y": 2}))
    keys.key(("b", {"x": 1}))
    assert keys.key(("a", {"y": 2, "x": 1})) == first
    assert keys.key((b"a", "b")) != keys.key(("a", "b"))
    with pytest.raises(JournalError, match="no stable digest"):
        keys.key(("a", object()))


def test_what_counts_as_sampled() -> None:
    assert is_sampled("generate_until", ("a", {"do_sample": True}))
    assert is_sampled("generate_until", ("a", {"temperature": 0.7}))
    assert not is_sampled("generate_until", ("a", {"temperature": 0.7, "do_sample": False}))
    assert not is_sampled("generate_until", ("a", {"until": ["\n"], "temperature": 0}))
    assert not is_sampled("generate_until", ("a", "no settings"))
    assert not is_sampled("loglikelihood", ("a", "b"))


def test_answers_are_seen_at_once_after_closing_and_after_merging(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        fill(journal, 3)
        assert journal.known("model") == truth(3)
        assert Journal(tmp_path).known("model") == truth(3)
    for _ in range(12):
        with Journal(tmp_path) as journal:
            fill(journal, 4)
    assert len(list(tmp_path.glob("sealed-*"))) < 12
    with Journal(tmp_path) as journal:
        before, after = journal.compact()
        assert after <= before
        assert journal.known("model") == truth(4)
        assert journal.known("another model") == {}
        assert journal.check().problems == []
        assert journal.info().n_sealed == 1
    assert list(tmp_path.glob("live-*")) == list(tmp_path.glob("part-*")) == []


def test_first_answer_counts_where_two_were_written(tmp_path: Path) -> None:
    for value in (-1.0, -2.0):
        with Journal(tmp_path) as journal:
            journal.append("model", "loglikelihood_rolling", [key(0)], [value])
    with Journal(tmp_path) as journal:
        assert journal.known("model") == {key(0): -1.0}
        journal.compact()
        assert journal.known("model") == {key(0): -1.0}


def test_remove_drops_one_identity(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        fill(journal, 2, identity="a")
        fill(journal, 2, identity="b")
    with Journal(tmp_path) as journal:
        journal.remove(["a"])
        assert journal.known("a") == {}
        assert journal.known("b") == truth(2)
        assert set(journal.info().n_responses) == {"b"}
        journal.remove(["b"])
        assert journal.info().n_responses == {}


def test_identity_is_described(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append("m", "loglikelihood", [key(0)], [(-1.0, True)], description={"dtype": "f"})
    assert Journal(tmp_path).info().descriptions == {"m": {"dtype": "f"}}


def test_failure_is_recorded_until_it_is_answered(tmp_path: Path) -> None:
    failure = Failure("model", key(0), 1.0, "task", 7, 1000, "out of memory")
    with Journal(tmp_path) as journal:
        journal.record_failure(failure)
    journal = Journal(tmp_path)
    assert journal.failures("model") == [failure]
    fill(journal, 1)
    assert journal.failures("model") == []
    journal.close()


def test_failures_survive_merging_and_mending_and_go_with_their_identity(tmp_path: Path) -> None:
    failures = [
        Failure(who, key(n), float(n), "task", n, 1000 + n, "out of memory")
        for who in ("a", "b")
        for n in (100, 101)
    ]
    with Journal(tmp_path) as journal:
        fill(journal, 1, identity="a")
        for failure in failures:
            journal.record_failure(replace(failure, created=0.5, reason="an earlier attempt"))
    with Journal(tmp_path) as journal:
        fill(journal, 1, identity="b")
        for failure in failures:
            journal.record_failure(failure)
    with Journal(tmp_path) as journal:
        journal.compact()
        assert journal.failures("a") + journal.failures("b") == failures
        assert journal.info().without_response == failures
    spoil(shard_of(tmp_path))
    with Journal(tmp_path) as journal:
        assert journal.failures("a") + journal.failures("b") == failures
        assert "was damaged" in journal.notices[0]
        journal.remove(["a"])
        assert journal.failures("a") == []
        assert journal.failures("b") == failures[2:]
    with Journal(tmp_path) as journal:
        journal.remove(["b"])
        assert journal.info().without_response == []
        assert journal.info().n_sealed == 0


def test_damaged_record_of_a_failure_is_told_and_the_others_are_kept(tmp_path: Path) -> None:
    failure = Failure("model", key(0), 1.0, "task", 7, 1000, "out of memory")
    with Journal(tmp_path) as journal:
        journal.record_failure(failure)
        journal.record_failure(replace(failure, key=key(1)))
    with closing(sqlite3.connect(shard_of(tmp_path), isolation_level=None)) as db:
        db.execute("UPDATE failures SET failure = '{' WHERE key = ?", (key(1),))
    with Journal(tmp_path) as journal:
        assert journal.failures("model") == [failure]
        assert "a record of a failed request cannot be read" in journal.notices[0]


_HELD = """
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from capspace.collect.storage.journal import Journal
sys.path.insert(0, sys.argv[1])
import journal_parts as parts
journal = Journal(Path(sys.argv[2]))
parts.fill(journal, 1, identity="a")
print("written", flush=True)
sys.stdin.readline()
journal.close()
"""


@pytest.mark.slow
def test_answers_that_another_process_writes_are_not_removed(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for identity in "ab":
            fill(journal, 2, identity=identity)
    words = [sys.executable, "-c", _HELD, str(TESTS), str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        with Journal(tmp_path) as journal:
            with pytest.raises(
                JournalError, match=r"still writing responses.* to .*/live-.*stop it"
            ):
                journal.remove(["a"])
            assert journal.known("a") == truth(2)
            journal.remove(["b"])  # those of others may go meanwhile
            assert journal.known("b") == {}
        process.communicate(b"\n")
    with Journal(tmp_path) as journal:
        journal.remove(["a"])
        assert journal.info().n_responses == {}


def test_nothing_is_removed_while_another_machine_writes(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        fill(journal, 1, identity="a")
    theirs = tmp_path / "live-another_machine-1-00000000.sqlite"
    theirs.touch()
    lock = try_lock(lock_of(theirs))
    assert lock is not None
    with Journal(tmp_path) as journal, pytest.raises(JournalError, match="another_machine"):
        journal.remove(["a"])
    unlock(lock)
    with Journal(tmp_path) as journal:  # its writer there is dead
        journal.remove(["a"])
        assert journal.known("a") == {}


def test_own_answers_that_are_still_being_written_are_removed(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        fill(journal, 1, identity="a")
        journal.remove(["a"])
        assert journal.known("a") == {}


@pytest.mark.parametrize("tidy", ["compact", "remove"])
def test_damaged_files_that_were_put_aside_are_deleted_when_asked(
    tmp_path: Path, tidy: str
) -> None:
    with Journal(tmp_path) as journal:
        fill(journal, 12)
    spoil(shard_of(tmp_path))
    with Journal(tmp_path) as journal:
        known = journal.known("model")
        (line,) = journal.check().problems
        assert "quarantined as damaged" in line
        assert "'capspace store compact' deletes it" in line
        journal.compact() if tidy == "compact" else journal.remove(["another"])
        assert journal.check().problems == []
        assert journal.info().n_quarantined == 0
        assert journal.known("model") == known


def test_killed_writer_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    crashed(tmp_path, 5, when="at once")
    journal = Journal(tmp_path)
    assert journal.known("model") == truth(5)
    assert journal.notices == []


@pytest.mark.slow
@pytest.mark.parametrize("when", ["unfolded", "later"])
@pytest.mark.parametrize("chunks", [1, 2, 7, 40])
def test_power_cut_loses_at_most_the_last_chunk_and_says_so(
    tmp_path: Path, chunks: int, when: str
) -> None:
    """The file is cut in its last page, or in the last that holds anything, and the log is gone."""
    shard = crashed(tmp_path / "crash", chunks, when=when)
    whole = shard.read_bytes()
    used = len(whole)
    if chunks > 1 or when == "later":
        used -= SLACK_BYTES
        assert not any(whole[used:])
    # Before it is folded in, the last chunk is in the log alone: the page before is another's.
    ends = {len(whole), used if when == "later" else len(whole)}
    for cut in (c for end in ends for c in range(max(0, end - 1024), end + 1, 1 if SOAK else 93)):
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        (folder / shard.name).write_bytes(whole[:cut])
        shutil.copy(count_of(shard), folder)
        journal = Journal(folder)
        known = journal.known("model")
        assert known in (truth(chunks), truth(chunks - 1))
        notices = " ".join(journal.notices)
        assert (known == truth(chunks)) or "was damaged" in notices or "has lost 1 of" in notices
        journal.close()
        shutil.rmtree(folder)


@pytest.mark.parametrize("when", ["unfolded", "at once", "later"])
def test_dropped_or_cut_log_loses_at_most_the_last_chunk_and_says_so(
    tmp_path: Path, when: str
) -> None:
    origin = tmp_path / "origin"
    shard = crashed(origin, 6, when=when)
    log = shard.with_name(shard.name + "-wal")
    size = log.stat().st_size
    for cut in (None, 0, 13, size // 2 + 13, size - 1):
        folder = tmp_path / f"cut{cut}"
        shutil.copytree(origin, folder)
        cut_log = folder / log.name
        cut_log.with_name(shard.name + "-shm").unlink()
        if cut is None:
            cut_log.unlink()
        else:
            with cut_log.open("r+b") as file:
                file.truncate(cut)
        journal = Journal(folder)
        known = journal.known("model")
        assert known in ((truth(6),) if when == "later" else (truth(6), truth(5)))
        assert known == truth(6) or "has lost 1 of 6 chunks" in journal.notices[0]


def test_count_that_an_earlier_version_left_in_the_lock_file_is_read(tmp_path: Path) -> None:
    shard = crashed(tmp_path, 2)
    count_of(shard).unlink()
    lock_of(shard).write_text("7")
    (notice,) = Journal(tmp_path).notices
    assert "has lost 5 of 7 chunks" in notice
    assert not list(tmp_path.glob("live-*"))


@pytest.mark.slow
@pytest.mark.parametrize("sealed", [True, False])
def test_flipped_bytes_are_found_quarantined_and_never_a_wrong_number(
    tmp_path: Path, sealed: bool
) -> None:
    origin = tmp_path / "origin"
    if sealed:
        with Journal(origin) as journal:
            fill(journal, 12)
        shard = shard_of(origin)
    else:
        shard = crashed(origin, 12)
    whole = shard.read_bytes()
    n_lost = 0
    for seed in range(CORRUPTIONS):
        draw = np.random.default_rng(seed)
        bad = bytearray(whole)
        for _ in range(draw.choice([1, 1, 1, 8, 200])):
            bad[draw.integers(len(bad))] ^= int(draw.integers(1, 256))
        folder = tmp_path / f"seed{seed}"
        folder.mkdir()
        (folder / shard.name).write_bytes(bad)
        journal = Journal(folder)
        known = journal.known("model")
        assert known.items() <= truth(12).items()
        if sealed or len(known) < len(truth(12)):
            assert journal.notices, f"seed {seed}: lost or changed without a word"
            assert list((folder / "quarantine").glob("*.sqlite"))
        n_lost += len(known) < len(truth(12))
        fill(journal, 12)  # measured again
        assert journal.known("model") == truth(12)
        journal.close()
        shutil.rmtree(folder)
    assert n_lost > 0


@pytest.mark.slow
def test_full_disk_stops_with_one_line_and_is_read_while_it_is_full(tmp_path: Path) -> None:
    output = on_a_small_disk(
        tmp_path,
        """
        import journal_parts as parts
        from capspace.collect.errors import JournalError
        from capspace.collect.storage.journal import Journal
        folder = disk / "journal"
        filler.write_bytes(bytes(100_000))
        done = 0
        try:
            with Journal(folder) as journal:
                while True:
                    parts.fill_one(journal, done)
                    done += 1
        except JournalError as error:
            print(error)
        fill()
        assert done > 5, done
        journal = Journal(folder, must_write=False)
        assert journal.known("model") in (parts.truth(done), parts.truth(done + 1))
        assert journal.check().problems == []
        journal.close()
        filler.unlink()
        journal = Journal(folder)
        assert journal.notices == []
        # What a chunk's last step failed for is kept, though it was not told to be.
        assert journal.known("model") in (parts.truth(done), parts.truth(done + 1))
        """,
    )
    (line,) = output.splitlines()
    assert "full" in line
    assert line.endswith("run the same command again")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "index"), [("full", "gone"), ("read-only", "there"), ("read-only", "gone")]
)
def test_shard_of_a_killed_run_is_read_where_nothing_can_be_written(
    tmp_path: Path, how: str, index: str
) -> None:
    """All is in the write-ahead log, which SQLite cannot read without room for its index."""
    output = on_a_small_disk(
        tmp_path,
        f"""
        import journal_parts as parts
        from capspace.collect.errors import JournalError
        from capspace.collect.storage.journal import Journal
        folder = disk / "journal"
        shard = parts.crashed(folder, 6, when="unfolded")
        if {index!r} == "gone":
            shard.with_name(shard.name + "-shm").unlink()
        if {how!r} == "full":
            fill()
        else:
            mount("-o", "remount,ro", disk)
        try:
            with Journal(folder, must_write=False) as journal:
                assert journal.known("model") == parts.truth(6)
                assert journal.info().n_responses == {{"model": 96}}
                assert journal.check().problems == []
                print(*journal.notices, sep="\\n")
                parts.fill(journal, 1)
        except JournalError as error:
            print(error)
        try:
            Journal(folder)
        except JournalError as error:
            print(error)
        if {how!r} == "full":
            filler.unlink()
        else:
            mount("-o", "remount,rw", disk)
        journal = Journal(folder)
        assert journal.notices == []
        assert journal.known("model") == parts.truth(6)
        """,
    )
    notice, refused, *rest = output.splitlines()
    assert "cannot be written" in notice
    assert "it is read as it is" in notice
    for line in (refused, *rest):
        assert line.endswith("run the same command again")
    assert len(rest) == 1


@pytest.mark.slow
def test_store_turned_read_only_stops_with_one_line(tmp_path: Path) -> None:
    output = on_a_small_disk(
        tmp_path,
        """
        import journal_parts as parts
        from capspace.collect.errors import JournalError
        from capspace.collect.storage.journal import Journal
        folder = disk / "journal"
        journal = Journal(folder)
        parts.fill(journal, 2)
        mount("--bind", folder, folder)
        mount("-o", "remount,bind,ro", folder)
        try:
            parts.fill_one(journal, 2)
        except JournalError as error:
            print(error)
        known = Journal(folder, must_write=False).known("model")
        # Files that are open can still be written: the last chunk may be there.
        assert known in (parts.truth(2), parts.truth(3))
        """,
    )
    (line,) = output.splitlines()
    assert "readonly" in line or "Read-only" in line
    assert line.endswith("run the same command again")


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot use the journal"):
        Journal(tmp_path / "file" / "journal")


def test_newer_version_is_refused(tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    with Journal(tmp_path) as journal:
        fill(journal, 1)
    shard = shard_of(tmp_path)
    with closing(sqlite3.connect(shard)) as db:
        db.execute("PRAGMA user_version = 99")
    newer = shard.rename(tmp_path / f"sealed-{file_digest(shard)}.sqlite")
    with pytest.raises(JournalError, match="newer version"):
        Journal(tmp_path).known("model")
    newer.rename(shard)  # now it is a shard of ours whose bytes changed
    journal = Journal(tmp_path)
    assert journal.known("model") == truth(1)
    assert "was damaged" in journal.notices[0]


def test_check_tells_without_mending(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        fill(journal, 12)
    journal = Journal(tmp_path)
    shard = shard_of(tmp_path)
    spoil(shard)
    report = journal.check()
    assert report.n_chunks == 11
    assert len(report.problems) == 1
    assert str(shard) in report.problems[0]
    assert shard.exists()


def test_tuning_is_kept_and_a_torn_file_is_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.keep_tuning("model", {"seconds": 0.25})
    assert Journal(tmp_path).tuning("model") == {"seconds": 0.25}
    next((tmp_path / "tuning").glob("*.json")).write_text("{")
    assert journal.tuning("model") == {}
    assert math.isnan(journal.tuning("other").get("seconds", math.nan))


def test_chunk_in_two_shards_counts_once(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        fill(journal, 2)
        before = journal.info().n_responses
    shutil.copy(shard_of(tmp_path), tmp_path / "sealed-copy.sqlite")
    assert Journal(tmp_path).info().n_responses == before == {"model": 32}


def test_part_of_a_merge_that_died_is_removed(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        fill(journal, 1)
    (tmp_path / "part-0.sqlite").write_bytes(b"half")
    assert Journal(tmp_path).known("model") == truth(1)
    assert not list(tmp_path.glob("part-*"))


def test_chunk_that_does_not_fit_is_dropped_whole_and_the_others_are_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    fill(journal, 2)
    db = journal._own_shard().writer._db
    (n_pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {n_pages}")
    with pytest.raises(NoRoomError, match=r"is full; every finished chunk is kept"), journal:
        journal.append("model", "generate_until", [key(99)], ["x" * 100_000])
    again = Journal(tmp_path)
    assert again.known("model") == truth(2)
    assert (again.notices, len(list(tmp_path.glob("*.sqlite")))) == ([], 1)


def test_shard_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(live, "ShardWriter", refuse)
    with pytest.raises(OSError, match="No space left"):
        live.OpenShard(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_shard_that_a_reader_holds_is_sealed_by_the_next_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    fill(journal, 1)
    own = journal._own_shard()
    own.writer._wait()

    def fold_without_waiting(db: sqlite3.Connection) -> bool:
        db.execute("PRAGMA busy_timeout = 0")
        return not db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]

    monkeypatch.setattr(writer, "fold_log", fold_without_waiting)
    with closing(sqlite3.connect(own.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM chunks").fetchone()
        fill_one(journal, 1)
        journal.close()
        assert own.path.exists()
    assert Journal(tmp_path).known("model") == truth(2)
    assert not own.path.exists()


def spoilt_text(db: sqlite3.Connection) -> None:
    db.execute("UPDATE identities SET description = x'00'")


def spoilt_chunk(db: sqlite3.Connection) -> None:
    db.execute("UPDATE chunks SET payload = x'00' WHERE id = 2")


@pytest.mark.parametrize(
    ("change", "damage", "n_chunks"),
    [
        pytest.param(spoilt_text, "descriptions: a description is not text", 3, id="description"),
        pytest.param(spoilt_chunk, "chunk 2 fails its checksum", 2, id="chunk"),
    ],
)
def test_damage_that_sqlite_does_not_see_is_named(
    tmp_path: Path, change: Callable[[sqlite3.Connection], None], damage: str, n_chunks: int
) -> None:
    with Journal(tmp_path) as journal:
        for i in range(3):
            journal.append("model", "loglikelihood", [key(i)], [(-1.0, True)], description={"a": 1})
    shard = shard_of(tmp_path)
    with closing(sqlite3.connect(shard)) as db, db:
        change(db)
    contents = read_shard(shard, sealed=True)
    assert (contents.damage, len(contents.chunks)) == (damage, n_chunks)
    journal = Journal(tmp_path)
    journal.compact()  # mends it before it is merged
    assert [f"({damage})" in notice for notice in journal.notices] == [True]
    assert len(journal.known("model")) == n_chunks


def test_damaged_shard_is_read_where_it_cannot_be_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(tmp_path) as journal:
        fill(journal, 12)
    shard = shard_of(tmp_path)
    spoil(shard)

    def refuse(path: Path) -> NoReturn:
        raise OSError(errno.EROFS, "Read-only file system")

    journal = Journal(tmp_path, must_write=False)
    monkeypatch.setattr(folder, "lock_at", refuse)
    assert len(journal.known("model")) == 11 * 16
    assert journal.notices == [
        f"the journal in {tmp_path} cannot be written (Read-only file system): it is read as it "
        "is, and what a stopped run left there is finished later",
        f"{shard.name} is damaged: its whole chunks are read",
    ]
    with pytest.raises(JournalError, match="Read-only file system"):
        Journal(tmp_path)


def test_dead_writers_file_that_is_no_database_is_put_aside(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        fill(journal, 1)
    path = tmp_path / f"live-{live.host_name()}-1-0.sqlite"
    for name in (path.name, f"{path.name}-wal"):
        (tmp_path / name).write_text("no database " * 100)
    journal = Journal(tmp_path)
    assert journal.known("model") == truth(1)
    assert f"{path.name} was damaged (file is not a database): 0 responses" in journal.notices[0]
    assert not list(tmp_path.glob("live-*"))


def test_live_file_that_is_no_database_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "live-other-1-0.sqlite"
    path.write_text("no database " * 100)
    contents = read_shard(path, sealed=False)
    assert (contents.chunks, contents.damage) == ([], "file is not a database")


WRITER = """
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from capspace.collect.storage.journal import Journal
sys.path.insert(0, sys.argv[1])
import journal_parts as parts
who = sys.argv[3]
for _ in range(3):
    with Journal(Path(sys.argv[2])) as journal:
        for c in range(4):
            parts.fill(journal, 2, identity=f"{who}")
            journal.known("0")
            journal.known("1")
        journal.compact()
"""


@pytest.mark.slow
def test_processes_that_write_read_and_merge_at_once_lose_nothing(tmp_path: Path) -> None:
    script = tmp_path / "writer.py"
    script.write_text(WRITER)
    folder = tmp_path / "journal"
    writers = [
        subprocess.Popen([sys.executable, script, TESTS, folder, str(who)]) for who in range(3)
    ]
    assert [w.wait(timeout=120) for w in writers] == [0, 0, 0]
    journal = Journal(folder)
    for who in range(3):
        assert journal.known(str(who)) == truth(2)
    assert journal.check().problems == []
    assert list(folder.glob("live-*")) == []


def test_what_a_reader_left_of_a_shard_that_was_sealed_meanwhile_is_removed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    fill(journal, 2)
    mine = sorted(tmp_path.glob("live-*-shm"))
    stray = tmp_path / "live-elsewhere-1-00000000.sqlite-shm"
    stray.write_bytes(bytes(32))
    assert Journal(tmp_path).known("model") == truth(2)
    assert not stray.exists()
    assert sorted(tmp_path.glob("live-*-shm")) == mine  # of a shard that is there


@pytest.mark.slow
@settings(max_examples=10)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=6))
def test_journal_equals_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, identities: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    model: dict[str, dict[bytes, object]] = {}
    for i, identity in enumerate(identities):
        with Journal(folder) as journal:
            journal.append(identity, "generate_until", [key(i)], [f"answer {i}"])
        model.setdefault(identity, {})[key(i)] = f"answer {i}"
    journal = Journal(folder)
    assert {i: journal.known(i) for i in "abc"} == {i: model.get(i, {}) for i in "abc"}


def test_a_name_that_another_writer_holds_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live.secrets, "token_hex", lambda n: "0" * 2 * n)
    shard = live.OpenShard(tmp_path)
    with pytest.raises(FileExistsError, match=lock_of(shard.path).name):
        live.OpenShard(tmp_path)
    assert live.has_writer(shard.path)
    shard.abandon()
    assert not live.has_writer(shard.path)


def test_check_passes_over_a_shard_that_has_gone_meanwhile(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        fill(journal, 2)
    (tmp_path / "sealed-gone.sqlite").symlink_to(tmp_path / "nowhere")  # listed, and not there
    report = inspect_journal(tmp_path)
    assert (report.n_chunks, report.n_responses, report.problems) == (2, 32, [])


def test_a_shard_that_is_merged_away_while_the_folder_is_read_is_read_where_it_went(
    tmp_path: Path,
) -> None:
    for name, identity in (("one", "a"), ("two", "b")):
        with Journal(tmp_path / name) as journal:
            fill(journal, 1, identity=identity)
    theirs = shard_of(tmp_path / "two")
    theirs.rename(tmp_path / "one" / theirs.name)
    reading = folder.ShardFolder(tmp_path / "one").read()
    _, first = next(reading)
    with Journal(tmp_path / "one") as journal:
        journal.compact()  # both are listed, and both are gone
    identities = [identity for _, contents in reading for identity in contents.identities]
    assert len(first.identities) == 1
    assert sorted(identities) == ["a", "b"]


def test_only_shards_with_a_writer_and_that_are_still_there_are_being_written(
    tmp_path: Path,
) -> None:
    shards = folder.ShardFolder(tmp_path)
    dead = tmp_path / "live-another_machine-1-00000000.sqlite"
    dead.touch()
    gone = tmp_path / f"live-{live.host_name()}-1-00000000.sqlite"
    gone.symlink_to(tmp_path / "nowhere")  # listed, and not there: sealed meanwhile
    lock = try_lock(lock_of(gone))
    assert lock is not None
    assert shards.writers(["a"]) == []
    elsewhere = try_lock(lock_of(dead))
    assert elsewhere is not None
    assert shards.writers(["a"]) == [dead]
    unlock(elsewhere)
    unlock(lock)


def test_what_cannot_be_opened_is_an_error_and_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "live-other-1-0.sqlite"
    path.mkdir()
    with pytest.raises(sqlite3.OperationalError, match=r"unable to open|disk I/O error"):
        read_shard(path, sealed=True)
    (tmp_path / f"{path.name}-wal").write_text("some log")
    with pytest.raises(sqlite3.OperationalError, match=r"unable to open|disk I/O error"):
        folder._finish_log(path)


def test_a_chunk_that_its_page_no_longer_holds_is_damage(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        fill(journal, 1)
    with closing(sqlite3.connect(shard_of(tmp_path))) as db:
        assert _chunk(db, 1).n == 16
        with pytest.raises(sqlite3.DatabaseError, match="its page no longer holds it"):
            _chunk(db, 2)


def test_an_error_while_a_chunk_is_written_leaves_nothing_of_it(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        fill(journal, 1)
        db = journal._own_shard().writer._db

        def fail() -> NoReturn:
            with writer._Transaction(db):
                db.execute("DELETE FROM chunks")
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert not db.in_transaction
        assert db.execute("SELECT count(*) FROM chunks").fetchone() == (1,)
