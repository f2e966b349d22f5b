"""A checkpoint's parameters and bytes come from file headers or from its configuration."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import CheckpointError
from ..runtime.redaction import redacted
from .checkpoint import Checkpoint
from .download import hub_folder
from .hub import http_errors

__all__ = ["Weights", "is_downloaded", "weigh"]

_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}
_DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
_PACKED = (".qweight", ".weight_packed")
"""How GPTQ and AWQ, and compressed-tensors, name tensors that hold several weights in a number."""
_building = threading.Lock()  # transformers imports what it builds, and not for threads
_HEADER_LIMIT = 100_000_000


@dataclass(frozen=True)
class Weights:
    """Size of a checkpoint.

    Attributes
    ----------
    n_parameters : int
        Numbers in the weight files; where they pack several weights into a number, those of the
        model before it was quantised.
    n_bytes : int
        Their bytes as stored.
    counted_from : {"weights", "config"}
        Headers of the safetensors files, or the model that the configuration describes.
    packed : bool
        Whether numbers in the files hold several weights each, as they do once loaded.

    """

    n_parameters: int
    n_bytes: int
    counted_from: Literal["weights", "config"]
    packed: bool = False

    def bytes_as(self, dtype: str) -> int:
        """Return the bytes once loaded in a dtype; "auto" keeps them as stored."""
        if self.packed:
            return self.n_bytes
        return self.n_parameters * _DTYPE_BYTES[dtype] if dtype in _DTYPE_BYTES else self.n_bytes


def weigh(checkpoint: Checkpoint) -> Weights:
    """Return the size of a checkpoint without loading it.

    Raises
    ------
    CheckpointError
        A header is damaged, or the configuration describes no model that transformers knows.

    """
    folder = Path(checkpoint.location) if checkpoint.kind == "local" else hub_folder(checkpoint)
    files = [] if folder is None else _safetensors(folder)
    if files and not checkpoint.pickled:
        headers = [_header(path) for path in files]
        n_bytes = sum(map(_header_bytes, headers))
        if any(name.endswith(_PACKED) for header in headers for name in header):
            return Weights(_config_size(checkpoint), n_bytes, "config", packed=True)
        numbers = (math.prod(t["shape"]) for header in headers for t in header.values())
        return Weights(sum(numbers), n_bytes, "weights")
    if checkpoint.kind == "hub" and not checkpoint.pickled:
        return _hub_size(checkpoint)
    n = _config_size(checkpoint)
    return Weights(n, n * _DTYPE_BYTES.get(checkpoint.dtype, 4), "config")


def is_downloaded(checkpoint: Checkpoint) -> bool:
    """Return whether all weights of a checkpoint are on this machine."""
    if checkpoint.kind == "local":
        return True
    folder = hub_folder(checkpoint)
    if folder is None:
        return False
    index = folder / "model.safetensors.index.json"
    if index.is_file() and not (folder / "model.safetensors").is_file():
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return all((folder / name).is_file() for name in names)
    return bool(_safetensors(folder)) or any(folder.glob("pytorch_model*.bin"))


def _safetensors(folder: Path) -> list[Path]:
    whole = folder / "model.safetensors"
    if whole.is_file():
        return [whole]
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return []
    names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    shards = [folder / name for name in sorted(names)]
    return shards if all(path.is_file() for path in shards) else []


def _header(path: Path) -> dict[str, dict[str, Any]]:
    """Return the tensors that a safetensors file says it holds, each with its shape and type."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= _HEADER_LIMIT:
                raise ValueError(f"header length {length}")
            header: dict[str, Any] = json.loads(file.read(length))
        tensors = {name: tensor for name, tensor in header.items() if name != "__metadata__"}
        _header_bytes(tensors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: no readable safetensors header: {error}") from None
    return tensors


def _header_bytes(tensors: dict[str, dict[str, Any]]) -> int:
    return sum(math.prod(t["shape"]) * _BYTES.get(t["dtype"], 1) for t in tensors.values())


def _hub_size(checkpoint: Checkpoint) -> Weights:
    """Ask the Hub for the headers alone: a few kilobytes per file."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import NotASafetensorsRepoError, SafetensorsParsingError

    unavailable: tuple[type[Exception], ...] = (
        NotASafetensorsRepoError,
        SafetensorsParsingError,
        *http_errors(),
    )
    try:
        metadata = HfApi().get_safetensors_metadata(
            checkpoint.location, revision=checkpoint.revision
        )
    except unavailable:
        n = _config_size(checkpoint)
        return Weights(n, n * _DTYPE_BYTES.get(checkpoint.dtype, 4), "config")
    n = sum(metadata.parameter_count.values())
    size = sum(count * _BYTES.get(dtype, 1) for dtype, count in metadata.parameter_count.items())
    names = (name for file in metadata.files_metadata.values() for name in file.tensors)
    if any(name.endswith(_PACKED) for name in names):
        return Weights(_config_size(checkpoint), size, "config", packed=True)
    return Weights(n, size, "weights")


def _config_size(checkpoint: Checkpoint) -> int:
    """Count the parameters of the model that the configuration describes, without memory for it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    revision = checkpoint.revision if checkpoint.kind == "hub" else None
    try:
        with _building:
            config = AutoConfig.from_pretrained(
                checkpoint.location, revision=revision, trust_remote_code=checkpoint.custom_code
            )
            with torch.device("meta"):
                model = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]  # theirs
                    config, trust_remote_code=checkpoint.custom_code
                )
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{checkpoint.name}: its parameters cannot be counted from its configuration: "
            f"{redacted(str(error)).splitlines()[0]}; give `facts: {{parameters: ...}}`"
        ) from None
    return sum(p.numel() for p in model.parameters())
