"""A command that reads a table of scores also accepts the folder of a store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from capspace.fit.errors import TableError

from . import options as o

__all__ = ["readable_table"]


@contextmanager
def readable_table(file: Path, *, model: str | None = None) -> Iterator[Path]:
    """Yield the path of a table: the file itself, or a copy of a store's scores.

    Of several scores of a benchmark, see ``single_scores``; a note names these.

    Parameters
    ----------
    file : Path
        A table, or the folder of a store, of which the benchmarks that a packaged panel or
        reference knows are read.
    model : str, optional
        Of a store, only this one's, in all revisions and modes.

    Raises
    ------
    TableError
        The folder is no store, or the store has no score of a known benchmark.

    """
    if not file.is_dir():
        yield file
        return
    if not (file / "store.sqlite").is_file():
        raise TableError(f"{file}: a folder without a store; give a table, or a store's folder")
    from capspace.fit.reference.choice import packaged_columns

    from ..storage.score_table import named_rows, single_scores, to_table
    from .tables import panel_benchmarks, print_notes

    known = {*packaged_columns(), *(benchmark.name for benchmark in panel_benchmarks())}
    with o.open_store(file, must_write=False) as store:
        results = store.results()
    if model is not None:  # as the store names it, or as its table does
        meant = {row.model for name, row in named_rows(results) if model in (name, row.model)}
        results = [row for row in results if row.model in meant]
    usable = [row for row in results if row.benchmark in known]
    if not usable:
        of = "" if model is None else f" of {model!r}"
        raise TableError(
            f"{file}: the store has no score{of} to predict from; capspace collect measures some"
        )
    single, notes = single_scores(usable)
    print_notes(notes)
    chosen = to_table(single, states_sizes=True)
    facts = chosen.models[["mode", "parameters"]].reindex(chosen.scores["model"])
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "store.csv")
        columns = {str(name): facts[name].to_numpy() for name in facts}
        chosen.scores.assign(**columns).to_csv(copy, index=False)
        yield copy
