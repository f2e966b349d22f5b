"""What a zoo's folder holds: orders, attempts, failures and states, and their JSON."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from capspace.fit._json import json_safe
from capspace.tasks.panel import Panel

from ...run.collection import Missing
from ...settings import RunSettings
from ...storage.store import Result
from ..planning.plan import Unit

__all__ = [
    "Attempt",
    "CellFailure",
    "Order",
    "Orders",
    "WorkerState",
    "now",
    "order_json",
    "orders_json",
    "parse_order",
    "parse_orders",
    "parse_result",
    "result_json",
]

_VERSION = 1


@dataclass(frozen=True)
class Order:
    """One unit of work, with all that a worker needs to know.

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
    def of(cls, unit: Unit) -> Order:
        """Return the order for a unit of a plan."""
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
class Orders:
    """All orders of a zoo, in the order they are taken."""

    wanted: dict[str, dict[str, str]]
    """All cells of the zoo, done or not: model name, benchmark, key."""

    facts: dict[str, dict[str, Any]]
    """Facts of each model, and under "counted" which of them were not given."""

    orders: tuple[Order, ...]
    panels: dict[str, Panel]
    timeout: float | None
    unmeasurable: tuple[Missing, ...] = ()
    """Cells that cannot be measured as asked, and why; they are not among those wanted."""


@dataclass(frozen=True)
class Attempt:
    """One try at a unit.

    Attributes
    ----------
    worker : str
        Who tried.
    started : float
        Seconds since 1970 by the worker's clock.
    outcome : {"", "done", "failed", "crashed", "timeout", "stopped"}
        "" while it runs, or where the worker itself was lost; "stopped" where the unit was given
        back unfinished.
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
class CellFailure:
    """Why a cell has no score, after all attempts."""

    key: str
    model: str
    revision: str
    benchmark: str
    reason: str


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
    """Which try at the unit this is."""

    items_done: int = 0
    items_total: int = 0
    items_per_second: float | None = None
    started: float = 0.0
    beat: float = 0.0


def order_json(order: Order) -> dict[str, Any]:
    """Return an order as JSON data."""
    return {**asdict(order), "settings": order.settings.to_json()}


def parse_order(said: dict[str, Any], *, shared: Mapping[str, Any] | None = None) -> Order:
    """Return the order that ``order_json`` gave.

    Parameters
    ----------
    said : dict
        The order.
    shared : mapping, optional
        Settings beside each order's own, as version 0.1 wrote them.

    """
    settings = RunSettings.of(**{**(shared or {}), **said["settings"]})
    return Order(**{**said, "settings": settings})


def orders_json(orders: Orders) -> dict[str, Any]:
    """Return orders as JSON data."""
    return {
        "version": _VERSION,
        "timeout": orders.timeout,
        "panels": {name: p.model_dump(mode="json") for name, p in orders.panels.items()},
        "orders": [order_json(o) for o in orders.orders],
        "facts": orders.facts,
        "wanted": orders.wanted,
        "unmeasurable": [asdict(m) for m in orders.unmeasurable],
    }


def parse_orders(said: dict[str, Any]) -> Orders:
    """Return the orders that ``orders_json`` gave.

    Raises
    ------
    ValueError, KeyError, TypeError
        They were written by another version.

    """
    if said["version"] != _VERSION:
        raise ValueError(f"version {said['version']}, this capspace reads {_VERSION}")
    return Orders(
        wanted=said["wanted"],
        facts=said["facts"],
        orders=tuple(parse_order(o, shared=said.get("options", {})) for o in said["orders"]),
        panels={name: Panel.model_validate(p) for name, p in said["panels"].items()},
        timeout=said["timeout"],
        unmeasurable=tuple(Missing(**m) for m in said.get("unmeasurable", ())),
    )


def parse_result(said: dict[str, Any]) -> Result:
    """Return the result that ``result_json`` gave."""
    names = {f.name for f in fields(Result)}
    values = {name: value for name, value in said.items() if name in names}
    values["stderr"] = math.nan if values["stderr"] is None else values["stderr"]
    values["tasks"] = tuple(values["tasks"])
    return Result(**values)


def result_json(result: Result) -> dict[str, Any]:
    """Return a result as JSON data; NaN becomes null."""
    safe: dict[str, Any] = json_safe(vars(result))
    return safe


def now() -> float:
    """Return seconds since 1970."""
    return time.time()
