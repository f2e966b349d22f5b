"""How much wider intervals get where measuring stops early.

``reference``: models of study-2024 whose published scores are taken for those of all items; items
are drawn from them at random. ``arc``: the same, with the items of ARC-C as the models really
answered them. ``helm``: models whose items on five benchmarks are all real, each also predicted
from the other four, and four targets more. ``zoo``: the same of the zoo that ``scripts/train_zoo``
trains (``--zoo``), where the checkpoints of one run are a family. The models predicted are left out
of every law with their families. Nothing here is chosen: the first round and its 50 items per
benchmark are those of ``capspace place --until``.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capspace.fit import ScoreTable, TargetLaw, load_reference
from capspace.fit.decide._item_pool import ItemPool, item_variance
from capspace.fit.decide._noise_effect import PredictedWidths
from capspace.fit.decide._stopping import FIRST_ITEMS, MeasuredItems, plan_items
from capspace.fit.decide._tolerance import Tolerance
from capspace.fit.errors import FitError
from capspace.fit.reference import Benchmark, Reference, Target

ROOT = Path(__file__).resolve().parents[2]
PER_ITEM = ROOT / "../shared/data/results/per_item"
PARTS = ("reference", "arc", "helm", "zoo")
HELM = {"commonsense": 0.25, "gsm": 0.0, "math": 0.0, "med_qa": 0.2, "mmlu": 0.25}
"""Benchmarks of HELM Lite whose items are known, with the score of guessing."""
SCENARIOS = {
    "NarrativeQA": "narrative-qa", "NaturalQuestions (closed-book)": "natural-questions",
    "LegalBench": "legalbench", "WMT 2014": "wmt-14",
}  # fmt: skip
"""Others of its scenarios, of which only scores are known: targets."""
AGENTIC = ("agentbench", "agentboard")

Floats = NDArray[np.float64]
Settings = Sequence[tuple[str, Sequence[str] | None]]
"""What ``--until`` is, and the targets that it is for; None stands for all."""

# Items of each test set, by task; and tokens of an item, a quarter of the characters of its prompts
# as lm-eval makes them by classic-8, each prompt once, and of its options. Of generated texts 150
# tokens (GSM8K) and 200 (HumanEval) are assumed.
MMLU = (
    100, 135, 152, 100, 265, 144, 100, 100, 100, 173, 102, 100, 235, 114, 145, 378, 126, 100, 310,
    203, 100, 165, 198, 193, 390, 270, 238, 151, 545, 216, 204, 237, 223, 131, 121, 108, 163, 112,
    103, 234, 100, 783, 346, 895, 306, 311, 324, 282, 1534, 272, 612, 110, 245, 201, 100, 166, 171,
)  # fmt: skip
POOLS = {
    "MMLU": MMLU,
    "ARC-C": (1172,),
    "HellaSwag": (10042,),
    "Winogrande": (1267,),
    "TruthfulQA": (817,),
    "GSM8K": (1319,),
    "XWinograd": (2325, 83, 959, 263, 315, 504),
    "HumanEval": (164,),
}
TOKENS = {
    "MMLU": 637, "ARC-C": 1184, "HellaSwag": 998, "Winogrande": 311, "TruthfulQA": 254,
    "GSM8K": 901, "XWinograd": 33, "HumanEval": 290,
}  # fmt: skip


@dataclass(frozen=True)
class Answers:
    """A model's results on all items of a benchmark, by task, in the order of their draw."""

    tasks: tuple[Floats, ...]
    pool: ItemPool

    @classmethod
    def of_score(cls, score: float, pool: ItemPool, rng: np.random.Generator) -> Answers:
        """Return as many right answers per task as a score says, at random places."""
        whole = [np.arange(size) < round(score * size) for size in pool.sizes]
        return cls(tuple(rng.permutation(task.astype(float)) for task in whole), pool)

    def first(self, n: int) -> Floats:
        """Return the results of the first n items."""
        return np.array([self.tasks[task][number] for task, number in self.pool.turns(n)])

    def score(self, n: int) -> float:
        """Return the score by the first n items."""
        counts = self.pool.counts(n)
        return float(np.mean([t[:k].mean() for t, k in zip(self.tasks, counts, strict=True)]))


@dataclass
class Outcome:
    """What stopping did to the predictions of some models, a row per model and target."""

    rows: list[dict[str, object]] = field(default_factory=list)

    def add(self, **row: object) -> None:
        """Add a row."""
        self.rows.append(row)

    def widening(self) -> pd.Series:
        """Return by what share each interval is wider than by all items."""
        frame = pd.DataFrame(self.rows)
        return frame["width"] / frame["full_width"] - 1

    def table(self) -> pd.DataFrame:
        """Return a row per target, and one for all."""
        frame = pd.DataFrame(self.rows)
        parts = [(str(t), g) for t, g in frame.groupby("target", sort=False)]
        return pd.DataFrame(
            [_summary(name, group) for name, group in [*parts, ("all", frame)]]
        ).set_index("target")


def _summary(name: str, rows: pd.DataFrame) -> dict[str, object]:
    wider = rows["width"] / rows["full_width"] - 1
    known = rows[rows["truth"].notna()]
    return {
        "target": name,
        "models": rows["model"].nunique(),
        "tokens %": 100 * rows["tokens"].median(),
        "most %": 100 * rows["tokens"].max(),
        "wider %, median": 100 * wider.median(),
        "p90": 100 * wider.quantile(0.9),
        "with truth": len(known),
        "covered, stopped": int(known["covered"].sum()),
        "covered, all items": int(known["full_covered"].sum()),
        "moved, points": 100 * (rows["mean"] - rows["full_mean"]).abs().median(),
    }


def stopped(
    model: str,
    answers: Mapping[str, Answers],
    tokens: Mapping[str, float],
    laws: PredictedWidths,
    tolerance: Tolerance,
) -> tuple[dict[str, int], float]:
    """Return how many items are measured where measuring stops early, and their share of tokens."""
    n = {b: min(max(FIRST_ITEMS, a.pool.n_tasks), a.pool.n_items) for b, a in answers.items()}
    while True:
        scores = pd.DataFrame({b: answers[b].score(k) for b, k in n.items()}, index=[model])
        effect = laws.effect(ScoreTable.from_wide(scores))
        measured = [
            MeasuredItems(b, a.pool, n[b], item_variance(a.first(n[b])), tokens[b])
            for b, a in answers.items()
        ]
        plan = plan_items(effect, measured, tolerance)
        if plan.is_done:
            return n, plan.token_share
        n = dict(plan.n_items)


def compare(
    model: str,
    answers: Mapping[str, Answers],
    tokens: Mapping[str, float],
    reference: Reference,
    truths: Mapping[str, float],
    settings: Settings,
    outcomes: Mapping[tuple[str, str], Outcome],
    fitted: dict[str, TargetLaw] | None = None,
) -> None:
    """Predict a model from all items and from those at which measuring stops.

    ``fitted`` has the laws that were fitted before without the same family, and gets those of now.
    """
    fitted = {} if fitted is None else fitted
    full = {b: a.score(a.pool.n_items) for b, a in answers.items()}
    for until, targets in settings:
        laws = PredictedWidths(reference, targets=targets)
        laws._laws = {(t, frozenset()): law for t, law in fitted.items()}
        try:
            n, share = stopped(model, answers, tokens, laws, Tolerance.read(until))
        except FitError as error:
            print(f"  {model}: {error}", file=sys.stderr)
            continue
        fitted |= {t: law for (t, _), law in laws._laws.items()}
        sure = {
            b: item_variance(a.first(a.pool.n_items)) * a.pool.variance_factor(a.pool.n_items)
            for b, a in answers.items()
        }
        open_ = {
            b: item_variance(a.first(n[b])) * a.pool.variance_factor(n[b])
            for b, a in answers.items()
        }
        scores = pd.DataFrame([full, {b: a.score(n[b]) for b, a in answers.items()}], ["f", "s"])
        errors = np.sqrt(pd.DataFrame([sure, open_], ["f", "s"]))
        group = "agentic" if targets else "all"
        for name in targets or reference.targets:
            if name not in fitted:
                continue
            try:
                whole, part = fitted[name].predict(scores, stderr=errors, keep=True)
            except FitError:
                continue
            truth = truths.get(name, np.nan)
            outcomes[group, until].add(
                model=model, target=name, tokens=share,
                width=part.upper - part.lower, full_width=whole.upper - whole.lower,
                mean=part.mean, full_mean=whole.mean, truth=truth,
                covered=part.lower <= truth <= part.upper,
                full_covered=whole.lower <= truth <= whole.upper,
            )  # fmt: skip


def without_family(reference: Reference, model: str) -> Reference:
    """Return the reference without a model and its family."""
    facts = reference.table.models
    family = facts["family"].reindex([model]).iloc[0] or model
    others = facts.index[(facts["family"].where(facts["family"] != "", facts.index) != family)]
    return replace(reference, table=reference.table.select(models=list(others)), evaluations={})


def study(
    models: Sequence[str], settings: Settings, *, real_arc: bool
) -> dict[tuple[str, str], Outcome]:
    """Stop early on models of the study; see the module."""
    reference = load_reference("study-2024")
    outcomes = {("agentic" if t else "all", until): Outcome() for until, t in settings}
    scores = reference.scores()
    wide = reference.table.wide()
    arc = _results("arc_challenge") if real_arc else None
    for i, model in enumerate(models):
        rng = np.random.default_rng([1, i])
        answers = {}
        for name, score in scores.loc[model].dropna().items():
            pool = ItemPool(POOLS[str(name)])
            answers[str(name)] = Answers.of_score(float(score), pool, rng)
            if arc is not None and name == "ARC-C":
                items = rng.permutation(arc.loc[model].to_numpy(dtype=float))
                answers["ARC-C"] = Answers((items,), pool)
        others = without_family(reference, model)
        truths = wide.loc[model].to_dict()
        compare(model, answers, TOKENS, others, truths, settings, outcomes)
    return outcomes


def _results(name: str, folder: Path = PER_ITEM) -> pd.DataFrame:
    with np.load(folder / f"{name}.npz", allow_pickle=False) as stored:
        n, items = stored["shape"].tolist()
        bits = np.unpackbits(stored["packed"], axis=1)[:n, :items]
        return pd.DataFrame(bits, index=pd.Index(map(str, stored["models"]), name="model"))


def helm(settings: Settings, most: int) -> dict[tuple[str, str], Outcome]:
    """Stop early on models of HELM Lite, all of whose items are real; see the module."""
    items = {name: _results(name) for name in HELM}
    models = list(items["mmlu"].index)
    family = pd.Series([m.partition("_")[0] for m in models], models)
    return real_items(items, HELM, _helm_scores(models), family, settings, most)


def zoo(folder: Path, settings: Settings, most: int) -> dict[tuple[str, str], Outcome]:
    """Stop early on the models that ``scripts/train_zoo`` trained; see the module.

    The checkpoints of one training run are a family.
    """
    from capspace.collect.run.item_responses import stored_responses
    from capspace.collect.storage.store import Store
    from capspace.tasks.panel import load_panel

    panel = load_panel("procedural")
    facts = pd.read_csv(folder / "facts.csv", index_col="model")
    family = facts["family"] + "-" + facts["parameters"].astype(str)
    items = {}
    with Store(folder / "store") as store:
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
) -> dict[tuple[str, str], Outcome]:
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
        benchmarks={n: Benchmark(name=n, chance=chance[n]) for n in items},
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
            model, answers, dict.fromkeys(items, 1.0), without_family(reference, model),
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


def study_models(most: int, among: Collection[str] | None = None) -> list[str]:
    """Return base models that have all benchmarks, and agents, half of ``most`` each."""
    reference = load_reference("study-2024")
    base = [str(m) for m in reference.scores("base").dropna().index]
    known = reference.scores("instruct").drop(columns="XWinograd").dropna().index
    agents = reference.table.wide(["agentbench"])["agentbench"].dropna().index
    half = most // 2
    if among is not None:
        base, known, half = [m for m in base if m in among], known[:0], most
    return [*base[:: -(-len(base) // half)], *(str(m) for m in agents if m in known)][:most]


def tables(
    parts: Sequence[str], most: int, trained: Path | None
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
            models = study_models(most, _results("arc_challenge").index if arc else None)
            made = study(models, settings, real_arc=arc)
        for (group, until), outcome in made.items():
            title = f"{part}, {group} targets, until {until}"
            yield f"{title} ({process_time() - began:.0f} CPU s so far)", outcome.table()


def print_table(arguments: Namespace) -> None:
    """Print the tables; ``--models`` bounds the models of each."""
    for title, table in tables(arguments.part or PARTS, arguments.models, arguments.zoo):
        print(f"\n{title}\n{table.round(1).to_string()}", flush=True)
