import gzip
import hashlib
import json
import math
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checkout import TESTS
from hypothesis import given, settings
from hypothesis import strategies as st
from store_parts import RESULT, SAMPLES

from capspace.collect.engine.arithmetic import engine_settings
from capspace.collect.errors import StoreError
from capspace.collect.storage.maintenance import check_store
from capspace.collect.storage.result import Missing
from capspace.collect.storage.run_dates import date_of_epoch, date_of_text
from capspace.collect.storage.schema import _leave_wal, connect, transaction
from capspace.collect.storage.score_table import single_scores
from capspace.collect.storage.store import Store, default_store_path
from capspace.fit.errors import TableError

pytestmark = pytest.mark.usefixtures("forked")


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    with Store(tmp_path / "new" / "store") as store:
        assert store.get(RESULT.key) is None
        store.put(RESULT, SAMPLES)
        assert store.get(RESULT.key) == RESULT
    with Store(tmp_path / "new" / "store") as again:
        assert again.results() == [RESULT]
        assert again.results(model="org/other") == []
        assert list(again.samples(RESULT.key)) == SAMPLES


@pytest.mark.parametrize(
    ("doc_ids", "n_shot", "prompts", "is_there"),
    [
        pytest.param([0, 1, 2, 3], 25, {}, True, id="one-process"),
        pytest.param([0, 2, 1, 3], 25, {}, False, id="two-processes"),
        pytest.param([0, 2, 1, 3], 0, {}, True, id="two-processes-without-examples"),
        pytest.param([0, 2, 1, 3], 25, {"prompts": "f" * 64}, True, id="two-processes-since-then"),
        pytest.param([0, 0, 1, 1], 25, {}, True, id="two-filters"),
        pytest.param([], 25, {}, True, id="no-samples"),
    ],
)
def test_a_score_of_other_examples_than_its_key_says_is_not_taken(
    tmp_path: Path, doc_ids: list[int], n_shot: int, prompts: dict[str, str], is_there: bool
) -> None:
    changed = replace(RESULT, n_shot=n_shot, tasks=({**RESULT.tasks[0], **prompts},))
    with Store(tmp_path) as store:
        store.put(changed, [{"doc_id": i} for i in doc_ids])
        assert store.get(RESULT.key) == (changed if is_there else None)
        assert store.results() == [changed]


@settings(max_examples=25)
@given(score=st.floats(0, 1), stderr=st.floats(0, 1) | st.just(math.nan))
def test_scores_survive_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, score: float, stderr: float
) -> None:
    path = tmp_path_factory.mktemp("store")
    with Store(path) as store:
        store.put(replace(RESULT, score=score, stderr=stderr))
        back = store.results()[0]
    assert back.score == score
    assert back.stderr == stderr or (math.isnan(back.stderr) and math.isnan(stderr))
    shutil.rmtree(path)


def test_an_unknown_stderr_is_null_on_disk_and_nan_in_memory(tmp_path: Path) -> None:
    unknown = replace(RESULT, stderr=math.nan, tasks=({"task": "x", "stderr": math.nan},))
    with Store(tmp_path) as store:
        store.put(unknown)
        back = store.results()[0]
        assert math.isnan(back.stderr)
        assert back.tasks[0]["stderr"] is None
        assert math.isnan(store.to_table().scores["stderr"][0])


def test_samples_have_no_time_or_name_in_them(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put(RESULT, SAMPLES)
        first = store.samples_file(RESULT.key).read_bytes()
        store.put(RESULT, SAMPLES)
        assert store.samples_file(RESULT.key).read_bytes() == first
        assert [json.loads(line) for line in gzip.decompress(first).splitlines()] == SAMPLES
        assert [p.name for p in store.samples_path.iterdir()] == [f"{RESULT.key}.jsonl.gz"]


def test_samples_that_fail_to_be_written_leave_no_result(tmp_path: Path) -> None:
    def broken() -> object:
        yield {"doc_id": 0}
        raise RuntimeError("the power of the example")

    with Store(tmp_path) as store:
        with pytest.raises(RuntimeError, match="the power"):
            store.put(RESULT, broken())  # type: ignore[arg-type]  # a generator is iterable
        assert store.results() == []
        assert list(store.samples_path.iterdir()) == []


def test_damaged_samples_are_one_clear_line(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put(RESULT, SAMPLES)
        path = store.samples_file(RESULT.key)
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(StoreError, match="cannot read these samples"):
            list(store.samples(RESULT.key))
        with pytest.raises(StoreError, match="is not a key"):
            store.samples_file("../../etc/passwd")


def test_a_failure_stays_until_the_cell_has_a_score(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        failure = Missing(
            "org/model", "ARC-C", "because", revision=RESULT.revision, failed_at="2026-01-01"
        )
        store.put_failure(failure)
        store.put_failure(replace(failure, benchmark="MMLU"))
        assert store.failures()[0] == failure
        store.put(RESULT)
        assert [f.benchmark for f in store.failures()] == ["MMLU"]


def test_the_table_names_protocol_and_source(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        assert len(store.to_table()) == 0
        store.put(RESULT)
        row = store.to_table().scores.iloc[0]
    assert row["model"] == "org/model"
    assert row["revision"] == "0123456789ab"
    assert (row["score"], row["n_items"], row["n_shot"]) == (1 / 3, 1172, 25)
    assert (row["protocol"], row["source"]) == (RESULT.protocol, RESULT.source)


def test_two_folders_of_one_name_stay_two_models(tmp_path: Path) -> None:
    other = replace(RESULT, key="b" * 64, revision="fedcba9876543210" * 4, score=0.5)
    with Store(tmp_path) as store:
        store.put(RESULT)
        store.put(other)
        wide = store.to_table().wide()
    assert wide["ARC-C"].to_dict() == {"org/model@01234567": 1 / 3, "org/model@fedcba98": 0.5}


def test_two_scores_that_nothing_visible_tells_apart_are_refused(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put(RESULT)
        store.put(replace(RESULT, key="b" * 64, score=0.5, source="another"))
        with pytest.raises(TableError, match=r"0\.333333 \(measured\) but 0\.5 \(another\)"):
            store.to_table()


@pytest.mark.parametrize("some", ["estimated from 100 items", "100 items drawn at random"])
def test_a_score_by_all_items_stands_before_a_newer_one_by_some(tmp_path: Path, some: str) -> None:
    words = f"{RESULT.protocol}; {some}"
    estimate = replace(
        RESULT, key="b" * 64, score=0.5, protocol=words, measured_at="2999-01-01T00:00:00+00:00"
    )
    of_another = replace(estimate, key="c" * 64, model="org/other")
    with Store(tmp_path) as store:
        for result in (RESULT, estimate, of_another):
            store.put(result)
        assert len(store.results()) == 3
        table = store.to_table()
    assert table.wide()["ARC-C"].to_dict() == {"org/model": RESULT.score, "org/other": 0.5}
    assert sorted(table.scores["protocol"]) == [RESULT.protocol, words]


MEASURED = replace(RESULT, identity='{"model": {}}', n_items=100, score=0.2, measured_at="2026-01")
OF_ANOTHER_RUN = {
    "a few of its items": f"{RESULT.protocol}; limit 10",
    "some drawn": f"{RESULT.protocol}; 10 items drawn at random",
    "some of each task": f"{RESULT.protocol}; 10 items in all",
    "another backend": RESULT.protocol.replace("hf", "capspace"),
    "another release": RESULT.protocol.replace("0.4.13", "0.4.12"),
}


@pytest.mark.parametrize("protocol", OF_ANOTHER_RUN.values(), ids=OF_ANOTHER_RUN)
def test_of_several_runs_most_items_and_then_the_newest_stand(protocol: str) -> None:
    fewer = replace(MEASURED, key="b" * 64, protocol=protocol, n_items=10, measured_at="2026-02")
    newer = replace(fewer, key="c" * 64, n_items=100)
    elsewhere = replace(fewer, key="d" * 64, benchmark="MMLU")
    for chosen, other in ((MEASURED, fewer), (newer, MEASURED)):
        for results in ([chosen, other, elsewhere], [elsewhere, other, chosen]):
            left, (note,) = single_scores(results)
            assert {r.key for r in left} == {chosen.key, elsewhere.key}
            assert note.startswith("org/model was measured several times on ARC-C: ")
    assert single_scores([MEASURED, elsewhere]) == ([MEASURED, elsewhere], ())


def test_the_engine_and_hf_measure_the_same_and_a_quantised_run_does_not() -> None:
    own = dict(engine_settings("bfloat16", governs_texts=True)) | {"ends": '"each"'}
    engine, quantised = (
        replace(MEASURED, key=key, identity=json.dumps({"model": {"backend_settings": pairs}}))
        for key, pairs in (("b" * 64, [*own.items()]), ("c" * 64, [("quantization", '"fp8"')]))
    )
    left, _ = single_scores([MEASURED, engine, quantised])
    assert [row.key for row in left] == [MEASURED.key, quantised.key]


def test_one_note_names_what_several_models_were_measured_on_twice() -> None:
    rows = [
        replace(MEASURED, key=f"{model}{benchmark}{n}".ljust(64), model=model, benchmark=benchmark)
        for model in ("one", "two", "three") for benchmark in ("B", "A") for n in range(2)
    ]  # fmt: skip
    _, (note,) = single_scores(rows)
    assert note.startswith("one and 2 more were measured several times on A, B: the scores")


@pytest.mark.parametrize(
    "change",
    [
        {"n_shot": 0},
        {"revision": "another"},
        {"protocol": f"{RESULT.protocol}; chat template"},
        {"protocol": RESULT.protocol.replace("bfloat16", "float32")},
        {"protocol": RESULT.protocol.replace("v1.0", "v2.0")},
        {"identity": ""},  # it was imported
        {"protocol": "of a leaderboard"},
    ],
)
def test_scores_that_differ_otherwise_all_stay(change: dict[str, Any]) -> None:
    both = [MEASURED, replace(MEASURED, key="b" * 64, n_items=10, **change)]
    assert single_scores(both) == (both, ())


def test_samples_with_half_a_character_come_back(tmp_path: Path) -> None:
    sample = {"text": "half \ud83d", "other": "whole é"}
    with Store(tmp_path) as store:
        store.put(RESULT, [sample])
        assert list(store.samples(RESULT.key)) == [sample]


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "store.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match=r"written by a newer capspace \(store version 99"):
        Store(tmp_path)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.sqlite") as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.close()
    with pytest.raises(StoreError, match="not a store of capspace"):
        Store(tmp_path)


@pytest.mark.parametrize("where", ["head", "middle"])
def test_a_corrupt_store_is_one_clear_line(tmp_path: Path, where: str) -> None:
    with Store(tmp_path) as store:
        for n in range(40):
            store.put(replace(RESULT, key=f"{n:064x}"))
    path = tmp_path / "store.sqlite"
    data = bytearray(path.read_bytes())
    start = 0 if where == "head" else len(data) // 2
    data[start : start + 4096] = os.urandom(min(4096, len(data) - start))
    path.write_bytes(data)
    with pytest.raises(StoreError, match="is damaged or no store") as caught:
        Store(tmp_path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_flipped_bit_in_a_number_is_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Store(tmp_path) as store:
        store.put(RESULT)
    path = tmp_path / "store.sqlite"
    data, score = path.read_bytes(), struct.pack(">d", RESULT.score)
    assert data.count(score) == 1
    path.write_bytes(data.replace(score, struct.pack(">d", 0.75)))
    with Store(tmp_path) as store:
        assert store.results() == store.results() == []
        assert store.get(RESULT.key) is None
        (line,) = caplog.messages
        assert str(path) in line
        assert "the score of 'org/model' on 'ARC-C' is damaged and left out" in line
        store.put(RESULT)  # it was measured again
        assert store.results() == [RESULT]
        assert store.damaged() == []


@pytest.mark.parametrize(
    "change",
    [
        "identity = '{'",
        "score = 9e999",
        "provenance = '[}'",
        "model = CAST(x'6f7267ff0a' AS TEXT)",
        "key = CAST(x'ff0a' AS TEXT)",
    ],
)
def test_a_damaged_result_hides_no_other(
    tmp_path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = replace(RESULT, key="b" * 64, benchmark="MMLU")
    with Store(tmp_path) as store:
        store.put(RESULT, SAMPLES)
        store.put(other, SAMPLES)
    db = sqlite3.connect(tmp_path / "store.sqlite")
    db.execute(f"UPDATE results SET {change} WHERE benchmark = 'ARC-C'")  # noqa: S608 - ours
    db.commit()
    db.close()
    with Store(tmp_path) as store:
        assert store.results() == [other]
        assert store.get(other.key) == other
        (damaged,) = store.damaged()
        assert damaged.name in ("a" * 12, f"row-{damaged.row}")
        (line,) = caplog.messages
        assert damaged.problem in line
        assert f"'capspace store remove {damaged.name}'" in line
        assert "\n" not in line
        store.remove_damaged([damaged])
        assert store.damaged() == []
        assert store.results() == [other]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="is a file; a store is a folder"):
        Store(tmp_path / "file")
    with pytest.raises(StoreError, match=r"cannot write the store .*/file/inner.*--store"):
        Store(tmp_path / "file" / "inner")
    with pytest.raises(StoreError, match=r"cannot write the store /proc/"):
        Store(Path("/proc/capspace"))


_WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from capspace.collect.storage.store import Store
from store_parts import RESULT
with Store(Path(sys.argv[2])) as store:
    for n in range(int(sys.argv[3]), int(sys.argv[4])):
        store.put(replace(RESULT, key=f"{n:064x}"))
        print(n, flush=True)
"""


def writer(path: Path, start: int, stop: int) -> subprocess.Popen[str]:
    here = str(TESTS)
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, here, str(path), str(start), str(stop)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_what_put_returned_from_survives_kill_9(tmp_path: Path) -> None:
    process = writer(tmp_path, 0, 100_000)
    assert process.stdout is not None
    numbers = [int(process.stdout.readline()) for _ in range(5)]
    process.kill()
    rest, _ = process.communicate()
    numbers += [int(line) for line in rest.splitlines()]
    with Store(tmp_path) as store:
        stored = {r.key for r in store.results()}
    assert {f"{n:064x}" for n in numbers} <= stored
    assert len(stored) - len(numbers) in (0, 1)


_FULL_DISK = """
import resource, signal, sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from capspace.collect.errors import StoreError
from capspace.collect.storage.store import Store
from store_parts import RESULT
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Store(Path(sys.argv[2])) as store:
    store.put(RESULT)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        for n in range(1000):
            store.put(replace(RESULT, key=f"{n:064x}"), [{"doc": "x" * 100}])
            print(n, flush=True)
    except StoreError as error:
        print(error)
"""


@pytest.mark.slow
def test_a_full_disk_is_one_clear_line_and_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(TESTS), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    *written, message = done.stdout.splitlines()
    assert str(tmp_path) in message
    assert message.startswith("cannot ")
    assert len(written) > 5
    with Store(tmp_path) as store:
        assert len(store.results()) == len(written) + 1


@pytest.mark.slow
def test_two_processes_write_one_store(tmp_path: Path) -> None:
    both = [writer(tmp_path, 0, 20), writer(tmp_path, 20, 40)]
    assert [p.communicate() and p.returncode for p in both] == [0, 0]
    with Store(tmp_path) as store:
        assert len(store.results()) == 40


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are hashed, in turn."""
    from capspace.collect.storage import file_hashes

    seen: list[Path] = []
    original = file_hashes.sha256_file
    monkeypatch.setattr(file_hashes, "sha256_file", lambda p: seen.append(p) or original(p))
    return seen


def test_file_hashes_are_remembered_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashed: list[Path]
) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    with Store(tmp_path / "store") as store:
        first = store.hash_file(path)
        store.hash_file(path)
        assert len(hashed) == 2  # just written: its times do not prove anything yet
        monkeypatch.setattr("capspace.collect.storage.file_hashes._FRESH_NS", -1)
        assert store.hash_file(path) == store.hash_file(path) == first
        assert len(hashed) == 3
        path.write_bytes(b"abd")
        assert store.hash_file(path) != first
        assert len(hashed) == 4


def test_hashes_of_before_a_store_was_made_are_kept_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashed: list[Path]
) -> None:
    monkeypatch.setattr("capspace.collect.storage.file_hashes._FRESH_NS", -1)
    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    with Store(tmp_path / "store", create=False) as store:
        first = store.hash_file(path)
        assert store.hash_file(path) == first
        assert not store.path.exists()
        store.make()
    with Store(tmp_path / "store") as again:
        assert again.hash_file(path) == first
    assert hashed == [path]


@pytest.mark.parametrize("how", ["renamed", "in place"])
def test_other_weights_of_the_same_size_and_time_are_hashed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashed: list[Path], how: str
) -> None:
    monkeypatch.setattr("capspace.collect.storage.file_hashes._FRESH_NS", -1)
    path, other = tmp_path / "weights", tmp_path / "weights.new"
    path.write_bytes(b"abc")
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    with Store(tmp_path / "store") as store:
        first = store.hash_file(path)
        assert store.hash_file(path) == first
        assert len(hashed) == 1
        new = other if how == "renamed" else path
        new.write_bytes(b"xyz")
        os.utime(new, ns=times)  # as rsync -t, cp -p and tar do
        new.replace(path)
        assert path.stat().st_mtime_ns == times[1]
        assert store.hash_file(path) != first


def earlier_store(path: Path) -> sqlite3.Connection:
    """Make a store as version 1 made them, with a score in it, and leave it open."""
    with Store(path) as store:
        store.put(RESULT, SAMPLES)
    db = sqlite3.connect(path / "store.sqlite", isolation_level=None)
    db.execute("DROP TABLE file_stamps")
    db.execute(
        "CREATE TABLE file_hashes (path TEXT PRIMARY KEY, size INTEGER NOT NULL, "
        "mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL) STRICT"
    )
    db.execute("PRAGMA user_version = 1")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA quick_check")  # from its first reading on it holds the log
    return db


def test_a_store_of_the_first_version_opens_and_hashes_anew(tmp_path: Path) -> None:
    earlier_store(tmp_path).close()
    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    for _ in range(2):
        with Store(tmp_path) as store:
            assert store.results() == [RESULT]
            assert store.hash_file(path).startswith("ba7816bf")


def journal_mode(path: Path) -> str:
    db = sqlite3.connect(path / "store.sqlite")
    (mode,) = db.execute("PRAGMA journal_mode").fetchone()
    db.close()
    return str(mode)


def test_a_store_has_no_write_ahead_log_which_machines_cannot_share(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put(RESULT, SAMPLES)
        assert journal_mode(tmp_path) == "delete"
        assert not list(tmp_path.glob("store.sqlite-*"))


def test_a_store_with_a_log_loses_it_once_nobody_else_has_it_open(tmp_path: Path) -> None:
    db = earlier_store(tmp_path)
    with Store(tmp_path) as store:  # a run of the earlier version is still going on
        store.put(replace(RESULT, key="b" * 64))
        assert journal_mode(tmp_path) == "wal"
    db.close()
    with Store(tmp_path) as store:
        assert len(store.results()) == 2
        assert journal_mode(tmp_path) == "delete"


def test_the_environment_names_the_default_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPSPACE_STORE", str(tmp_path / "mine"))
    assert default_store_path() == tmp_path / "mine"
    monkeypatch.delenv("CAPSPACE_STORE")
    assert default_store_path().name == "capspace"


def test_a_transaction_that_the_disk_has_ended_says_why(tmp_path: Path) -> None:
    def fails(db: sqlite3.Connection) -> None:
        with transaction(db):
            db.execute("ROLLBACK")  # as SQLite itself does after such an error
            raise OSError("disk I/O error")

    with closing(connect(tmp_path / "a.sqlite")) as db:
        with pytest.raises(OSError, match="disk I/O error"):
            fails(db)
        assert not db.in_transaction


def test_an_error_ends_a_transaction_without_a_trace(tmp_path: Path) -> None:
    def fails(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM results")
        raise KeyError

    with Store(tmp_path) as store:
        store.put(RESULT, SAMPLES)
        with pytest.raises(KeyError), transaction(store._file._db):
            fails(store._file._db)
        assert store.results() == [RESULT]


def test_a_store_that_lost_a_table_is_one_line(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store._file._db.execute("DROP TABLE results")
        with pytest.raises(StoreError, match=r"cannot use the store .*no such table: results; "):
            store.results()


def test_a_score_whose_samples_are_gone_or_another_s_is_taken(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put(RESULT, None)
        assert not store.samples_file(RESULT.key).exists()
        assert store.get(RESULT.key) == RESULT


def test_what_is_not_whole_is_named(tmp_path: Path) -> None:
    imported = replace(RESULT, key="b" * 64, identity='{"imported": 1}', model="org/imported")
    with Store(tmp_path) as store:
        store.put(RESULT, SAMPLES)
        store.put(imported, None)  # without samples: nothing is wrong with it
        path = store.samples_file(RESULT.key)
        assert check_store(store) == [f"{path}: 2 of 1172 items"]
        store.put(replace(RESULT, n_items=2), SAMPLES)
        assert check_store(store) == []


@pytest.mark.parametrize(
    ("read", "given"),
    [
        pytest.param(date_of_epoch, 1e300, id="no-year-so-late"),
        pytest.param(date_of_epoch, True, id="no-number"),
        pytest.param(date_of_text, "soon", id="no-date"),
        pytest.param(date_of_text, "0001-01-01T00:00:00+14:00", id="before-the-first-year"),
    ],
)
def test_what_is_no_date_is_none(read: Callable[[object], str], given: object) -> None:
    assert read(given) == ""


def test_a_store_that_may_not_be_written_is_only_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path) as store:
        store.put(RESULT, SAMPLES)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with Store(tmp_path, must_write=False) as store:
        assert store.results() == [RESULT]
        assert store._file.notices == [
            f"cannot write the store {tmp_path} (it is read-only): it is only read"
        ]
    with pytest.raises(StoreError, match="it is read-only"):
        Store(tmp_path)


def test_a_log_that_cannot_be_left_for_another_reason_is_an_error(tmp_path: Path) -> None:
    earlier_store(tmp_path).close()
    uri = f"{(tmp_path / 'store.sqlite').as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True)) as db,
        pytest.raises(sqlite3.OperationalError, match=r"readonly|disk I/O error"),
    ):
        _leave_wal(db)


def test_samples_that_were_given_their_name_meanwhile_are_not_left_behind(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.put(replace(RESULT, n_items=2), SAMPLES)
        part = store.samples_path / ".half.jsonl.gz.1.part"
        part.symlink_to(tmp_path / "nowhere")  # listed, and not there
        assert check_store(store) == []


def test_a_store_that_is_not_to_be_created_is_empty_until_something_is_put(tmp_path: Path) -> None:
    path = tmp_path / "new" / "store"
    with Store(path, create=False) as store:
        assert store.results() == []
        assert store.keys() == set()
        assert store.failures() == []
        assert not path.parent.exists()
        store.put(RESULT, SAMPLES)
        assert store.results() == [RESULT]
    with Store(path, create=False) as again:
        assert list(again.samples(RESULT.key)) == SAMPLES


def test_threads_hash_files_of_a_store_that_is_made_later(tmp_path: Path) -> None:
    path, names = tmp_path / "store", [tmp_path / f"{n}.bin" for n in range(16)]
    for name in names:
        name.write_bytes(name.name.encode())
    with Store(path, create=False) as store, ThreadPoolExecutor(8) as pool:
        hashes = list(pool.map(store.hash_file, names))
        assert not path.exists()
        store.put(RESULT)
    assert hashes == [hashlib.sha256(name.name.encode()).hexdigest() for name in names]
    with Store(path) as again:
        assert again.results() == [RESULT]
