"""What a run of lm-eval's own command measures: the identity of the model its arguments name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capspace.collect.backends import LoadOptions
from capspace.collect.checkpoint import Checkpoint, resolve, sha256_file
from capspace.collect.errors import BackendError
from capspace.collect.identity import ModelIdentity, canonical_json

__all__ = ["RunModel", "identify"]

_BACKENDS = {"capspace": "capspace", "hf": "hf", "hf-auto": "hf", "huggingface": "hf"}
_OWN = {"pretrained", "revision", "dtype", "trust_remote_code"}
# What can move an answer, and is told apart by its value alone.
_SETTINGS = {
    "add_bos_token",
    "attn_implementation",
    "backend",
    "chat_template_args",
    "enable_thinking",
    "logits_cache",
    "max_gen_toks",
    "max_length",
    "mixed_precision_dtype",
    "prefix_token_id",
    "softmax_dtype",
    "think_end_token",
    "truncation",
    "use_fast_tokenizer",
    "use_safetensors",
}
_WITHOUT_EFFECT = {
    "batch_size",
    "device",
    "max_batch_size",
    "max_cpu_memory",
    "max_memory_per_gpu",
    "offload_folder",
    "parallelize",
    "token_budget",
}


@dataclass(frozen=True)
class RunModel:
    """The model of a run.

    Attributes
    ----------
    checkpoint : Checkpoint
    identity : ModelIdentity
        The same that ``capspace collect`` would give it, where no argument sets more.
    arguments : dict
        The model arguments, with a Hub name fixed to the commit it stands for.

    """

    checkpoint: Checkpoint
    identity: ModelIdentity
    arguments: dict[str, Any]


def identify(
    model: str,
    arguments: Mapping[str, Any],
    *,
    chat_template: bool | str = False,
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
    hash_file : callable
        As in `resolve`.

    Raises
    ------
    BackendError
        An argument that answers may depend on in ways that its value does not tell, or a model
        class that is not one of Hugging Face checkpoints.
    CheckpointError
        The checkpoint cannot be resolved.

    """
    if model not in _BACKENDS:
        raise BackendError(f"--model {model} does not say which checkpoint answers")
    given = {name: value for name, value in arguments.items() if value is not None}
    strange = sorted(given.keys() - _OWN - _SETTINGS - _WITHOUT_EFFECT)
    if strange:
        raise BackendError(f"what {strange[0]}={given[strange[0]]} stands for is not known")
    pretrained = given.get("pretrained")
    if not isinstance(pretrained, str):
        raise BackendError("--model_args names no pretrained=")
    is_local = Path(pretrained).expanduser().is_dir()
    asked = "" if is_local or "revision" not in given else f"@{given['revision']}"
    checkpoint = resolve(
        f"{pretrained}{asked}",
        allow_pickle=True,  # lm-eval loads them without being asked; here they are named only
        trust_remote_code=given.get("trust_remote_code") is True,
        hash_file=hash_file,
    )
    options = LoadOptions(backend=_BACKENDS[model], dtype=str(given.get("dtype", "auto")))
    settings = {name: canonical_json(given[name]) for name in given.keys() & _SETTINGS}
    if isinstance(chat_template, str):
        settings["chat_template"] = canonical_json(chat_template)
    identity = ModelIdentity(
        checkpoint=checkpoint.identity,
        dtype=options.identity_dtype(checkpoint),
        backend=options.backend,
        backend_settings=tuple(sorted({**dict(options.identity_settings), **settings}.items())),
        chat_template=bool(chat_template),
        custom_code=checkpoint.custom_code,
    )
    pinned = {} if checkpoint.kind == "local" else {"revision": checkpoint.revision}
    return RunModel(checkpoint, identity, {**arguments, **pinned})
