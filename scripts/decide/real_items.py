"""Models of which every item is known: HELM Lite's, and those that ``scripts/train_zoo`` trains.

Each benchmark is a target, too, predicted from the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from capspace.fit import ScoreTable, TargetLaw
from capspace.fit.decide._item_pool import ItemPool
from capspace.fit.reference import Benchmark, Reference, Target

from .early_stop import Answers, Outcome, Outcomes, Settings, Tokens, compare, without_family

PER_ITEM = Path(__file__).resolve().parents[2] / "../shared/data/results/per_item"
HELM = {"commonsense": 0.25, "gsm": 0.0, "math": 0.0, "med_qa": 0.2, "mmlu": 0.25}
"""Benchmarks of HELM Lite whose items are known, with the score of guessing."""
SCENARIOS = {
    "NarrativeQA": "narrative-qa", "NaturalQuestions (closed-book)": "natural-questions",
    "LegalBench": "legalbench", "WMT 2014": "wmt-14",
}  # fmt: skip
"""Others of its scenarios, of which only scores are known: targets."""


def item_results(name: str, folder: Path = PER_ITEM) -> pd.DataFrame:
    """Return whether each model answered each item of a benchmark correctly."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as stored:
        n, items = stored["shape"].tolist()
        bits = np.unpackbits(stored["packed"], axis=1)[:n, :items]
        return pd.DataFrame(bits, index=pd.Index(map(str, stored["models"]), name="model"))


def helm(settings: Settings, most: int) -> Outcomes:
    """Stop early on models of HELM Lite, all of whose items are real."""
    items = {name: item_results(name) for name in HELM}
    models = list(items["mmlu"].index)
    family = pd.Series([m.partition("_")[0] for m in models], models)
    return real_items(items, HELM, _helm_scores(models), family, settings, most)


def zoo(folder: Path, settings: Settings, most: int) -> Outcomes:
    """Stop early on the models that ``scripts/train_zoo`` trained.

    The checkpoints of one training run are a family.
    """
    from capspace.collect.run.item_responses import stored_responses
    from capspace.collect.storage.store import Store
    from capspace.tasks.panel import load_panel

    panel = load_panel("procedural")
    facts = pd.read_csv(folder / "facts.csv", index_col="model")
    family = facts["family"] + "-" + facts["parameters"].astype(str)
    items = {}
    with Store(folder / "store", create=False) as store:
        for benchmark in panel.benchmarks:
            answers = stored_responses(store, benchmark, dict(family)).responses
            names = [name.split("@")[0] for name in answers.models]
            items[benchmark.name] = pd.DataFrame(answers.values, names)
    models = [m for m in facts.index if all(m in table.index for table in items.values())]
    items = {name: table.loc[models] for name, table in items.items()}
    chance = {b.name: b.chance or 0.0 for b in panel.benchmarks}
    return real_items(items, chance, pd.DataFrame(index=models), family[models], settings, most)


def real_items(
    items: Mapping[str, pd.DataFrame],
    chance: Mapping[str, float],
    further: pd.DataFrame,
    family: pd.Series,
    settings: Settings,
    most: int,
) -> Outcomes:
    """Stop early on models of which every item is known.

    Parameters
    ----------
    items : mapping of benchmark to (models × items) DataFrame
        Each benchmark is a target, too, predicted from the others.
    chance : mapping of benchmark to float
        The score of guessing.
    further : (models × targets) DataFrame
        Scores on further targets.
    family : (models,) Series
        Left out with each of its models.
    settings : sequence of (until, targets or None)
        When measuring stops.
    most : int
        Models to predict, evenly among all.

    """
    models = list(family.index)
    scores = pd.DataFrame({name: table.mean(axis=1) for name, table in items.items()})
    truths = scores.rename(columns=lambda name: f"{name} by the others").join(further)
    own = {f"{name} by the others": name for name in items}
    reference = Reference(
        table=ScoreTable.from_wide(scores.join(truths), models=family.to_frame("family")),
        benchmarks={
            n: Benchmark(name=n, chance=chance[n], n_items=table.shape[1])
            for n, table in items.items()
        },
        targets={
            name: Target(
                name=name, label=name, description=name, population="all",
                drop=(own[name],) if name in own else (), link="sigmoid-floor",
                chance=chance[own[name]] if name in own else 0.0,
            )
            for name in truths
        },
    )  # fmt: skip
    outcomes = {("all", until): Outcome() for until, _ in settings}
    laws: dict[str, dict[str, TargetLaw]] = {}
    for i, model in enumerate(models[:: -(-len(models) // most)]):
        rng = np.random.default_rng([2, i])
        answers = {}
        for name, table in items.items():
            drawn = rng.permutation(table.loc[model].to_numpy(dtype=float))
            answers[name] = Answers((drawn,), ItemPool((len(drawn),)))
        compare(
            model, answers, dict.fromkeys(items, Tokens(1)), without_family(reference, model),
            truths.loc[model].to_dict(), settings, outcomes,
            laws.setdefault(str(family[model]), {}),
        )  # fmt: skip
    return outcomes


def _helm_scores(models: Sequence[str]) -> pd.DataFrame:
    """Return the published scores of HELM Lite on scenarios of which no single item is known."""
    rows = pd.read_csv(PER_ITEM.parent / "helm_classic_lite_instruct_tidy.csv.gz")
    lite = rows[rows["dataset"] == "helm_lite"]
    wide = lite.pivot_table(index="model", columns="benchmark", values="value")
    wide.index = wide.index.str.replace("/", "_")
    return wide.loc[list(models), list(SCENARIOS)].rename(columns=SCENARIOS)
