"""The local executor: worker processes on this machine, one per accelerator or as many as asked."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from capspace.collect.errors import ZooError
from capspace.collect.zoo.downloads import Downloads
from capspace.collect.zoo.folder import ZooFolder
from capspace.collect.zoo.supervisor import Supervisor
from capspace.collect.zoo.worker import claimed_units, patiently, worker_name

__all__ = ["Devices", "local_devices", "run_local"]


@dataclass
class Devices:
    """Accelerators of this machine, lent to units.

    Parameters
    ----------
    ids : list of str
        Values for ``CUDA_VISIBLE_DEVICES``; empty on a machine without.
    n_workers : int
        Units at once.

    """

    ids: list[str]
    n_workers: int

    def __post_init__(self) -> None:
        self._free = list(self.ids)
        self._changed = threading.Condition()
        self._turn = threading.Lock()

    @contextmanager
    def lend(self, n: int) -> Iterator[dict[str, str]]:
        """Yield the environment of a unit that takes ``n`` devices; waits until they are free.

        A unit that waits for many is next in turn: smaller ones cannot overtake it for ever.
        """
        if not self.ids:
            threads = max(1, (os.cpu_count() or 1) // self.n_workers)
            yield {"OMP_NUM_THREADS": str(threads)}
            return
        n = min(n, len(self.ids))
        with self._turn, self._changed:
            self._changed.wait_for(lambda: len(self._free) >= n)
            mine, self._free = self._free[:n], self._free[n:]
        try:
            yield {"CUDA_VISIBLE_DEVICES": ",".join(mine)}
        finally:
            with self._changed:
                self._free = sorted([*self._free, *mine])
                self._changed.notify_all()


def local_devices(n_workers: int | None) -> Devices:
    """Return this machine's accelerators; without any, ``n_workers`` units share the cores."""
    import torch

    if torch.cuda.is_available():
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        ids = named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]
        return Devices(ids, n_workers or len(ids))
    return Devices([], n_workers or 1)


def run_local(
    folder: ZooFolder,
    devices: Devices,
    *,
    stop: threading.Event,
    downloads: Downloads,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Run all units of a zoo on this machine; returns when none is left or ``stop`` is set.

    Parameters
    ----------
    folder : ZooFolder
        The zoo, with its orders.
    devices : Devices
        What to run on.
    stop : threading.Event
        Set to end; units in hand are given back.
    downloads : Downloads
        Fetches the checkpoints of units that come next.
    tick : callable
        Called twice a second from the calling thread.

    Raises
    ------
    ZooError
        A worker ended by an error of the zoo itself.

    """
    errors: list[BaseException] = []

    def worker() -> None:
        try:
            with Supervisor(folder, worker_name(), stop=stop) as supervisor:
                for order in patiently(claimed_units(folder), stop):
                    downloads.fetch_ahead(folder, order)
                    with devices.lend(order.devices) as environment:
                        supervisor.run(
                            order,
                            timeout=folder.read_orders().timeout,
                            environment=environment,
                        )
                    downloads.finished(folder, order)
        except BaseException as error:
            errors.append(error)
            stop.set()

    threads = [threading.Thread(target=worker) for _ in range(devices.n_workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(timeout=0.5)  # short, so that Ctrl-C is heard
            tick()
    if errors:
        if isinstance(errors[0], Exception) and not isinstance(errors[0], ZooError):
            raise errors[0]
        raise ZooError(str(errors[0])) from errors[0]
