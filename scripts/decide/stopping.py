"""How much wider intervals get where measuring stops early.

``reference``: models of study-2024 whose published scores are taken for those of all items; items
are drawn from them at random. ``arc``: the same, with the items of ARC-C as the models really
answered them. ``helm``: models whose items on five benchmarks are all real, each also predicted
from the other four, and four targets more. ``zoo``: the same of the zoo that ``scripts/train_zoo``
trains (``--zoo``), where the checkpoints of one run are a family.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import process_time

import pandas as pd

from .early_stop import Settings
from .real_items import helm, item_results, zoo
from .study_items import AGENTIC, TOKENS, study, study_models

PARTS = ("reference", "arc", "helm", "zoo")


def tables(
    parts: Sequence[str], most: int, trained: Path | None, backend: str
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield titles and tables."""
    settings: Settings = [("10%", None), ("5%", None), ("3%", AGENTIC)]
    for part in parts:
        began = process_time()
        if part == "helm":
            made = helm(settings[:2], most)
        elif part == "zoo":
            if trained is None:
                print("zoo: --zoo names the folder of scripts/train_zoo, measured", file=sys.stderr)
                continue
            made = zoo(trained, settings[:2], most)
        else:
            arc = part == "arc"
            models = study_models(most, item_results("arc_challenge").index if arc else None)
            made = study(models, settings, TOKENS[backend], real_arc=arc)
        for (group, until), outcome in made.items():
            title = f"{part}, {group} targets, until {until}"
            yield f"{title} ({process_time() - began:.0f} CPU s so far)", outcome.table()


def print_table(arguments: Namespace) -> None:
    """Print the tables; ``--models`` bounds the models of each."""
    parts, backend = arguments.part or PARTS, arguments.backend
    for title, table in tables(parts, arguments.models, arguments.zoo, backend):
        print(f"\n{title}\n{table.round(1).to_string()}", flush=True)
