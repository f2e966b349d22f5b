"""The definition of an lm-eval task is hashed with the code of the functions it names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..storage.digests import sha256, sha256_file

__all__ = ["definition_hash"]

_LABELS = frozenset({"tag", "task_alias", "group", "group_alias"})


def definition_hash(config: dict[str, Any]) -> str:
    """Return the hash of a task's configuration with the code of the functions it names."""
    decisive = {k: v for k, v in config.items() if k not in _LABELS}
    text = json.dumps(_with_code(decisive), sort_keys=True, default=str)
    return sha256(text)


def _with_code(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _with_code(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_code(v) for v in value]
    # lm-eval's index leaves "!function utils.f" as "<folder>/utils.f".
    if isinstance(value, str) and value.startswith("/") and "\n" not in value:
        module, _, function = value.rpartition(".")
        path = Path(f"{module}.py")
        if module and path.is_file():
            return [path.name, function, sha256_file(path)]
    return value
