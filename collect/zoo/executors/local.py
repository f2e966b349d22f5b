"""The local executor measures on this machine, with one worker per accelerator by default."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field

from ...errors import ZooError
from ..devices.allotment import Allocator, Need
from ..devices.device import DeviceKind
from ..work.downloads import Downloads
from ..work.folder import ZooFolder
from ..work.records import WorkUnit
from ..work.supervisor import Supervisor
from ..work.worker import leased_units, patiently, worker_name

__all__ = ["run_local"]

# On one machine, another unit soon ends and frees disk space for a checkpoint.
_LONGEST_PAUSE = 5.0


def run_local(
    folder: ZooFolder,
    machine: DeviceKind,
    *,
    n_workers: int | None = None,
    stop: threading.Event,
    downloads: Downloads,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Run all units of a zoo on this machine; returns when none is left or ``stop`` is set.

    Parameters
    ----------
    folder : ZooFolder
        The zoo, with its work units.
    machine : DeviceKind
        The devices to run on.
    n_workers : int, optional
        Work units at once; by default one per accelerator, or one where there is none.
    stop : threading.Event
        Set to end the run; units that are not finished are released.
    downloads : Downloads
        Fetches the checkpoints of units.
    tick : callable
        Called twice a second from the calling thread.

    Raises
    ------
    ZooError
        A worker ended by an error of the zoo itself.

    """
    run = _Run(folder, machine, n_workers or len(machine.devices) or 1, stop, downloads)
    threads = [threading.Thread(target=run.work) for _ in range(run.n_workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(timeout=0.5)  # short, so that Ctrl-C is heard
            tick()
    if run.errors:
        if isinstance(run.errors[0], Exception) and not isinstance(run.errors[0], ZooError):
            raise run.errors[0]
        raise ZooError(str(run.errors[0])) from run.errors[0]


@dataclass
class _Run:
    folder: ZooFolder
    machine: DeviceKind
    n_workers: int
    stop: threading.Event
    downloads: Downloads
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._allocator = Allocator(self.machine.devices, variable=self.machine.variable)

    def work(self) -> None:
        """Be one worker."""
        units = leased_units(self.folder, take=self.downloads.take)
        try:
            with (
                Supervisor(self.folder, worker_name(), stop=self.stop) as supervisor,
                closing(patiently(units, self.stop, longest=_LONGEST_PAUSE)) as mine,
            ):
                for unit in mine:
                    try:
                        self._measure(unit, supervisor)
                    finally:
                        self.downloads.release(unit)
        except BaseException as error:
            self.errors.append(error)
            self.stop.set()

    def _measure(self, unit: WorkUnit, supervisor: Supervisor) -> None:
        self.downloads.wait(
            unit, self.stop, waiting=lambda: supervisor.announce(unit, "downloading")
        )
        if self.stop.is_set():
            return
        self.downloads.fetch_next()
        with self._devices(unit, supervisor) as environment:
            if not self.stop.is_set():
                supervisor.run(
                    unit, timeout=self.folder.read_work().timeout, environment=environment
                )

    def _devices(
        self, unit: WorkUnit, supervisor: Supervisor
    ) -> AbstractContextManager[dict[str, str]]:
        """Return the environment that gives a unit its devices, or its share of the cores."""
        if not self.machine.devices:
            cores = max(1, (os.cpu_count() or 1) // self.n_workers)
            return nullcontext({"OMP_NUM_THREADS": str(cores)})
        return self._allocator.allocate(
            Need(unit.devices, unit.memory_bytes),
            stop=self.stop,
            waiting=lambda: supervisor.announce(unit, "waiting for devices"),
        )
