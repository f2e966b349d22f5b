"""The reference openllm-v2 holds the Open LLM Leaderboard v2, raw scores of open models.

Models of those who trained their base are first-party and count 1 each. All the others are
variants; those of one architecture and size are taken for variants of one base, and each of n
counts 1/n, so that a base that many people tuned does not pull the space to itself.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from . import bfcl
from .common import Tables, key
from .openllm_targets import TARGETS, published

ABOUT: dict[str, Any] = {
    "name": "openllm-v2",
    "title": "Open LLM Leaderboard v2, raw scores by one protocol",
    "kind": "single-protocol",
    "version": "1",
    "licence": "MIT, Apache-2.0, CC-BY-4.0",
    "attribution": (
        "Open LLM Leaderboard v2 (Hugging Face) by way of every_eval_ever, "
        "github.com/evaleval/every_eval_ever (MIT), and sloth, github.com/felipemaiapolo/sloth "
        "(MIT); targets from the Berkeley Function Calling Leaderboard v4 (Apache-2.0), ZeroEval, "
        "github.com/WildEval/ZeroEval (Apache-2.0), llm-stats (CC-BY 4.0) and Epoch AI, "
        "'AI Benchmarking Hub', https://epoch.ai/benchmarks, as of 2026-05-14 (CC-BY 4.0)"
    ),
    "note": (
        "Raw scores, not those normalised by chance. Models that think before they answer are left "
        "out: the protocol cuts them off. Only first-party models stand for a family "
        "of their own."
    ),
    "sources": [
        {
            "title": "Open LLM Leaderboard v2 in every_eval_ever",
            "url": "https://github.com/evaleval/every_eval_ever",
            "commit": "d9be34d6",
            "date": "2026-02-15",
            "licence": "MIT",
        },
        {
            "title": "Open LLM Leaderboard v2 in sloth: dates, types, chat templates",
            "url": "https://github.com/felipemaiapolo/sloth",
            "commit": "6dc6bb3e",
            "date": "2025-01-30",
            "licence": "MIT",
        },
        {
            "title": "Berkeley Function Calling Leaderboard v4",
            "url": "https://github.com/ShishirPatil/gorilla",
            "commit": "8c24bd7c",
            "date": "2026-04-12",
            "licence": "Apache-2.0",
        },
        {
            "title": "ZeroEval",
            "url": "https://github.com/WildEval/ZeroEval",
            "commit": "8c1485ed",
            "date": "2025-04-14",
            "licence": "Apache-2.0",
        },
        {
            "title": "llm-stats",
            "url": "https://github.com/JonathanChavezTamales/llm-leaderboard",
            "commit": "24a9ccf7",
            "date": "2025-10-16",
            "licence": "CC-BY-4.0",
        },
        {
            "title": "Epoch AI Benchmarking Hub",
            "url": "https://epoch.ai/benchmarks",
            "commit": "feruiloba/miri-fellowship-inference-scaling@69eb0692",
            "date": "2026-05-14",
            "licence": "CC-BY-4.0",
        },
    ],
}
_CHOICE = "log-likelihood of the choices"
# BBH: options k of each of its 24 tasks, and the items of those that have not 250.
_BBH_OPTIONS = {
    "boolean_expressions": 2, "causal_judgement": 2, "date_understanding": 6,
    "disambiguation_qa": 3, "formal_fallacies": 2, "geometric_shapes": 11, "hyperbaton": 2,
    "logical_deduction_three": 3, "logical_deduction_five": 5, "logical_deduction_seven": 7,
    "movie_recommendation": 6, "navigate": 2, "object_counting": 19, "penguins_in_a_table": 5,
    "reasoning_about_colored_objects": 18, "ruin_names": 6,
    "salient_translation_error_detection": 6, "snarks": 2, "sports_understanding": 2,
    "temporal_sequences": 4, "tracking_three": 3, "tracking_five": 5, "tracking_seven": 7,
    "web_of_lies": 2,
}  # fmt: skip
_BBH_ITEMS = {"causal_judgement": 187, "penguins_in_a_table": 146, "snarks": 178}
_MUSR = {"murder_mysteries": (250, 2), "object_placements": (256, 5), "team_allocation": (250, 3)}


def _chance(subtasks: dict[str, tuple[int, int]]) -> float:
    """Return the score of guessing, over all items, of subtasks given as (items, options)."""
    items = sum(n for n, _ in subtasks.values())
    return round(sum(n / k for n, k in subtasks.values()) / items, 4)


_BBH = {name: (_BBH_ITEMS.get(name, 250), k) for name, k in _BBH_OPTIONS.items()}
BENCHMARKS: list[dict[str, Any]] = [
    {
        "name": "leaderboard_ifeval", "chance": 0.0, "n_items": 541, "n_shot": 0,
        "measures": "IFEval", "protocol": "generated",
        "note": "mean of the strict accuracies of prompts and of instructions",
    },
    {
        "name": "leaderboard_bbh", "chance": _chance(_BBH), "n_items": 5761, "n_shot": 3,
        "measures": "BBH", "protocol": _CHOICE,
        "note": "chance is 1/k over the items of 24 tasks, whose scores are known as a mean only",
    },
    {
        "name": "leaderboard_math_hard", "chance": 0.0, "n_items": 1324, "n_shot": 4,
        "measures": "MATH level 5", "protocol": "generated",
    },
    {
        "name": "leaderboard_gpqa", "chance": 0.25, "n_items": 1192, "n_shot": 0,
        "measures": "GPQA-diamond", "protocol": _CHOICE,
        "note": "main, diamond and extended set together",
    },
    {
        "name": "leaderboard_musr", "chance": _chance(_MUSR), "n_items": 756, "n_shot": 0,
        "measures": "MuSR", "protocol": _CHOICE,
        "note": "chance is 1/2, 1/5 and 1/3 of its three tasks, over their items",
    },
    {
        "name": "leaderboard_mmlu_pro", "chance": 0.1, "n_items": 12032, "n_shot": 5,
        "measures": "MMLU-Pro", "protocol": _CHOICE,
    },
]  # fmt: skip
COLUMNS = {
    "IFEval": "leaderboard_ifeval",
    "BBH": "leaderboard_bbh",
    "MATH Level 5": "leaderboard_math_hard",
    "GPQA": "leaderboard_gpqa",
    "MUSR": "leaderboard_musr",
    "MMLU-PRO": "leaderboard_mmlu_pro",
}
# Who trained a base model, by its organisation on the Hub.
FIRST_PARTIES = {
    "01-ai": "01.AI", "BSC-LT": "BSC", "CohereForAI": "Cohere", "Deci": "Deci",
    "EleutherAI": "EleutherAI", "HuggingFaceTB": "Hugging Face", "LGAI-EXAONE": "LG AI",
    "Qwen": "Alibaba", "RWKV": "RWKV", "THUDM": "Zhipu AI", "TinyLlama": "TinyLlama",
    "Zyphra": "Zyphra", "ai21labs": "AI21 Labs", "allenai": "Ai2", "amd": "AMD",
    "apple": "Apple", "bigcode": "BigCode", "bigscience": "BigScience",
    "databricks": "Databricks", "deepseek-ai": "DeepSeek", "facebook": "Meta",
    "google": "Google", "h2oai": "H2O.ai", "huggyllama": "Meta", "ibm": "IBM",
    "ibm-granite": "IBM", "internlm": "Shanghai AI Lab", "meta-llama": "Meta",
    "microsoft": "Microsoft", "mistralai": "Mistral", "mosaicml": "Databricks",
    "nvidia": "NVIDIA", "openai-community": "OpenAI", "openbmb": "OpenBMB",
    "pints-ai": "Pints", "rhymes-ai": "Rhymes AI", "speakleash": "SpeakLeash",
    "stabilityai": "Stability AI", "tiiuae": "TII", "togethercomputer": "Together",
    "upstage": "Upstage",
}  # fmt: skip
# What other tables call models of the leaderboard.
ALIASES = {
    "command-r": "CohereForAI/c4ai-command-r-v01",
    "command-r-plus": "CohereForAI/c4ai-command-r-plus",
    "Command R7B": "CohereForAI/c4ai-command-r7b-12-2024",
    "ministral-8b-2410": "mistralai/Ministral-8B-Instruct-2410",
    "mistral-large-2411": "mistralai/Mistral-Large-Instruct-2411",
    "open-mistral-nemo-2407": "mistralai/Mistral-Nemo-Instruct-2407",
    "open-mixtral-8x22b": "mistralai/Mixtral-8x22B-Instruct-v0.1",
    "open-mixtral-8x7b": "mistralai/Mixtral-8x7B-Instruct-v0.1",
}
_TUNED = re.compile(
    r"(instruct|chat|(?<![a-z])it(?![a-z])|zephyr|tulu|orca|dolly|beluga|distill|hermes|qwq|"
    r"dpo|sft|raven|aya|command|flan|phi-[34]|acemath|openmath|(?<![a-z])jt(?![a-z]))",
    re.I,
)
_THINKING = re.compile(r"(qwq|r1-distill|thinking|reason)", re.I)
_SIZE = re.compile(r"[-_](moe[-_])?(\d+x)?\d+(\.\d+|_\d+)?[bm](?![a-z]).*$|[-_]\d+b\d.*$", re.I)
_TAIL = re.compile(
    r"[-_](instruct|chat|base|it|hf|mini|small|medium|large|xl+|preview|moe|v\d.*|\d{4}).*$", re.I
)


def build(data: Path) -> Tables:
    """Return the tables of the reference, from the folder of all tables."""
    table = pd.read_csv(data / "openllm_v2_full_tidy.csv.gz").drop_duplicates(
        ["model", "benchmark"]
    )
    # The protocol cuts their thinking off: QwQ-32B has 0.12 on MMLU-Pro, and thinks elsewhere.
    table = table[[_THINKING.search(model) is None for model in table["model"]]]
    tables = Tables(dict(ABOUT), BENCHMARKS, TARGETS)
    for r in table.itertuples():
        tables.add(
            r.model, COLUMNS[r.benchmark], r.value, source="every_eval_ever@d9be34d6, hfopenllm_v2"
        )
    tables.models = _models(table, data)
    leaves: dict[str, str] = {}
    for model, facts in tables.models.items():
        if facts["first-party"]:
            leaves.setdefault(key(model), model)
    leaves |= {key(other): model for other, model in ALIASES.items()}
    known = set()
    for row in (*published(data), *bfcl.read_bfcl(data / "bfcl_v4")):
        name = leaves.get(key(row["model"]))
        if name is not None and (name, row["benchmark"]) not in known:
            known.add((name, row["benchmark"]))
            tables.add(**{**row, "model": name})
    tables.drop_rare(8)
    return tables


def is_first_party(model: str) -> bool:
    """Return whether those who trained a model's base published it."""
    return model.partition("/")[0] in FIRST_PARTIES


def family(model: str) -> str:
    """Return the family of a first-party model: its name up to its size, without tuning."""
    leaf = re.sub(r"^meta-", "", model.rpartition("/")[2], flags=re.I)
    name = _TAIL.sub("", _SIZE.sub("", leaf))
    return name or leaf


def _models(table: pd.DataFrame, data: Path) -> dict[str, dict[str, Any]]:
    """Return the facts of all models: first-party ones in full, variants with their base's."""
    extra = pd.read_csv(data / "openllm_v2_sloth_export_models.csv.gz").drop_duplicates("model")
    notes = extra.set_index("model")
    facts = _epoch_facts(data)
    rows = table.drop_duplicates("model")
    base = {r.model: _base(r) for r in rows.itertuples()}
    first = {m for m in base if is_first_party(m)}
    parties: dict[tuple[str, str], Counter[str]] = {}
    for model in sorted(first):
        owner = FIRST_PARTIES[model.partition("/")[0]]
        parties.setdefault(base[model], Counter())[owner] += 1
    n_variants = Counter(base[m] for m in base if m not in first)
    models: dict[str, dict[str, Any]] = {}
    for r in rows.sort_values("model").itertuples():
        model, organisation = r.model, r.model.partition("/")[0]
        group = base[model]
        kind = str(notes.at[model, "Type"]) if model in notes.index else ""
        pretrained = "pretrained" in kind and "continuously" not in kind
        chat = notes.at[model, "Chat Template"] if model in notes.index else None
        known = facts.get(key(model), {})
        owner = parties.get(group, Counter()).most_common(1)
        models[model] = {
            "family": family(model) if model in first else " ".join(group),
            "parameters": r.params_b * 1e9 if r.params_b > 0 else None,
            "training_flops": known.get("flops") if model in first else None,
            "release_date": (known.get("date") if model in first else None)
            or (str(notes.at[model, "Upload To Hub Date"]) if model in notes.index else ""),
            "tuning": "base"
            if pretrained or (model in first and not _TUNED.search(model.rpartition("/")[2]))
            else "instruct",
            "provider": FIRST_PARTIES.get(organisation) or (owner[0][0] if owner else organisation),
            "mode": "" if chat is None else "chat" if chat else "plain",
            "weight": 1.0 if model in first else round(1 / n_variants[group], 4),
            "first-party": model in first,
        }
    order = sorted(models, key=lambda m: (m not in first, m.lower(), m))
    return {m: models[m] for m in order}


def _base(row: Any) -> tuple[str, str]:
    """Return what variants of one base share; a model alone where that is not stated."""
    if (
        row.params_b <= 0
        or row.architecture in ("?", "nan")
        or row.architecture != row.architecture
    ):
        return row.model, "?"
    return row.architecture, f"{row.params_b:.2g}"


def _epoch_facts(data: Path) -> dict[str, dict[str, Any]]:
    """Return release date and training compute, by name, as Epoch AI's hub states them."""
    facts: dict[str, dict[str, Any]] = {}
    for file in sorted((data / "epoch_hub").glob("*.csv")):
        board = pd.read_csv(file)
        if not {"Model version", "Release date", "Training compute (FLOP)"} <= set(board.columns):
            continue
        for model, released, flops in board[
            ["Model version", "Release date", "Training compute (FLOP)"]
        ].itertuples(index=False):
            if isinstance(model, str):
                known = facts.setdefault(key(model), {})
                if isinstance(released, str):
                    known.setdefault("date", released)
                if flops == flops:
                    known.setdefault("flops", flops)
    return facts
