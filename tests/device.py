"""The device that the engine's tests run on: a CPU, or what ``pytest --device`` names.

Models are made on the CPU, so that a seed gives the same weights everywhere, and moved by `placed`;
tensors are made by `tensor`. What concerns the CPU alone is marked ``cpu_only`` with its reason.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

NAMES = ("cpu", "cuda", "elsewhere")
"""The last is a device that computes on the CPU and takes no tensor that is not its own."""
_chosen = "cpu"


def choose(name: str) -> None:
    """Let all models and tensors of this process be on a device.

    Raises
    ------
    pytest.UsageError
        If there is no such device, or it is not here.

    """
    global _chosen
    if name not in NAMES:
        raise pytest.UsageError(f"--device {name}: there are {', '.join(NAMES)}")
    if name == "cuda":
        # asked of the driver: a process that asks CUDA itself can fork no other that uses it
        os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
        import torch

        if not torch.cuda.is_available():
            raise pytest.UsageError("--device cuda: no GPU that torch can use is here")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if name == "elsewhere":
        from elsewhere import install

        install()
    _chosen = name


def name() -> str:
    """Return the device's name."""
    return _chosen


def placed(model: Any) -> Any:
    """Return a model on the device, ready to be read from."""
    return model.eval().to(_chosen)


def widened(model: Any, std: float = 0.15) -> Any:
    """Return a model on the device, its weights so wide that a fault anywhere moves scores."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=std)
    return placed(model)


def tensor(values: Any) -> Any:
    """Return a tensor on the device."""
    import torch

    return torch.as_tensor(values).to(_chosen)


def within(nats: float) -> float:
    """Return how far fp32 log-probabilities may be apart here.

    A GPU adds up in another order for each number of rows, a CPU hardly does.
    """
    return 10 * nats if _chosen == "cuda" else nats


def usual(times: float) -> float:
    """Return how many times hf's own error in half precision the engine's may be here.

    On a CPU it is what was seen; on a GPU nobody has looked yet, so that there is more room.
    """
    return 2 * times if _chosen == "cuda" else times


def near_ties(n_requests: int) -> int:
    """Return in how many of some requests rounding to half precision may turn a choice here."""
    return max(1, n_requests // 20) if _chosen == "cuda" else 0
