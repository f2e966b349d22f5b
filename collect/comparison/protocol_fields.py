"""The protocols of two results are compared field by field; each difference is a likely cause."""

from __future__ import annotations

import json
from typing import Any

from ..storage.protocol import Protocol
from ..storage.result import Result

__all__ = ["different_fields"]

# The field that moves scores most comes first.
_FIELDS = (
    "task", "shots", "chat template", "metric", "filter", "mode", "conditions", "checkpoint",
    "dtype", "seed", "task version", "backend settings", "lm-eval version", "items from", "backend",
)  # fmt: skip


def different_fields(own: Result, other: Result) -> dict[str, tuple[str, str]]:
    """Return what two results state differently, by field; what a side leaves open does not count.

    The likeliest cause of a drift comes first. How many items were measured is left out: only the
    items that both have are compared.
    """
    first, second = _fields(own), _fields(other)
    return {
        name: (first[name], second[name])
        for name in _FIELDS
        if name in first and name in second and first[name] != second[name]
    }


def _fields(result: Result) -> dict[str, str]:
    """Return the fields that a result states; those of imported files state fewer."""
    identity: dict[str, Any] = json.loads(result.identity)
    fields = {} if result.n_shot is None else {"shots": str(result.n_shot)}
    protocol = Protocol.parse(result.protocol)
    if protocol is not None:
        stated = {
            "task": "+".join(protocol.tasks),
            "metric": protocol.metric,
            "filter": protocol.filter,
            "task version": protocol.version,
            "lm-eval version": protocol.harness,
            "backend": protocol.backend,
            "dtype": protocol.dtype,
            "items from": protocol.data,
        }
        fields |= {name: value for name, value in stated.items() if value}
        fields["chat template"] = "on" if protocol.chat_template else "off"
        fields["seed"] = "default" if protocol.seed is None else str(protocol.seed)
        fields["mode"] = ", ".join(protocol.mode.words) or "plain"
        fields["conditions"] = ", ".join(protocol.further) or "none"
    model = identity.get("model")
    if isinstance(model, dict):
        fields["checkpoint"] = str(model.get("checkpoint", ""))
        settings = model.get("backend_settings") or ()
        fields["backend settings"] = ", ".join(f"{k}={v}" for k, v in settings) or "none"
    return fields
