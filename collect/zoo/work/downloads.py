"""The next checkpoint is downloaded while this one runs, and finished ones are removed."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from ...checkpoints.checkpoint import resolve
from ...checkpoints.download import checkpoint_folder
from ...checkpoints.hub import http_errors
from ...errors import CheckpointError, ZooError
from ...runtime.redaction import redacted
from ...storage.files import write_atomically
from ..planning.plan import Plan
from .folder import ZooFolder
from .records import WorkUnit

__all__ = ["Downloads", "check_disk", "evict", "fetch", "spare_bytes"]

_WAKE_SECONDS = 0.5
# A download that wrote nothing for so long is nobody's any more.
_TORN_AFTER = 3600.0


class Downloads:
    """Fetches checkpoints ahead of their units, and evicts finished ones where a bound asks for it.

    Only what a zoo itself fetched onto this machine is ever evicted; which that is, is kept in the
    zoo's folder from run to run. What units still need is never evicted.

    Parameters
    ----------
    folder : ZooFolder
        The zoo, with its units.
    max_bytes : int, optional
        Room for what the zoo fetches.
    tell : callable
        Takes a line for a person.

    """

    def __init__(
        self,
        folder: ZooFolder,
        *,
        max_bytes: int | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._folder = folder
        self._tell = tell
        self._lock = threading.Lock()
        self._record = _record(folder)
        # Bytes by checkpoint, those fetched first in front.
        self._held = {ref: n for ref, n in _read(self._record).items() if _present(ref)}
        for ref in self._held:
            _remove_torn(ref)
        self._in_use: Counter[str] = Counter()
        self._fetches: dict[str, threading.Event] = {}
        self._max = max_bytes
        if max_bytes is not None:  # planning has read the settings of all
            planned = {o.ref for o in folder.read_work().units if o.n_download_bytes}
            self._max = max_bytes - sum(map(_present, planned - self._held.keys()))

    def take(self, unit: WorkUnit) -> bool:
        """Return whether a unit's checkpoint is here or has room now; until `release` it stays."""
        with self._lock:
            if not self._is_ours(unit):
                return True
            if not self._hold(unit):
                return False
            self._in_use[unit.ref] += 1
            return True

    def wait(
        self, unit: WorkUnit, stop: threading.Event, *, waiting: Callable[[], None] = lambda: None
    ) -> None:
        """Return when the checkpoint of a unit is here, could not be fetched, or ``stop`` is set.

        Meanwhile ``waiting`` is called twice a second. Where fetching failed, the unit's own
        process tries again, and records what it meets as the unit's failure.
        """
        with self._lock:
            if not self._is_ours(unit):
                return
            fetched = self._fetches.get(unit.ref) or self._begin(unit)
        while not stop.is_set() and not fetched.wait(_WAKE_SECONDS):
            waiting()

    def release(self, unit: WorkUnit) -> None:
        """Say that a unit has no more use of its checkpoint."""
        with self._lock:
            self._in_use[unit.ref] -= 1
            self._in_use += Counter()  # drops what nobody uses

    def fetch_next(self) -> None:
        """Begin to fetch, in background, the next checkpoint that nobody has asked for yet.

        One at a time, and at most as many ahead as are in use.
        """
        with self._lock:
            finished = self._folder.finished()
            left = [o for o in self._folder.read_work().units if o.id not in finished]
            ahead = {o.ref for o in left if o.ref in self._fetches and o.ref not in self._in_use}
            if len(ahead) >= max(1, len(self._in_use)) or self._fetching():
                return
            begun = self._fetches.keys() | self._in_use.keys()
            unit = next((o for o in left if self._is_ours(o) and o.ref not in begun), None)
            if unit is not None and self._hold(unit):
                self._begin(unit)

    def _is_ours(self, unit: WorkUnit) -> bool:
        """Return whether the zoo fetches this checkpoint, or did so before."""
        return bool(unit.n_download_bytes) or unit.ref in self._held

    def _hold(self, unit: WorkUnit) -> bool:
        if unit.ref not in self._held:
            if not self._make_room(unit.n_download_bytes):
                return False
            self._held[unit.ref] = unit.n_download_bytes
            _write(self._record, self._held)
        return True

    def _make_room(self, n_bytes: int) -> bool:
        if self._max is None:
            return True
        excess = sum(self._held.values()) + n_bytes - self._max
        going = []
        for ref in self._spare():
            if excess <= 0:
                break
            going.append(ref)
            excess -= self._held[ref]
        if excess > 0:
            return False
        for ref in going:
            freed = evict([ref])
            del self._held[ref]
            self._fetches.pop(ref, None)
            self._tell(f"evicted {self._name(ref)}: {freed / 1e9:.3g} GB of disk")
        return True

    def _name(self, ref: str) -> str:
        named = (o.model for o in self._folder.read_work().units if o.ref == ref)
        return next(named, ref)

    def _spare(self) -> list[str]:
        """Return the checkpoints of ours that no unit needs any more."""
        finished = self._folder.finished()
        needed = {o.ref for o in self._folder.read_work().units if o.id not in finished}
        # Commits of one repository share files: what comes may link to what would go.
        changing = {_repository(ref) for ref in self._fetching()}
        return [
            ref
            for ref in self._held
            if ref not in needed and ref not in self._in_use and _repository(ref) not in changing
        ]

    def _fetching(self) -> list[str]:
        return [ref for ref, fetched in self._fetches.items() if not fetched.is_set()]

    def _begin(self, unit: WorkUnit) -> threading.Event:
        fetched = self._fetches[unit.ref] = threading.Event()
        threading.Thread(target=self._fetch, args=(unit, fetched), daemon=True).start()
        return fetched

    def _fetch(self, unit: WorkUnit, fetched: threading.Event) -> None:
        try:
            fetch(unit)
        except ZooError as error:
            self._tell(str(error))
        finally:
            fetched.set()
        self.fetch_next()


def fetch(unit: WorkUnit) -> Path:
    """Download the checkpoint of a unit and return its folder.

    Raises
    ------
    ZooError
        The Hub does not give it.

    """
    refusals: tuple[type[Exception], ...] = (CheckpointError, *http_errors())
    try:
        checkpoint = resolve(
            unit.ref,
            allow_pickle=unit.settings.allow_pickle,
            trust_remote_code=unit.settings.trust_remote_code,
        )
        return Path(checkpoint_folder(checkpoint))
    except refusals as error:
        raise ZooError(f"cannot download {unit.model}: {_one_line(error)}") from None


def evict(refs: Iterable[str]) -> int:
    """Remove ``org/model@commit`` from the local cache and return the bytes that were freed."""
    from huggingface_hub import constants, scan_cache_dir

    commits = {ref.partition("@")[2] for ref in refs}
    info = scan_cache_dir(constants.HF_HUB_CACHE)
    there = {r.commit_hash for repo in info.repos for r in repo.revisions} & commits
    if not there:
        return 0
    strategy = info.delete_revisions(*there)
    strategy.execute()
    return int(strategy.expected_freed_size)


def spare_bytes(folder: ZooFolder, plan: Plan) -> int:
    """Return the bytes of checkpoints that earlier runs fetched and no unit of a plan needs."""
    needed = {unit.model.ref for unit in plan.units}
    return sum(map(_present, _read(_record(folder)).keys() - needed))


def check_disk(plan: Plan, *, max_bytes: int | None, spare_bytes: int = 0) -> None:
    """Return if what must be downloaded fits.

    Parameters
    ----------
    plan : Plan
        What will be run.
    max_bytes : int, optional
        Room for downloads.
    spare_bytes : int
        Of the disk, what can be evicted.

    Raises
    ------
    ZooError
        The zoo is larger than the disk and nothing may be evicted, or one checkpoint alone is
        larger than the room there is.

    """
    wanted = {u.model.ref: u.model for u in plan.units if u.model.n_download_bytes}
    if not wanted:
        return
    from huggingface_hub.constants import HF_HUB_CACHE

    cache = Path(HF_HUB_CACHE)
    existing = next(p for p in (cache, *cache.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if max_bytes is not None:
        free += spare_bytes
    largest = max(wanted.values(), key=lambda m: m.n_download_bytes)
    size = f"{largest.name} is {largest.n_download_bytes / 1e9:.3g} GB to download"
    if max_bytes is not None and largest.n_download_bytes > max_bytes:
        raise ZooError(f"{size}, and --max-disk is {max_bytes / 1e9:.3g} GB; raise it")
    if largest.n_download_bytes > free:
        raise ZooError(
            f"{size}, and there is room for {free / 1e9:.3g} GB in {cache}; set HF_HOME to a "
            "larger disk"
        )
    total = sum(m.n_download_bytes for m in wanted.values())
    if max_bytes is None and total > free:
        raise ZooError(
            f"this zoo is {total / 1e9:.3g} GB to download, and {cache} has {free / 1e9:.3g} GB "
            f"free; bound it with --max-disk {0.8 * free / 1e9:.0f}GB, so that finished "
            "checkpoints make way"
        )


def _record(folder: ZooFolder) -> Path:
    return folder.path / f"downloads-{socket.gethostname()}.json"


def _repository(ref: str) -> str:
    return ref.partition("@")[0]


def _cached(ref: str) -> Path:
    """Return the folder of the repository of ``org/model@commit`` in the local cache."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE) / f"models--{_repository(ref).replace('/', '--')}"


def _remove_torn(ref: str) -> None:
    """Remove what a killed process had downloaded half, which the Hub's client never does."""
    for path in (_cached(ref) / "blobs").glob("*.incomplete"):
        if time.time() - path.stat().st_mtime > _TORN_AFTER:
            path.unlink(missing_ok=True)


def _present(ref: str) -> int:
    """Return the bytes of ``org/model@commit`` in the local cache."""
    folder = _cached(ref) / "snapshots" / ref.partition("@")[2]
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def _read(path: Path) -> dict[str, int]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def _write(path: Path, held: dict[str, int]) -> None:
    write_atomically(path, json.dumps(held), sync=False)


def _one_line(error: Exception) -> str:
    return redacted(" ".join(str(error).split()))[:300]
