"""A zoo runs on devices, by the names that make them visible to a process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ...harness.backends import pick_device
from .allotment import Device, devices_needed

__all__ = ["DeviceKind", "visible_devices", "visible_names"]

_MIG = "MIG-"


@dataclass(frozen=True)
class DeviceKind:
    """The kind of device that a zoo runs on, and how many of them.

    Attributes
    ----------
    kind : {"cpu", "cuda", "mps"}
    devices : tuple of Device
        The devices that one process can have at most; empty where there are none, or their
        number is unknown.
    variable : str
        The environment variable that chooses among them.

    """

    kind: Literal["cpu", "cuda", "mps"]
    devices: tuple[Device, ...] = ()
    variable: str = "CUDA_VISIBLE_DEVICES"

    @classmethod
    def here(cls) -> DeviceKind:
        """Return the devices of this machine."""
        import torch

        name = pick_device("auto")
        if name != "cuda":
            return cls("mps" if name == "mps" else "cpu")
        cuda = torch.cuda
        memories = [cuda.get_device_properties(i).total_memory for i in range(cuda.device_count())]
        # torch calls AMD's devices cuda, too.
        is_rocm = torch.version.hip is not None
        return cls("cuda", *visible_devices(memories, os.environ, is_rocm=is_rocm))

    def devices_for(self, n_bytes: int) -> int | None:
        """Return how many devices a model needs; None where all of them are too small."""
        return devices_needed(n_bytes, self.devices) if self.devices else 1


def visible_devices(
    memories: list[int], environment: Mapping[str, str], *, is_rocm: bool
) -> tuple[tuple[Device, ...], str]:
    """Return this process's devices under the names to hand on, and the variable for them.

    Parameters
    ----------
    memories : list of int
        Bytes of each device that the runtime shows this process.
    environment : mapping
        The process's environment variables.
    is_rocm : bool
        Whether the devices are AMD's: there HIP_VISIBLE_DEVICES counts before CUDA's variable.

    """
    variable = "HIP_VISIBLE_DEVICES" if is_rocm else "CUDA_VISIBLE_DEVICES"
    value = environment.get(variable)
    if value is None and is_rocm:
        value = environment.get("CUDA_VISIBLE_DEVICES")
    names = visible_names(value, len(memories))
    # Of the parts of a divided device CUDA shows a process only the first.
    known = memories if len(names) == len(memories) else [None] * len(names)
    return tuple(Device(n, m) for n, m in zip(names, known, strict=True)), variable


def visible_names(value: str | None, n_visible: int) -> list[str]:
    """Return the names of the devices that a process sees.

    Parameters
    ----------
    value : str or None
        CUDA_VISIBLE_DEVICES as it is set: indices, or names such as GPU-8932f937 or MIG-1-1.
    n_visible : int
        How many devices the runtime shows: it stops at the first name that is none.

    """
    if value is None:
        return [str(i) for i in range(n_visible)]
    names = [name.strip() for name in value.split(",")]
    if n_visible and names[0].startswith(_MIG):
        return list(dict.fromkeys(n for n in names if n.startswith(_MIG)))
    return names[:n_visible]
