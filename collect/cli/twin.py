"""The command ``twin`` measures some items by another path, and names drifting scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..settings import DEFAULT_PANEL, RunSettings
from . import options as o
from .old_names import reading
from .setting_options import with_settings

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command(cls=reading(items="--sample"))(twin)


@with_settings
def twin(
    model: Annotated[str, typer.Argument(help="Hub name org/model[@revision] or local folder.")],
    panel: o.Panel = DEFAULT_PANEL,
    store: o.StorePath = None,
    against: Annotated[
        str,
        typer.Option(
            help="The other path: hf, lm-eval's own model class; published, the reference's scores "
            "of this model; or a results file of another harness or version."
        ),
    ] = "hf",
    sample: Annotated[
        int,
        typer.Option(min=1, help="Number of items to measure with hf, spread over the benchmarks."),
    ] = 200,
    reference: o.Reference = None,
    *,
    settings: RunSettings,
    as_json: o.Json = False,
) -> None:
    """Compare a checkpoint's scores with scores from another path, item by item if possible.

    A checkpoint without scores in the store is measured by both paths. The exit code is 1 if any
    score drifts.
    """
    from ..runtime.optional import require_collect_extra

    require_collect_extra()
    from capspace.fit.reference import choose_reference, load_reference
    from capspace.tasks.panel import load_panel

    from ..comparison.twin_comparison import published_twins
    from ..errors import CollectError
    from ..exchange._twin import measured_twins, stored_results
    from ..runtime.progress import progress_on

    chosen = load_panel(panel)
    if against not in ("hf", "published") and not Path(against).is_file():
        raise CollectError(
            f"--against {against}: no such file; it is hf, published, or a results file"
        )
    o.say_what_runs(settings.include_path)
    with o.resumable(), o.open_store(store, must_write=against != "published") as opened:
        if against == "published":
            name = reference or choose_reference([b.name for b in chosen.benchmarks]).name
            known = load_reference(name)
            twins = published_twins(list(stored_results(model, chosen, opened).values()), known)
            if not twins:
                raise CollectError(
                    f"{name} has no score that a whole benchmark of {model} in {opened.path} could "
                    "be compared with; measure it first, or use --against hf"
                )
        else:
            twins = measured_twins(
                model,
                chosen,
                opened,
                against=against,
                n_items=sample,
                settings=settings,
                progress=progress_on(o.console(stderr=True)),
            )
    drifting = [each for each in twins if each.drifting]
    if as_json:
        o.print_json({"twins": [each.to_dict() for each in twins], "n_drifting": len(drifting)})
    else:
        o.print_table(
            f"{twins[0].model} beside {twins[0].against}",
            ("Benchmark", "Own", "Other", "Difference", "90% interval", "p", "Items", "Drift"),
            [
                (
                    each.benchmark,
                    f"{each.drift.own:.3f}",
                    f"{each.drift.other:.3f}",
                    _signed(each.drift.difference),
                    f"{_signed(each.drift.lower)} – {_signed(each.drift.upper)}",
                    f"{each.drift.p_value:.2g}",
                    "-" if each.drift.n_items is None else str(each.drift.n_items),
                    each.drifting or "none",
                )
                for each in twins
            ],
            numbers=("Own", "Other", "Difference", "90% interval", "p", "Items"),
        )
        for each in drifting:
            o.console().print(each.line, style="yellow", markup=False)
    if drifting:
        raise typer.Exit(1)


def _signed(value: float) -> str:
    """Return a difference with its sign; one that rounds to 0 is not below it."""
    return f"{round(value, 3) + 0.0:+.3f}"
