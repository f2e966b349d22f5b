"""Code that comes with a checkpoint is located, and runs only with the user's permission."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from ..errors import CheckpointError

__all__ = ["runs_own_code"]

_NAMING = ("config.json", "tokenizer_config.json")
_GENERATE = "custom_generate/generate.py"  # takes the place of a loaded model's generate()


def runs_own_code(
    ref: str,
    names: Collection[str],
    read: Callable[[str], dict[str, Any]],
    trust_remote_code: bool,
) -> bool:
    """Return whether loading a checkpoint runs code that comes with it.

    Parameters
    ----------
    ref : str
        What messages call it.
    names : collection of str
        Its files.
    read : callable
        Reads one that is JSON.
    trust_remote_code : bool
        Whether its code may be run.

    Raises
    ------
    CheckpointError
        It cannot be loaded without code that is not allowed, or its code is not its own.

    """
    if not trust_remote_code:
        _require_known_type(ref, read("config.json"))
        return False
    code = {
        (reference, name)
        for name in _NAMING
        if name in names
        for reference in _references(read(name).get("auto_map"))
    }
    for reference, name in sorted(code):
        repository, elsewhere, _ = reference.partition("--")
        if elsewhere:
            raise CheckpointError(
                f"{ref}: {name} takes code from {repository!r} at no fixed commit; put that code "
                f"into a folder with the checkpoint, and remove {repository + elsewhere!r} from "
                "its auto_map"
            )
    return bool(code) or _GENERATE in names


def _references(auto_map: Any) -> Iterator[str]:
    """Yield the classes that an ``auto_map`` names, such as "modeling.Mine"."""
    if isinstance(auto_map, str):
        yield auto_map
    elif isinstance(auto_map, dict):
        yield from _references(list(auto_map.values()))
    elif isinstance(auto_map, list):  # a tokenizer's slow and fast class
        for entry in auto_map:
            yield from _references(entry)


def _require_known_type(ref: str, config: dict[str, Any]) -> None:
    if not config.get("auto_map"):
        return
    from ..runtime.optional import require_collect_extra

    require_collect_extra()
    from transformers import CONFIG_MAPPING

    # A type that transformers knows runs transformers' own code by default.
    if config.get("model_type") not in CONFIG_MAPPING:
        raise CheckpointError(
            f"{ref}: model type {config.get('model_type')!r} needs code that comes with the "
            "checkpoint; read that code, then pass --trust-remote-code"
        )
