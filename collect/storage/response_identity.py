"""The identity of responses holds everything that decides how a model responds to a request."""

from __future__ import annotations

import json
from dataclasses import asdict

from .digests import digest
from .identity import ModelIdentity

__all__ = ["identity_of_responses", "recorded_identity"]


def recorded_identity(canonical: str) -> str:
    """Return the key of the responses behind a measurement that is stored as canonical JSON.

    Returns
    -------
    str
        As ``digest`` of ``identity_of_responses``; "" for an imported score, which
        has no responses of ours.

    """
    stored = json.loads(canonical)
    if "model" not in stored:
        return ""
    return digest(
        {"model": stored["model"], "harness": stored["harness"], "seed": stored["seeds"]["torch"]}
    )


def identity_of_responses(model: ModelIdentity, harness: str, seed: int) -> dict[str, object]:
    """Return what decides a model's response to a given request.

    The task, its shots and the limit are not in it: they are in the requests themselves. So a
    larger limit, or another task with the same prompts, asks only what is new.
    """
    return {"model": asdict(model), "harness": harness, "seed": seed}
