"""One column says whether a score can be set beside published ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TableError

__all__ = ["read_marks"]

_READ_AS = {
    **dict.fromkeys(("yes", "true", "1", "1.0"), "yes"),
    **dict.fromkeys(("no", "false", "0", "0.0"), "no"),
}


def read_marks(scores: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return the column ``comparable`` of rows of scores as "yes", "no" or "".

    Raises
    ------
    TableError
        It holds something else.

    """
    marks = np.empty(len(scores["comparable"]), dtype=object)
    for i, (given, source) in enumerate(zip(scores["comparable"], scores["source"], strict=True)):
        mark = given.strip().lower()
        if mark and mark not in _READ_AS:
            raise TableError(
                f"{scores['model'][i]}: comparable of {scores['benchmark'][i]} is {given!r}; it is "
                "yes, no or empty"
            )
        # Tables that capspace 0.1 wrote have the mark in their source only.
        is_unmarked = not mark and "not comparable" in source.lower()
        marks[i] = "no" if is_unmarked else _READ_AS.get(mark, "")
    return marks
