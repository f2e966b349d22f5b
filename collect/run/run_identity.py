"""The arguments of lm-eval's own command become the identity of the model that they name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checkpoints.checkpoint import resolve
from ..errors import BackendError, SettingsError
from ..harness.backends import identity_settings, loaded_dtype
from ..settings import TRANSFORMERS_BACKENDS, LoadSettings
from ..storage.digests import canonical_json, sha256, sha256_file
from ..storage.identity import ModelIdentity
from ..storage.mode import Mode
from .lm_eval_arguments import (
    CLASSES,
    CONNECTION,
    OWN,
    SETTINGS,
    WITHOUT_EFFECT,
    given_arguments,
    named_checkpoint,
    other_weights,
)

__all__ = ["RunModel", "identify", "identify_by_name"]

_ORDINARY = Mode()


@dataclass(frozen=True)
class RunModel:
    """The model of a run.

    Attributes
    ----------
    name : str
        What messages call it.
    identity : ModelIdentity
        The same that ``capspace collect`` would give it, where no argument sets more.
    arguments : dict
        The model arguments, with a Hub name fixed to the commit it stands for.

    """

    name: str
    identity: ModelIdentity
    arguments: dict[str, Any]


def identify(
    model: str,
    arguments: Mapping[str, Any],
    *,
    chat_template: bool | str = False,
    mode: Mode | None = None,
    hash_file: Callable[[Path], str] = sha256_file,
) -> RunModel:
    """Return the model that lm-eval's ``--model`` and ``--model_args`` name.

    Parameters
    ----------
    model : str
        lm-eval's name of the model class.
    arguments : mapping
        Its arguments.
    chat_template : bool or str
        lm-eval's ``--apply_chat_template``.
    mode : Mode, optional
        How it responds, where its class has modes.
    hash_file : callable
        As in `resolve`.

    Raises
    ------
    BackendError
        An argument that responses may depend on in ways that its value does not tell, or a model
        class that is not one of Hugging Face checkpoints.
    CheckpointError
        The checkpoint cannot be resolved.

    """
    if model not in CLASSES:
        raise BackendError(f"--model {model} does not say which checkpoint answers")
    given = given_arguments(arguments)
    strange = sorted(given.keys() - OWN - SETTINGS - WITHOUT_EFFECT)
    if strange:
        # Never its value, which may be a secret.
        raise BackendError(f"what the model argument {strange[0]} stands for is not known")
    other = other_weights(given)
    if other is not None:
        raise BackendError(f"{other} may load other weights than those that tell models apart")
    ref = named_checkpoint(given)
    if ref is None:
        raise BackendError("--model_args names no pretrained=")
    checkpoint = resolve(
        ref,
        allow_pickle=True,  # `refuse_pickled_run` decides about loading; here they are named only
        trust_remote_code=given.get("trust_remote_code") is True,
        hash_file=hash_file,
    )
    backend, dtype = CLASSES[model], str(given.get("dtype", "auto"))
    settings = {name: canonical_json(given[name]) for name in given.keys() & SETTINGS}
    if backend in TRANSFORMERS_BACKENDS:
        try:
            dtype = loaded_dtype(LoadSettings.of(dtype=dtype).dtype, checkpoint)
        except SettingsError as error:
            raise BackendError(str(error)) from None
        own = identity_settings(
            backend,
            dtype,
            governs_texts=checkpoint.governs_texts,
            softmax_dtype=given.get("softmax_dtype"),
            mixed_precision_dtype=given.get("mixed_precision_dtype"),
            ends_texts=bool(chat_template) and not (mode or _ORDINARY).cuts_thoughts,
        )
        settings |= dict(own + checkpoint.identity_settings)
    settings |= dict((mode or _ORDINARY).identity_settings)
    identity = ModelIdentity(
        checkpoint=checkpoint.identity,
        dtype=dtype,  # where it is another engine's, "auto" is as that engine takes it
        backend=backend,
        backend_settings=_sorted(settings, chat_template),
        chat_template=bool(chat_template),
        custom_code=checkpoint.custom_code,
    )
    pinned = {} if checkpoint.kind == "local" else {"revision": checkpoint.revision}
    return RunModel(checkpoint.name, identity, {**arguments, **pinned})


def identify_by_name(
    name: str,
    model: str,
    arguments: Mapping[str, Any],
    *,
    chat_template: bool | str = False,
    mode: Mode | None = None,
) -> RunModel:
    """Return the model that a user's own name stands for, of whatever class.

    Arguments tell responses apart here too, but for those that only say how a server is reached.
    Those that are not known to be harmless are kept as digests: they may hold secrets.

    Parameters
    ----------
    name : str
        The user's word for what answers.
    model, arguments, chat_template, mode
        As in `identify`.

    Raises
    ------
    BackendError
        An empty name.

    """
    if not name.strip():
        raise BackendError("an empty name does not say what answers")
    given = given_arguments(arguments)
    settings = {
        key: value if key in SETTINGS else sha256(value)
        for key in given.keys() - WITHOUT_EFFECT - CONNECTION - {"dtype"}
        for value in [canonical_json(given[key])]
    } | dict((mode or _ORDINARY).identity_settings)
    identity = ModelIdentity(
        checkpoint=f"named:{name.strip()}",
        dtype=str(given.get("dtype", "auto")),
        backend=model,
        backend_settings=_sorted(settings, chat_template),
        chat_template=bool(chat_template),
        custom_code=given.get("trust_remote_code") is True,
    )
    return RunModel(name.strip(), identity, dict(arguments))


def _sorted(settings: dict[str, str], chat_template: bool | str) -> tuple[tuple[str, str], ...]:
    """Return settings as an identity keeps them, with a chat template that was chosen by name."""
    if isinstance(chat_template, str):
        settings = {**settings, "chat_template": canonical_json(chat_template)}
    return tuple(sorted(settings.items()))
