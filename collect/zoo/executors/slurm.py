"""The Slurm executor submits workers as job arrays, through submitit.

A job is a worker, not a unit: it takes units until none is left or none fits into its time. So a
job that is requeued, on whichever node, simply goes on, and the driver may be closed meanwhile.

submitit hands a job its callable as a pickle in the zoo's folder. The job's own script removes it
when the job has ended, and the driver removes those of jobs that were cancelled or killed, so that
none outlives its job.
"""

from __future__ import annotations

import getpass
import json
import math
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import MissingExtraError, ZooError
from ...storage.files import write_atomically
from ..work.folder import ZooFolder
from ..work.records import WorkUnit
from .slurm_job import WorkerJob
from .slurm_options import FILLED, WARNING_SECONDS, SlurmOptions

__all__ = ["SlurmZoo", "cancel_jobs", "check_time", "require_slurm", "submitted_jobs"]

_COMMANDS = ("sbatch", "squeue", "scancel", "scontrol")
_TIMEOUTS = 1000  # how often a job may be requeued when its time is over
_COMMAND_SECONDS = 60
# Slurm kills what does not end by itself within its KillWait, 30 s by default.
_ENDED_WITHIN = 60.0
_SUBMIT_EVERY = 20.0


class SlurmZoo:
    """The jobs of one zoo.

    Parameters
    ----------
    folder : ZooFolder
        On a file system that the nodes share.
    options : SlurmOptions
        How to submit.

    Raises
    ------
    MissingExtraError
        submitit is not installed.
    ZooError
        This machine has no Slurm commands.

    """

    def __init__(self, folder: ZooFolder, options: SlurmOptions) -> None:
        require_slurm()
        self._folder = folder
        self._options = options
        self._path = folder.path / "slurm"
        self._path.mkdir(exist_ok=True)
        self._submitted = -math.inf

    def submit(self) -> list[str]:
        """Submit as many jobs as the open units still need; return their numbers.

        Jobs of this zoo that are queued or running count: they take the new units too.

        Raises
        ------
        ZooError
            A unit longer than the time limit, or Slurm refuses the jobs.

        """
        units = self._open_units()
        jobs = self.jobs()
        _remove_pickles(self._path, {j["job"] for j in jobs})
        if not units:
            return []
        check_time(units, self._options)
        available = self._options.seconds - WARNING_SECONDS
        by_time = math.ceil(sum(o.seconds for o in units) / (FILLED * available))
        wanted = min(len(units), max(self._options.array_parallelism, by_time))
        if wanted <= len(jobs):
            return []
        ids = self._submit_array(wanted - len(jobs))
        _write_ids(self._path, [*_read_ids(self._path), *ids])
        self._submitted = time.monotonic()
        return ids

    def jobs(self) -> list[dict[str, str]]:
        """Return this zoo's jobs that are queued or running."""
        return submitted_jobs(self._folder)

    def check(self) -> None:
        """Submit again where jobs were lost and units are left, as after kills.

        Raises
        ------
        ZooError
            The jobs ended and not one of them saw the folder.

        """
        if time.monotonic() - self._submitted < _SUBMIT_EVERY:
            return
        if self._open_units() and not self.jobs() and not any(self._path.glob("seen-*")):
            raise ZooError(
                f"the jobs {', '.join(_read_ids(self._path))} ended, and none of them saw "
                f"{self._path / 'token'}: put the store on a file system that all nodes share "
                f"(--store); their logs, where a node could write them: {self._path}"
            )
        self.submit()

    def _open_units(self) -> list[Any]:
        finished = self._folder.finished()
        return [o for o in self._folder.read_work().units if o.id not in finished]

    def _submit_array(self, n: int) -> list[str]:
        import submitit
        from submitit.core.utils import FailedJobError

        token = self._path / "token"
        if not token.is_file():
            token.write_text(secrets.token_hex(16), encoding="utf-8")
        job = WorkerJob(
            str(self._folder.path), token.read_text(encoding="utf-8"), self._options.seconds
        )
        executor = submitit.SlurmExecutor(self._path, max_num_timeout=_TIMEOUTS)
        number = "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}" if n > 1 else "${SLURM_JOB_ID}"
        mine = f"{self._path}/{number}"
        executor.update_parameters(
            job_name=f"capspace-{self._folder.path.name}",
            time=int(self._options.seconds // 60),
            signal_delay_s=WARNING_SECONDS,
            array_parallelism=self._options.array_parallelism,
            stderr_to_stdout=True,
            # A requeued job reads its pickle again: it goes only with the job's own result.
            teardown=[
                f'if [ -e "{mine}_0_result.pkl" ]; then '
                f'rm -f "{mine}_0_result.pkl" "{mine}_submitted.pkl"; fi'
            ],
            additional_parameters={"requeue": True, **self._options.extra},
            **{
                key: value
                for key in ("partition", "account", "gres")
                if (value := getattr(self._options, key)) is not None
            },
        )
        try:
            with executor.batch():
                submitted = [executor.submit(job) for _ in range(n)]
        except (FailedJobError, subprocess.CalledProcessError) as error:
            raise ZooError(f"Slurm refuses the jobs: {_slurm_words(str(error))}") from None
        return [j.job_id for j in submitted]


def check_time(units: Sequence[WorkUnit], options: SlurmOptions) -> None:
    """Return if a job has the time for each unit.

    Raises
    ------
    ZooError
        The longest takes more than a job's time.

    """
    available = options.seconds - WARNING_SECONDS
    longest = max(units, key=lambda unit: unit.seconds, default=None)
    if longest is not None and longest.seconds > available:
        raise ZooError(
            f"{longest.model} on {', '.join(longest.cells)} takes about "
            f"{longest.seconds / 60:.0f} min, and --time leaves {max(available, 0) / 60:.0f} "
            "min of work: raise --time"
        )


def submitted_jobs(folder: ZooFolder) -> list[dict[str, str]]:
    """Return the zoo's jobs that Slurm has queued or running; none where it was never submitted."""
    ids = set(_read_ids(folder.path / "slurm"))
    if not ids or shutil.which("squeue") is None:
        return []
    text = _run(["squeue", "-h", "-r", "-u", getpass.getuser(), "-o", "%i|%T|%N|%r"])
    jobs = []
    for line in text.splitlines():
        job, state, node, reason = (*line.split("|"), "", "", "")[:4]
        if job in ids:
            jobs.append({"job": job, "state": state, "node": node, "reason": reason})
    return jobs


def cancel_jobs(folder: ZooFolder) -> list[str]:
    """Cancel the zoo's jobs and return their numbers; what is finished stays."""
    jobs = [j["job"] for j in submitted_jobs(folder)]
    if jobs:
        _run(["scancel", *jobs])
    deadline = time.monotonic() + _ENDED_WITHIN
    while submitted_jobs(folder) and time.monotonic() < deadline:
        time.sleep(1)  # a worker gives its unit back before it ends
    _remove_pickles(folder.path / "slurm", set())
    return jobs


def require_slurm() -> None:
    """Refuse a machine that cannot submit jobs.

    Raises
    ------
    MissingExtraError
        submitit is not installed.
    ZooError
        This machine has no Slurm commands.

    """
    if find_spec("submitit") is None:
        raise MissingExtraError("--executor slurm needs submitit: pip install 'capspace[slurm]'")
    missing = [name for name in _COMMANDS if shutil.which(name) is None]
    if missing:
        raise ZooError(
            f"no Slurm here (missing {', '.join(missing)}): run this on a node that can submit "
            "jobs, or leave --executor slurm out"
        )


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - Slurm's own commands, no shell
            command, capture_output=True, text=True, check=True, timeout=_COMMAND_SECONDS
        )
    except subprocess.CalledProcessError as error:
        raise ZooError(f"{command[0]}: {_slurm_words(error.stderr)}") from None
    except subprocess.TimeoutExpired:
        raise ZooError(f"{command[0]} does not answer; is Slurm's controller up?") from None
    return done.stdout


def _slurm_words(text: str) -> str:
    """Return Slurm's own error message, in one line."""
    lines = [line.strip() for line in text.splitlines() if "error:" in line]
    messages = [re.sub(r"^.*?error:\s*", "", line) for line in lines]
    return "; ".join(dict.fromkeys(messages)) or " ".join(text.split())


def _read_ids(path: Path) -> list[str]:
    file = path / "jobs.json"
    return list(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else []


def _write_ids(path: Path, ids: Iterable[str]) -> None:
    write_atomically(path / "jobs.json", json.dumps(list(ids)))


def _remove_pickles(path: Path, living: set[str]) -> None:
    for pickle in path.glob("*.pkl"):
        if not any(pickle.name.startswith(f"{job}_") for job in living):
            pickle.unlink(missing_ok=True)
