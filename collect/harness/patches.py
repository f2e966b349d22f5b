"""Functions of lm-eval's evaluator are replaced for the length of a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["without_survey", "wrapped_in_evaluator"]


@contextmanager
def wrapped_in_evaluator(**wrappers: Callable[[Any], Any]) -> Iterator[None]:
    """Put what a wrapper makes of one of the evaluator's functions in its place, by name."""
    import lm_eval.evaluator

    before = {name: getattr(lm_eval.evaluator, name) for name in wrappers}
    for name, wrap in wrappers.items():
        setattr(lm_eval.evaluator, name, wrap(before[name]))
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(lm_eval.evaluator, name, function)


@contextmanager
def without_survey() -> Iterator[None]:
    """Skip lm-eval's survey of machine and git checkout: seconds per call, and kept nowhere."""
    with wrapped_in_evaluator(
        add_env_info=lambda survey: lambda results: None,
        get_git_commit_hash=lambda survey: lambda: None,
    ):
        yield
