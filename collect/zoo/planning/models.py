"""The checkpoints of a zoo are resolved, each once, with their sizes and facts."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from capspace.fit.errors import TableError
from capspace.fit.table.cells import read_cells
from capspace.fit.table.facts import read_release_date
from capspace.fit.table.readers import typed
from capspace.fit.table.schema import FACT_COLUMNS
from capspace.tasks.panel import Panel

from ...checkpoints.checkpoint import Checkpoint, resolve
from ...checkpoints.download import missing_bytes
from ...checkpoints.size import Weights, is_downloaded, weigh
from ...endpoint.address import served_checkpoint, served_name
from ...errors import CheckpointError, ZooError
from ...settings import TRANSFORMERS_BACKENDS
from ...storage.result import Missing
from ...storage.store import Store
from ..config.config import Facts, ZooFile, ZooSettings
from ..config.expand import Candidate
from ..config.modes import mode_names, row_of
from ..devices.device import DeviceKind
from .plan import Model

__all__ = [
    "Resolved",
    "facts_table",
    "make_model",
    "merge",
    "resolve_all",
    "row_names",
    "unsupported_reason",
]

_REQUESTS_AT_ONCE = 8


@dataclass(frozen=True)
class Resolved:
    """A checkpoint that exists, its size, and the settings it was listed with."""

    candidate: Candidate
    checkpoint: Checkpoint
    settings: ZooSettings
    weights: Weights | None
    """None of a model behind a server, of which nothing tells them."""

    @property
    def row(self) -> str:
        """What the zoo has a row for: the bytes, in the mode that they respond in."""
        return row_of(self.checkpoint.identity, self.settings)


def resolve_all(
    wanted: Sequence[Candidate], panels: Sequence[Panel], store: Store, device: DeviceKind
) -> tuple[list[Resolved], list[Missing]]:
    """Return the checkpoints that exist, and the cells of those that do not.

    Raises
    ------
    ZooError
        Not one exists.

    """

    def find(candidate: Candidate) -> Resolved | CheckpointError:
        settings = candidate.settings
        try:
            if settings.endpoint is not None:
                served = served_checkpoint(candidate.ref, settings)
                return Resolved(candidate, served, settings, None)
            checkpoint = resolve(
                candidate.ref,
                allow_pickle=settings.allow_pickle,
                trust_remote_code=settings.trust_remote_code,
                hash_file=store.hash_file,
            )
            if settings.applies_template:
                checkpoint.require_chat_template()
            if settings.backend in TRANSFORMERS_BACKENDS:
                checkpoint.require_loadable(lambda: device.kind)
            return Resolved(candidate, checkpoint, settings, weigh(checkpoint))
        except CheckpointError as error:
            return error

    resolved, missing = [], []
    with ThreadPoolExecutor(max_workers=_REQUESTS_AT_ONCE) as pool:
        # The Hub is asked about several at once; folders are hashed one after another.
        asked = [None if Path(c.ref).is_dir() else pool.submit(find, c) for c in wanted]
        for candidate, answer in zip(wanted, asked, strict=True):
            outcome = find(candidate) if answer is None else answer.result()
            if isinstance(outcome, Resolved):
                resolved.append(outcome)
                continue
            name = Path(candidate.ref).name if candidate.ref.startswith("/") else candidate.ref
            missing += [Missing(name, b.name, str(outcome)) for p in panels for b in p.benchmarks]
    if not resolved:
        raise ZooError(f"no checkpoint of this zoo can be used; {missing[0].reason}")
    return resolved, missing


def merge(resolved: Sequence[Resolved]) -> tuple[list[tuple[Resolved, tuple[str, ...]]], list[str]]:
    """Return each checkpoint once in a mode, with other names of the same bytes, and notices.

    Raises
    ------
    ZooError
        The same bytes were listed with two different settings in one mode.

    """
    first: dict[str, Resolved] = {}
    others: dict[str, list[str]] = {}
    notices = []
    for item in resolved:
        same = first.setdefault(item.row, item)
        if same is item:
            continue
        if same.settings != item.settings:
            raise ZooError(
                f"{item.candidate.where}: {item.checkpoint.name} is the same checkpoint as "
                f"{same.checkpoint.name} ({same.candidate.where}) with other settings; keep one"
            )
        others.setdefault(item.row, []).append(item.checkpoint.name)
        notices.append(
            f"{item.checkpoint.name} ({item.candidate.where}) is the same checkpoint as "
            f"{same.checkpoint.name}: measured once"
        )
    facts: dict[str, dict[str, Any]] = {}
    for item in resolved:
        given = item.candidate.facts.model_dump(exclude_none=True)
        facts.setdefault(item.checkpoint.identity, {}).update(given)

    def with_facts(item: Resolved) -> Resolved:
        """Return it with the facts that it was given in any mode; its own come before others."""
        own = item.candidate.facts.model_dump(exclude_none=True)
        every = Facts(**{**facts[item.checkpoint.identity], **own})
        return replace(item, candidate=replace(item.candidate, facts=every))

    rows = [(with_facts(f), tuple(others.get(row, ()))) for row, f in first.items()]
    return rows, notices


def row_names(resolved: Sequence[Resolved]) -> list[str]:
    """Return what the rows of checkpoints are called, with the mode where one has several."""
    modes: dict[str, list[Resolved]] = {}
    for item in resolved:
        modes.setdefault(item.checkpoint.identity, []).append(item)
    names = {}
    for items in modes.values():
        for item, mode in zip(items, mode_names([i.settings for i in items]), strict=True):
            names[item.row] = f"{item.checkpoint.name} ({mode})" if mode else item.checkpoint.name
    return [names[item.row] for item in resolved]


def make_model(
    resolved: Resolved,
    aliases: tuple[str, ...],
    table: pd.DataFrame,
    device: DeviceKind,
    *,
    name: str | None = None,
) -> Model:
    """Return a checkpoint with its size, its facts, and the devices it takes of these.

    Parameters
    ----------
    resolved, aliases
        The checkpoint, and other names of the same bytes.
    table : DataFrame
        Facts by the checkpoints' own names.
    device : DeviceKind
        What the zoo will run on.
    name : str, optional
        What its row is called; by default as the checkpoint is.

    """
    checkpoint, settings, weights = resolved.checkpoint, resolved.settings, resolved.weights
    facts, counted = _facts(checkpoint.name, resolved.candidate.facts, table, weights)
    n_bytes, n_download_bytes = 0, 0  # a model behind a server takes no room here
    if weights is not None:
        n_bytes = weights.bytes_as(settings.dtype)
        if not is_downloaded(checkpoint):
            n_download_bytes = _download_bytes(checkpoint, weights)
    model = Model(
        name=name or checkpoint.name,
        ref=_exact_ref(checkpoint),
        identity=checkpoint.identity,
        revision=checkpoint.revision,
        aliases=aliases,
        settings=settings.for_run(),
        facts=facts,
        counted=counted,
        n_parameters=int(facts["parameters"] or 0) if weights is None else weights.n_parameters,
        n_bytes=n_bytes,
        n_download_bytes=n_download_bytes,
        devices=settings.devices or 1,
    )
    if settings.devices is None:
        # One more than there are where all of them are too small.
        needed = device.devices_for(model.memory_bytes) or len(device.devices) + 1
        model = replace(model, devices=needed)
    return model


def unsupported_reason(model: Model, device: DeviceKind) -> str | None:
    """Return why a model cannot run on these devices, or None if it can."""
    there = len(device.devices)
    if not there or model.devices <= there:
        return None
    if device.devices_for(model.memory_bytes) is None:
        return (
            f"it needs about {model.memory_bytes / 1e9:.3g} GB of memory, more than the {there} "
            "GPUs that one process can have here hold"
        )
    return f"its settings give it {model.devices} GPUs, and one process can have {there} here"


def _download_bytes(checkpoint: Checkpoint, weights: Weights) -> int:
    n_bytes = missing_bytes(checkpoint)
    return weights.n_bytes if n_bytes is None else n_bytes


def _exact_ref(checkpoint: Checkpoint) -> str:
    """Return what loads exactly this checkpoint, whatever a branch points to later."""
    if checkpoint.kind == "local":
        return checkpoint.location
    if checkpoint.kind == "endpoint":
        return served_name(checkpoint)[1]
    return f"{checkpoint.location}@{checkpoint.revision}"


def facts_table(zoo: ZooFile) -> pd.DataFrame:
    """Return the zoo's CSV of facts by model; without rows where it names none.

    Raises
    ------
    ZooError
        It cannot be read, or has a wrong column or a model twice.

    """
    if zoo.config.facts is None:
        return pd.DataFrame(columns=list(FACT_COLUMNS))
    path = zoo.beside(zoo.config.facts)
    try:
        table = read_cells(path)
        if "model" in table.columns:
            table = typed(table)
    except TableError as error:
        raise ZooError(f"{zoo.at('facts')}: cannot read {path}: {error}") from None
    unknown = [c for c in table.columns if c not in (*FACT_COLUMNS, "model")]
    if "model" not in table.columns or unknown:
        raise ZooError(
            f"{zoo.at('facts')}: {path} needs the column model and may have "
            f"{', '.join(FACT_COLUMNS)}{f'; {unknown[0]!r} is none of them' if unknown else ''}"
        )
    if table["model"].duplicated().any():
        twice = table.loc[table["model"].duplicated(), "model"].iloc[0]
        raise ZooError(f"{zoo.at('facts')}: {path} has {twice} twice")
    if "release_date" in table:
        rows = zip(table["release_date"], table["model"], strict=True)
        try:
            table["release_date"] = [
                read_release_date(value, f"row {row} ({model}): release_date") or None
                for row, (value, model) in enumerate(rows, start=2)
            ]
        except TableError as error:
            raise ZooError(f"{zoo.at('facts')}: {path}: {error}") from None
    return table.set_index("model")


def _facts(
    name: str, given: Facts, table: pd.DataFrame, weights: Weights | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    facts: dict[str, Any] = dict.fromkeys(FACT_COLUMNS)
    if name in table.index:
        row = table.loc[name].dropna().to_dict()
        facts |= {str(k): v.item() if hasattr(v, "item") else v for k, v in row.items()}
    facts |= given.model_dump(exclude_none=True)
    counted = []
    if facts["parameters"] is None and weights is not None:
        facts["parameters"] = float(weights.n_parameters)
        counted.append("parameters")
    known = facts["parameters"] is not None and facts["training_tokens"] is not None
    if facts["training_flops"] is None and known:
        facts["training_flops"] = 6.0 * facts["parameters"] * facts["training_tokens"]
        counted.append("training_flops")
    return facts, tuple(counted)
