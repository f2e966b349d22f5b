"""Models of study-2024 whose published scores are taken for those of all items.

Items are drawn from them at random; those of ARC-C are, if wanted, as the models really answered
them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from capspace.fit import load_reference
from capspace.fit.decide._item_pool import ItemPool

from .early_stop import Answers, Outcome, Outcomes, Settings, Tokens, compare, without_family
from .real_items import item_results

AGENTIC = ("agentbench", "agentboard")

# Items of each test set, by task; and tokens of an item by Qwen's tokenizer (151,643 entries, as in
# dashscope 2.0.2), of its prompt as lm-eval 0.4.13 makes it by classic-8 and of its whole options.
# The engine reads once what prompts begin with alike, for all items of a task (the examples of
# MMLU's subjects and of TruthfulQA) or for those of one item; lm-eval's hf reads a prompt with each
# of its options, but once with those that are single tokens. Means of all items but MMLU's
# (25 of each subject), HellaSwag's (1,000) and XWinograd's in Chinese (16), each task counted once.
# Of generated texts 150 tokens (GSM8K) and 200 (HumanEval) are assumed.
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
    "engine": {
        "MMLU": Tokens(91, shared=57 * 516),
        "ARC-C": Tokens(944),
        "HellaSwag": Tokens(908),
        "Winogrande": Tokens(136),
        "TruthfulQA": Tokens(88, shared=155),
        "GSM8K": Tokens(1125),
        "XWinograd": Tokens(29),
        "HumanEval": Tokens(334),
    },
    "hf": {
        "MMLU": Tokens(605),
        "ARC-C": Tokens(3468),
        "HellaSwag": Tokens(3360),
        "Winogrande": Tokens(258),
        "TruthfulQA": Tokens(1285),
        "GSM8K": Tokens(1143),
        "XWinograd": Tokens(54),
        "HumanEval": Tokens(334),
    },
}


def study(
    models: Sequence[str], settings: Settings, costs: Mapping[str, Tokens], *, real_arc: bool
) -> Outcomes:
    """Stop early on models of the study."""
    reference = load_reference("study-2024")
    outcomes = {("agentic" if t else "all", until): Outcome() for until, t in settings}
    scores = reference.scores()
    wide = reference.table.wide()
    arc = item_results("arc_challenge") if real_arc else None
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
        compare(model, answers, costs, others, truths, settings, outcomes)
    return outcomes


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
