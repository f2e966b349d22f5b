"""A model's scores are measured once more by another path, and a drift is named with its cause."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from capspace.fit._json import json_dict
from capspace.fit.decide._paired import Drift, holm, paired_drift, unpaired_drift
from capspace.fit.errors import TooFewItemsError
from capspace.fit.reference import Reference
from capspace.fit.table.names import match_names
from capspace.tasks.panel import Benchmark, Panel

from ..errors import CollectError, StoreError
from ..run.collect import collect_scores
from ..runtime.progress import ProgressDisplay
from ..settings import RunSettings
from ..storage.result import Result
from ..storage.store import Store
from ._protocol_fields import different_fields
from ._twin_items import PairedItems, paired_items
from .importing import import_scores

__all__ = [
    "TWINS",
    "TwinScore",
    "compare_results",
    "imported_twins",
    "measured_twins",
    "published_twins",
    "stored_results",
]

TWINS = "twins"
"""The folder of a store in which the second measurements lie, so that no table mixes the two."""
SIGNIFICANT = 0.05
_FEW_RESPONSES = 0.02
_FEW_TEXTS = 0.2


@dataclass(frozen=True)
class TwinScore:
    """One score under two paths.

    Attributes
    ----------
    model, benchmark : str
    against : str
        The other path.
    drift : Drift
        Its p-value holds for all benchmarks together.
    items : PairedItems or None
        None where only scores are known.
    fields : mapping of field to (own, other)
        What the two protocols state differently, the likeliest cause first.

    """

    model: str
    benchmark: str
    against: str
    drift: Drift
    items: PairedItems | None
    fields: Mapping[str, tuple[str, str]]

    @property
    def drifting(self) -> str:
        """What drifts: "score", "prompts", "responses", or "" for nothing."""
        if self.drift.p_value <= SIGNIFICANT:
            return "score"
        if self.items is None:
            return ""
        n = len(self.items.own)
        if self.items.n_prompts:
            return "prompts"
        few = _FEW_TEXTS if self.items.generated else _FEW_RESPONSES
        return "responses" if self.items.n_responses > few * n else ""

    @property
    def causes(self) -> tuple[str, ...]:
        """The likely causes of a drift, the likeliest first; none without a drift."""
        if not self.drifting:
            return ()
        stated = [f"{name}: {own}, there {other}" for name, (own, other) in self.fields.items()]
        if self.items is None or not (self.items.n_prompts or self.items.n_responses):
            hidden = ["shots, template, filter or version that a side does not state"]
        elif self.items.n_prompts:
            hidden = ["other prompts: few-shot examples, template or task version"]
        else:
            hidden = ["the same prompts: BOS token, dtype, attention, or other weights"]
        return (*stated, *hidden)

    @property
    def line(self) -> str:
        """The comparison in a line."""
        d, items = self.drift, self.items
        sizes = f"{d.own:.3f}, {self.against} {d.other:.3f}"
        of = "" if d.n_items is None else f" on {d.n_items} items"
        test = (
            f"{d.difference:+.3f} ({d.lower:+.3f} to {d.upper:+.3f}; {d.test}, p {d.p_value:.2g})"
        )
        more = ""
        if items is not None and (items.n_prompts or items.n_responses):
            more = f"; {items.n_prompts} prompts and {items.n_responses} further responses differ"
        why = f"; likely {'; '.join(self.causes)}" if self.drifting else ""
        return f"{self.model}: {self.benchmark} {sizes}{of}: {test}{more}{why}"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping."""
        items = self.items
        return json_dict(
            {
                "model": self.model,
                "benchmark": self.benchmark,
                "against": self.against,
                **vars(self.drift),
                "n_prompts_differ": None if items is None else items.n_prompts,
                "n_responses_differ": None if items is None else items.n_responses,
                "drift": self.drifting,
                "fields": {name: list(pair) for name, pair in self.fields.items()},
                "causes": self.causes,
            }
        )


def measured_twins(
    model: str,
    panel: Panel,
    store: Store,
    *,
    against: str | Path = "hf",
    n_items: int = 200,
    settings: RunSettings | None = None,
    progress: ProgressDisplay | None = None,
) -> tuple[TwinScore, ...]:
    """Compare a model's scores with those of another backend, or of a file of another harness.

    Parameters
    ----------
    model : str
        As of ``collect_scores``.
    panel : Panel
        Its benchmarks are compared.
    store : Store
        Where the model's own scores are; without any, its own path is measured too. What is
        measured here lies in the store's folder ``twins``.
    against : "hf" or path
        lm-eval's own model class, or a file as ``import_scores`` reads it.
    n_items : int, default 200
        Items in all that are measured by a path, spread over the benchmarks.
    settings : RunSettings, optional
        Of the model's own path.
    progress : ProgressDisplay, optional
        Receives the progress.

    Raises
    ------
    CollectError
        No benchmark has a score on both sides, or the two paths are one.
    TooFewItemsError
        Neither items nor standard errors are known on both sides.

    """
    chosen = RunSettings() if settings is None else settings
    stored = stored_results(model, panel, store)
    backends = {r.protocol.partition("; ")[2].partition(" ")[0] for r in stored.values()}
    if against == "hf" and (backends == {"hf"} if stored else chosen.backend == "hf"):
        raise CollectError(
            "the scores are hf's already; compare them with --against published, or with a file"
        )

    def measured(part: Panel, settings: RunSettings) -> list[Result]:
        results: list[Result] = []
        for limit, group in _by_limit(part, n_items).items():
            results += collect_scores(
                model,
                panel=part.model_copy(update={"benchmarks": tuple(group)}),
                store=beside,
                settings=settings.with_changes({"limit": limit}),
                progress=progress,
            ).results
        return results

    with (
        Store(store.path / TWINS) as beside,
        TemporaryDirectory() as folder,
        Store(Path(folder)) as imported,
    ):
        others: Sequence[Result] = ()
        if against != "hf":  # a file that cannot be read is refused before anything is measured
            others = import_scores([Path(against)], store=imported, panel=panel).results
        own = {name: (result, store) for name, result in stored.items()}
        if not own:
            own = {result.benchmark: (result, beside) for result in measured(panel, chosen)}
        if against == "hf":
            others = measured(panel.select(own), chosen.with_changes({"backend": "hf"}))
        pairs = [
            (*own[name], other) for other in others if (name := _benchmark_of(other, panel)) in own
        ]
        if not pairs:
            raise CollectError(
                f"{against} has no score of a benchmark of {panel.name} that {model} has one of; "
                "there is nothing to compare"
            )
        other_store = beside if against == "hf" else imported
        twins = compare_results(pairs, other_store, panel, str(against))
        if not twins:
            raise TooFewItemsError(
                f"{against} has neither items nor standard errors of the scores of {model}, so a "
                "difference cannot be told from chance"
            )
        return twins


def compare_results(
    pairs: Iterable[tuple[Result, Store, Result]], other_store: Store, panel: Panel, against: str
) -> tuple[TwinScore, ...]:
    """Compare pairs of results: one's own with its store, and another in the other store."""
    twins = []
    for own, place, other in pairs:
        paired = _paired(own, place, other, other_store, panel[own.benchmark])
        if paired is not None and paired.own:
            drift = paired_drift(paired.own, paired.other)
        elif math.isnan(_stderr(own) + _stderr(other)):
            continue  # nobody can say how far two scores without errors may lie apart
        else:
            drift = unpaired_drift(own.score, _stderr(own), other.score, _stderr(other))
        fields = different_fields(own, other)
        twins.append(TwinScore(own.model, own.benchmark, against, drift, paired, fields))
    return _adjusted(twins)


def imported_twins(results: Iterable[Result], store: Store, panel: Panel) -> tuple[TwinScore, ...]:
    """Compare scores that were measured here with imported ones of the same model in a store."""
    pairs = []
    for result in results:
        if _is_imported(result):
            continue
        pairs += [
            (result, store, other)
            for other in store.results(model=result.model)
            if _is_imported(other) and _benchmark_of(other, panel) == result.benchmark
        ]
    return compare_results(pairs, store, panel, "imported")


def published_twins(
    results: Sequence[Result], reference: Reference, *, model: str | None = None
) -> tuple[TwinScore, ...]:
    """Compare scores of whole benchmarks with those that a reference has of the same model.

    Scores of some items, of other items, or of which neither side knows the error are left out.
    Only names that surely are the same model's count.
    """
    twins = []
    names = list(map(str, reference.table.models.index))
    wide = reference.table.wide(
        [b for b in reference.benchmarks if b in reference.table.benchmarks]
    )
    for result in results:
        name = result.model if model is None else model
        same = [match.name for match in match_names(name, names) if match.is_sure]
        known = reference.benchmarks.get(result.benchmark)
        if not same or known is None or not result.comparable or _is_part(result):
            continue
        published = float(wide[result.benchmark].to_numpy(dtype=float)[wide.index.get_loc(same[0])])
        n = known.n_items or result.n_items
        if math.isnan(published) or not n:
            continue
        share = (published * n + 1) / (n + 2)
        own, error = _stderr(result), math.sqrt(share * (1 - share) / n)
        if math.isnan(own):
            continue
        drift = unpaired_drift(result.score, own, published, error)
        fields = {}
        if known.n_shot is not None and result.n_shot not in (None, known.n_shot):
            fields["shots"] = (str(result.n_shot), str(known.n_shot))
        against = f"{reference.name} ({same[0]})"
        twins.append(TwinScore(name, result.benchmark, against, drift, None, fields))
    return _adjusted(twins)


def _adjusted(twins: Sequence[TwinScore]) -> tuple[TwinScore, ...]:
    p_values = holm([twin.drift.p_value for twin in twins])
    return tuple(
        replace(twin, drift=replace(twin.drift, p_value=p))
        for twin, p in zip(twins, p_values, strict=True)
    )


def _paired(
    own: Result, place: Store, other: Result, other_store: Store, benchmark: Benchmark
) -> PairedItems | None:
    """Return the paired items; None where a side has no samples."""
    if not (place.samples_file(own.key).exists() and other_store.samples_file(other.key).exists()):
        return None
    dtype = own.protocol + other.protocol
    try:
        return paired_items(own, place, other, other_store, metric=benchmark.metric, dtype=dtype)
    except StoreError:
        return None


def stored_results(model: str, panel: Panel, store: Store) -> dict[str, Result]:
    """Return the model's stored results on a panel, whole benchmarks before parts."""
    path = Path(model).expanduser()
    name = path.resolve().name if path.is_dir() else model.partition("@")[0]
    wanted = {b.name for b in panel.benchmarks}
    results = [r for r in store.results(model=name) if r.benchmark in wanted]
    return {r.benchmark: r for r in sorted(results, key=lambda r: not _is_part(r))}


def _is_imported(result: Result) -> bool:
    return "imported" in json.loads(result.identity)


def _is_part(result: Result) -> bool:
    return json.loads(result.identity).get("limit") is not None


def _benchmark_of(result: Result, panel: Panel) -> str:
    """Return the benchmark whose tasks a result is about, by whatever protocol."""
    names = [b.name for b in panel.benchmarks]
    if result.benchmark in names:
        return result.benchmark
    tasks = {str(task["task"]) for task in result.tasks}
    matching = [b.name for b in panel.benchmarks if tasks and tasks <= set(b.tasks)]
    return matching[0] if matching else ""


def _stderr(result: Result) -> float:
    if result.stderr > 0:
        return result.stderr
    n = result.n_items or 0
    share = (result.score * n + 1) / (n + 2)
    return math.sqrt(share * (1 - share) / n) if n else math.nan


def _by_limit(panel: Panel, n_items: int) -> dict[int, list[Benchmark]]:
    """Return benchmarks by the items per leaf task that give each benchmark a like number."""
    each = n_items / len(panel.benchmarks)
    groups: dict[int, list[Benchmark]] = {}
    for benchmark in panel.benchmarks:
        groups.setdefault(max(1, math.ceil(each / benchmark.n_tasks)), []).append(benchmark)
    return groups
