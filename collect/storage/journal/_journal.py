"""A journal is used through three operations: responses are looked up, appended and removed."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ...errors import JournalError
from ..files import write_atomically
from .chunk import Chunk, Failure
from .folder import ShardFolder
from .inspection import JournalInfo, JournalReport, describe_journal, inspect_journal
from .leases import Leases
from .live import OpenShard
from .responses import RequestType, Response

__all__ = ["Journal", "open_journal"]

_MERGE_ABOVE = 8  # sealed shards; each process that wrote adds one


class Journal:
    """All responses stored under one folder, by measurement identity and request key.

    Parameters
    ----------
    path : Path
        The folder; it is made where it is not there.
    must_write : bool
        False opens, for reading, also what cannot be written: a full disk, a read-only mount.

    Attributes
    ----------
    leases : Leases
        Who is measuring what right now.

    Raises
    ------
    JournalError
        The folder cannot be written, or holds files of a newer version.

    Notes
    -----
    The folder may be shared by processes and machines. Responses in shards that are still written
    are seen by processes of the same machine only, as SQLite's log cannot be shared further; a
    lease keeps two machines from one cell. Machines must have distinct host names and the file
    system must honour `flock` between them.

    """

    def __init__(self, path: Path, *, must_write: bool = True) -> None:
        self.path = Path(path)
        self.leases = Leases(self.path / "claims")
        self._own: OpenShard | None = None
        with _plain_errors(self.path):
            self._folder = ShardFolder(self.path, must_write=must_write)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, JournalError):
            self._abandon()
        else:
            self.close()

    @property
    def notices(self) -> list[str]:
        """What opening and reading had to repair so far, one line each, to be shown to a person."""
        return list(self._folder.notices)

    def take_notices(self) -> list[str]:
        """Return the notices since the last call, so that each is shown once."""
        taken, self._folder.notices = self._folder.notices, []
        return taken

    def known(self, identity: str) -> dict[bytes, Response]:
        """Return every response stored for an identity, by request key.

        Where two processes requested the same, the response written first counts.
        """
        with _plain_errors(self.path):
            chunks = [c for _, contents in self._folder.read(identity) for c in contents.chunks]
        responses: dict[bytes, Response] = {}
        for chunk in sorted(chunks, key=lambda c: (c.created, c.digest), reverse=True):
            responses.update(chunk.responses())
        return responses

    def append(
        self,
        identity: str,
        request_type: RequestType,
        keys: Sequence[bytes],
        responses: Sequence[Response],
        *,
        description: Mapping[str, Any] | None = None,
    ) -> None:
        """Write one chunk of responses; they are on disk when this returns.

        Parameters
        ----------
        identity : str
            Key of the measurement identity.
        request_type : str
            The model's method that responded.
        keys, responses : sequences of one length
            What was asked and what came back.
        description : mapping, optional
            What the identity stands for, as JSON data.

        Raises
        ------
        JournalError
            The disk is full or read-only: this chunk is dropped whole or kept whole, and those
            before it are kept.

        """
        chunk = Chunk.of(identity, request_type, keys, responses)
        with _plain_errors(self.path):
            self._own_shard().append(chunk, description)

    def record_failure(self, failure: Failure) -> None:
        """Store that a request got no response; the next run makes it again."""
        self._own_shard().writer.record_failure(failure)

    def failures(self, identity: str) -> list[Failure]:
        """Return the requests of an identity that were made and got no response."""
        known = self.known(identity)
        with _plain_errors(self.path):
            failures = [f for _, contents in self._folder.read(identity) for f in contents.failures]
        ordered = sorted(failures, key=lambda f: (f.created, f.key))
        return list({f.key: f for f in ordered if f.key not in known}.values())

    def tuning(self, identity: str) -> dict[str, float]:
        """Return what was learned of an identity's speed and size on this machine, or nothing."""
        try:
            stored = json.loads(self._tuning_path(identity).read_text())
            return {str(name): float(value) for name, value in stored.items()}
        except (FileNotFoundError, ValueError, AttributeError):
            return {}  # it only saves time; a torn file is learned again

    def keep_tuning(self, identity: str, tuning: Mapping[str, float]) -> None:
        """Keep numbers that make the next run of this identity faster; they change no response."""
        path = self._tuning_path(identity)
        with _plain_errors(self.path):
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, json.dumps(dict(tuning)), sync=False)

    def close(self) -> None:
        """Seal this process's shard, and merge the shards where they have become many."""
        with _plain_errors(self.path):
            self._seal_own()
            if self._folder.is_writable and len(self._folder.sealed()) > _MERGE_ABOVE:
                self._folder.merge()

    def compact(self) -> tuple[int, int]:
        """Merge all sealed shards into one; return bytes before and after.

        Quarantined files are deleted.
        """
        with _plain_errors(self.path):
            self._folder.drop_quarantined()
            return self._folder.merge(everything=True)

    def remove(self, identities: Collection[str]) -> tuple[int, int]:
        """Drop all responses and failures of these identities; return bytes before and after.

        Quarantined files go too: whose responses are in them, nobody can tell.

        Raises
        ------
        JournalError
            Another process is still writing one of them, or may be on another machine.

        """
        with _plain_errors(self.path):
            self._seal_own()
            for path in self._folder.writers(identities):
                raise JournalError(
                    f"a run is still writing responses that are to be removed, to {path}; wait for "
                    "it or stop it, then remove them"
                )
            self._folder.drop_quarantined()
            return self._folder.merge(drop=set(identities))

    def check(self) -> JournalReport:
        """Read everything and report what is not whole."""
        return inspect_journal(self.path)

    def info(self) -> JournalInfo:
        """Return what it holds, per identity."""
        contents = [contents for _, contents in self._folder.read()]
        failed = {failure.identity for shard in contents for failure in shard.failures}
        return describe_journal(
            contents,
            without_response=[
                failure for identity in sorted(failed) for failure in self.failures(identity)
            ],
            n_sealed=len(self._folder.sealed()),
            n_live=len(self._folder.live()),
            n_quarantined=len(self._folder.quarantined()),
        )

    def _own_shard(self) -> OpenShard:
        if self._own is None:
            with _plain_errors(self.path):
                self._own = OpenShard(self.path)
        return self._own

    def _seal_own(self) -> None:
        if self._own is not None:
            own, self._own = self._own, None
            self._folder.seal(own)

    def _abandon(self) -> None:
        """Leave the shard as it is, after an error that was raised; the next opening repairs it."""
        if self._own is not None:
            own, self._own = self._own, None
            own.abandon()

    def _tuning_path(self, identity: str) -> Path:
        where = f"{os.uname().nodename}\0{identity}"
        name = blake2b(where.encode(), digest_size=16).hexdigest()
        return self.path / "tuning" / f"{name}.json"


class _plain_errors:
    """Turns the system's errors into one line that says what to do."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> None:
        if isinstance(error, (OSError, sqlite3.OperationalError)):
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise JournalError(
                f"cannot use the journal in {self._path}: {why}; every finished chunk is kept: "
                "make room there, or make it writable, and run the same command again"
            ) from None


def open_journal(store: Path, *, must_write: bool = True) -> Journal:
    """Return the journal that lies in a store's folder."""
    return Journal(store / "journal", must_write=must_write)
