"""Requests left to lm-eval's own path are reported to the user and recorded with the result.

Their scores are the same, but take longer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, TypedDict

from packaging.version import Version

__all__ = [
    "CHECKED_WITH",
    "EngineRecord",
    "engine_lines",
    "engine_record",
    "known_reasons",
    "newer_than_checked",
    "unserved_requests",
]

CHECKED_WITH = {"lm_eval": "0.4.13", "torch": "2.13.0", "transformers": "5.24.0"}
"""The newest releases that the engine was checked with, those of ``scripts/constraints.txt``."""

# Medians measured on a CPU, rounded: scripts/BENCHMARKS.md, "Scoring engine".
SLOWER_SCORES = 5
SLOWER_TEXTS = 2


class EngineRecord(TypedDict):
    """What a result keeps of the engine; no part of the measurement's identity.

    Attributes
    ----------
    served : bool
        Whether no request of the result took lm-eval's own path.
    unsupported_reason : str or None
        Why some did.
    slower_reason : str or None
        Why the fastest attention for the device was not used.
    newer : str or None
        Where either is so, the libraries that are newer than those the engine was checked with.

    """

    served: bool
    unsupported_reason: str | None
    slower_reason: str | None
    newer: str | None


def known_reasons(lm: Any) -> list[str]:
    """Return why requests take lm-eval's own path, as far as a loaded model shows it at once.

    Parameters
    ----------
    lm : object
        An lm-eval model; one that is no `CapspaceLM` has no reasons.

    """
    names = ("unsupported_reason", "unsupported_generation")
    return [reason for name in names if (reason := getattr(lm, name, None)) is not None]


def unserved_requests(lm: Any) -> Counter[str]:
    """Return how many requests of a model took lm-eval's own path so far, by reason."""
    return Counter(getattr(lm, "unserved", {}))


def engine_lines(lm: Any) -> list[str]:
    """Return a line for each part of the engine that does not serve a model; usually none."""
    lines = []
    if (reason := getattr(lm, "unsupported_reason", None)) is not None:
        lines.append(
            f"the engine does not serve this model ({reason}): lm-eval's own path is used, "
            f"about {SLOWER_SCORES} times slower on multiple choice and about {SLOWER_TEXTS} times "
            "on generated texts"
        )
    if (reason := getattr(lm, "unsupported_generation", None)) is not None:
        lines.append(
            f"the engine does not generate this model's texts ({reason}): lm-eval's own path is "
            f"used for them, about {SLOWER_TEXTS} times slower"
        )
    if (reason := getattr(lm, "slower_reason", None)) is not None:
        lines.append(
            "the engine uses its masked attention, which is slower: the fastest one does not suit "
            f"this model ({reason})"
        )
    if (reason := getattr(lm, "unrecorded_reason", None)) is not None:
        lines.append(
            "the engine computes each step of this model's texts as it is, which is slower: it "
            f"cannot be replayed as a CUDA graph ({reason})"
        )
    newer = newer_than_checked() if lines else ""
    return [f"{line}; {newer}" if newer else line for line in lines]


def engine_record(lm: Any, unserved: Mapping[str, int]) -> EngineRecord | None:
    """Return what a result keeps of the engine; None where another backend was used.

    Parameters
    ----------
    lm : object
        The lm-eval model that responded.
    unserved : mapping
        How many of the result's requests took lm-eval's own path, by reason.

    """
    if not hasattr(lm, "unserved"):
        return None
    whole = lm.unsupported_reason
    reasons = [*unserved] if whole is None else [whole]
    is_slower = bool(reasons) or lm.slower_reason is not None
    return EngineRecord(
        served=not reasons,
        unsupported_reason="; ".join(reasons) or None,
        slower_reason=lm.slower_reason,
        newer=(newer_than_checked() or None) if is_slower else None,
    )


def newer_than_checked() -> str:
    """Return which libraries are newer than those that capspace was checked with, as a clause."""
    newer = [
        f"{name.replace('_', '-')} {installed} is newer than {checked}"
        for name, checked in CHECKED_WITH.items()
        if Version(installed := Version(version(name)).public) > Version(checked)
    ]
    return f"{', '.join(newer)}, with which capspace was checked" if newer else ""
