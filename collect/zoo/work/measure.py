"""The process that measures: takes orders on its standard input, one JSON line each.

It answers with JSON lines too. What it measured is in the zoo's folder by the time it says so, so
nothing is lost with the process: it may run out of memory, be killed, or crash inside a library.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from capspace.tasks.panel import Panel

from ...errors import CollectError, NothingMeasuredError
from ...run.collect import collect_scores
from ...run.collection import Collection
from ...runtime.redaction import redacted
from ...storage.store import Store
from .folder import ZooFolder
from .records import Order, parse_order

__all__ = ["main", "measure_order", "private_store"]

_TELL_EVERY = 1.0


def private_store(mine: Path, main: Path) -> Store:
    """Return a store in the folder ``mine`` that shares samples and journal with the main one.

    Not every file system that machines share keeps a SQLite file whole that several write (see
    ``Store``); it does keep files that one process writes, as those here are.
    """
    for name in ("samples", "journal"):
        (main / name).mkdir(exist_ok=True)
        (mine / name).symlink_to(main / name)
    return Store(mine)


def measure_order(
    order: Order,
    *,
    panel: Panel,
    batch_size: int | str,
    store: Store,
    progress: Messenger,
) -> Collection:
    """Measure the cells of a unit and return what came of it; each result is kept at once.

    Raises
    ------
    CollectError
        As ``collect_scores``.

    """
    import torch

    return collect_scores(
        order.ref,
        panel=panel.select(order.cells),
        store=store,
        settings=order.settings,
        progress=progress,
        batch_size=batch_size,
        parallelize=order.devices > 1 and torch.cuda.is_available(),
    )


class Messenger:
    """Progress of a unit, as JSON lines; results go to the zoo's folder before they are told."""

    def __init__(self, folder: ZooFolder, store: Store, order: Order, out: TextIO) -> None:
        self._folder = folder
        self._store = store
        self._order = order
        self._out = out
        self._benchmark = ""
        self._told = 0.0
        self.reasons: dict[str, str] = {}
        """Why cells have no score, by benchmark."""

    def tell(self, event: str, **said: Any) -> None:
        """Write one line."""
        self._out.write(json.dumps({"event": event, **said}) + "\n")
        self._out.flush()

    def model(self, name: str, n_missing: int, n_known: int) -> None:
        """Say that the model is about to be loaded."""
        self.tell("model", missing=n_missing)

    def benchmark(self, name: str, index: int, total: int) -> None:
        """Say which benchmark begins."""
        self._benchmark = name
        self.tell("benchmark", benchmark=name)

    def items(self, done: int, total: int) -> None:
        """Say now and then how many items are answered."""
        if (now := time.monotonic()) - self._told > _TELL_EVERY or done == total:
            self._told = now
            self.tell("items", benchmark=self._benchmark, done=done, total=total)

    def scored(self, name: str, score: float, stderr: float, n_items: int) -> None:
        """Keep the result in the zoo's folder and say so."""
        result = self._store.get(self._order.cells[name])
        if result is not None:
            self._folder.write_result(replace(result, model=self._order.model))
        self.tell("scored", benchmark=name, score=score)

    def missing(self, name: str, reason: str) -> None:
        """Keep the reason: what is missing is told at the end."""
        # Whose answer it was is known there: the label "model: benchmark: " is left out.
        label, found, rest = reason.partition(f": {name}: ")
        self.reasons[name] = rest if found and " " not in label else reason

    def note(self, text: str) -> None:
        """Say nothing."""

    def notices(self, model: str, lines: Sequence[str]) -> None:
        """Keep the lines in the zoo's folder, for whoever looks at it."""
        self._folder.write_notices(self._order.model, lines)

    def close(self) -> None:
        """Do nothing."""


def main(arguments: list[str]) -> None:
    """Take orders until the standard input ends: ``measure FOLDER SCRATCH``."""
    folder, scratch = ZooFolder(Path(arguments[0])), Path(arguments[1])
    out = _own_standard_output()
    orders: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(orders, scratch), daemon=True).start()
    _import_libraries()
    with private_store(scratch, folder.path.parent.parent) as store:
        out.write('{"event": "ready"}\n')
        out.flush()
        while True:
            said = orders.get()
            order = parse_order(said["order"])
            shared = folder.read_orders()
            progress = Messenger(folder, store, order, out)
            try:
                collection = measure_order(
                    order,
                    panel=shared.panels[order.panel],
                    batch_size=said["batch_size"],
                    store=store,
                    progress=progress,
                )
            except NothingMeasuredError:
                progress.tell("finished", missing=progress.reasons)
            except CollectError as error:
                progress.tell("failed", reason=redacted(str(error)))
            else:
                # A cell that another run had measured meanwhile is in the store, not told yet.
                for result in collection.results:
                    if not folder.has_outcome(result.key):
                        folder.write_result(replace(result, model=order.model))
                progress.tell("finished", missing=progress.reasons)


def _import_libraries() -> None:
    """Import what measuring needs, before any unit's time begins."""
    import lm_eval
    import torch
    import transformers

    del lm_eval, torch, transformers


def _own_standard_output() -> TextIO:
    """Keep the pipe to the supervisor for us; whatever libraries print goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _listen(orders: queue.Queue[dict[str, Any]], scratch: Path) -> None:
    for line in sys.stdin:
        orders.put(json.loads(line))
    # The supervisor is gone, perhaps killed: whoever takes the unit over must find it free.
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
