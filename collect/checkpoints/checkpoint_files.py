"""A checkpoint's identity covers every file of its folder that a loader could read.

Everything counts that is not known to be unread. Not read are hidden files, code (unless it is
run), prose, pictures and data tables, weights of another format than the one that is loaded, what
a trainer keeps for itself, and the settings of processors for images and sound. A folder inside
the checkpoint is read where a configuration names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from ..errors import CheckpointError

__all__ = ["CONFIG", "configuration_name", "loaded_files", "refuse_adapter_beside"]

CONFIG = "config.json"
_ADAPTER = "adapter_config.json"
_NAMING = (CONFIG, "generation_config.json", "tokenizer_config.json")
_CONFIG_OF_A_VERSION = re.compile(r"config\.[\d.]+\.json")

# What 0.1.0 hashed, which stays in every identity whatever the rule below says.
_SETTINGS = re.compile(
    r"config\.json|generation_config\.json|tokenizer[^/]*\.(json|model)|[^/]*\.tiktoken"
    r"|vocab\.\w+|merges\.txt|spiece\.model|sentencepiece[^/]*\.model|special_tokens_map\.json"
    r"|added_tokens\.json|chat_template\.\w+|additional_chat_templates/[^/]+"
)
_NOT_LOADABLE = re.compile(
    r"\..*"
    r"|.*\.(py|pyc|ipynb|sh|c|cc|cpp|cu|js|ts)"
    r"|.*\.(md|rst|pdf|html?|bib|cff|tex|docx?)"
    r"|(readme|licen[cs]e|notice|copying|authors|changelog|use_policy|requirements|system_prompt)"
    r"[^/]*(\.txt)?"
    r"|.*\.(png|jpe?g|gif|svg|webp|ico|bmp|tiff?|mp[34]|wav|webm)",
    re.IGNORECASE,
)
_OF_OTHERS = re.compile(
    r".*\.(bin|safetensors|h5|msgpack|ot|onnx|onnx_data|gguf|ggml|pth?|ckpt|tflite|npz|nemo)"
    r"|.*\.(bin|safetensors)\.index\.json"
    r"|.*\.(tar|t?gz|zip|zst|bz2|xz|7z)"
    r"|.*\.(csv|tsv|jsonl|parquet|arrow|log|ya?ml|toml|lock)"
    r"|trainer_state\.json|(all|train|eval|test|predict)_results\.json|latest|events\.out\..*"
    r"|consolidated.*|params\.json"
    r"|(video_|image_)?(pre)?processor_config\.json|feature_extractor_config\.json",
    re.IGNORECASE,
)
_IGNORED_NAMES = {"_name_or_path", "name_or_path"}  # where it was saved from: nothing reads that
_LONGEST_PATH = 256


def loaded_files(
    folder: Path,
    names: Collection[str],
    weights: Collection[str],
    read: Callable[[str], dict[str, Any]],
    *,
    custom_code: bool,
) -> list[str]:
    """Return the files that the identity of a local checkpoint is made of, sorted.

    Parameters
    ----------
    folder : Path
        The checkpoint.
    names : collection of str
        Its files, with those of the folders inside it that transformers reads by itself.
    weights : collection of str
        The files of weights that are loaded.
    read : callable
        Reads one that is JSON.
    custom_code : bool
        Whether its code is run.

    """
    in_identity = {name for name in names if _SETTINGS.fullmatch(name) or _could_be_loaded(name)}
    in_identity |= set(weights)
    configurations = [n for n in names if n in _NAMING or _CONFIG_OF_A_VERSION.fullmatch(n)]
    for name in configurations:
        in_identity |= set(_files_named(folder, read(name)))
    if custom_code:
        in_identity |= {
            p.relative_to(folder).as_posix() for p in folder.rglob("*.py") if p.is_file()
        }
    return sorted(in_identity)


def configuration_name(config: dict[str, Any]) -> str:
    """Return the file that transformers takes the configuration from, given its config.json."""
    names = config.get("configuration_files")
    if not isinstance(names, list) or not names:
        return CONFIG
    from ..runtime.optional import require_collect_extra

    require_collect_extra()
    from transformers.configuration_utils import get_configuration_file

    return str(get_configuration_file(names))  # type: ignore[no-untyped-call,unused-ignore]  # untyped in some versions


def refuse_adapter_beside(ref: str, names: Collection[str]) -> None:
    """Refuse a checkpoint that is a model and an adapter: which of the two is meant is not known.

    Raises
    ------
    CheckpointError
        It is.

    """
    if _ADAPTER in names and CONFIG in names and any(_is_a_model(name) for name in names):
        raise CheckpointError(
            f"{ref}: an adapter ({_ADAPTER}) lies beside the model's own weights, and transformers "
            "would load both; if they are merged already, remove the adapter's files, else put the "
            "adapter into a folder of its own"
        )


def _is_a_model(name: str) -> bool:
    return re.fullmatch(r"(model|pytorch_model)([-.].*)?\.(safetensors|bin|json)", name) is not None


def _could_be_loaded(name: str) -> bool:
    return "/" not in name and not (_NOT_LOADABLE.fullmatch(name) or _OF_OTHERS.fullmatch(name))


def _files_named(folder: Path, value: Any, key: str = "") -> Iterator[str]:
    """Yield the files inside a folder that a configuration's values name."""
    if key in _IGNORED_NAMES:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _files_named(folder, inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _files_named(folder, inner, key)
    elif isinstance(value, str) and _may_be_a_path(value):
        path = Path(value)
        there = (folder / path).resolve()
        if path.is_absolute() or ".." in path.parts or there == folder:
            return
        if there.is_file():
            yield path.as_posix()
        elif there.is_dir() and ("/" in value or re.search("path|dir|folder|adapter", key)):
            inside = (p.relative_to(folder) for p in (folder / path).rglob("*") if p.is_file())
            yield from (p.as_posix() for p in inside if not _NOT_LOADABLE.fullmatch(p.name))


def _may_be_a_path(value: str) -> bool:
    return 0 < len(value) <= _LONGEST_PATH and value.isprintable()
