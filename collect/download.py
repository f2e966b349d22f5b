"""The folder a checkpoint is loaded from: a local one, or its snapshot in the Hub's cache."""

from __future__ import annotations

from capspace.collect.checkpoint import Checkpoint

__all__ = ["checkpoint_folder"]

_SETTINGS = ("*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja")


def checkpoint_folder(checkpoint: Checkpoint, *, token: str | None = None) -> str:
    """Return the checkpoint's folder; a Hub checkpoint is downloaded where it is not here yet.

    Only the files of one commit and one format are fetched. Loading the folder in place of the
    repository's name asks the Hub nothing more: transformers alone would ask some thirty times.
    """
    if checkpoint.kind == "local":
        return checkpoint.location
    from huggingface_hub import snapshot_download

    weights = "*.bin" if checkpoint.pickled else "*.safetensors"
    return snapshot_download(
        checkpoint.location,
        revision=checkpoint.revision,
        allow_patterns=[weights, *_SETTINGS, *(["*.py"] if checkpoint.custom_code else [])],
        local_files_only=checkpoint.offline,
        token=token,
    )
