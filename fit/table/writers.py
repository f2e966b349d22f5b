"""Write score tables so that they read back as they were."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from .._files import replacing
from ..errors import TableError, check_choice
from ._table import ScoreTable
from .readers import other_meaning
from .schema import FACT_COLUMNS, SCORE_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["write_table"]

Layout = Literal["long", "wide"]

_HEADERS = {
    "family": ("Model Family", 1.0),
    "parameters": ("Model Size (B)", 1e9),
    "training_tokens": ("Pretraining Data Size (T)", 1e12),
    "training_flops": ("FLOPs (1E21)", 1e21),
    "release_date": ("Release Date", 1.0),
    "tuning": ("Tuning", 1.0),
}


def write_table(table: ScoreTable, path: str | Path, *, layout: Layout = "long") -> None:
    """Write a table as CSV, or as Parquet where the name ends in ``.parquet`` or ``.pq``.

    Parameters
    ----------
    table : ScoreTable
        What to write.
    path : path
        Where to; an existing file is replaced.
    layout : {"long", "wide"}, default "long"
        "long" keeps everything: a row per score, the model's facts beside it. "wide" is the layout
        of published studies, a row per model and a column per benchmark, without standard errors,
        shots and sources.

    Raises
    ------
    TableError
        Two scores would share a cell of a wide table, or the label of one would be read as a fact;
        a model without any score cannot be kept in a long one; or pyarrow is missing; or the
        file cannot be written, and an earlier one stays as it was.

    See Also
    --------
    read_table : Reads it back.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import ScoreTable, read_table, write_table
    >>> table = ScoreTable.from_wide(pd.DataFrame({"MMLU": [0.62]}, index=["mine"]))
    >>> write_table(table, "scores.csv")
    >>> read_table("scores.csv").scores.equals(table.scores)
    True

    """
    check_choice(layout, get_args(Layout), "layout")
    path = Path(path)
    frame = _wide(table) if layout == "wide" else _long(table)
    try:
        with replacing(path) as partial:
            if path.suffix.lower() in (".parquet", ".pq"):
                frame.to_parquet(partial, index=False)
            else:
                frame.to_csv(partial, index=False, lineterminator="\n")
    except ImportError:
        raise TableError("writing Parquet needs pip install 'capspace[parquet]'") from None
    except OSError as error:
        raise TableError(f"{path}: cannot be written ({error.strerror or error})") from None


def _long(table: ScoreTable) -> pd.DataFrame:
    scored = set(table.scores["model"])
    silent = [str(model) for model in table.models.index if model not in scored]
    if silent:
        raise TableError(
            f"{silent[0]} has no score and would be lost in a long table; select the others first"
        )
    return table.scores[list(SCORE_COLUMNS)].join(table.models[list(FACT_COLUMNS)], on="model")


def _wide(table: ScoreTable) -> pd.DataFrame:
    import pandas as pd

    facts = pd.DataFrame(
        {
            header: table.models[column] / unit if unit != 1.0 else table.models[column]
            for column, (header, unit) in _HEADERS.items()
        }
    )
    meanings = {label: other_meaning(label, table.benchmarks) for label in table.benchmarks}
    for label, meaning in meanings.items():
        if meaning:
            raise TableError(
                f"{label!r} as a column of a wide table is read as {meaning}; write the long layout"
            )
    return facts.join(table.wide()).rename_axis("Model").reset_index()
