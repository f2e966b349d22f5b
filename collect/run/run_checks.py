"""Runs of lm-eval's own command are refused for pickles, adapters, and names read as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..checkpoints.checkpoint import refuse_mixed, refuse_pickles, refuse_unloadable
from ..checkpoints.hub import http_errors
from ..errors import BackendError, CheckpointError
from ..settings import TRANSFORMERS_BACKENDS
from .lm_eval_arguments import (
    CLASSES,
    LOADING,
    NAMING,
    OWN_LOADERS,
    given_arguments,
    named_checkpoint,
    other_weights,
)

__all__ = [
    "refuse_adapter_run",
    "refuse_changed_names",
    "refuse_pickled_run",
    "refuse_unloadable_run",
]

_ADAPTER = "adapter_model.safetensors"


def refuse_adapter_run(model: str, arguments: Mapping[str, Any]) -> None:
    """Refuse a run of lm-eval's whose checkpoint is a model with an adapter beside it.

    Raises
    ------
    CheckpointError
        It is; or nothing is there by this name or revision.

    """
    _, ref = _given_and_named(arguments)
    if model in LOADING - OWN_LOADERS and ref is not None:
        refuse_mixed(ref)


def refuse_unloadable_run(
    model: str, arguments: Mapping[str, Any], device: str | None = None
) -> None:
    """Refuse a run of lm-eval's whose quantised checkpoint transformers cannot load here.

    Parameters
    ----------
    model : str
        A name in lm-eval's registry.
    arguments : mapping
        What the model is loaded with.
    device : str, optional
        The run's own, which comes before that of the arguments.

    Raises
    ------
    CheckpointError
        It cannot; or nothing is there by this name or revision.

    """
    given, ref = _given_and_named(arguments)
    if CLASSES.get(model) in TRANSFORMERS_BACKENDS and ref is not None and "gguf_file" not in given:
        refuse_unloadable(ref, lambda: _device_of(device or given.get("device")))


def _device_of(named: str | None) -> str:
    """Return where lm-eval loads a model: on CUDA unless named otherwise, without it on the CPU."""
    import torch

    wanted = named or "cuda"
    return "cpu" if wanted.startswith("cuda") and not torch.cuda.is_available() else wanted


def refuse_changed_names(arguments: Mapping[str, Any]) -> None:
    """Refuse a run whose arguments name something by what lm-eval took for a number.

    Raises
    ------
    BackendError
        A name or revision is no text any more: ``5e12345`` has become infinite, ``0012345`` 12345.

    """
    for name, value in given_arguments(arguments).items():
        if name in NAMING and isinstance(value, (bool, int, float)):
            raise BackendError(
                f"{name}={value}: lm-eval reads the value as a number, which may not be what was "
                f"typed; give the arguments as JSON, where it is a string: "
                f'--model_args \'{{"{name}": "...", ...}}\''
            )


def refuse_pickled_run(model: str, arguments: Mapping[str, Any]) -> None:
    """Refuse a run of lm-eval's that would load weights which are pickles.

    Raises
    ------
    CheckpointError
        It would; or the checkpoint that its arguments name is not there.

    """
    given, ref = _given_and_named(arguments)
    if model not in LOADING or ref is None or "gguf_file" in given:
        return
    other = other_weights(given)
    if other is not None:
        raise CheckpointError(
            f"{ref}: {other} may load weights that are pickles, and loading a pickle can run any "
            "code; leave it out, or pass --allow-pickle if you trust their author"
        )
    refuse_pickles(ref)
    if isinstance(given.get("delta"), str):
        refuse_pickles(given["delta"])
    if isinstance(given.get("peft"), str):
        _refuse_pickled_adapter(given["peft"], str(given.get("revision", "main")))


def _given_and_named(arguments: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
    """Return a run's arguments as lm-eval passes them on, and the checkpoint that they name."""
    given = given_arguments(arguments)
    return given, named_checkpoint(given)


def _refuse_pickled_adapter(ref: str, revision: str) -> None:
    """Refuse an adapter, a folder or of the Hub, that has no safetensors: those are preferred."""
    folder = Path(ref).expanduser()
    if (folder / _ADAPTER).is_file() or (not folder.is_dir() and _is_on_hub(ref, revision)):
        return
    raise CheckpointError(
        f"{ref}: no {_ADAPTER} was found, and loading a pickle can run any code; convert the "
        "adapter to safetensors, or pass --allow-pickle if you trust its author"
    )


def _is_on_hub(ref: str, revision: str) -> bool:
    from huggingface_hub import file_exists, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    unreachable: tuple[type[Exception], ...] = (*http_errors(), HFValidationError)
    try:
        cached = try_to_load_from_cache(ref, _ADAPTER, revision=revision)
        return isinstance(cached, str) or file_exists(ref, _ADAPTER, revision=revision)
    except unreachable:  # or no name of the Hub
        return False
