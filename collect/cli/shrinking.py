"""``panels shrink`` writes a panel with fewer items and an estimate of each full score."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from capspace.fit.errors import FitError, TableError

from ..errors import CollectError
from . import options as o
from . import tables as t

if TYPE_CHECKING:
    from capspace.tasks.panel import Panel

    from ..run.item_responses import BenchmarkResponses
    from ..run.shrinking import ShrunkPanel

__all__ = ["NamedPanels", "shrink"]


class NamedPanels(TyperGroup):
    """Commands of panels, of which ``show`` is meant where a name of none of them stands."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first argument names, or ``show``."""
        named = bool(args) and self.get_command(ctx, args[0]) is None
        return super().resolve_command(ctx, ["show", *args] if named else args)


def shrink(
    panel: Annotated[
        str, typer.Argument(metavar="NAME", help="A panel's name, or the path of its YAML file.")
    ],
    answers: Annotated[
        Path,
        typer.Option(
            metavar="STORE|TABLE",
            help="Answers of at least 20 models to every item: the folder of a store, or a table "
            "with one column per item, named task/position.",
        ),
    ],
    items: Annotated[
        int, typer.Option(min=1, help="Number of items to keep of each benchmark.")
    ] = 100,
    benchmark: Annotated[list[str] | None, o.benchmark()] = None,
    families: Annotated[
        Path | None,
        typer.Option(
            help="Table with the columns model and family, for the models of a store; whole "
            "families are left out to measure the error.",
            show_default="the organisation in a model's name",
        ),
    ] = None,
    out: Annotated[Path | None, o.out("NAME-ITEMS.yaml")] = None,
    seed: t.Seed = 0,
    as_json: o.Json = False,
) -> None:
    """Write a panel with fewer items of each benchmark, and with an estimate of the full score.

    The panel measures only these items. Its scores are estimates of the full scores; their standard
    errors include the error of the estimate, which this command prints. --benchmark may be
    repeated; without it, all benchmarks of the panel are shrunk.
    """
    from capspace.fit._files import write_new
    from capspace.tasks.panel import load_panel

    from ..run.shrinking import panel_yaml, shrink_panel

    whole = load_panel(panel)
    if benchmark:
        whole = whole.select(benchmark)
    path = out or Path(f"{whole.name}-{items}.yaml")
    if path.exists():
        raise CollectError(f"{path} already exists; give another file with --out")
    responses = _responses(answers, whole, _families(families))
    shrunk = shrink_panel(whole, items, responses, seed=seed)
    try:
        write_new(path, panel_yaml(shrunk.panel))
    except OSError as error:
        raise CollectError(f"cannot write {path}: {error.strerror or error}") from None
    if as_json:
        o.print_json(
            {
                "panel": shrunk.panel.name,
                "file": str(path),
                "benchmarks": [row.to_dict() for row in shrunk.benchmarks],
            }
        )
        return
    _print_shrunk(shrunk, path)


def _responses(
    by: Path, panel: Panel, families: Mapping[str, str]
) -> dict[str, BenchmarkResponses | FitError]:
    from ..run.item_responses import stored_responses, tabled_responses

    if not by.is_dir():
        if families:
            raise TableError(f"{by}: --families is for a store; a table has a column family")
        return {**tabled_responses(by, _leaves(panel), panel.benchmarks)}
    if not (by / "store.sqlite").is_file():
        raise TableError(f"{by}: a folder without a store; give a table, or a store's folder")
    responses: dict[str, BenchmarkResponses | FitError] = {}
    with o.open_store(by, must_write=False) as store:
        for each in panel.benchmarks:
            try:
                responses[each.name] = stored_responses(store, each, families)
            except FitError as error:
                responses[each.name] = error
    return responses


def _leaves(panel: Panel) -> dict[str, list[str]]:
    """Return lm-eval's leaf tasks of each benchmark; lm-eval is loaded only for those of groups."""
    if all(len(b.tasks) == b.n_tasks for b in panel.benchmarks):
        return {b.name: list(b.tasks) for b in panel.benchmarks}
    from ..harness.harness import Harness

    harness = Harness(panel.benchmarks)
    return {b.name: [task.name for task in harness.tasks(b)] for b in panel.benchmarks}


def _families(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    from capspace.fit.table.cells import cell_texts, read_columns

    try:
        columns = {name.strip().lower(): cells for name, cells in read_columns(path).items()}
        if not {"model", "family"} <= set(columns):
            raise TableError("expected the columns model and family")
        texts = (cell_texts(columns[name], name) for name in ("model", "family"))
        return dict(zip(*texts, strict=True))
    except TableError as error:
        raise TableError(f"{path}: {error}") from None


def _print_shrunk(shrunk: ShrunkPanel, path: Path) -> None:
    rows = []
    for row in shrunk.benchmarks:
        s = row.short
        if s is None:
            rows.append((row.name, "all", "", "", "", "", row.reason))
            continue
        how = f"{s.selection}; {s.n_models} models, {s.n_families} families"
        note = "; ".join(filter(None, (how, row.reason)))
        rows.append(
            (
                row.name,
                f"{len(s.items):,} of {s.n_items:,}",
                f"{s.error:.4f}",
                f"{s.error_beyond:.4f} above {s.highest:.2f}",
                f"{s.mean_error:.4f}",
                f"{len(s.items) / s.n_items:.1%}",
                note,
            )
        )
    o.print_table(
        f"{shrunk.panel.name}: fewer items, and the error of the full score estimated from them",
        ("Benchmark", "Items", "Error", "Of stronger models", "Random items", "Share", "Chosen"),
        rows,
        numbers=("Items", "Error", "Of stronger models", "Random items", "Share"),
    )
    o.console().print(
        f"errors are those on models whose families were left out; wrote {path}; measure with "
        f"--panel {path}",
        markup=False,
    )
