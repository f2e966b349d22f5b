"""Accelerators are allocated to work units: first in, first out, with backfilling."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Allocator", "Device", "Need", "allot", "choose", "devices_needed"]

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
    """What a work unit requests: a number of devices, and their memory together in bytes."""

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
        window = by_room[first : first + need.n_devices]
        if sum(d.room for d in window) >= need.n_bytes:
            return tuple(sorted(window, key=devices.index))
    return None


def allot(
    waiting: Mapping[Key, Need], devices: Sequence[Device], taken: Collection[Device]
) -> dict[Key, tuple[Device, ...]]:
    """Return which requests are granted now, and with which devices.

    Parameters
    ----------
    waiting : mapping
        Requests in the order of their arrival; all devices together can meet each of them
        (`Need.within`).
    devices : sequence of Device
        All devices, with distinct ids.
    taken : collection of Device
        The devices in use.

    Notes
    -----
    FIFO with backfilling: a request that does not fit reserves the free devices it will need;
    later requests may use the remaining ones. The head of the queue is never starved.

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
        chosen = (*open_[:n_open], *busy[: need.n_devices - n_open])
        if len(chosen) == need.n_devices and sum(d.room for d in chosen) >= need.n_bytes:
            return chosen
    return ()


class Allocator:
    """Allocates the accelerators of this machine to work units.

    Parameters
    ----------
    devices : sequence of Device
        The machine's accelerators; empty where it has none.
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
        self._allocated: dict[int, tuple[Device, ...]] = {}

    @contextmanager
    def allocate(
        self,
        need: Need,
        *,
        stop: threading.Event,
        waiting: Callable[[], None] = lambda: None,
    ) -> Iterator[dict[str, str]]:
        """Wait for devices, and yield the environment that makes them visible to a process.

        While it waits, ``waiting`` is called twice a second. Once ``stop`` is set, the environment
        has no device.
        """
        with self._changed:
            number = next(self._numbers)
            self._waiting[number] = need.within(self._devices)
            self._serve()
        try:
            with self._changed:
                while number not in self._allocated and not stop.is_set():
                    self._changed.wait(_WAKE_SECONDS)
                    waiting()
                mine = self._allocated.get(number, ())
            yield {self._variable: ",".join(d.id for d in mine)}
        finally:
            with self._changed:
                self._waiting.pop(number, None)
                self._allocated.pop(number, None)
                self._serve()

    def _serve(self) -> None:
        taken = {d for devices in self._allocated.values() for d in devices}
        for number, devices in allot(self._waiting, self._devices, taken).items():
            del self._waiting[number]
            self._allocated[number] = devices
        self._changed.notify_all()
