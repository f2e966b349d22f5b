"""What a run of lm-eval's own command measures: the identity of the model its arguments name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from ..checkpoints.checkpoint import refuse_mixed, refuse_pickles, resolve
from ..checkpoints.hub import http_errors
from ..errors import BackendError, CheckpointError, SettingsError
from ..harness.backends import identity_settings, loaded_dtype
from ..settings import Backend, LoadSettings
from ..storage.digests import canonical_json, sha256, sha256_file
from ..storage.identity import ModelIdentity

__all__ = [
    "SETTINGS",
    "WITHOUT_EFFECT",
    "RunModel",
    "identify",
    "identify_by_name",
    "refuse_adapter_run",
    "refuse_changed_names",
    "refuse_pickled_run",
]

# lm-eval's model classes that take a checkpoint as `pretrained`, by their names in its registry.
_CLASSES = {
    "capspace": "capspace",
    "hf": "hf",
    "hf-auto": "hf",
    "huggingface": "hf",
    "sglang": "sglang",
    "vllm": "vllm",
}
# Others of its classes that load one by transformers or torch.
_LOADING = _CLASSES.keys() | {
    "habana",
    "hf-audiolm-qwen",
    "hf-mistral3",
    "hf-multimodal",
    "ipex",
    "mamba_ssm",
    "steered",
    "vllm-vlm",
}
_OWN_LOADERS = {"sglang", "vllm", "vllm-vlm"}  # which take no adapter that nobody named
_ADAPTER = "adapter_model.safetensors"
_NAMING = {"pretrained", "revision", "subfolder", "tokenizer", "peft", "delta", "gguf_file"}
# Values of arguments that choose a file of weights, by which it is the one that is hashed.
_CHOOSING: dict[str, tuple[Any, ...]] = {
    "use_safetensors": (True,),
    "load_format": ("auto", "safetensors", "fastsafetensors", "runai_streamer", "dummy"),
}
_OWN = {"pretrained", "revision", "dtype", "trust_remote_code"}
# What can move an answer, and is told apart by its value alone.
SETTINGS = {
    "add_bos_token",
    "attn_implementation",
    "backend",
    "chat_template_args",
    "context_length",
    "enable_thinking",
    "kv_cache_dtype",
    "load_format",
    "logits_cache",
    "max_gen_toks",
    "max_length",
    "max_model_len",
    "mixed_precision_dtype",
    "prefix_token_id",
    "quantization",
    "seed",
    "softmax_dtype",
    "think_end_token",
    "tokenizer_mode",
    "truncation",
    "truncation_side",
    "use_fast_tokenizer",
    "use_safetensors",
}
WITHOUT_EFFECT = {
    "batch_size",
    "chunked_prefill_size",
    "data_parallel_size",
    "device",
    "dp_size",
    "gpu_memory_utilization",
    "max_batch_size",
    "max_cpu_memory",
    "max_memory_per_gpu",
    "mem_fraction_static",
    "offload_folder",
    "parallelize",
    "swap_space",
    "tensor_parallel_size",
    "token_budget",
    "tp_size",
}
# How a server is reached; its name, given by the user, says what answers there.
_CONNECTION = {
    "api_key",
    "auth_token",
    "base_url",
    "ca_cert_path",
    "header",
    "max_retries",
    "num_concurrent",
    "timeout",
    "verify_certificate",
}


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
    if model not in _CLASSES:
        raise BackendError(f"--model {model} does not say which checkpoint answers")
    given = _given(arguments)
    strange = sorted(given.keys() - _OWN - SETTINGS - WITHOUT_EFFECT)
    if strange:
        # Never its value, which may be a secret.
        raise BackendError(f"what the model argument {strange[0]} stands for is not known")
    other = _choosing_others(given)
    if other is not None:
        raise BackendError(f"{other} may load other weights than those that tell models apart")
    ref = _checkpoint_named(given)
    if ref is None:
        raise BackendError("--model_args names no pretrained=")
    checkpoint = resolve(
        ref,
        allow_pickle=True,  # `refuse_pickled_run` decides about loading; here they are named only
        trust_remote_code=given.get("trust_remote_code") is True,
        hash_file=hash_file,
    )
    backend, dtype = _CLASSES[model], str(given.get("dtype", "auto"))
    settings = {name: canonical_json(given[name]) for name in given.keys() & SETTINGS}
    if backend in get_args(Backend):
        try:
            dtype = loaded_dtype(LoadSettings.of(dtype=dtype).dtype, checkpoint)
        except SettingsError as error:
            raise BackendError(str(error)) from None
        settings |= dict(identity_settings(backend) + checkpoint.identity_settings)
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
    name: str, model: str, arguments: Mapping[str, Any], *, chat_template: bool | str = False
) -> RunModel:
    """Return the model that a user's own name stands for, of whatever class.

    Arguments tell answers apart here too, but for those that only say how a server is reached.
    Those that are not known to be harmless are kept as digests: they may hold secrets.

    Parameters
    ----------
    name : str
        The user's word for what answers.
    model, arguments, chat_template
        As in `identify`.

    Raises
    ------
    BackendError
        An empty name.

    """
    if not name.strip():
        raise BackendError("an empty name does not say what answers")
    given = _given(arguments)
    settings = {
        key: value if key in SETTINGS else sha256(value)
        for key in given.keys() - WITHOUT_EFFECT - _CONNECTION - {"dtype"}
        for value in [canonical_json(given[key])]
    }
    identity = ModelIdentity(
        checkpoint=f"named:{name.strip()}",
        dtype=str(given.get("dtype", "auto")),
        backend=model,
        backend_settings=_sorted(settings, chat_template),
        chat_template=bool(chat_template),
        custom_code=given.get("trust_remote_code") is True,
    )
    return RunModel(name.strip(), identity, dict(arguments))


def refuse_adapter_run(model: str, arguments: Mapping[str, Any]) -> None:
    """Refuse a run of lm-eval's whose checkpoint is a model with an adapter beside it.

    Raises
    ------
    CheckpointError
        It is; or nothing is there by this name or revision.

    """
    given = _given(arguments)
    ref = _checkpoint_named(given)
    if model in _LOADING - _OWN_LOADERS and ref is not None:
        refuse_mixed(ref)


def refuse_changed_names(arguments: Mapping[str, Any]) -> None:
    """Refuse a run whose arguments name something by what lm-eval took for a number.

    Raises
    ------
    BackendError
        A name or revision is no text any more: ``5e12345`` has become infinite, ``0012345`` 12345.

    """
    for name, value in _given(arguments).items():
        if name in _NAMING and isinstance(value, (bool, int, float)):
            raise BackendError(
                f"{name}={value}: lm-eval reads the value as a number, which may not be what was "
                f"typed; give the arguments as JSON, in which it is a text: "
                f'--model_args \'{{"{name}": "...", ...}}\''
            )


def refuse_pickled_run(model: str, arguments: Mapping[str, Any]) -> None:
    """Refuse a run of lm-eval's that would load weights which are pickles.

    Raises
    ------
    CheckpointError
        It would; or the checkpoint that its arguments name is not there.

    """
    given = _given(arguments)
    ref = _checkpoint_named(given)
    if model not in _LOADING or ref is None or "gguf_file" in given:
        return
    other = _choosing_others(given)
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

    unanswered: tuple[type[Exception], ...] = (*http_errors(), HFValidationError)
    try:
        cached = try_to_load_from_cache(ref, _ADAPTER, revision=revision)
        return isinstance(cached, str) or file_exists(ref, _ADAPTER, revision=revision)
    except unanswered:  # or no name of the Hub
        return False


def _choosing_others(given: Mapping[str, Any]) -> str | None:
    """Return the argument that chooses other weights than those that are hashed, if one does."""
    for name, hashed in _CHOOSING.items():
        value = given.get(name, hashed[0])
        if not any(value is one or (isinstance(one, str) and value == one) for one in hashed):
            return f"{name}={value}"
    return None


def _checkpoint_named(given: Mapping[str, Any]) -> str | None:
    """Return the folder, or the Hub name with its revision, that arguments name."""
    pretrained = given.get("pretrained")
    if not isinstance(pretrained, str):
        return None
    is_local = Path(pretrained).expanduser().is_dir()
    asked = "" if is_local or "revision" not in given else f"@{given['revision']}"
    return f"{pretrained}{asked}"


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _sorted(settings: dict[str, str], chat_template: bool | str) -> tuple[tuple[str, str], ...]:
    """Return settings as an identity keeps them, with a chat template that was chosen by name."""
    if isinstance(chat_template, str):
        settings = {**settings, "chat_template": canonical_json(chat_template)}
    return tuple(sorted(settings.items()))
