"""A checkpoint is loaded from a local folder or from its snapshot in the Hub's cache."""

from __future__ import annotations

import glob
from fnmatch import fnmatchcase
from pathlib import Path

from .checkpoint import Checkpoint

__all__ = ["checkpoint_folder", "hub_folder", "missing_bytes"]

_SETTINGS = ("*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja")
_WEIGHTS = (".safetensors", ".bin")
_TEMPLATES = "additional_chat_templates/"


def checkpoint_folder(checkpoint: Checkpoint, *, token: str | None = None) -> str:
    """Return the checkpoint's folder; a Hub checkpoint is downloaded where it is not here yet.

    Only the files of one commit and one format are fetched. Loading the folder in place of the
    repository's name sends the Hub no further request: transformers alone would send some thirty.

    Raises
    ------
    OSError
        The Hub does not give a file, or a download that was cut short cannot be completed: what
        is there of it would load as another model, without its chat template for instance.

    """
    if checkpoint.kind == "local":
        return checkpoint.location
    from huggingface_hub import snapshot_download

    names = [name for name, _ in _needed(checkpoint)]
    # Weights last: where they are all here, so are the settings, even if a download was cut short
    # and the Hub does not answer any more.
    settings = [name for name in names if not name.endswith(_WEIGHTS)]
    weights = [name for name in names if name.endswith(_WEIGHTS)]
    folder = ""
    for wanted in (settings, weights):
        folder = snapshot_download(
            checkpoint.location,
            revision=checkpoint.revision,
            allow_patterns=[glob.escape(name) for name in wanted],
            local_files_only=checkpoint.offline,
            token=token,
        )
    for name in names:
        if not (Path(folder) / name).is_file():
            raise FileNotFoundError(
                f"the local cache lacks {name} of {checkpoint.location}@{checkpoint.revision}, "
                "and the Hub does not answer"
            )
    return folder


def hub_folder(checkpoint: Checkpoint) -> Path | None:
    """Return the folder of a Hub checkpoint in the local cache, if its commit is there at all."""
    from huggingface_hub.constants import HF_HUB_CACHE

    repo = "models--" + checkpoint.location.replace("/", "--")
    folder = Path(HF_HUB_CACHE) / repo / "snapshots" / checkpoint.revision
    return folder if folder.is_dir() else None


def missing_bytes(checkpoint: Checkpoint) -> int | None:
    """Return the bytes that ``checkpoint_folder`` would fetch; None where the Hub does not say."""
    folder = hub_folder(checkpoint)
    missing = [
        size
        for name, size in _needed(checkpoint)
        if folder is None or not (folder / name).is_file()
    ]
    return None if None in missing else sum(size or 0 for size in missing)


def _needed(checkpoint: Checkpoint) -> list[tuple[str, int | None]]:
    """Return the files that loading reads, of all that the commit has."""
    names = {name for name, _ in checkpoint.files}
    whole = "pytorch_model.bin" if checkpoint.pickled else "model.safetensors"
    # transformers prefers the single file where shards are there as well.
    weights = whole if whole in names else "*" + Path(whole).suffix

    def is_needed(name: str) -> bool:
        if name.endswith(".py"):
            return checkpoint.custom_code
        if name.startswith(_TEMPLATES):
            return True
        if "/" in name or name.startswith("consolidated"):  # other formats of the same weights
            return False
        return any(fnmatchcase(name, pattern) for pattern in (weights, *_SETTINGS))

    return [(name, size) for name, size in checkpoint.files if is_needed(name)]
