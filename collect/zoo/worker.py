"""A worker: takes the next free unit of a zoo, runs it, and goes on until none is left."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from capspace.collect.zoo.folder import Order, ZooFolder
from capspace.collect.zoo.supervisor import Supervisor

__all__ = ["Fits", "claimed_units", "stopped_by_signals", "work", "worker_name"]

Fits = Callable[[Order], bool]
_POLL_SECONDS = 2.0


def claimed_units(
    folder: ZooFolder,
    *,
    stop: threading.Event | None = None,
    wait: Callable[[float], object] = time.sleep,
    fits: Fits = lambda order: True,
) -> Iterator[Order]:
    """Yield units in their order, each claimed for as long as the caller works on it.

    Units that nobody has begun come first. Then those that someone began: their claim is free if
    that worker died. As long as living workers have units, this waits, for one of them may die.

    Parameters
    ----------
    folder : ZooFolder
        The zoo.
    stop : threading.Event, optional
        Set to end.
    wait : callable
        Takes seconds; called where every unit left has a living worker.
    fits : callable
        Whether this worker may take a unit at all.

    """
    while stop is None or not stop.is_set():
        finished, taken = folder.finished(), folder.taken()
        left = [o for o in folder.read_orders().orders if o.id not in finished and fits(o)]
        if not left:
            return
        for order in sorted(left, key=lambda o: o.id in taken):  # stable: longest first within
            with folder.claims.hold(order.id) as claim:
                if claim is None or folder.is_finished(order.id):
                    continue
                yield order
                break
        else:
            wait(_POLL_SECONDS)


def work(
    folder: ZooFolder,
    name: str,
    *,
    environment: Mapping[str, str],
    stop: threading.Event,
    seconds_left: Callable[[], float],
) -> int:
    """Run units until none is left, or none fits into the time left; return how many were run."""
    n = 0
    with Supervisor(folder, name, environment=environment, stop=stop) as supervisor:
        for order in claimed_units(
            folder, stop=stop, wait=stop.wait, fits=lambda o: o.seconds <= seconds_left()
        ):
            n += supervisor.run(order, timeout=folder.read_orders().timeout)
    return n


def worker_name() -> str:
    """Return a name that no other worker has: where it runs, and something drawn."""
    where = os.environ.get("SLURM_JOB_ID")
    place = f"slurm-{where}" if where else f"{os.getpid()}"
    return f"{socket.gethostname()}-{place}-{secrets.token_hex(3)}"


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM and SIGINT set: the unit in hand is given back, not failed."""
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
