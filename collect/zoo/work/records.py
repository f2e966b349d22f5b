"""A zoo's folder holds work units, attempts, failures and states as JSON."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from capspace.fit._json import json_dict
from capspace.tasks.panel import Panel

from ...settings import RunSettings
from ...storage.result import Missing, Result
from ..planning.plan import Unit

__all__ = [
    "Attempt",
    "WorkList",
    "WorkUnit",
    "WorkerState",
    "failure_json",
    "now",
    "parse_failure",
    "parse_result",
    "parse_work_list",
    "parse_work_unit",
    "result_json",
    "work_list_json",
    "work_unit_json",
]

_VERSION = 1


@dataclass(frozen=True)
class WorkUnit:
    """One unit of work, as it is written for workers: all that measuring it needs.

    Attributes
    ----------
    id : str
        Name of the unit; stays the same when the zoo is planned again.
    model, ref, revision : str
        Name shown; what to load; commit or content hash.
    settings : RunSettings
        How the checkpoint is loaded and measured.
    panel : str
        Name of the panel, a key of ``orders.json``'s panels.
    cells : dict
        Benchmark name to key, those not done when the plan was made.
    seconds, seconds_upper : float
        Estimated time, and its 95% quantile.
    devices : int
        Accelerators it takes.
    n_parameters, n_download_bytes, memory_bytes : int
        Size; bytes to fetch first; memory it needs.

    """

    id: str
    model: str
    ref: str
    revision: str
    settings: RunSettings
    panel: str
    cells: dict[str, str]
    seconds: float
    seconds_upper: float
    devices: int
    n_parameters: int
    n_download_bytes: int
    memory_bytes: int = 0

    @classmethod
    def of(cls, unit: Unit) -> WorkUnit:
        """Return the work unit for a unit of a plan."""
        estimate = unit.estimate
        return cls(
            id=unit.id,
            model=unit.model.name,
            ref=unit.model.ref,
            revision=unit.model.revision,
            settings=unit.model.settings,
            panel=unit.panel,
            cells={c.benchmark: c.key for c in unit.cells},
            seconds=estimate.seconds,
            seconds_upper=estimate.upper,
            devices=unit.model.devices,
            n_parameters=unit.model.n_parameters,
            n_download_bytes=unit.model.n_download_bytes,
            memory_bytes=unit.model.memory_bytes,
        )


@dataclass(frozen=True)
class WorkList:
    """All work units of a zoo, in the order they are taken."""

    wanted: dict[str, dict[str, str]]
    """All cells of the zoo, done or not: model name, benchmark, key."""

    facts: dict[str, dict[str, Any]]
    """Facts of each model, and under "counted" which of them were not given."""

    units: tuple[WorkUnit, ...]
    panels: dict[str, Panel]
    timeout: float | None
    unmeasurable: tuple[Missing, ...] = ()
    """Cells that cannot be measured as asked, and why; they are not among those wanted."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at a unit.

    Attributes
    ----------
    worker : str
        Name of the worker.
    started : float
        Seconds since 1970 by the worker's clock.
    outcome : {"", "done", "failed", "crashed", "timeout", "stopped"}
        "" while it runs, or where the worker itself was lost; "stopped" where the unit was
        released unfinished.
    reason : str
        What went wrong.
    seconds : float or None
        How long it took.

    """

    worker: str
    started: float
    outcome: str = ""
    reason: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class WorkerState:
    """What a worker is doing now."""

    worker: str
    host: str
    pid: int
    unit: str = ""
    model: str = ""
    benchmark: str = ""
    attempt: int = 1
    """Number of the attempt at the unit, from 1."""

    items_done: int = 0
    items_total: int = 0
    items_per_second: float | None = None
    started: float = 0.0
    beat: float = 0.0


def work_unit_json(unit: WorkUnit) -> dict[str, Any]:
    """Return a work unit as JSON data."""
    return {**asdict(unit), "settings": unit.settings.to_json()}


def parse_work_unit(stored: dict[str, Any], *, shared: Mapping[str, Any] | None = None) -> WorkUnit:
    """Return the work unit that ``work_unit_json`` gave.

    Parameters
    ----------
    stored : dict
        The work unit.
    shared : mapping, optional
        Settings beside each unit's own, as version 0.1 wrote them.

    """
    settings = RunSettings.of(**{**(shared or {}), **stored["settings"]})
    return WorkUnit(**{**stored, "settings": settings})


def work_list_json(work: WorkList) -> dict[str, Any]:
    """Return a work list as JSON data."""
    return {
        "version": _VERSION,
        "timeout": work.timeout,
        "panels": {name: p.model_dump(mode="json") for name, p in work.panels.items()},
        "orders": [work_unit_json(unit) for unit in work.units],
        "facts": work.facts,
        "wanted": work.wanted,
        "unmeasurable": [m.to_dict() for m in work.unmeasurable],
    }


def parse_work_list(stored: dict[str, Any]) -> WorkList:
    """Return the work list that ``work_list_json`` gave.

    Raises
    ------
    ValueError, KeyError, TypeError
        They were written by another version.

    """
    if stored["version"] != _VERSION:
        raise ValueError(f"version {stored['version']}, this capspace reads {_VERSION}")
    return WorkList(
        wanted=stored["wanted"],
        facts=stored["facts"],
        units=tuple(parse_work_unit(o, shared=stored.get("options", {})) for o in stored["orders"]),
        panels={name: Panel.model_validate(p) for name, p in stored["panels"].items()},
        timeout=stored["timeout"],
        unmeasurable=tuple(Missing(**m) for m in stored.get("unmeasurable", ())),
    )


def parse_result(stored: dict[str, Any]) -> Result:
    """Return the result that ``result_json`` gave."""
    names = {f.name for f in fields(Result)}
    values = {name: value for name, value in stored.items() if name in names}
    values["stderr"] = math.nan if values["stderr"] is None else values["stderr"]
    values["tasks"] = tuple(values["tasks"])
    return Result(**values)


def result_json(result: Result) -> dict[str, Any]:
    """Return a result as JSON data; NaN becomes null."""
    return json_dict(vars(result))


def failure_json(failure: Missing) -> dict[str, Any]:
    """Return why a cell has no score as JSON data."""
    names = ("key", "model", "revision", "benchmark", "reason")
    return {name: getattr(failure, name) for name in names}


def parse_failure(stored: dict[str, Any]) -> Missing:
    """Return the failure that ``failure_json`` gave."""
    return Missing(**stored)


def now() -> float:
    """Return seconds since 1970."""
    return time.time()
