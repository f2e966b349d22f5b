"""The measuring process reads work units from standard input, one JSON line each.

Its events go to standard output as JSON lines too. A result is in the zoo's folder before its event
is sent, so nothing is lost with the process: it may run out of memory, be killed, or crash inside a
library.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from capspace.tasks.panel import Panel

from ...errors import CollectError, NothingMeasuredError
from ...run.collect import collect_scores
from ...run.collection import Collection
from ...runtime.optional import import_collect_extra
from ...runtime.redaction import redacted
from ...settings import RunChanges
from ...storage.result_store import ResultStore
from .folder import ZooFolder
from .records import WorkUnit, parse_work_unit
from .unit_store import UnitStore

__all__ = ["main", "measure_unit"]

_TELL_EVERY = 1.0


def measure_unit(
    unit: WorkUnit,
    *,
    panel: Panel,
    batch_size: int | str,
    store: ResultStore,
    progress: Messenger,
) -> Collection:
    """Measure the cells of a unit; each result is stored at once.

    Raises
    ------
    CollectError
        As ``collect_scores``.

    """
    loading: RunChanges = {}
    if unit.settings.endpoint is None:
        import torch

        parallelize = unit.devices > 1 and torch.cuda.is_available()
        loading = {"batch_size": batch_size, "parallelize": parallelize}
    return collect_scores(
        unit.ref,
        panel=panel.select(unit.cells),
        store=store,
        settings=unit.settings,
        progress=progress,
        **loading,
    )


class Messenger:
    """Progress of a unit, as JSON lines."""

    def __init__(self, folder: ZooFolder, unit: WorkUnit, out: TextIO) -> None:
        self._folder = folder
        self._unit = unit
        self._out = out
        self._benchmark = ""
        self._last_items = 0.0

    def tell(self, event: str, **details: Any) -> None:
        """Write one line."""
        self._out.write(json.dumps({"event": event, **details}) + "\n")
        self._out.flush()

    def model(self, name: str, n_missing: int, n_known: int) -> None:
        """Send that the model is about to be loaded."""
        self.tell("model", missing=n_missing)

    def benchmark(self, name: str, index: int, total: int) -> None:
        """Send which benchmark begins."""
        self._benchmark = name
        self.tell("benchmark", benchmark=name)

    def items(self, done: int, total: int) -> None:
        """Send how many items have responses, once a second at most."""
        if (now := time.monotonic()) - self._last_items > _TELL_EVERY or done == total:
            self._last_items = now
            self.tell("items", benchmark=self._benchmark, done=done, total=total)

    def scored(self, name: str, score: float, stderr: float, n_items: int) -> None:
        """Send that a benchmark has a score, which is in the zoo's folder already."""
        self.tell("scored", benchmark=name, score=score)

    def missing(self, name: str, reason: str) -> None:
        """Send nothing: the store holds the reasons, which are sent at the end."""

    def note(self, text: str) -> None:
        """Send nothing."""

    def notices(self, model: str, lines: Sequence[str]) -> None:
        """Write the lines to the zoo's folder, where `zoo status` reads them."""
        self._folder.write_notices(self._unit.model, lines)

    def close(self) -> None:
        """Do nothing."""


def main(arguments: list[str]) -> None:
    """Take units until the standard input ends: ``measure FOLDER WORKER``."""
    folder = ZooFolder(Path(arguments[0]))
    store = UnitStore(folder, arguments[1])
    out = _own_standard_output()
    units: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(units,), daemon=True).start()
    import_collect_extra()  # before any unit's time begins
    out.write('{"event": "ready"}\n')
    out.flush()
    while True:
        message = units.get()
        unit = parse_work_unit(message["unit"])
        progress = Messenger(folder, unit, out)
        store.begin(unit)
        try:
            measure_unit(
                unit,
                panel=folder.read_work().panels[unit.panel],
                batch_size=message["batch_size"],
                store=store,
                progress=progress,
            )
        except NothingMeasuredError:
            progress.tell("finished", missing=_reasons(store))
        except CollectError as error:
            progress.tell("failed", reason=redacted(str(error)))
        else:
            progress.tell("finished", missing=_reasons(store))


def _reasons(store: ResultStore) -> dict[str, str]:
    """Return why cells have no score, by benchmark."""
    reasons = {}
    for failure in store.failures():
        # The reader knows which cell it is: the label "model: benchmark: " is left out.
        label, is_labelled, rest = failure.reason.partition(f": {failure.benchmark}: ")
        reasons[failure.benchmark] = rest if is_labelled and " " not in label else failure.reason
    return reasons


def _own_standard_output() -> TextIO:
    """Reserve the pipe to the supervisor; what libraries print goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _listen(units: queue.Queue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        units.put(json.loads(line))
    # The supervisor is gone, perhaps killed: another worker must be able to take the unit over.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
