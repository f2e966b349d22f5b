"""A reference stores predictions for models left out of the fits, beside their scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .._files import write_whole
from ..completion.scales import z_to_score
from ..errors import TableError
from ..table.cells import cell_numbers, read_columns
from ._digest import tables_digest
from ._load import load_reference
from ._packaged import reference_folder, reference_names
from ._reference import Reference

if TYPE_CHECKING:
    import pandas as pd

    from ..completion import FittedPredictor

__all__ = [
    "LEFT_OUT",
    "LEVEL",
    "LeftOut",
    "has_copied_files",
    "left_out_of",
    "left_out_of_tests",
    "read_left_out",
    "stale_note",
    "write_left_out",
]

Array = NDArray[np.float64]

LEFT_OUT = "left-out.csv"
_NUMBERS = ("predicted", "lower", "upper", "score")
_DIGITS = 4

LEVEL = 0.9
"""Nominal coverage of the intervals."""


@dataclass(frozen=True)
class LeftOut:
    """Predictions of n models that were left out of the fit, at 90%, and their scores.

    Attributes
    ----------
    target : (n,) array of str
    predicted, lower, upper, score : (n,)
        Fractions of the perfect score.

    """

    target: NDArray[np.str_]
    predicted: Array
    lower: Array
    upper: Array
    score: Array
    names: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(dict.fromkeys(self.target.tolist())))

    def __len__(self) -> int:
        return len(self.score)

    def of(self, target: str) -> LeftOut:
        """Return those of a target."""
        return self.rows(self.target == target)

    def rows(self, use: NDArray[np.bool_]) -> LeftOut:
        """Return some of them."""
        return LeftOut(self.target[use], *(getattr(self, name)[use] for name in _NUMBERS))


def left_out_of(reference: Reference) -> LeftOut | None:
    """Return the predictions of models left out that stand beside a reference; None if none do.

    Those of a copy of a packaged reference whose tables were changed since are not its own: None.
    """
    folder = reference.folder
    if folder is None or not (folder / LEFT_OUT).is_file() or _is_stale(folder, reference):
        return None
    return read_left_out(folder)


def left_out_of_tests(
    tests: pd.DataFrame, laws: FittedPredictor, *, without: Collection[str] = ()
) -> list[LeftOut]:
    """Return the predictions of back-tests with the laws' intervals at 90%, target by target.

    Parameters
    ----------
    tests : DataFrame
        Models left out with their provider, as of ``provider_tests``; those for which no number
        would be given are passed over.
    laws : FittedPredictor
        Whose targets they are, and whose scale the intervals have.
    without : collection of str, default ()
        Targets to pass over, as those that the evaluation refuses.

    """
    parts = []
    for t, name in enumerate(laws.targets):
        own = tests[(tests["target"] == t) & (tests["gate"] == 0)]
        score = own["score"].to_numpy(dtype=float)
        is_fraction = bool(((score >= 0) & (score <= 1)).all())
        if name in without or not len(own) or not is_fraction:
            continue  # a verdict asks about fractions
        linear = name in laws.linear
        point, width = (own[column].to_numpy(dtype=float) for column in ("point", "width"))
        half = laws.scale(LEVEL) * width
        predicted, lower, upper = (
            z_to_score(z, linear).clip(0, 1) for z in (point, point - half, point + half)
        )
        parts.append(LeftOut(np.full(len(own), name), predicted, lower, upper, score))
    return parts


def stale_note(reference: Reference) -> str:
    """Return in a line why a folder's file of models left out is not used; "" where it is."""
    folder = reference.folder
    if folder is None or not (folder / LEFT_OUT).is_file() or not _is_stale(folder, reference):
        return ""
    return (
        f"{folder / LEFT_OUT} is not used: it is of the packaged {reference.name}, from whose "
        "tables those of the folder differ"
    )


def _is_stale(folder: Path, reference: Reference) -> bool:
    """Return whether the file of models left out was copied, but the tables beside it changed."""
    if not has_copied_files(reference):
        return False
    packaged = reference_folder(reference.name) / LEFT_OUT
    return packaged.is_file() and packaged.read_bytes() == (folder / LEFT_OUT).read_bytes()


def has_copied_files(reference: Reference) -> bool:
    """Return whether a folder has the name of a packaged reference, but other tables than it."""
    folder = reference.folder
    if folder is None or reference.name not in reference_names():
        return False
    packaged = reference_folder(reference.name)
    if folder == Path(str(packaged)):
        return False
    original = load_reference(reference.name)
    return tables_digest(folder, reference) != tables_digest(packaged, original)


def read_left_out(folder: Traversable) -> LeftOut | None:
    """Return what stands in ``left-out.csv`` of a reference's folder; None where it has none.

    Raises
    ------
    TableError
        The file is not such a table.

    """
    file = folder / LEFT_OUT
    if not file.is_file():
        return None
    try:
        cells = read_columns(Path(LEFT_OUT), content=file.read_bytes())
        missing = [name for name in ("target", *_NUMBERS) if name not in cells]
        if missing:
            raise TableError(f"no column {missing[0]!r}")
        names = [str(name) for name in cells["target"]]
        numbers = [cell_numbers(cells[name], names, name) for name in _NUMBERS]
        _refuse_impossible(names, dict(zip(_NUMBERS, numbers, strict=True)))
    except (TableError, OSError) as error:
        raise TableError(f"{file}: {error}") from None
    return LeftOut(np.array(names, dtype=str), *numbers)


def _refuse_impossible(targets: Sequence[str], columns: Mapping[str, Array]) -> None:
    """Raise TableError where a number is no fraction, or an interval's ends are exchanged."""
    for name, values in columns.items():
        for i in np.flatnonzero(~((values >= 0) & (values <= 1))):
            raise TableError(
                f"row {i + 1} ({targets[int(i)]}): {name} is {values[i]:g}, not in [0, 1]"
            )
    for i in np.flatnonzero(columns["lower"] > columns["upper"]):
        raise TableError(f"row {i + 1} ({targets[int(i)]}): lower lies above upper")


def write_left_out(rows: Sequence[LeftOut], folder: Path) -> None:
    """Write ``left-out.csv`` into the folder of a reference, rounded to four digits."""
    lines = [",".join(("target", *_NUMBERS))]
    for part in rows:
        numbers = zip(*(getattr(part, name) for name in _NUMBERS), strict=True)
        for target, row in zip(part.target, numbers, strict=True):
            cells = (f"{round(float(value), _DIGITS):.{_DIGITS}f}" for value in row)
            lines.append(",".join((str(target), *cells)))
    write_whole(folder / LEFT_OUT, "\n".join(lines) + "\n")
