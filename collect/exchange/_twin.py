"""A model is measured again by another path, and the scores are compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from capspace.fit.errors import TooFewItemsError
from capspace.tasks.panel import Benchmark, Panel

from ..comparison.twin_comparison import benchmark_of, compare_results, is_part
from ..comparison.twin_score import TwinScore
from ..errors import CollectError
from ..run.collect import collect_scores
from ..runtime.progress import ProgressDisplay
from ..settings import RunSettings
from ..storage.protocol import Protocol
from ..storage.result import Result
from ..storage.store import Store
from .importing import import_scores

__all__ = ["TWINS", "measured_twins", "stored_results"]

TWINS = "twins"
"""The folder of a store in which the second measurements lie, so that no table mixes the two."""


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
    protocols = (Protocol.parse(result.protocol) for result in stored.values())
    backends = {"" if protocol is None else protocol.backend for protocol in protocols}
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
        Store(store.path / TWINS, create=False) as beside,
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
            (*own[name], other) for other in others if (name := benchmark_of(other, panel)) in own
        ]
        if len({other.model for other in others}) > 1:  # a table of several models
            pairs = [pair for pair in pairs if pair[0].model == pair[2].model]
        if not pairs:
            raise CollectError(
                f"{against} has no score of a benchmark of {panel.name} that {model} has one of; "
                "there is nothing to compare"
            )
        other_store = beside if against == "hf" else imported
        twins = compare_results(pairs, other_store, panel, str(against))
        if not twins:
            raise TooFewItemsError(
                f"neither items nor standard errors are known of the scores of {model}, here or in "
                f"{against}, so a difference cannot be told from chance"
            )
        return twins


def stored_results(model: str, panel: Panel, store: Store) -> dict[str, Result]:
    """Return the model's stored results on a panel, whole benchmarks before parts."""
    path = Path(model).expanduser()
    name = path.resolve().name if path.is_dir() else model.partition("@")[0]
    wanted = {b.name for b in panel.benchmarks}
    results = [r for r in store.results(model=name) if r.benchmark in wanted]
    return {r.benchmark: r for r in sorted(results, key=lambda r: not is_part(r))}


def _by_limit(panel: Panel, n_items: int) -> dict[int, list[Benchmark]]:
    """Return benchmarks by the items per leaf task that give each benchmark a like number."""
    each = n_items / len(panel.benchmarks)
    groups: dict[int, list[Benchmark]] = {}
    for benchmark in panel.benchmarks:
        groups.setdefault(max(1, math.ceil(each / benchmark.n_tasks)), []).append(benchmark)
    return groups
