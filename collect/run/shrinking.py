"""A panel is shrunk to the items that are most informative about each benchmark's full score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from capspace.fit.errors import FitError
from capspace.fit.items import ShortForm, shorten
from capspace.tasks.item_estimate import ItemEstimate, TaskItems
from capspace.tasks.panel import Benchmark, Panel

from .item_responses import BenchmarkResponses

__all__ = ["ShrunkBenchmark", "ShrunkPanel", "panel_yaml", "shrink_panel"]

_DIGITS = 6


@dataclass(frozen=True, eq=False)
class ShrunkBenchmark:
    """What became of one benchmark.

    Attributes
    ----------
    name : str
        The benchmark's.
    short : ShortForm or None
        Its items and their estimate; None where it stays whole.
    reason : str
        Why it stays whole, or what is to be known of the responses; "" for nothing.

    """

    name: str
    short: ShortForm | None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON data."""
        short = self.short
        if short is None:
            return {"benchmark": self.name, "n_items": None, "reason": self.reason}
        return {
            "benchmark": self.name,
            "n_items": len(short.items),
            "n_all": short.n_items,
            "error": short.error,
            "error_beyond": short.error_beyond,
            "highest": short.highest,
            "error_of_random_items": short.mean_error,
            "selection": short.selection,
            "errors": {
                by: {"error": error, "error_beyond": beyond}
                for by, (error, beyond) in short.errors.items()
            },
            "n_models": short.n_models,
            "n_families": short.n_families,
            "items": list(short.items),
            "reason": self.reason,
        }


@dataclass(frozen=True, eq=False)
class ShrunkPanel:
    """A panel of fewer items, and how well they give the score by all.

    Attributes
    ----------
    panel : Panel
        The smaller panel, with each benchmark's items and estimate.
    benchmarks : tuple of ShrunkBenchmark
        What became of each benchmark, in the panel's order.

    """

    panel: Panel
    benchmarks: tuple[ShrunkBenchmark, ...]


def shrink_panel(
    panel: Panel,
    n_items: int,
    responses: Mapping[str, BenchmarkResponses | FitError],
    *,
    seed: int = 0,
) -> ShrunkPanel:
    """Return a panel of so many items of each benchmark.

    A benchmark that cannot be shrunk stays whole, with the reason.

    Parameters
    ----------
    panel : Panel
        With all items.
    n_items : int
        Of each benchmark.
    responses : mapping
        By benchmark, those of many models; or why there are none.
    seed : int
        Of what is random.

    Raises
    ------
    FitError
        No benchmark can be shrunk; the reason is that of the first.

    """
    rows: list[ShrunkBenchmark] = []
    smaller: list[Benchmark] = []
    first_problem: FitError | None = None
    for benchmark in panel.benchmarks:
        known = responses.get(benchmark.name)
        try:
            if known is None:
                raise FitError(f"no responses to items of {benchmark.name}")
            if isinstance(known, FitError):
                raise known
            if not benchmark.is_whole:
                raise FitError(f"{benchmark.name} already has only some of its items")
            short = shorten(known.responses, n_items, random_state=seed)
        except FitError as error:
            first_problem = first_problem or error
            rows.append(ShrunkBenchmark(benchmark.name, None, str(error)))
            smaller.append(benchmark)
            continue
        skipped = f"{known.n_skipped} models of another version of the task were left out"
        rows.append(ShrunkBenchmark(benchmark.name, short, skipped if known.n_skipped else ""))
        smaller.append(_shrunk(benchmark, known, short))
    if first_problem is not None and all(row.short is None for row in rows):
        raise first_problem
    changes = {
        "name": f"{panel.name}-{n_items}",
        "description": f"{panel.description.strip()} Of each benchmark that could be shrunk, "
        f"{n_items:,} items, from which its score by all items is estimated.",
        "differences": (),
        "benchmarks": tuple(smaller),
    }
    return ShrunkPanel(Panel.model_validate(panel.model_dump() | changes), tuple(rows))


def panel_yaml(panel: Panel) -> str:
    """Return a panel as the text of its YAML file."""
    import yaml

    content = panel.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(
        content, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True
    )


def _shrunk(benchmark: Benchmark, known: BenchmarkResponses, short: ShortForm) -> Benchmark:
    places = [known.places[i] for i in short.positions]
    tasks: dict[str, TaskItems] = {}
    for task in dict.fromkeys(task for task, _ in places):
        own = [(place[1], i) for i, place in enumerate(places) if place[0] == task]
        own.sort()
        tasks[task] = TaskItems(
            of=known.sizes[task],
            positions=tuple(position for position, _ in own),
            weights=tuple(round(float(short.coef[i]), _DIGITS) for _, i in own),
            hashes=tuple(known.hashes[task, position] for position, _ in own)
            if known.hashes
            else (),
        )
    estimate = ItemEstimate(
        tasks=tasks,
        intercept=round(short.intercept, _DIGITS),
        error=float(f"{short.error:.4g}"),
        error_beyond=float(f"{short.error_beyond:.4g}"),
        highest=round(short.highest, _DIGITS),
        fitted_on=f"{short.n_models} models, {short.n_families} families; items {short.selection}",
    )
    return benchmark.model_copy(update={"estimate": estimate, "normalised": False})
