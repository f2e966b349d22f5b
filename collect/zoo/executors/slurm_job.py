"""A Slurm job runs a worker that knows its time limit and the devices of its node."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ZooError
from ..work.folder import ZooFolder
from .slurm_options import WARNING_SECONDS

__all__ = ["WorkerJob", "check_token"]


@dataclass
class WorkerJob:
    """What a job runs: a worker that knows how long it has, and where the driver's folder is.

    Parameters
    ----------
    folder : str
        The zoo's folder.
    token : str
        Content of the folder's token file: whether this node sees the same folder.
    seconds : float
        Time limit of the job.

    """

    folder: str
    token: str
    seconds: float

    def __call__(self) -> int:
        """Work, and return how many units were run.

        Raises
        ------
        ZooError
            The folder here is not the driver's.

        """
        from ..work.worker import stopped_by_signals, work, worker_name

        began = time.monotonic()
        check_token(Path(self.folder), self.token)
        folder = ZooFolder(Path(self.folder))
        name = worker_name()
        (folder.path / "slurm" / f"seen-{name}").touch()
        # What Slurm gave this job, which torch does not look at.
        cores = os.environ.get("SLURM_CPUS_PER_TASK") or os.environ.get("SLURM_CPUS_ON_NODE", "1")
        with stopped_by_signals() as stop:
            return work(
                folder,
                name,
                environment={"OMP_NUM_THREADS": cores},
                stop=stop,
                seconds_left=lambda: self.seconds - WARNING_SECONDS - (time.monotonic() - began),
            )

    def checkpoint(self) -> Any:
        """Return what a requeued job runs: the same; submitit asks when the time is over."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def check_token(folder: Path, token: str) -> None:
    """Return if ``folder`` is the one whose token file was written with ``token``.

    Raises
    ------
    ZooError
        There is no token file or another: this machine sees another folder under that name.

    """
    path = folder / "slurm" / "token"
    try:
        there = path.read_text(encoding="utf-8")
    except OSError:
        there = ""
    if there != token:
        raise ZooError(
            f"{folder} on this node is not the folder that the driver wrote: put the store on a "
            "file system that all nodes share (--store)"
        )
