"""The packaged references by name: what their entries state, without their tables."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from ._entries import About, Benchmark, Target
from ._read_entries import read_about, read_benchmarks, read_targets

__all__ = [
    "owners_of_target",
    "packaged_about",
    "packaged_benchmarks",
    "packaged_targets",
    "reference_folder",
    "reference_names",
]


@cache
def reference_names() -> tuple[str, ...]:
    """Return the names of the packaged references, the one with the newest models first.

    See Also
    --------
    load_reference : Loads one by its name.
    choose_reference : Chooses one by the benchmarks that a user has.

    Examples
    --------
    >>> from capspace.fit import reference_names
    >>> "study-2024" in reference_names()
    True

    """
    folders = [f for f in files("capspace.fit.reference").iterdir() if _is_reference(f)]
    return tuple(
        sorted((f.name for f in folders), key=lambda name: packaged_about(name).date, reverse=True)
    )


def reference_folder(name: str) -> Traversable:
    """Return the folder of a packaged reference, which also holds its fitted laws."""
    return files("capspace.fit.reference") / name


@cache
def packaged_about(name: str) -> About:
    """Return what a packaged reference says about itself, without loading its tables."""
    return read_about(reference_folder(name) / "reference.yaml")


@cache
def packaged_benchmarks(name: str) -> dict[str, Benchmark]:
    """Return the benchmarks of a packaged reference, without loading its tables."""
    return read_benchmarks(reference_folder(name) / "benchmarks.yaml")


@cache
def packaged_targets(name: str) -> dict[str, Target]:
    """Return the targets of a packaged reference, without loading its tables."""
    return read_targets(reference_folder(name) / "targets.yaml")


def owners_of_target(name: str) -> list[str]:
    """Return the packaged references that have a target of this name, label or benchmark."""
    wanted = str(name).strip().lower()
    return [
        reference
        for reference in reference_names()
        if any(
            wanted in (t.name.lower(), t.label.lower(), t.name.lower().partition("/")[0])
            for t in packaged_targets(reference).values()
        )
    ]


def _is_reference(folder: Traversable) -> bool:
    return folder.is_dir() and (folder / "reference.yaml").is_file()
