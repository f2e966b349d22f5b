"""Reproduce the study on its own tables, and set our numbers beside the published ones.

Names are loaded when they are first used: drawing needs matplotlib, reading the tables does not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._reproduce import Reproduction, reproduce
    from .data import Study, load_study

__all__ = ["Reproduction", "Study", "load_study", "reproduce"]

_MODULES = {
    "Reproduction": "_reproduce",
    "Study": "data",
    "load_study": "data",
    "reproduce": "_reproduce",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
