"""The identity of answers: what decides how a model answers a given request."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from .identity import Measurement, ModelIdentity, canonical_json

__all__ = ["answering", "answers_identity", "digest", "recorded_identity"]


def answers_identity(measurement: Measurement) -> str:
    """Return the key of what decides a model's answer to a given request.

    The task, its shots and the limit are not in it: they are in the requests themselves. So a
    larger limit, or another task with the same prompts, asks only what is new.
    """
    return digest(answering(measurement.model, measurement.harness, measurement.seeds.torch))


def recorded_identity(canonical: str) -> str:
    """Return ``answers_identity`` of a measurement that is kept as canonical JSON."""
    kept = json.loads(canonical)
    if "model" not in kept:  # imported: no answers of ours lie behind it
        return ""
    return digest(
        {"model": kept["model"], "harness": kept["harness"], "seed": kept["seeds"]["torch"]}
    )


def answering(model: ModelIdentity, harness: str, seed: int) -> dict[str, object]:
    """Return what decides a model's answers."""
    return {"model": asdict(model), "harness": harness, "seed": seed}


def digest(decisive: dict[str, object]) -> str:
    """Return the key of what decides a model's answers."""
    return hashlib.sha256(canonical_json(decisive).encode()).hexdigest()
