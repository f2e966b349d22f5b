"""The folder of shards: they are listed, sealed, merged, and repaired where they are damaged."""

from __future__ import annotations

import logging
import secrets
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ...errors import JournalError
from ..files import sync_path
from ..readonly import is_unwritable
from .chunk import Chunk, Failure
from .live import OpenShard, count_of, has_writer, host_name, lock_of, noted_count
from .locks import lock_at, try_lock, unlock
from .reader import ShardContents, file_digest, read_shard
from .writer import ShardWriter, fold_log

__all__ = ["ShardFolder"]

_log = logging.getLogger(__name__)

_FULL_GROWN = 64 * 2**20  # bytes; a larger shard is not rewritten to merge it with small ones


class ShardFolder:
    """The shards under one folder.

    Parameters
    ----------
    path : Path
        The folder.
    must_write : bool
        False leaves everything as it is where the folder cannot be written.

    Attributes
    ----------
    notices : list of str
        What had to be repaired, one line each.
    is_writable : bool
        Whether the folder could be written when it was opened.

    """

    def __init__(self, path: Path, *, must_write: bool = True) -> None:
        self.path = path
        self.notices: list[str] = []
        self.is_writable = True
        self._verified: set[str] = set()
        self._quarantine = path / "quarantine"
        self._merge_lock = path / "merge.lock"
        self._must_write = must_write
        with self._unless_unwritable():
            self._quarantine.mkdir(parents=True, exist_ok=True)
            self.repair_abandoned()

    def sealed(self) -> list[Path]:
        """Return the shards that are never written again."""
        return sorted(self.path.glob("sealed-*.sqlite"))

    def live(self) -> list[Path]:
        """Return the shards of this machine that a process may be writing.

        In a folder that cannot be written, those of all machines: nobody will finish them.
        """
        return sorted(self.path.glob(f"live-{host_name() if self.is_writable else '*'}-*.sqlite"))

    def quarantined(self) -> list[Path]:
        """Return the damaged files in quarantine."""
        return sorted(self._quarantine.glob("*.sqlite"))

    def read(self, identity: str | None = None) -> Iterator[tuple[Path, ShardContents]]:
        """Yield every readable shard with its whole chunks; damaged sealed ones are repaired first.

        A shard that is sealed or merged away meanwhile makes the reading start again, so that no
        chunk is missed; the caller may see a chunk twice.
        """
        done: set[str] = set()
        while True:
            paths = [(p, False) for p in self.live()] + [(p, True) for p in self.sealed()]
            todo = [(p, sealed) for p, sealed in paths if p.name not in done]
            if not todo:
                return
            for path, sealed in todo:
                try:
                    if sealed and not self._is_verified(path):
                        with self._unless_unwritable():
                            if self.is_writable:
                                self._repair_sealed(path)
                                break
                        self._verified.add(path.name)
                        self._tell(f"{path.name} is damaged: its whole chunks are read")
                    contents = read_shard(path, sealed=sealed, identity=identity)
                except FileNotFoundError:  # sealed or merged away since it was listed
                    break
                done.add(path.name)
                yield path, contents

    def writers(self, identities: Collection[str]) -> list[Path]:
        """Return the shards that living processes write and that may hold these identities.

        Which identities a process of another machine writes cannot be seen from here.
        """
        paths, own = [], self.live()
        for path in self.path.glob("live-*.sqlite"):
            if not has_writer(path):
                continue
            if path in own:
                try:
                    contents = read_shard(path, sealed=False)
                except FileNotFoundError:  # sealed meanwhile
                    continue
                if contents.identities.isdisjoint(identities):
                    continue
            paths.append(path)
        return paths

    def drop_quarantined(self) -> None:
        """Delete the damaged files in quarantine: their whole chunks were kept."""
        for path in self.quarantined():
            path.unlink()

    def seal(self, shard: OpenShard) -> None:
        """Close this process's shard and give it its last name."""
        is_folded = shard.writer.close()
        with lock_at(self._merge_lock):
            if is_folded:  # else the next opening of the folder does it
                self._settle(shard.path, read_shard(shard.path, sealed=True))
            shard.release()

    def repair_abandoned(self) -> None:
        """Seal the shards whose writers are gone, keeping every whole chunk."""
        with lock_at(self._merge_lock):
            for path in sorted(self.path.glob("live-*.sqlite")):
                noted_before = noted_count(lock_of(path))  # of 0.1.0; the lock may empty its file
                lock = try_lock(lock_of(path))
                if lock is None:
                    continue
                is_finished = False
                try:
                    if path.exists() and _finish_log(path):
                        noted = max(noted_before, noted_count(count_of(path)))
                        self._settle(path, read_shard(path, sealed=True), noted)
                    is_finished = True
                    count_of(path).unlink(missing_ok=True)
                finally:
                    unlock(lock, remove=is_finished)
            for path in self.path.glob("part-*"):
                path.unlink()  # of a merge that died; the lock says that none is under way
            for path in self.path.glob("live-*.sqlite-shm"):
                if not path.with_name(path.name.removesuffix("-shm")).exists():
                    path.unlink(missing_ok=True)  # of a reader that opened a shard being sealed

    def merge(self, drop: Collection[str] = (), *, everything: bool = False) -> tuple[int, int]:
        """Write the small sealed shards as one; return bytes before and after.

        Parameters
        ----------
        drop : collection of str
            Identities to leave out.
        everything : bool
            Rewrite large shards too.

        """
        with lock_at(self._merge_lock):
            for path in self.sealed():
                if not self._is_verified(path):
                    self._repair(path, read_shard(path, sealed=True))
            sizes = {p: p.stat().st_size for p in self.sealed()}
            sources = [p for p, size in sizes.items() if everything or drop or size < _FULL_GROWN]
            before = sum(sizes[p] for p in sources)
            if len(sources) < 2 and not drop:
                return before, before
            after = self._write_sealed(sources, drop)
            for path in sources:
                if path != after:
                    path.unlink()
            sync_path(self.path)
        return before, after.stat().st_size if after is not None else 0

    def _is_verified(self, path: Path) -> bool:
        if path.name not in self._verified and file_digest(path) == _digest_in(path):
            self._verified.add(path.name)
        return path.name in self._verified

    def _repair_sealed(self, path: Path) -> None:
        with lock_at(self._merge_lock):
            if path.exists():  # else another process has repaired it meanwhile
                self._repair(path, read_shard(path, sealed=True))

    def _settle(self, path: Path, contents: ShardContents, noted: int = 0) -> None:
        """Give a shard that nobody writes its sealed name, or repair it; drop it when empty."""
        if contents.damage:
            self._repair(path, contents)
            return
        if len(contents.chunks) < noted:
            self._tell(
                f"{path.name} has lost {noted - len(contents.chunks)} of {noted} chunks of "
                "responses (a power cut?); they are measured again"
            )
        if contents.chunks or contents.failures:
            self._seal_file(path)
        else:
            path.unlink()
        _drop_log(path)

    def _repair(self, path: Path, contents: ShardContents) -> None:
        """Keep a damaged shard's whole chunks in a new one, and quarantine the file."""
        with _temporary(self.path) as part:
            if contents.chunks or contents.failures:
                _write(part, contents.chunks, contents.failures, contents.descriptions)
                self._seal_file(part)
        aside = self._quarantine / f"{path.stem}-{secrets.token_hex(4)}.sqlite"
        path.rename(aside)
        sync_path(self.path)
        _drop_log(path)
        n = sum(chunk.n for chunk in contents.chunks)
        why = contents.damage or "its bytes changed after it was sealed"
        self._tell(
            f"{path.name} was damaged ({why}): {n} responses in {len(contents.chunks)} whole "
            f"chunks were recovered, the rest is measured again; the file is now {aside}"
        )

    @contextmanager
    def _unless_unwritable(self) -> Iterator[None]:
        """From the first time that repairing finds no room, repair no more; only read."""
        try:
            yield
        except (OSError, sqlite3.OperationalError, JournalError) as error:
            if self._must_write or not is_unwritable(error):
                raise
            self.is_writable = False
            why = error.strerror if isinstance(error, OSError) else error
            self._tell(
                f"the journal in {self.path} cannot be written ({why}): it is read as it is, and "
                "what a stopped run left there is finished later"
            )

    def _tell(self, notice: str) -> None:
        self.notices.append(notice)
        _log.warning(notice)

    def _write_sealed(self, sources: list[Path], drop: Collection[str]) -> Path | None:
        chunks: dict[bytes, Chunk] = {}
        failures: dict[tuple[str, bytes], Failure] = {}
        descriptions: dict[str, str] = {}
        for path in sources:
            contents = read_shard(path, sealed=True)
            descriptions |= contents.descriptions
            chunks |= {c.digest: c for c in contents.chunks if c.identity not in drop}
            for failure in contents.failures:
                name = (failure.identity, failure.key)
                known = failures.get(name, failure)
                if failure.identity not in drop and failure.created >= known.created:
                    failures[name] = failure
        remaining = {c.identity for c in chunks.values()} | {identity for identity, _ in failures}
        if not remaining:
            return None
        ordered = sorted(chunks.values(), key=lambda c: (c.created, c.digest))
        described = {i: d for i, d in descriptions.items() if i in remaining}
        with _temporary(self.path) as part:
            _write(part, ordered, [failures[name] for name in sorted(failures)], described)
            return self._seal_file(part)

    def _seal_file(self, path: Path) -> Path:
        sync_path(path)
        sealed = self.path / f"sealed-{file_digest(path)}.sqlite"
        path.rename(sealed)
        sync_path(self.path)
        self._verified.add(sealed.name)
        return sealed


class _temporary:
    """A file name in the folder that is gone at the end, unless renamed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"part-{secrets.token_hex(8)}.sqlite"

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


def _write(
    path: Path, chunks: list[Chunk], failures: list[Failure], descriptions: dict[str, str]
) -> None:
    writer = ShardWriter(path, durable=False)
    for identity, description in sorted(descriptions.items()):
        writer.describe(identity, description)
    for chunk in chunks:
        writer.append(chunk)
    for failure in failures:
        writer.record_failure(failure)
    writer.close()


def _finish_log(path: Path) -> bool:
    """Fold in what a dead writer left in its write-ahead log; return False where it must wait."""
    log = path.with_name(path.name + "-wal")
    if not log.exists() or not log.stat().st_size:
        return True
    try:
        with closing(sqlite3.connect(path)) as db:
            return fold_log(db)
    except sqlite3.OperationalError:  # no room to fold it in; nothing is damaged
        raise
    except sqlite3.DatabaseError as error:
        _log.warning("%s: its write-ahead log cannot be read (%s)", path.name, error)
        return True


def _drop_log(path: Path) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _digest_in(path: Path) -> str:
    return path.stem.removeprefix("sealed-")
