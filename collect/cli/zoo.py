"""Commands for many checkpoints: zoo init, plan, run, status, retry, cancel, fit, export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import ByteSize, TypeAdapter, ValidationError

from . import options as o
from .zoo_init import init

if TYPE_CHECKING:
    from ..storage.store import Store
    from ..zoo.config.config import ZooFile
    from ..zoo.executors.slurm_options import SlurmOptions
    from ..zoo.planning.plan import Plan
    from ..zoo.status import ZooStatus
    from ..zoo.work.folder import ZooFolder

__all__ = ["add_to"]

_SLURM = "Slurm"


def _bytes(text: str) -> int:
    try:
        return TypeAdapter(ByteSize).validate_python(text)
    except ValidationError:
        raise typer.BadParameter(f"{text!r} is no size such as 200GB") from None


ZooPath = Annotated[Path, typer.Argument(help="The zoo.yaml.", metavar="ZOO_YAML")]
Budget = Annotated[
    str | None,
    typer.Option(help="Only the checkpoints that tell most for so much time: 40gpu-hours, 90m."),
]
MaxDisk = Annotated[
    int | None,
    typer.Option(
        parser=_bytes,
        metavar="SIZE",
        help="Disk space for downloads, such as 200GB; finished checkpoints are removed to make "
        "room.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line, below ``zoo``."""
    group = typer.Typer(
        help="Measure many checkpoints on one machine or on Slurm, and fit the law they follow.",
        no_args_is_help=True,
    )
    for command in (init, plan, run, status, retry, cancel, fit, export):
        group.command()(command)
    app.add_typer(group, name="zoo")


def plan(
    zoo: ZooPath, store: o.StorePath = None, budget: Budget = None, as_json: o.Json = False
) -> None:
    """Show what is done and missing, and what the rest costs; nothing is run."""
    from .zoo_show import print_plan

    file = _read(zoo)
    with _open(file, store) as (kept, _):
        planned = _plan(file, kept, budget)
    if as_json:
        o.print_json(planned.to_dict())
    else:
        print_plan(planned)


def run(
    zoo: ZooPath,
    executor: Annotated[
        Literal["local", "slurm"], typer.Option(help="This machine, or jobs on a cluster.")
    ] = "local",
    store: o.StorePath = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Units at once. [default: one per GPU, or 1]", show_default=False, min=1),
    ] = None,
    budget: Budget = None,
    max_disk: MaxDisk = None,
    partition: Annotated[str | None, typer.Option(rich_help_panel=_SLURM)] = None,
    account: Annotated[str | None, typer.Option(rich_help_panel=_SLURM)] = None,
    gres: Annotated[
        str | None, typer.Option(help="Such as gpu:1.", rich_help_panel=_SLURM)
    ] = None,
    time: Annotated[
        str, typer.Option(help="Time limit of a job.", rich_help_panel=_SLURM)
    ] = "04:00:00",
    array_parallelism: Annotated[
        int, typer.Option(help="Jobs at once.", rich_help_panel=_SLURM, min=1)
    ] = 16,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(help="Any other key=value for #SBATCH.", rich_help_panel=_SLURM),
    ] = None,
    detach: Annotated[
        bool,
        typer.Option("--detach", help="Submit and return; `zoo status` looks again.",
                     rich_help_panel=_SLURM),
    ] = False,
    as_json: o.Json = False,
) -> None:  # fmt: skip
    """Measure every missing cell; what is done is never measured again.

    The exit code is 1 where cells failed or cannot be measured as asked. Ctrl-C keeps what is
    finished; the same command goes on. On Slurm the jobs go on without this command, which may be
    run again.
    """
    from ..runtime.optional import require_collect_extra
    from .zoo_show import print_outcome, unmeasurable

    require_collect_extra()
    from ..zoo.driver import import_outcomes, prepare
    from ..zoo.status import zoo_status

    file = _read(zoo)
    bound = file.config.limits.disk if max_disk is None else max_disk
    options = None
    if executor == "slurm":
        if max_disk is not None:
            raise typer.BadParameter("--max-disk bounds a local run; a job's node has its own disk")
        from ..zoo.executors.slurm_options import SlurmOptions

        options = SlurmOptions.of(
            partition=partition, account=account, gres=gres, time=time,
            array_parallelism=array_parallelism, extra=sbatch or [],
        )  # fmt: skip
    with _open(file, store) as (kept, folder):
        planned = _plan(file, kept, budget, options)
        for line in unmeasurable(planned.unmeasurable):
            o.console(stderr=True).print(line, markup=False)
        n_units = prepare(file, planned, folder)
        jobs: list[dict[str, str]] = []
        if n_units and options is None:
            _run_local(file, planned, folder, kept, workers, bound)
        elif n_units and options is not None:
            jobs = _run_slurm(file, folder, kept, options, detach)
        import_outcomes(folder, kept)
        state = zoo_status(file.name, folder, kept, jobs=jobs)
    if as_json:
        o.print_json(state.to_dict())
    else:
        print_outcome(state)
    if state.n_failed or not all(cell.skipped for cell in planned.unmeasurable):
        raise typer.Exit(1)


def status(zoo: ZooPath, store: o.StorePath = None, as_json: o.Json = False) -> None:
    """Show what is done, running, queued and failed; live on a terminal, until all is done."""
    from ..zoo.driver import import_outcomes
    from ..zoo.executors.slurm import submitted_jobs
    from ..zoo.status import zoo_status
    from .zoo_show import print_status, watch

    file = _read(zoo)
    with _open(file, store) as (kept, folder):

        def look() -> ZooStatus:
            import_outcomes(folder, kept)
            return zoo_status(file.name, folder, kept, jobs=submitted_jobs(folder))

        state = look()
        if as_json:
            o.print_json(state.to_dict())
        elif state.workers and o.console().is_terminal:
            watch(look, is_over=lambda now: now.is_finished or not (now.workers or now.jobs))
        else:
            print_status(state)


def retry(zoo: ZooPath, store: o.StorePath = None) -> None:
    """Forget recorded failures, so that the next run tries those cells again, and only those."""
    from ..zoo.driver import forget_failures

    file = _read(zoo)
    with _open(file, store) as (_, folder):
        dropped = forget_failures(folder)
    models = sorted({f.model for f in dropped})
    typer.echo(
        f"{len(dropped)} failed cells of {len(models)} checkpoints will be tried again by "
        f"`capspace zoo run {zoo}`"
        if dropped
        else "no failed cell is recorded"
    )


def cancel(zoo: ZooPath, store: o.StorePath = None) -> None:
    """End the zoo's Slurm jobs; what is finished is kept."""
    from ..zoo.executors.slurm import cancel_jobs

    file = _read(zoo)
    with _open(file, store) as (_, folder):
        ended = cancel_jobs(folder)
    typer.echo(f"cancelled {', '.join(ended)}" if ended else "no job of this zoo is queued")


def fit(
    zoo: ZooPath,
    store: o.StorePath = None,
    target_scores: Annotated[
        Path | None,
        typer.Option(help="Table with scores of this zoo's models on targets of your own."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the report. [default: capspace-report/NAME]",
                     show_default=False),
    ] = None,
    level: o.Level = 0.9,
    as_json: o.Json = False,
) -> None:  # fmt: skip
    """Fit the measured zoo: its space, efficiency per family, laws, and the largest predicted."""
    from capspace.fit.zoo.fitting import fit_zoo
    from capspace.fit.zoo.report import write_report

    from ..zoo.table import zoo_table
    from .zoo_show import print_fit

    file = _read(zoo)
    with _open(file, store) as (kept, folder):
        table, chance = zoo_table(folder, kept)
    fitted = fit_zoo(file.name, table, chance, target_scores=target_scores, level=level)
    page = write_report(fitted, out or Path("capspace-report") / file.name)
    if as_json:
        o.print_json(fitted.to_dict())
    else:
        print_fit(fitted)
        typer.echo(f"report: {page}")


def export(
    zoo: ZooPath,
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    store: o.StorePath = None,
) -> None:
    """Write the measured zoo as a reference that others can predict from (--reference)."""
    from ..zoo.table import export_reference, zoo_table

    file = _read(zoo)
    with _open(file, store) as (kept, folder):
        table, chance = zoo_table(folder, kept)
    export_reference(table, chance, out)
    typer.echo(f"{len(table)} scores of {len(table.models)} models: {out}")


def _read(path: Path) -> ZooFile:
    """Read a zoo.yaml, and say which of its names are old."""
    from ..zoo.config.config import read_zoo

    file = read_zoo(path)
    for notice in file.notices:
        o.console(stderr=True).print(notice, style="yellow", markup=False, soft_wrap=True)
    return file


@contextmanager
def _open(file: ZooFile, store: Path | None) -> Iterator[tuple[Store, ZooFolder]]:
    from ..zoo.driver import import_outcomes, open_zoo
    from ..zoo.work.folder import ZooFolder

    with open_zoo(file, store) as kept:
        folder = ZooFolder.of(kept, file.name)
        import_outcomes(folder, kept)
        yield kept, folder


def _plan(
    file: ZooFile, kept: Store, budget: str | None, options: SlurmOptions | None = None
) -> Plan:
    from ..runtime.optional import require_collect_extra

    require_collect_extra()
    from ..zoo.planning.planner import make_plan

    planned = make_plan(
        file,
        kept,
        device=None if options is None else options.device,
        unit_seconds=None if options is None else options.unit_seconds,
        tell=lambda line: o.console(stderr=True).print(line),
    )
    if budget is None:
        return planned
    from ..zoo.planning.budget import parse_budget, within_budget

    return within_budget(planned, parse_budget(budget))


def _run_local(
    file: ZooFile,
    planned: Plan,
    folder: ZooFolder,
    kept: Store,
    workers: int | None,
    max_disk: int | None,
) -> None:
    from ..runtime.log_capture import logged_to
    from ..zoo.devices.device import DeviceKind
    from ..zoo.driver import import_outcomes
    from ..zoo.executors.local import run_local
    from ..zoo.status import zoo_status
    from ..zoo.work.downloads import Downloads, check_disk
    from ..zoo.work.worker import stopped_by_signals
    from .zoo_show import Watcher

    with (
        logged_to(kept.logs_path / "zoo-run.log"),
        Watcher() as watcher,
        stopped_by_signals() as stop,
    ):
        downloads = Downloads(folder, max_bytes=max_disk, tell=watcher.note)
        check_disk(planned, max_bytes=max_disk, spare_bytes=downloads.spare_bytes())

        def tick() -> None:
            watcher.note_new(folder.notices())
            if watcher.is_due():
                import_outcomes(folder, kept)
                watcher.show(zoo_status(file.name, folder, kept))

        run_local(
            folder,
            DeviceKind.here(),
            n_workers=workers,
            stop=stop,
            downloads=downloads,
            tick=tick,
        )


def _run_slurm(
    file: ZooFile, folder: ZooFolder, kept: Store, options: SlurmOptions, detach: bool
) -> list[dict[str, str]]:
    """Submit jobs, watch them unless ``detach``, and return those still queued or running."""
    from ..zoo.driver import import_outcomes
    from ..zoo.executors.slurm import SlurmZoo
    from ..zoo.status import zoo_status
    from .zoo_show import watch

    cluster = SlurmZoo(folder, options)
    cluster.submit()

    def look() -> ZooStatus:
        import_outcomes(folder, kept)
        cluster.check()
        return zoo_status(file.name, folder, kept, jobs=cluster.jobs())

    if not detach:
        watch(look, is_over=lambda state: state.is_finished)
    return cluster.jobs()
