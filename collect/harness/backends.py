"""A backend is the lm-eval model class that runs a Hugging Face checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.download import checkpoint_folder
from ..engine.arithmetic import MODEL_NAME, engine_settings
from ..engine.served import newer_than_checked
from ..errors import BackendError, CheckpointError
from ..runtime.optional import import_collect_extra
from ..settings import TRANSFORMERS_BACKENDS, LoadSettings
from ..storage.mode import Mode
from .other_engines import load_other_engine

if TYPE_CHECKING:
    from ..checkpoints.checked_model import CheckedModel, LoadRules

__all__ = [
    "checked_models",
    "identity_settings",
    "load_model",
    "loaded_dtype",
    "pick_device",
    "register_models",
]

# lm-eval's own search starts at 64 sequences of full length: minutes on a CPU.
_BATCH_WITHOUT_CUDA = 8


def identity_settings(
    backend: str,
    dtype: str,
    *,
    governs_texts: bool = False,
    softmax_dtype: str | None = None,
    mixed_precision_dtype: str | None = None,
    ends_texts: bool = False,
) -> tuple[tuple[str, str], ...]:
    """Return what of a backend itself can move a score, for the identity of a measurement.

    Parameters
    ----------
    backend : str
        Its name.
    dtype, governs_texts, softmax_dtype, mixed_precision_dtype
        As of `capspace.collect.engine.arithmetic.engine_settings`.
    ends_texts : bool
        Whether each text is ended at its own end token, where lm-eval's class would go on for as
        long as its neighbours do.

    """
    if backend != MODEL_NAME:
        return (("ends", '"each"'),) if ends_texts else ()
    return engine_settings(
        dtype,
        governs_texts=governs_texts,
        softmax_dtype=softmax_dtype,
        mixed_precision_dtype=mixed_precision_dtype,
    )


def loaded_dtype(dtype: str, checkpoint: Checkpoint) -> str:
    """Return the dtype the weights will have: "auto" is the configuration's."""
    return checkpoint.dtype if dtype == "auto" else dtype


def pick_device(device: str) -> str:
    """Return the torch device to use: for "auto" the first of CUDA, MPS and CPU that is there.

    Raises
    ------
    BackendError
        A device that torch does not know or does not have here.

    """
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        wanted = torch.device(device)
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise BackendError(f"device {device!r} cannot be used here: {reason}") from None
    return device


def load_model(
    checkpoint: Checkpoint,
    settings: LoadSettings,
    *,
    chat_template: bool = False,
    mode: Mode | None = None,
) -> Any:
    """Load a checkpoint as an lm-eval model object.

    Parameters
    ----------
    checkpoint : Checkpoint
        What is loaded.
    settings : LoadSettings
        How.
    chat_template : bool
        Whether prompts will go through its chat template, which it must have then.
    mode : Mode, optional
        How it will respond.

    Raises
    ------
    BackendError
        The device is not there, or layers are to be spread over GPUs where it is none.
    CheckpointError
        What would be loaded is not the checkpoint named: weights are missing, or the tokenizer
        does not belong to them. What transformers raises for a checkpoint passes through.

    """
    import_collect_extra()
    if settings.backend not in TRANSFORMERS_BACKENDS:
        return load_other_engine(checkpoint, settings)
    from lm_eval.api.registry import get_model

    from ..checkpoints.checked_model import LoadRules, checked

    device = pick_device(settings.device)
    batch_size = settings.batch_size
    if str(batch_size).startswith("auto") and not device.startswith("cuda"):
        batch_size = _BATCH_WITHOUT_CUDA
    arguments = {
        "pretrained": checkpoint_folder(checkpoint, token=settings.hub_token),
        "dtype": settings.dtype,
        # Where a checkpoint has no code of its own, the permission must not change what is loaded.
        "trust_remote_code": checkpoint.custom_code and settings.trust_remote_code,
        # None lets transformers take pickles; that was allowed when the checkpoint was resolved.
        "use_safetensors": None if checkpoint.pickled else True,
    }
    if settings.parallelize:
        if not device.startswith("cuda"):
            raise BackendError(f"layers are spread over GPUs, and the device is {device}")
        arguments["parallelize"] = True  # lm-eval's own
    if mode is not None and mode.template_arguments:
        # Not lm-eval's own enable_thinking, which wants a delimiter that it would cut at.
        arguments["chat_template_args"] = mode.template_arguments
    rules = LoadRules(name=checkpoint.name, chat_template=chat_template, mode=mode)
    try:
        register_models()
        model_class: Any = checked(get_model(settings.backend), rules)
    except ImportError as error:  # of a private name that a newer library has dropped
        newer = newer_than_checked()
        raise BackendError(
            f"the backend {settings.backend!r} does not load here ({error}); pass --backend hf"
            + (f": {newer}" if newer else "")
        ) from None
    model: CheckedModel = model_class.create_from_arg_obj(
        arguments, {"batch_size": batch_size, "device": device}
    )
    unforeseen = dict(model.identity_settings).items() - set(checkpoint.identity_settings)
    if unforeseen:
        raise CheckpointError(
            f"{checkpoint.name}: its tokenizer puts a token behind every text, which its files do "
            "not say; save it with add_eos_token=False"
        )
    return model


def register_models() -> None:
    """Make capspace's own model classes known to lm-eval by name."""
    from ..engine.lm import CapspaceLM

    del CapspaceLM  # importing the class registered it


@contextmanager
def checked_models(rules: LoadRules) -> Iterator[None]:
    """Let lm-eval load models of Hugging Face checkpoints by rules."""
    import lm_eval.api.registry as registry

    from ..checkpoints.checked_model import checked

    before = registry.get_model
    registry.get_model = lambda name: checked(before(name), rules)
    try:
        yield
    finally:
        registry.get_model = before
