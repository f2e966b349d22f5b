"""Several references predict the same models, each for its own targets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ..errors import FitError, UnknownNameError
from ..reference import Reference

__all__ = ["check_different", "targets_of_each"]


def check_different(names: Sequence[str]) -> None:
    """Raise FitError for a reference that is named twice."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise FitError(f"the reference {twice[0]} is given twice; give each reference once")


def targets_of_each(
    references: Sequence[Reference], targets: Iterable[str] | None
) -> Sequence[Collection[str] | None]:
    """Return the targets that are wanted of each reference; None stands for all of its own.

    A single reference is wanted to predict all of them, several only what they have.

    Raises
    ------
    UnknownNameError
        None of several references has a target, or one of them has none of the targets.

    """
    if targets is None or len(references) == 1:
        return [None if targets is None else list(targets)] * len(references)
    every, wanted = list(targets), []
    for reference in references:
        known = {n.lower() for t in reference.targets.values() for n in (t.name, t.label)}
        wanted.append([target for target in every if str(target).lower() in known])
    for target in every:
        if not any(target in own for own in wanted):
            references[0].target(target)  # raises, with what is near it
    for reference, own in zip(references, wanted, strict=True):
        if not own:
            raise UnknownNameError(
                f"the reference {reference.name} has none of the targets {', '.join(every)}; leave "
                "it out"
            )
    return wanted
