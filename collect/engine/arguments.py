"""The engine's own arguments of lm-eval's model class, as ``--model_args`` passes them."""

from __future__ import annotations

import torch

from ..errors import SettingsError
from .generation.cuda_graphs import CudaGraphs
from .generation.recording import Recording

__all__ = ["graphs_on", "read_flag", "read_token_budget"]


def read_token_budget(given: int | str | None) -> int | None:
    """Return the tokens per forward pass, None where they are to be found from the memory.

    Raises
    ------
    SettingsError
        It is no whole number from 1 on.

    """
    if given in (None, "auto"):
        return None
    try:
        budget = int(given or 0)
    except ValueError:
        budget = 0
    if budget < 1:
        raise SettingsError(f"token_budget={given}: give a whole number from 1 on, or leave it out")
    return budget


def read_flag(name: str, given: bool | str) -> bool:
    """Return whether an argument is true.

    Raises
    ------
    SettingsError
        It is neither true nor false.

    """
    wanted = str(given).lower()
    if wanted not in ("true", "false"):
        raise SettingsError(f"{name}={given}: give true or false")
    return wanted == "true"


def graphs_on(device: torch.device) -> Recording:
    """Return how steps of texts are recorded as CUDA graphs.

    Raises
    ------
    SettingsError
        The device is not CUDA.

    """
    if device.type != "cuda":
        raise SettingsError(
            f"cuda_graphs=true: the device is {device.type}, and CUDA graphs are for cuda alone; "
            "leave it out"
        )
    return Recording(CudaGraphs(device))
