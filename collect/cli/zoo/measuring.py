"""The commands ``zoo plan`` and ``run`` plan and measure a zoo."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import ByteSize, TypeAdapter, ValidationError

from ...errors import ZooError
from .. import options as o
from .files import ZooPath, opened_zoo, read_file

if TYPE_CHECKING:
    from ...storage.store import Store
    from ...zoo.config.config import ZooFile
    from ...zoo.executors.slurm_options import SlurmOptions
    from ...zoo.planning.plan import Plan
    from ...zoo.status import ZooStatus
    from ...zoo.work.folder import ZooFolder

__all__ = ["plan", "run"]

_SLURM = "Slurm"


def _bytes(text: str) -> int:
    from ...zoo.config.config import DiskSpace

    try:
        return TypeAdapter[ByteSize](DiskSpace).validate_python(text)
    except ValidationError:
        raise typer.BadParameter(f"{text!r} is not a size such as 200GB") from None


ComputeBudget = Annotated[
    str | None,
    typer.Option(
        help="Measure only the checkpoints that narrow the law's intervals most within this "
        "compute time, such as 40gpu-hours or 90m.",
    ),
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


def plan(
    zoo: ZooPath,
    store: o.StorePath = None,
    compute_budget: ComputeBudget = None,
    as_json: o.Json = False,
) -> None:
    """Show which cells are done and which are missing, and what the missing ones will cost."""
    from .show import print_plan

    file, seconds = read_file(zoo), _seconds(compute_budget)
    with opened_zoo(file, store) as (opened, _):
        planned = _plan(file, opened, seconds)
    if as_json:
        o.print_json(planned.to_dict())
    else:
        print_plan(planned)


def run(
    zoo: ZooPath,
    executor: Annotated[
        Literal["local", "slurm"],
        typer.Option(help="Where to measure: on this machine, or in jobs of a Slurm cluster."),
    ] = "local",
    store: o.StorePath = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Number of work units measured at once.", show_default="one per GPU, else 1", min=1
        ),
    ] = None,
    compute_budget: ComputeBudget = None,
    max_disk: MaxDisk = None,
    partition: Annotated[
        str | None, typer.Option(help="Partition of the jobs.", rich_help_panel=_SLURM)
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="Account the jobs are charged to.", rich_help_panel=_SLURM)
    ] = None,
    gres: Annotated[
        str | None,
        typer.Option(help="Generic resources of one job, such as gpu:1.", rich_help_panel=_SLURM),
    ] = None,
    time: Annotated[
        str, typer.Option(help="Time limit of one job.", rich_help_panel=_SLURM)
    ] = "04:00:00",
    array_parallelism: Annotated[
        int,
        typer.Option(help="Largest number of jobs at once.", rich_help_panel=_SLURM, min=1),
    ] = 16,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(
            help="Another option of sbatch, as key=value; may be repeated.", rich_help_panel=_SLURM
        ),
    ] = None,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach",
            help="Return once the jobs are submitted; `zoo status` shows them.",
            rich_help_panel=_SLURM,
        ),
    ] = False,
    as_json: o.Json = False,
) -> None:
    """Measure every missing cell; nothing that is already in the store is measured again.

    After Ctrl-C, run the same command again to resume. Slurm jobs continue without this command.
    The exit code is 1 if a cell failed or cannot be measured.
    """
    from ...runtime.optional import require_collect_extra
    from .live import print_outcome
    from .show import unmeasurable

    require_collect_extra()
    from ...zoo.driver import import_outcomes, prepare
    from ...zoo.status import zoo_status

    file, seconds = read_file(zoo), _seconds(compute_budget)
    bound = file.config.limits.disk if max_disk is None else max_disk
    options = None
    if executor == "slurm":
        if max_disk is not None:
            raise ZooError("--max-disk bounds a local run; a job's node has its own disk")
        from ...zoo.executors.slurm import require_slurm
        from ...zoo.executors.slurm_options import SlurmOptions

        options = SlurmOptions.of(
            partition=partition, account=account, gres=gres, time=time,
            array_parallelism=array_parallelism, extra=sbatch or [],
        )  # fmt: skip
        require_slurm()
    with opened_zoo(file, store) as (opened, folder):
        check = partial(_require_room, folder, options, bound)
        planned = _plan(file, opened, seconds, options, check)
        for line in unmeasurable(planned.unmeasurable):
            o.console(stderr=True).print(line, markup=False)
        is_new = not folder.has_work()
        opened.make()
        n_units = prepare(file, planned, folder)
        jobs: list[dict[str, str]] = []
        if n_units and options is None:
            _run_local(file, folder, opened, workers, bound)
        elif n_units and options is not None:
            jobs = _run_slurm(file, folder, opened, options, detach, is_new=is_new)
        import_outcomes(folder, opened)
        state = zoo_status(file.name, folder, opened, jobs=jobs)
    if as_json:
        o.print_json(state.to_dict())
    else:
        print_outcome(state)
    if state.n_failed or not all(cell.skipped for cell in planned.unmeasurable):
        raise typer.Exit(1)


def _seconds(budget: str | None) -> float | None:
    if budget is None:
        return None
    from ...zoo.planning.budget import parse_budget

    return parse_budget(budget)


def _require_room(
    folder: ZooFolder, options: SlurmOptions | None, max_disk: int | None, planned: Plan
) -> None:
    """Refuse a plan that disk or job time cannot hold, before anything is written."""
    if options is None:
        from ...zoo.work.downloads import check_disk, spare_bytes

        check_disk(planned, max_bytes=max_disk, spare_bytes=spare_bytes(folder, planned))
    else:
        from ...zoo.driver import planned_units
        from ...zoo.executors.slurm import check_time

        check_time(planned_units(planned, folder), options)


def _plan(
    file: ZooFile,
    opened: Store,
    budget: float | None,
    options: SlurmOptions | None = None,
    check: Callable[[Plan], None] = lambda planned: None,
) -> Plan:
    from ...runtime.optional import require_collect_extra

    require_collect_extra()
    from ...zoo.planning.budget import within_budget
    from ...zoo.planning.planner import make_plan

    def accept(planned: Plan) -> Plan:
        within = planned if budget is None else within_budget(planned, budget)
        check(within)
        return within

    return make_plan(
        file,
        opened,
        device=None if options is None else options.device,
        unit_seconds=None if options is None else options.unit_seconds,
        tell=lambda line: o.console(stderr=True).print(line),
        accept=accept,
    )


def _run_local(
    file: ZooFile,
    folder: ZooFolder,
    opened: Store,
    workers: int | None,
    max_disk: int | None,
) -> None:
    from ...runtime.log_capture import logged_to
    from ...zoo.devices.device import DeviceKind
    from ...zoo.driver import import_outcomes
    from ...zoo.executors.local import run_local
    from ...zoo.status import zoo_status
    from ...zoo.work.downloads import Downloads
    from ...zoo.work.worker import stopped_by_signals
    from .live import Watcher

    with (
        logged_to(opened.logs_path / "zoo-run.log"),
        Watcher() as watcher,
        stopped_by_signals() as stop,
    ):
        downloads = Downloads(folder, max_bytes=max_disk, tell=watcher.note)

        def tick() -> None:
            watcher.note_new(folder.notices())
            if watcher.is_due():
                import_outcomes(folder, opened)
                watcher.show(zoo_status(file.name, folder, opened))

        run_local(
            folder,
            DeviceKind.here(),
            n_workers=workers,
            stop=stop,
            downloads=downloads,
            tick=tick,
        )


def _run_slurm(
    file: ZooFile,
    folder: ZooFolder,
    opened: Store,
    options: SlurmOptions,
    detach: bool,
    *,
    is_new: bool,
) -> list[dict[str, str]]:
    """Submit jobs, watch them unless ``detach``, and return those still queued or running.

    Where Slurm refuses the first jobs of a zoo that ``is_new``, its folder is removed.
    """
    from ...zoo.driver import import_outcomes
    from ...zoo.executors.slurm import SlurmZoo
    from ...zoo.status import zoo_status
    from .live import watch

    cluster = SlurmZoo(folder, options)
    try:
        cluster.submit()
    except ZooError:
        if is_new:
            folder.discard()
        raise

    def look() -> ZooStatus:
        import_outcomes(folder, opened)
        cluster.check()
        return zoo_status(file.name, folder, opened, jobs=cluster.jobs())

    if not detach:
        watch(look, is_over=lambda state: state.is_finished)
    return cluster.jobs()
