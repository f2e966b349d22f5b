"""A plan holds a zoo's missing cells, cut into work units, the longest first."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...settings import RunSettings
from ...storage.digests import sha256
from ...storage.result import Missing
from ..config.modes import mode_words, row_of
from .cost import Estimate, total

__all__ = ["Cell", "Model", "Plan", "Unit", "cut_into_units", "longest_first"]


@dataclass(frozen=True)
class Model:
    """A checkpoint of the zoo in one mode, resolved, with its size, settings and facts.

    Attributes
    ----------
    name, ref : str
        Name shown; what it is loaded by: ``org/model@commit`` or a folder.
    identity, revision : str
        As of ``Checkpoint``.
    aliases : tuple of str
        Other names under which the zoo lists the same bytes.
    settings : RunSettings
        How it is loaded and measured.
    facts : dict
        Columns of a score table's ``models``; null where unknown.
    counted : tuple of str
        Facts that were counted or computed, not given.
    n_parameters, n_bytes, n_download_bytes : int
        Size, bytes in memory, and bytes that are not on this machine yet; of a model behind a
        server the size that its facts give, or 0, and no bytes.
    devices : int
        Accelerators it takes at once.

    """

    name: str
    ref: str
    identity: str
    revision: str
    aliases: tuple[str, ...]
    settings: RunSettings
    facts: dict[str, Any]
    counted: tuple[str, ...]
    n_parameters: int
    n_bytes: int
    n_download_bytes: int
    devices: int

    @property
    def row(self) -> str:
        """What the zoo has a row for: the bytes, in the mode that they respond in."""
        return row_of(self.identity, self.settings)

    @property
    def memory_bytes(self) -> int:
        """Weights, a fifth on top for activations and caches, and the runtime's gigabyte."""
        return int(1.2 * self.n_bytes) + 10**9


@dataclass(frozen=True)
class Cell:
    """One score that the zoo wants.

    Attributes
    ----------
    key : str
        Key of the measurement: the store's name for its result.
    panel, benchmark : str
        What is measured.
    is_done : bool
        Whether the store had it when the plan was made.
    estimate : Estimate
        Time on the loaded model, seconds.

    """

    key: str
    panel: str
    benchmark: str
    is_done: bool
    estimate: Estimate


@dataclass(frozen=True)
class Unit:
    """One unit of work for a worker: a checkpoint, and benchmarks of one panel."""

    model: Model
    panel: str
    cells: tuple[Cell, ...]
    load: Estimate

    @property
    def id(self) -> str:
        """Name of the unit: the same cells of the same checkpoint have the same."""
        text = json.dumps([self.model.identity, sorted(c.key for c in self.cells)])
        return sha256(text)[:20]

    @property
    def estimate(self) -> Estimate:
        """Time with loading, seconds."""
        parts = [self.load, *(c.estimate for c in self.cells)]
        seconds = sum(p.seconds for p in parts)
        variance = sum((p.seconds * p.spread) ** 2 for p in parts)
        spread = math.sqrt(variance) / seconds if seconds else 0.0
        return Estimate(seconds, spread, self.load.shared)


@dataclass(frozen=True)
class Plan:
    """A zoo's models, their cells, and the units of work that are left, in order.

    Attributes
    ----------
    name : str
        The zoo's.
    models : tuple of Model
        Each checkpoint once in each mode.
    cells : dict
        Cells of each model, by its row.
    units : tuple of Unit
        Missing cells, longest first.
    unmeasurable : tuple of Missing
        Cells that cannot be measured as asked, and why; they are not among ``cells``.
    notices : tuple of str
        What a person should know.

    """

    name: str
    models: tuple[Model, ...]
    cells: dict[str, tuple[Cell, ...]]
    units: tuple[Unit, ...]
    unmeasurable: tuple[Missing, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def n_done(self) -> int:
        """Cells that have a score."""
        return sum(c.is_done for cells in self.cells.values() for c in cells)

    @property
    def n_missing(self) -> int:
        """Cells that have none yet."""
        return sum(not c.is_done for cells in self.cells.values() for c in cells)

    @property
    def gpu_seconds(self) -> Estimate:
        """Time of everything missing on one device after another, times the devices of each."""
        parts = [
            replace(u.estimate, seconds=u.estimate.seconds * u.model.devices) for u in self.units
        ]
        return total(parts)

    def of(self, rows: Iterable[str]) -> Plan:
        """Return the plan of only these models, by their rows."""
        wanted = set(rows)
        return replace(
            self,
            models=tuple(m for m in self.models if m.row in wanted),
            cells={row: cells for row, cells in self.cells.items() if row in wanted},
            units=tuple(u for u in self.units if u.model.row in wanted),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values."""
        cost = self.gpu_seconds
        return {
            "zoo": self.name,
            "n_models": len(self.models),
            "n_done": self.n_done,
            "n_missing": self.n_missing,
            "n_units": len(self.units),
            "device_seconds": _estimate_dict(cost),
            "models": [self._model_dict(m) for m in self.models],
            "unmeasurable": [m.to_dict() for m in self.unmeasurable],
            "notices": list(self.notices),
        }

    def _model_dict(self, model: Model) -> dict[str, Any]:
        cells = self.cells[model.row]
        units = [u for u in self.units if u.model.row == model.row]
        return {
            **asdict(model),
            "settings": model.settings.to_json(),
            "mode": mode_words(model.settings),
            "memory_bytes": model.memory_bytes,
            "n_done": sum(c.is_done for c in cells),
            "n_missing": sum(not c.is_done for c in cells),
            "seconds": _estimate_dict(total([u.estimate for u in units])),
        }


def cut_into_units(
    model: Model,
    panel: str,
    cells: Sequence[Cell],
    *,
    load: Estimate,
    unit_seconds: float,
) -> list[Unit]:
    """Cut the missing cells of a model into units of at most about ``unit_seconds``.

    Each unit loads the model once. Cells go, longest first, to the unit with the most room, and
    there are as few units as the time asks for.
    """
    missing = sorted(
        (c for c in cells if not c.is_done), key=lambda c: (-c.estimate.seconds, c.benchmark)
    )
    if not missing:
        return []
    room = max(unit_seconds - load.seconds, 1e-9)
    work = sum(c.estimate.seconds for c in missing)
    n = max(1, min(len(missing), math.ceil(work / room)))
    groups: list[list[Cell]] = [[] for _ in range(n)]
    lengths = [0.0] * n
    for cell in missing:
        least = lengths.index(min(lengths))
        groups[least].append(cell)
        lengths[least] += cell.estimate.seconds
    return [Unit(model, panel, tuple(g), load) for g in groups if g]


def longest_first(units: Iterable[Unit]) -> tuple[Unit, ...]:
    """Return units in the order that workers take them: most seconds times devices first.

    References
    ----------
    Graham 1969, "Bounds on Multiprocessing Timing Anomalies", SIAM J. Appl. Math. 17(2).

    """
    return tuple(sorted(units, key=lambda u: (-u.estimate.seconds, u.model.name, u.id)))


def _estimate_dict(estimate: Estimate) -> dict[str, float]:
    return {"median": estimate.seconds, "lower": estimate.lower, "upper": estimate.upper}
