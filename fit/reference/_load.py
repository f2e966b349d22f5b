"""Load a reference: a packaged one by its name, a folder of the same shape, or one table."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import BaseModel

from ..errors import TableError, near_matches
from ..table.readers import read_table
from ._packaged import (
    packaged_about,
    packaged_benchmarks,
    packaged_targets,
    reference_folder,
    reference_names,
)
from ._read import read_reference, with_tuning
from ._read_entries import read_benchmarks, read_targets
from ._reference import Reference

__all__ = ["DEFAULT_REFERENCE", "load_reference", "packaged_entries"]

DEFAULT_REFERENCE = "study-2024"
"""The reference of models whose columns fit no newer one better."""


def load_reference(name_or_path: str | Path | None = None) -> Reference:
    """Load a packaged reference, or one's own.

    Parameters
    ----------
    name_or_path : str or path, optional
        The name of a packaged reference (``reference_names``), "study-2024" by default; or a
        folder with ``scores.csv`` (long) and ``models.csv``, either of them also as ``.csv.gz``,
        ``reference.yaml``, which states date and licence, and ``targets.yaml`` and
        ``benchmarks.yaml`` where they differ from those of "study-2024"; or one table whose
        columns are benchmarks and names of targets. Models whose tuning is not given count as
        base. A folder of the name of a packaged reference is given as ``./name``.

    Raises
    ------
    TableError
        There is no such reference, or a file is missing or malformed; the message names file and
        field.

    See Also
    --------
    choose_reference : Says which packaged reference fits the scores at hand.
    TargetLaw : Fits a target of a reference.
    read_table : Reads the scores of one's own models.

    Examples
    --------
    >>> from capspace.fit import load_reference
    >>> reference = load_reference()
    >>> reference.target("BBH").name
    'bbh'
    >>> list(reference.benchmarks)[:3]
    ['MMLU', 'ARC-C', 'HellaSwag']

    """
    if name_or_path is None or str(name_or_path) in reference_names():
        return deepcopy(_packaged(str(name_or_path or DEFAULT_REFERENCE)))  # the caller's own
    own = Path(name_or_path)
    default = reference_folder(DEFAULT_REFERENCE)
    if own.is_dir():
        return read_reference(own, default)
    if not own.exists() and not own.suffix:
        raise TableError(
            f"{own}: no such file, and no reference{near_matches(str(own), reference_names())}; "
            f"packaged are {', '.join(reference_names())}"
        )
    benchmarks = read_benchmarks(default / "benchmarks.yaml")
    targets = read_targets(default / "targets.yaml")
    table = read_table(own, benchmarks=[*benchmarks, *targets])
    present = {name: t for name, t in targets.items() if name in table.benchmarks}
    if not present:
        raise TableError(f"{own}: no target among its columns; known are {', '.join(targets)}")
    used = {name: b for name, b in benchmarks.items() if name in table.benchmarks}
    if not used:
        raise TableError(
            f"{own}: no benchmark among its columns; known are {', '.join(benchmarks)}"
        )
    return Reference(with_tuning(table), used, present)


def packaged_entries() -> dict[Traversable, Sequence[BaseModel]]:
    """Return what stands in each file of entries of each packaged reference."""
    every: dict[Traversable, Sequence[BaseModel]] = {}
    for name in sorted(reference_names()):
        folder = reference_folder(name)
        every[folder / "reference.yaml"] = [packaged_about(name)]
        every[folder / "benchmarks.yaml"] = [*packaged_benchmarks(name).values()]
        every[folder / "targets.yaml"] = [*packaged_targets(name).values()]
        every[folder / "evaluation.csv"] = [*_packaged(name).evaluations.values()]
    return every


@cache
def _packaged(name: str) -> Reference:
    return read_reference(reference_folder(name), reference_folder(DEFAULT_REFERENCE))
