"""A result file of lm-eval states conditions of its run that may move its scores."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

from ..storage.identity import HARNESS_SEEDS
from .lm_eval_arguments import SETTINGS, WITHOUT_EFFECT

__all__ = ["argument_conditions", "model_arguments", "seed_conditions"]

_SEEDS = {
    "random_seed": HARNESS_SEEDS.python,
    "numpy_seed": HARNESS_SEEDS.numpy,
    "torch_seed": HARNESS_SEEDS.torch,
    "fewshot_seed": HARNESS_SEEDS.fewshot,
}
# These name the model and where it runs; a panel's protocol leaves the dtype open.
_ORDINARY = WITHOUT_EFFECT | {
    "dtype",
    "max_retries",
    "model",
    "num_concurrent",
    "pretrained",
    "revision",
    "timeout",
    "trust_remote_code",
    "verify_certificate",
}
# False is what lm-eval takes where nothing is said.
_OFF = {"autogptq", "gptqmodel", "load_in_4bit", "load_in_8bit", "truncation"}
_SECRET = re.compile(r"token(?!izer|s$)|key|pass|secret|header|auth|credential|cookie|url", re.I)


def model_arguments(given: str | Mapping[str, JsonValue] | None) -> dict[str, JsonValue]:
    """Return the model arguments of a run, without those that are null or empty."""
    if isinstance(given, str):
        parsed: dict[str, JsonValue] = {}
        last = ""
        for part in given.split(","):
            name, is_argument, value = part.partition("=")
            if is_argument:
                last = name.strip()
                parsed[last] = value.strip()
            elif last:  # a comma inside a value
                parsed[last] = f"{parsed[last]},{part}"
    else:
        parsed = dict(given or {})
    return {name: value for name, value in parsed.items() if value not in (None, "None", "")}


def argument_conditions(arguments: Mapping[str, JsonValue]) -> Iterator[str]:
    """Yield the model arguments that may move a score; of possible secrets, only the name."""
    for name, value in sorted(arguments.items()):
        if name in _ORDINARY or (name in _OFF and str(value).lower() == "false"):
            continue
        text = _plain_name(value) if isinstance(value, str) else json.dumps(value, sort_keys=True)
        secret = name not in SETTINGS and (_SECRET.search(name) or isinstance(value, (dict, list)))
        yield name if secret or "://" in text else f"{name}={text}"


def _plain_name(name: str) -> str:
    """Return a name without the folders before it, which belong to one machine."""
    place = name.startswith(("/", ".", "~"))
    return Path(name).name.strip(".~") and Path(name).name if place else name.strip()


def seed_conditions(stated: Mapping[str, int | None]) -> Iterator[str]:
    """Yield the seeds that differ from lm-eval's defaults, which stand for those not stated."""
    other = {name: seed for name, seed in stated.items() if seed != _SEEDS.get(name, seed)}
    if other and len(stated) == len(_SEEDS) and len(set(stated.values())) == 1:
        yield f"seed {next(iter(stated.values()))}"
        return
    yield from (f"{name} {seed}" for name, seed in other.items())
