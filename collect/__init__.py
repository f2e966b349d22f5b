"""Gather scores: measure checkpoints through lm-eval, store the results, place the models.

Names that load a library are imported when they are first used, so that a light command stays
light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if __name__ != "capspace.collect":
    raise ImportError(
        f"this package is capspace.collect, not {__name__}: install it (pip install -e .)"
    )

from .errors import (
    BackendError,
    CheckpointError,
    CollectError,
    DataRootError,
    HarnessError,
    ImportFileError,
    JournalError,
    MissingExtraError,
    NoCheckpointError,
    NoRoomError,
    NothingMeasuredError,
    ResponseError,
    SandboxError,
    SettingsError,
    StoreError,
    ZooError,
)

if TYPE_CHECKING:
    from .checkpoints.checkpoint import Checkpoint
    from .run._place import PlacedModel, place, place_collection
    from .run.collect import collect_scores
    from .run.collection import Collection
    from .settings import LoadSettings, RunSettings
    from .storage.result import Missing, Result
    from .storage.store import Store

__all__ = [
    "BackendError",
    "Checkpoint",
    "CheckpointError",
    "CollectError",
    "Collection",
    "DataRootError",
    "HarnessError",
    "ImportFileError",
    "JournalError",
    "LoadSettings",
    "Missing",
    "MissingExtraError",
    "NoCheckpointError",
    "NoRoomError",
    "NothingMeasuredError",
    "PlacedModel",
    "ResponseError",
    "Result",
    "RunSettings",
    "SandboxError",
    "SettingsError",
    "Store",
    "StoreError",
    "ZooError",
    "collect_scores",
    "place",
    "place_collection",
]

_MODULES = {
    "Checkpoint": "checkpoints.checkpoint",
    "Collection": "run.collection",
    "LoadSettings": "settings",
    "Missing": "storage.result",
    "PlacedModel": "run._place",
    "Result": "storage.result",
    "RunSettings": "settings",
    "Store": "storage.store",
    "collect_scores": "run.collect",
    "place": "run._place",
    "place_collection": "run._place",
}


def __getattr__(name: str) -> Any:
    if name == "AnswerError":
        import warnings

        warnings.warn("AnswerError is called ResponseError now", DeprecationWarning, stacklevel=2)
        return ResponseError
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
