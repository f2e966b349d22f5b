"""A measured zoo becomes a score table, and a reference that others can predict from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import yaml

from capspace.fit._files import making_folder, write_together
from capspace.fit.table import ScoreTable
from capspace.fit.table.schema import FACT_COLUMNS

from ..errors import ZooError
from ..storage.score_table import to_table
from ..storage.store import Store
from .work.folder import ZooFolder

__all__ = ["export_reference", "zoo_table"]


def zoo_table(folder: ZooFolder, store: Store) -> tuple[ScoreTable, dict[str, float]]:
    """Return what is measured of a zoo with the facts of its models, and each chance level.

    Raises
    ------
    ZooError
        The zoo was never run, or nothing of it is measured yet.

    """
    shared = folder.read_work()
    results = []
    for model, cells in shared.wanted.items():
        for key in cells.values():
            if (result := store.get(key)) is not None:
                # The same bytes may have been measured before under another name.
                results.append(replace(result, model=model))
    if not results:
        raise ZooError("nothing of this zoo is measured yet: `capspace zoo run` first")
    measured = to_table(results)
    facts = pd.DataFrame.from_dict(
        {m: {c: f.get(c) for c in FACT_COLUMNS} for m, f in shared.facts.items()}, orient="index"
    ).rename_axis("model")
    if "mode" in measured.models:
        facts["mode"] = measured.models["mode"]
    chance = {
        b.name: 0.0 if b.chance is None else b.chance
        for panel in shared.panels.values()
        for b in panel.benchmarks
    }
    return ScoreTable(measured.scores, facts), chance


def export_reference(table: ScoreTable, chance: dict[str, float], out: Path) -> None:
    """Write a folder that ``capspace predict --reference`` takes.

    Every benchmark is also a target, predicted from the others.

    Raises
    ------
    ZooError
        The folder cannot be written.

    """
    targets = [
        {
            "name": name.lower().replace(" ", "-"),
            "label": name,
            "description": f"{name}, predicted from the zoo's other benchmarks.",
            "population": "base",
            "drop": [name],
            "link": "sigmoid-floor",
            "chance": chance[name],
        }
        for name in table.benchmarks
    ]
    as_targets = table.scores.assign(
        benchmark=table.scores["benchmark"].map(lambda name: name.lower().replace(" ", "-"))
    )
    described = [{"name": name, "chance": chance[name]} for name in table.benchmarks]
    try:
        with making_folder(out):
            write_together(
                {
                    out / "scores.csv": pd.concat([table.scores, as_targets]).to_csv(index=False),
                    out / "models.csv": table.models.to_csv(),
                    out / "benchmarks.yaml": yaml.safe_dump(described, sort_keys=False),
                    out / "targets.yaml": yaml.safe_dump(targets, sort_keys=False),
                }
            )
    except OSError as error:
        raise ZooError(f"cannot write {out}: {error.strerror}") from None
