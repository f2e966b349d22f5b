"""Options of Slurm jobs come from the command line, and go to sbatch."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from pydantic import TypeAdapter, ValidationError

from ...errors import ZooError
from ..config.config import Seconds
from ..devices.allotment import Device
from ..devices.device import DeviceKind

__all__ = ["FILLED", "WARNING_SECONDS", "SlurmOptions"]

# Slurm warns a job this long before its time is over; its current unit is then released.
WARNING_SECONDS = 60
# The part of a job's time that work units are planned to fill.
FILLED = 0.8
_OURS = {
    **{key: f"use --{key}" for key in ("time", "partition", "account", "gres")},
    "array": "use --array-parallelism",
    **dict.fromkeys(
        ("signal", "requeue", "no-requeue", "output", "error", "open-mode", "job-name"),
        "the zoo's jobs need their own; leave it out",
    ),
}
# gpu:2, gpu:a100:2, gpu
_GPUS = re.compile(r"\bgpu(?::[a-z_][\w.-]*)?(?::([0-9]+))?")


@dataclass(frozen=True)
class SlurmOptions:
    """How jobs are submitted.

    Attributes
    ----------
    seconds : float
        Time limit of a job.
    partition, account, gres : str or None
        As of ``sbatch``.
    array_parallelism : int
        Jobs at once.
    extra : dict
        Further keys of ``#SBATCH``; True for one without a value.

    """

    seconds: float
    partition: str | None = None
    account: str | None = None
    gres: str | None = None
    array_parallelism: int = 16
    extra: dict[str, str | bool] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        *,
        partition: str | None,
        account: str | None,
        gres: str | None,
        time: str,
        array_parallelism: int,
        extra: Sequence[str],
    ) -> Self:
        """Read options as the command line gives them.

        Raises
        ------
        ZooError
            The time is none, or an extra is not ``key=value``.

        """
        try:
            seconds = TypeAdapter(Seconds).validate_python(time)
        except ValidationError:
            raise ZooError(f"--time {time!r}: expected a time such as 04:00:00 or 90m") from None
        seconds = 60.0 * math.ceil(seconds / 60)  # Slurm counts minutes
        pairs: dict[str, str | bool] = {}
        for text in extra:
            key, equals, value = text.lstrip("-").partition("=")
            if not re.fullmatch(r"[a-z][a-z0-9-]*", key):
                raise ZooError(f"--sbatch {text!r}: expected key=value, as in qos=low")
            if key in _OURS:
                raise ZooError(f"--sbatch {text!r}: {_OURS[key]}")
            pairs[key] = value if equals else True
        return cls(seconds, partition, account, gres, array_parallelism, pairs)

    @property
    def device(self) -> DeviceKind:
        """What jobs run on, which this machine need not have: GPUs where ``gres`` names them."""
        keys = ("gpus", "gpus-per-node", "gpus-per-task")
        asked = [self.gres or "", *(f"gpu:{self.extra[k]}" for k in keys if k in self.extra)]
        n = max((int(gpus[1] or 1) for a in asked if (gpus := _GPUS.search(a))), default=0)
        return DeviceKind("cuda" if n else "cpu", tuple(Device(str(i)) for i in range(n)))

    @property
    def unit_seconds(self) -> float:
        """Length of units that suits the time limit."""
        return max(FILLED * (self.seconds - WARNING_SECONDS), 1.0)
