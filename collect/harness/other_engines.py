"""lm-eval's own classes for vLLM and SGLang are passed through, with the arguments they take.

Neither was run where capspace is tested: both want a GPU.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.download import checkpoint_folder
from ..errors import BackendError
from ..settings import LoadSettings

__all__ = ["engine_arguments", "load_other_engine"]


def load_other_engine(checkpoint: Checkpoint, settings: LoadSettings) -> Any:
    """Load a checkpoint by lm-eval's class for vLLM or SGLang.

    Raises
    ------
    BackendError
        The package is not installed.

    """
    name = settings.backend
    if find_spec(name) is None:
        raise BackendError(
            f"--backend {name}: the package {name} is not installed here; install it, or measure "
            "the model behind a server of its own (--endpoint)"
        )
    from lm_eval.api.registry import get_model

    model = get_model(name)(**engine_arguments(checkpoint, settings))
    model.notes = [
        f"lm-eval's own class for {name} computes the responses, which capspace is not tested with"
    ]
    return model


def engine_arguments(checkpoint: Checkpoint, settings: LoadSettings) -> dict[str, Any]:
    """Return what lm-eval's class is given."""
    device = {} if settings.device == "auto" else {"device": settings.device}
    return {
        "pretrained": checkpoint_folder(checkpoint, token=settings.hub_token),
        "dtype": settings.dtype,
        "batch_size": settings.batch_size,
        # sglang's class runs a checkpoint's code unless it is told otherwise.
        "trust_remote_code": checkpoint.custom_code and settings.trust_remote_code,
        **device,
        **(settings.backend_args or {}),
    }
