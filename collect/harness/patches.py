"""Functions of lm-eval are replaced for the duration of a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

__all__ = ["templates_compiled_once", "without_survey", "wrapped_in_evaluator"]

_MOST_TEMPLATES = 4096


@lru_cache(_MOST_TEMPLATES)
def _compiled(environment: Any, template: str) -> Any:
    return environment.from_string(template)


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


@contextmanager
def templates_compiled_once() -> Iterator[None]:
    """Compile each template of a task once, where lm-eval compiles it anew for every document."""
    import lm_eval.utils

    before, environment = lm_eval.utils.apply_template, lm_eval.utils.env

    def apply_template(template: str, doc: dict[str, Any]) -> str:
        return str(_compiled(environment, template).render(**doc))

    lm_eval.utils.apply_template = apply_template
    try:
        yield
    finally:
        lm_eval.utils.apply_template = before
