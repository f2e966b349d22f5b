"""The version of lm-eval is part of every measurement's identity."""

from __future__ import annotations

from importlib.metadata import version

__all__ = ["harness_version"]


def harness_version() -> str:
    """Return ``"lm-eval <version>"`` of the installed one, without importing it."""
    return f"lm-eval {version('lm_eval')}"
