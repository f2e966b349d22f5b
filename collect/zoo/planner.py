"""From a ``zoo.yaml`` to a plan: resolve, weigh, look up what is done, and estimate the rest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from capspace.collect.backends import DEFAULT_BACKEND, LoadOptions
from capspace.collect.checkpoint import Checkpoint, resolve
from capspace.collect.collection import Missing
from capspace.collect.data_root import DataRoot, default_data_root, embedded_data_root
from capspace.collect.download import missing_bytes
from capspace.collect.errors import CheckpointError, CollectError, ZooError
from capspace.collect.harness import Harness, Workload
from capspace.collect.identity import Measurement, Seeds, canonical_json
from capspace.collect.quiet import logged_to
from capspace.collect.runner import measurement
from capspace.collect.store import Store
from capspace.collect.zoo.config import Facts, Settings, ZooFile
from capspace.collect.zoo.cost import (
    Observation,
    Throughput,
    fit_throughput,
    forward_flops,
)
from capspace.collect.zoo.device import DeviceKind
from capspace.collect.zoo.expand import Candidate, candidates
from capspace.collect.zoo.plan import Cell, Model, Plan, Unit, cut_into_units, longest_first
from capspace.collect.zoo.weights import Weights, is_downloaded, weigh
from capspace.fit.table import FACT_COLUMNS
from capspace.tasks.panel import Benchmark, Panel, load_panel

__all__ = ["make_plan", "zoo_data_root", "zoo_panels"]

Tell = Callable[[str], None]


@dataclass(frozen=True)
class _Found:
    candidate: Candidate
    checkpoint: Checkpoint
    settings: Settings


def zoo_panels(zoo: ZooFile) -> list[Panel]:
    """Return the panels that a zoo names; a path starts at the zoo's folder."""
    panels = []
    for name in zoo.config.panels:
        path = zoo.beside(Path(name))
        panels.append(load_panel(path if path.suffix in {".yaml", ".yml"} else name))
    return panels


def zoo_data_root(zoo: ZooFile) -> DataRoot | None:
    """Return where the zoo's tasks read their data, or None for the Hub."""
    if zoo.config.data is None:
        return default_data_root()
    if zoo.config.data == "embedded":
        return embedded_data_root()
    return DataRoot(zoo.beside(Path(zoo.config.data)))


def make_plan(
    zoo: ZooFile,
    store: Store,
    *,
    device: DeviceKind | None = None,
    unit_seconds: float | None = None,
    tell: Tell = lambda text: None,
) -> Plan:
    """Return what is done, what is missing, and what the missing costs; nothing is measured.

    Parameters
    ----------
    zoo : ZooFile
        What is wanted.
    store : Store
        Where results are; file hashes and counted workloads are remembered there.
    device : DeviceKind, optional
        What the zoo will run on; by default this machine's.
    unit_seconds : float, optional
        Longest unit to cut, where a job's time asks for shorter ones than the zoo's limits.
    tell : callable
        Takes a line for a person now and then.

    Raises
    ------
    ZooError
        A wrong entry, named with file and line, or no checkpoint that can be used.

    """
    device = device or DeviceKind.here()
    panels = zoo_panels(zoo)
    wanted = candidates(zoo)
    table = _facts_table(zoo)
    harness = Harness(
        [b for p in panels for b in p.benchmarks],
        data_root=zoo_data_root(zoo),
        include_path=None
        if zoo.config.include_path is None
        else zoo.beside(zoo.config.include_path),
    )
    tell(f"resolving {len(wanted)} checkpoints")
    found, missing = _resolved(wanted, panels, store)
    merged, notices = _merged(found)
    models = [_model(f, aliases, table, device) for f, aliases in merged]
    with logged_to(store.logs_path / "zoo-plan.log"):
        cells, missing_cells, benchmarks = _keys(zoo, panels, harness, merged, allowed=models)
        works = _workloads(zoo, benchmarks, harness, store, tell)
    speed = fit_throughput(
        _observations(store, models, cells, works, device), Throughput.guess(device.kind)
    )
    planned: dict[str, tuple[Cell, ...]] = {}
    units: list[Unit] = []
    for model in models:
        too_large = _too_large(model, device)
        planned[model.identity] = tuple(
            Cell(
                key=cell.key,
                panel=panel.name,
                benchmark=benchmark.name,
                is_done=store.get(cell.key) is not None,
                estimate=replace(
                    speed, flops_per_second=speed.flops_per_second * model.devices
                ).cell(works[panel.name, benchmark.name], model.n_parameters),
            )
            for panel, benchmark, cell in cells[model.identity]
        )
        if too_large:
            open_cells = [c for c in planned[model.identity] if not c.is_done]
            missing += [Missing(model.name, c.benchmark, too_large) for c in open_cells]
            planned[model.identity] = tuple(c for c in planned[model.identity] if c.is_done)
        for panel in panels:
            units += cut_into_units(
                model,
                panel.name,
                [c for c in planned[model.identity] if c.panel == panel.name],
                load=speed.load(model.n_bytes),
                unit_seconds=min(zoo.config.limits.unit_time, unit_seconds or math.inf),
            )
    return Plan(
        name=zoo.name,
        models=tuple(models),
        cells=planned,
        units=longest_first(units),
        unmeasurable=(*missing, *missing_cells),
        notices=(*notices, _speed_notice(speed, device)),
    )


def _resolved(
    wanted: Sequence[Candidate], panels: Sequence[Panel], store: Store
) -> tuple[list[_Found], list[Missing]]:
    found, missing = [], []
    for candidate in wanted:
        settings = candidate.settings
        try:
            checkpoint = resolve(
                candidate.ref,
                allow_pickle=bool(settings.allow_pickle),
                trust_remote_code=bool(settings.trust_remote_code),
                hash_file=store.hash_file,
            )
        except CheckpointError as error:
            name = Path(candidate.ref).name if candidate.ref.startswith("/") else candidate.ref
            missing += [Missing(name, b.name, str(error)) for p in panels for b in p.benchmarks]
            continue
        found.append(_Found(candidate, checkpoint, settings))
    if not found:
        raise ZooError(f"no checkpoint of this zoo can be used; {missing[0].reason}")
    return found, missing


def _merged(found: Sequence[_Found]) -> tuple[list[tuple[_Found, tuple[str, ...]]], list[str]]:
    """Return each checkpoint once, with the other names that the same bytes go by."""
    first: dict[str, _Found] = {}
    others: dict[str, list[str]] = {}
    notices = []
    for item in found:
        same = first.setdefault(item.checkpoint.identity, item)
        if same is item:
            continue
        if same.settings != item.settings:
            raise ZooError(
                f"{item.candidate.where}: {item.checkpoint.name} is the same checkpoint as "
                f"{same.checkpoint.name} ({same.candidate.where}) with other settings; keep one"
            )
        others.setdefault(item.checkpoint.identity, []).append(item.checkpoint.name)
        notices.append(
            f"{item.checkpoint.name} ({item.candidate.where}) is the same checkpoint as "
            f"{same.checkpoint.name}: measured once"
        )
    return [(f, tuple(others.get(i, ()))) for i, f in first.items()], notices


def _model(
    found: _Found, aliases: tuple[str, ...], table: pd.DataFrame, device: DeviceKind
) -> Model:
    checkpoint, settings = found.checkpoint, found.settings
    weights = weigh(checkpoint)
    facts, counted = _facts(checkpoint.name, found.candidate.facts, table, weights)
    n_bytes = weights.bytes_as(settings.dtype or "auto")
    model = Model(
        name=checkpoint.name,
        ref=_exact_ref(checkpoint),
        identity=checkpoint.identity,
        revision=checkpoint.revision,
        aliases=aliases,
        settings=settings.model_dump(exclude={"devices"}, exclude_none=True),
        facts=facts,
        counted=counted,
        n_parameters=weights.n_parameters,
        n_bytes=n_bytes,
        n_download_bytes=0 if is_downloaded(checkpoint) else _download_bytes(checkpoint, weights),
        devices=settings.devices or 1,
    )
    if settings.devices is None:
        # One more than there are where all of them are too small.
        needed = device.devices_for(model.memory_bytes) or len(device.devices) + 1
        model = replace(model, devices=needed)
    return model


def _too_large(model: Model, device: DeviceKind) -> str | None:
    """Return why a model cannot run on these devices, if so."""
    there = len(device.devices)
    if not there or model.devices <= there:
        return None
    if device.devices_for(model.memory_bytes) is None:
        return (
            f"it needs about {model.memory_bytes / 1e9:.3g} GB of memory, more than the {there} "
            "GPUs that one process can have here hold"
        )
    return f"it is to have {model.devices} GPUs, and one process can have {there} here"


def _download_bytes(checkpoint: Checkpoint, weights: Weights) -> int:
    told = missing_bytes(checkpoint)
    return weights.n_bytes if told is None else told


def _exact_ref(checkpoint: Checkpoint) -> str:
    """Return what loads exactly this checkpoint, whatever a branch points to later."""
    if checkpoint.kind == "local":
        return checkpoint.location
    return f"{checkpoint.location}@{checkpoint.revision}"


def _facts_table(zoo: ZooFile) -> pd.DataFrame:
    if zoo.config.facts is None:
        return pd.DataFrame(columns=list(FACT_COLUMNS))
    path = zoo.beside(zoo.config.facts)
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
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
    return table.set_index("model")


def _facts(
    name: str, given: Facts, table: pd.DataFrame, weights: Weights
) -> tuple[dict[str, Any], tuple[str, ...]]:
    facts: dict[str, Any] = dict.fromkeys(FACT_COLUMNS)
    if name in table.index:
        row = table.loc[name].dropna().to_dict()
        facts |= {str(k): v.item() if hasattr(v, "item") else v for k, v in row.items()}
    facts |= given.model_dump(exclude_none=True)
    counted = []
    if facts["parameters"] is None:
        facts["parameters"] = float(weights.n_parameters)
        counted.append("parameters")
    if facts["training_flops"] is None and facts["training_tokens"] is not None:
        facts["training_flops"] = 6.0 * facts["parameters"] * facts["training_tokens"]
        counted.append("training_flops")
    return facts, tuple(counted)


_Keys = dict[str, list[tuple[Panel, Benchmark, Measurement]]]


def _keys(
    zoo: ZooFile,
    panels: Sequence[Panel],
    harness: Harness,
    merged: Sequence[tuple[_Found, tuple[str, ...]]],
    *,
    allowed: Sequence[Model],
) -> tuple[_Keys, list[Missing], list[tuple[Panel, Benchmark]]]:
    """Return each model's cells, the cells that cannot be measured, and the benchmarks used."""
    known = {m.identity for m in allowed}
    keys: _Keys = {identity: [] for identity in known}
    missing: list[Missing] = []
    used: list[tuple[Panel, Benchmark]] = []
    seeds = Seeds.of(zoo.config.seed)
    for panel in panels:
        for benchmark in panel.benchmarks:
            if benchmark.executes_code and not zoo.config.allow_code_execution:
                reason = "skipped: it runs code that the model writes (allow_code_execution: true)"
                missing += [
                    Missing(f.checkpoint.name, benchmark.name, reason, skipped=True)
                    for f, _ in merged
                ]
                continue
            try:
                for found, _ in merged:
                    cell = measurement(
                        found.checkpoint,
                        benchmark,
                        harness,
                        options=load_options(found.settings),
                        seeds=seeds,
                        limit=zoo.config.limits.items,
                        chat_template=bool(found.settings.chat_template),
                    )
                    keys[found.checkpoint.identity].append((panel, benchmark, cell))
                used.append((panel, benchmark))
            except CollectError as error:
                missing += [
                    Missing(f.checkpoint.name, benchmark.name, str(error)) for f, _ in merged
                ]
    return keys, missing, used


def load_options(settings: Settings) -> LoadOptions:
    """Return how a checkpoint with these settings is loaded."""
    return LoadOptions(
        backend=settings.backend or DEFAULT_BACKEND,
        dtype=settings.dtype or "auto",
        batch_size=settings.batch_size or "auto",
        trust_remote_code=bool(settings.trust_remote_code),
    )


def _workloads(
    zoo: ZooFile,
    benchmarks: Sequence[tuple[Panel, Benchmark]],
    harness: Harness,
    store: Store,
    tell: Tell,
) -> dict[tuple[str, str], Workload]:
    """Return what each benchmark asks; counted once and then remembered beside the store."""
    path = store.path / "workloads.json"
    kept: dict[str, dict[str, int]] = {}
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
    works = {}
    n_before = len(kept)
    for panel, benchmark in benchmarks:
        tasks = [asdict(task) for task in harness.tasks(benchmark)]
        text = canonical_json([tasks, benchmark.n_shot, zoo.config.limits.items])
        key = hashlib.sha256(text.encode()).hexdigest()
        if key not in kept:
            tell(f"counting the requests of {benchmark.name}, once")
            kept[key] = asdict(harness.workload(benchmark, limit=zoo.config.limits.items))
        works[panel.name, benchmark.name] = Workload(**kept[key])
    if len(kept) > n_before:
        part = path.with_suffix(".part")
        part.write_text(json.dumps(kept), encoding="utf-8")
        part.replace(path)
    return works


def _observations(
    store: Store,
    models: Sequence[Model],
    cells: _Keys,
    works: dict[tuple[str, str], Workload],
    device: DeviceKind,
) -> list[Observation]:
    seen = []
    for model in models:
        for panel, benchmark, cell in cells[model.identity]:
            result = store.get(cell.key)
            if result is None or not str(result.provenance.get("device")).startswith(device.kind):
                continue
            if result.provenance.get("requests", {}).get("n_known"):
                continue  # partly answered from the journal: its time says nothing
            seconds = result.provenance.get("seconds")
            work = works[panel.name, benchmark.name]
            if isinstance(seconds, (int, float)) and seconds > 0:
                seen.append(
                    Observation(
                        work.n_requests, forward_flops(work, model.n_parameters), float(seconds)
                    )
                )
    return seen


def _speed_notice(speed: Throughput, device: DeviceKind) -> str:
    if not speed.n_observations:
        return f"no earlier run on {device.kind}: times are a guess, right within a factor of five"
    return f"times rest on {speed.n_observations} cells measured on {device.kind}"
