"""What a zoo runs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from capspace.collect.backends import pick_device

__all__ = ["DeviceKind"]


@dataclass(frozen=True)
class DeviceKind:
    """What the zoo runs on: the kind of device and the memory of one, in bytes."""

    kind: Literal["cpu", "cuda", "mps"]
    memory: int | None

    @classmethod
    def here(cls) -> DeviceKind:
        """Return what this machine has."""
        import torch

        name = pick_device("auto")
        if name == "cuda":
            return cls("cuda", int(torch.cuda.get_device_properties(0).total_memory))
        return cls("mps" if name == "mps" else "cpu", None)
