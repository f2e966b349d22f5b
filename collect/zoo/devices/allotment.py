"""Which accelerators a unit gets: the first in line first, and nobody waits for ever."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Device", "Lender", "Need", "allot", "choose", "devices_needed"]

# Of a device's memory, the part that weights, activations and caches may take.
_USABLE = 0.9
_WAKE_SECONDS = 0.5
Key = TypeVar("Key")


@dataclass(frozen=True)
class Device:
    """An accelerator.

    Attributes
    ----------
    id : str
        What makes it visible to a process: an index, or a name of the driver's.
    memory : int or None
        Bytes; None where unknown, which is taken to be enough.

    """

    id: str
    memory: int | None = None

    @property
    def room(self) -> float:
        """Bytes for a model, whole, so that sums are equal in every order."""
        return math.inf if self.memory is None else int(_USABLE * self.memory)


@dataclass(frozen=True)
class Need:
    """What a unit asks for: so many devices, with so many bytes of memory together."""

    n_devices: int
    n_bytes: int = 0

    def within(self, devices: Sequence[Device]) -> Need:
        """Return the need as far as all devices together can meet it."""
        n = min(self.n_devices, len(devices))
        most = sum(sorted((d.room for d in devices), reverse=True)[:n])
        return Need(n, self.n_bytes if self.n_bytes <= most else int(most))


def devices_needed(n_bytes: int, devices: Sequence[Device]) -> int | None:
    """Return the least number of devices that hold a model; None where all together do not."""
    rooms = sorted((d.room for d in devices), reverse=True)
    sums = itertools.accumulate(rooms)
    return next((n for n, room in enumerate(sums, 1) if room >= n_bytes), None)


def choose(need: Need, devices: Sequence[Device]) -> tuple[Device, ...] | None:
    """Return the devices that meet a need with the least memory; None where none do."""
    by_room = sorted(devices, key=lambda d: d.room)
    for first in range(len(by_room) - need.n_devices + 1):
        found = by_room[first : first + need.n_devices]
        if sum(d.room for d in found) >= need.n_bytes:
            return tuple(sorted(found, key=devices.index))
    return None


def allot(
    waiting: Mapping[Key, Need], devices: Sequence[Device], taken: Collection[Device]
) -> dict[Key, tuple[Device, ...]]:
    """Return who of those waiting gets which devices now.

    Parameters
    ----------
    waiting : mapping
        Needs, first come first; each can be met by all devices together (`Need.within`).
    devices : sequence of Device
        All there are, each with another id.
    taken : collection of Device
        Those that are in use.

    Notes
    -----
    Who cannot be served holds back the free devices among those it will use, the set with the most
    free ones. Later ones may have the rest meanwhile. The first in line so never loses a device
    that it could use, and gets its last when those who have it end.

    """
    granted: dict[Key, tuple[Device, ...]] = {}
    free = [d for d in devices if d not in taken]
    rest = list(devices)
    for key, need in waiting.items():
        mine = choose(need, [d for d in free if d in rest])
        if mine is not None:
            granted[key] = mine
        else:
            mine = _awaited(need, rest, free)
        rest = [d for d in rest if d not in mine]
    return granted


def _awaited(need: Need, devices: Sequence[Device], free: Collection[Device]) -> tuple[Device, ...]:
    """Return devices that meet a need, as many of them free as can be; none where none do."""
    by_room = sorted(devices, key=lambda d: -d.room)
    open_, busy = ([d for d in by_room if (d in free) is kind] for kind in (True, False))
    for n_open in range(min(need.n_devices, len(open_)), -1, -1):
        found = (*open_[:n_open], *busy[: need.n_devices - n_open])
        if len(found) == need.n_devices and sum(d.room for d in found) >= need.n_bytes:
            return found
    return ()


class Lender:
    """Accelerators of this machine, lent to units.

    Parameters
    ----------
    devices : sequence of Device
        Empty on a machine without.
    variable : str
        The environment variable that makes devices visible to a process.

    """

    def __init__(
        self, devices: Sequence[Device], *, variable: str = "CUDA_VISIBLE_DEVICES"
    ) -> None:
        self._devices = tuple(devices)
        self._variable = variable
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._waiting: dict[int, Need] = {}
        self._lent: dict[int, tuple[Device, ...]] = {}

    @contextmanager
    def lend(
        self,
        need: Need,
        *,
        stop: threading.Event,
        waiting: Callable[[], None] = lambda: None,
    ) -> Iterator[dict[str, str]]:
        """Yield the environment of a process that has the devices; waits until they are free.

        Meanwhile ``waiting`` is called twice a second. Where ``stop`` is set there are none.
        """
        with self._changed:
            number = next(self._numbers)
            self._waiting[number] = need.within(self._devices)
            self._serve()
        try:
            with self._changed:
                while number not in self._lent and not stop.is_set():
                    self._changed.wait(_WAKE_SECONDS)
                    waiting()
                mine = self._lent.get(number, ())
            yield {self._variable: ",".join(d.id for d in mine)}
        finally:
            with self._changed:
                self._waiting.pop(number, None)
                self._lent.pop(number, None)
                self._serve()

    def _serve(self) -> None:
        taken = {d for devices in self._lent.values() for d in devices}
        for number, devices in allot(self._waiting, self._devices, taken).items():
            del self._waiting[number]
            self._lent[number] = devices
        self._changed.notify_all()
