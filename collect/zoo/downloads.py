"""Downloads: the next checkpoint comes while this one runs, and finished ones make way."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from capspace.collect.errors import ZooError
from capspace.collect.zoo.folder import Order, ZooFolder
from capspace.collect.zoo.plan import Plan

__all__ = ["Downloads", "check_disk", "evict", "fetch"]

# What loading needs; other formats of the same weights are left on the Hub.
_PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja", "*.py")


class Downloads:
    """Fetches checkpoints of coming units, and evicts what it fetched when a bound is reached.

    Parameters
    ----------
    max_bytes : int, optional
        Room for what is fetched here; a checkpoint that was on the machine before is never evicted.
    tell : callable
        Takes a line for a person.

    """

    def __init__(
        self, *, max_bytes: int | None = None, tell: Callable[[str], None] = lambda text: None
    ) -> None:
        self._max = max_bytes
        self._tell = tell
        self._lock = threading.Lock()
        self._fetched: dict[str, int] = {}
        self._threads: dict[str, threading.Thread] = {}

    def fetch_ahead(self, folder: ZooFolder, current: Order) -> None:
        """Begin to fetch the first checkpoint after ``current`` that is not here, in background."""
        finished = set().union(*folder.progress())
        for order in folder.read_orders().orders:
            if order.id in finished or order.id == current.id or not order.n_download_bytes:
                continue
            with self._lock:
                if order.ref in self._threads or not self._has_room(order):
                    return
                self._fetched[order.ref] = order.n_download_bytes
                thread = threading.Thread(target=self._fetch, args=(order.ref,), daemon=True)
                self._threads[order.ref] = thread
            thread.start()
            return

    def finished(self, folder: ZooFolder, order: Order) -> None:
        """Take note that a unit is done; its checkpoint makes way when no other unit needs it."""
        if not order.n_download_bytes:
            return
        finished = folder.finished()
        orders = folder.read_orders().orders
        if any(o.ref == order.ref and o.id not in finished for o in orders):
            return
        with self._lock:
            self._fetched.setdefault(order.ref, order.n_download_bytes)
            if (
                self._max is None
                or sum(self._fetched.values()) + _next(orders, finished) <= self._max
            ):
                return
            self._fetched.pop(order.ref)
        freed = evict([order.ref])
        self._tell(f"evicted {order.model}: {freed / 1e9:.1f} GB of disk")

    def _has_room(self, order: Order) -> bool:
        used = sum(self._fetched.values())
        return self._max is None or used + order.n_download_bytes <= self._max

    def _fetch(self, ref: str) -> None:
        try:
            fetch(ref)
        except ZooError as error:
            # The unit's own process will meet the same and record it as the unit's failure.
            self._tell(str(error))


def fetch(ref: str) -> Path:
    """Download ``org/model@commit`` and return its folder.

    Raises
    ------
    ZooError
        The Hub does not give it.

    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repo, _, commit = ref.partition("@")
    try:
        return Path(snapshot_download(repo, revision=commit, allow_patterns=list(_PATTERNS)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ZooError(f"cannot download {ref}: {str(error).splitlines()[0]}") from None


def evict(refs: Iterable[str]) -> int:
    """Remove ``org/model@commit`` from the local cache and return the bytes that were freed."""
    from huggingface_hub import scan_cache_dir

    commits = {ref.partition("@")[2] for ref in refs}
    info = scan_cache_dir()
    there = {r.commit_hash for repo in info.repos for r in repo.revisions} & commits
    if not there:
        return 0
    strategy = info.delete_revisions(*there)
    strategy.execute()
    return int(strategy.expected_freed_size)


def check_disk(plan: Plan, *, max_bytes: int | None) -> None:
    """Return if what must be downloaded fits.

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
    room = free if max_bytes is None else min(free, max_bytes)
    largest = max(wanted.values(), key=lambda m: m.n_download_bytes)
    if largest.n_download_bytes > room:
        raise ZooError(
            f"{largest.name} is {largest.n_download_bytes / 1e9:.1f} GB to download, and there is "
            f"room for {room / 1e9:.1f} GB in {cache}; set HF_HOME to a larger disk"
        )
    total = sum(m.n_download_bytes for m in wanted.values())
    if max_bytes is None and total > free:
        raise ZooError(
            f"this zoo is {total / 1e9:.1f} GB to download, and {cache} has {free / 1e9:.1f} GB "
            f"free; bound it with --max-disk {0.8 * free / 1e9:.0f}GB, so that finished "
            "checkpoints make way"
        )


def _next(orders: Iterable[Order], finished: set[str]) -> int:
    """Return the bytes of the next checkpoint to come."""
    return next(
        (o.n_download_bytes for o in orders if o.id not in finished and o.n_download_bytes), 0
    )
