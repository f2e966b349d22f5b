"""How often the lift card's intervals hold, with all scores, with missing ones, with few items."""

from __future__ import annotations

from argparse import Namespace

import numpy as np
import pandas as pd

from capspace.fit import INTERVENTIONS, lift_card, load_reference

REFERENCE = "study-2024"
ITEMS = 50


def print_table(arguments: Namespace) -> None:
    """Print a row per intervention and state of the scores; families are left out whole."""
    reference = load_reference(REFERENCE)
    scores = reference.scores()
    table = reference.table
    families = table.models["family"]
    wanted = sorted({name for each in INTERVENTIONS for name in (each.base, each.treated)})
    truth = table.wide(wanted)
    made: dict[tuple[str, str], list[tuple[float, float, bool, bool, bool]]] = {}
    for family in sorted(families.unique()):
        models = [m for m in truth.index[truth.notna().any(axis=1)] if families[m] == family]
        if not models:
            continue
        for state, own, stderr in _states(scores.loc[models]):
            lifts = lift_card(
                own, reference, exclude=list(families.index[families == family]), stderr=stderr
            )
            for lift in lifts:
                each = lift.intervention
                gain = truth.loc[lift.model, each.treated] - truth.loc[lift.model, each.base]
                if np.isfinite(gain):
                    made.setdefault((each.name, state), []).append(
                        (
                            abs(lift.mean - gain),
                            lift.upper - lift.lower,
                            lift.lower <= gain <= lift.upper,
                            lift.advised,
                            lift.advised and gain > 0,
                        )
                    )
    print("Lift card: gains of models whose family is left out, intervals at 90%")
    print(
        f"{'intervention':30} {'scores':22} {'gains':>5} {'inside':>7} {'width':>6} {'error':>6} "
        f"{'advised':>8} {'gained':>7}"
    )
    for (name, state), rows in sorted(made.items()):
        values = np.array(rows, dtype=float)
        error, width, inside = values.mean(axis=0)[:3]
        advised, gained = values.sum(axis=0)[3:]
        print(
            f"{name:30} {state:22} {len(rows):5} {inside:7.1%} {width:6.3f} {error:6.3f} "
            f"{advised:8.0f} {gained:7.0f}"
        )


def _states(scores: pd.DataFrame) -> list[tuple[str, pd.DataFrame, pd.DataFrame | None]]:
    """Return the scores as they are, with half of each model's missing, and by few items."""
    half, few = scores.copy(), scores.copy()
    for model in scores.index:
        rng = np.random.default_rng([*str(model).encode()])
        known = scores.columns[scores.loc[model].notna()]
        half.loc[model, rng.permutation(known)[: len(known) // 2]] = np.nan
        few.loc[model, known] = rng.binomial(ITEMS, scores.loc[model, known]) / ITEMS
    guarded = (few * ITEMS + 1) / (ITEMS + 2)  # a score of 0 or 1 is no exact one
    stderr = (guarded * (1 - guarded) / ITEMS) ** 0.5
    return [
        ("all", scores, None),
        ("half of them missing", half, None),
        (f"{ITEMS} items of each", few, stderr),
    ]
