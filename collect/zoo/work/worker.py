"""A worker takes the next free work unit of a zoo, runs it, and continues until none is left."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager

from .folder import ZooFolder
from .records import WorkUnit
from .supervisor import Supervisor

__all__ = ["Fits", "leased_units", "patiently", "stopped_by_signals", "work", "worker_name"]

Fits = Callable[[WorkUnit], bool]
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


def leased_units(
    folder: ZooFolder, *, fits: Fits = lambda unit: True, take: Fits = lambda unit: True
) -> Generator[WorkUnit | None]:
    """Yield units in their order; the worker holds the lease of each while it works on it.

    A unit whose worker died comes up again at its place in the order. While other workers hold
    every unit that is left, None is yielded: look again later, as one of them may die. The
    generator ends when no unit is left.

    Parameters
    ----------
    folder : ZooFolder
        The zoo.
    fits : callable
        Whether this worker may take a unit at all.
    take : callable
        Whether this worker can take a unit, whose lease it has, now; a later unit may fit.

    """
    while True:
        finished, taken = folder.progress()
        left = [o for o in folder.read_work().units if o.id not in finished and fits(o)]
        if not left:
            return
        living = folder.leases.living(taken)
        for unit in left:
            if unit.id in living:
                continue
            with folder.leases.hold(unit.id) as lease:
                if lease is None or folder.is_finished(unit.id) or not take(unit):
                    continue
                yield unit
                break
        else:
            yield None


def patiently(
    units: Iterable[WorkUnit | None], stop: threading.Event, *, longest: float = _LONGEST_PAUSE
) -> Generator[WorkUnit]:
    """Yield the units of ``leased_units``; the wait doubles each time that there is none."""
    pause = _FIRST_PAUSE
    for unit in units:
        if unit is None:
            stop.wait(pause)
            pause = min(2 * pause, longest)
        else:
            pause = _FIRST_PAUSE
            yield unit
        if stop.is_set():
            return


def work(
    folder: ZooFolder,
    name: str,
    *,
    environment: Mapping[str, str],
    stop: threading.Event,
    seconds_left: Callable[[], float],
) -> int:
    """Run units until none is left or fits into the time left; return how many were run."""
    n = 0
    with Supervisor(folder, name, environment=environment, stop=stop) as supervisor:
        units = leased_units(folder, fits=lambda o: o.seconds <= seconds_left())
        with closing(patiently(units, stop)) as mine:
            for unit in mine:
                n += supervisor.run(unit, timeout=folder.read_work().timeout)
    return n


def worker_name() -> str:
    """Return a unique name of a worker: its host, its job or process, and random digits."""
    where = os.environ.get("SLURM_JOB_ID")
    place = f"slurm-{where}" if where else f"{os.getpid()}"
    return f"{socket.gethostname()}-{place}-{secrets.token_hex(3)}"


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM and SIGINT set: the current unit is released, not failed."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
