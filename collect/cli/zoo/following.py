"""The commands ``zoo status``, ``retry`` and ``cancel`` follow a zoo while it is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import options as o
from .files import ZooPath, opened_zoo, read_file

if TYPE_CHECKING:
    from ...zoo.status import ZooStatus

__all__ = ["cancel", "retry", "status"]


def status(zoo: ZooPath, store: o.StorePath = None, as_json: o.Json = False) -> None:
    """Show what is done, running, queued and failed; on a terminal, live until all is done."""
    from ...zoo.driver import import_outcomes
    from ...zoo.executors.slurm import submitted_jobs
    from ...zoo.status import zoo_status
    from .live import print_status, watch

    file = read_file(zoo)
    with opened_zoo(file, store, must_have_run=True) as (opened, folder):

        def look() -> ZooStatus:
            import_outcomes(folder, opened)
            return zoo_status(file.name, folder, opened, jobs=submitted_jobs(folder))

        state = look()
        if as_json:
            o.print_json(state.to_dict())
        elif state.workers and o.console().is_terminal:
            watch(look, is_over=lambda now: now.is_finished or not (now.workers or now.jobs))
        else:
            print_status(state)


def retry(zoo: ZooPath, store: o.StorePath = None) -> None:
    """Clear recorded failures, so that the next run tries them again."""
    from capspace.fit._display import counted

    from ...zoo.driver import forget_failures

    file = read_file(zoo)
    with opened_zoo(file, store, must_have_run=True) as (_, folder):
        dropped = forget_failures(folder)
    models = sorted({f.model for f in dropped})
    o.console().print(
        f"{counted(len(dropped), 'failed cell')} of {counted(len(models), 'checkpoint')} will be "
        "tried again by "
        f"`capspace zoo run {zoo}`"
        if dropped
        else "no failed cell is recorded",
        soft_wrap=True,
    )


def cancel(zoo: ZooPath, store: o.StorePath = None) -> None:
    """Cancel the zoo's Slurm jobs; finished results are not lost."""
    from ...zoo.executors.slurm import cancel_jobs

    file = read_file(zoo)
    with opened_zoo(file, store, must_have_run=True) as (_, folder):
        ended = cancel_jobs(folder)
    o.console().print(f"cancelled {', '.join(ended)}" if ended else "no job of this zoo is queued")
