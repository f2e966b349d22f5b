"""The reference frontier-2026 holds what vendors report about their models, cleaned of its faults.

BenchPress comes first; llm-stats fills cells that it has not. Left out are columns that repeat
others (GPQA main, HLE text-only, the second AIME 2024, Aider's whole edits) or mix scales, zeros
that stand for nothing measured, and cells that another protocol gave: search or tools where the
column is without, several parallel attempts, or another mode than the model's. A cell of BenchPress
that equals one measured with tools gives way to the one without; and of a page that states no
method, a column is left out in which it contradicts BenchPress.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from .bfcl import read_bfcl
from .common import Tables
from .frontier_columns import ABOUT, BENCHMARKS, COLUMNS, TARGETS
from .frontier_models import (
    BASE_MODELS,
    DATES,
    LEFT_OUT,
    PROVIDERS,
    RENAMED,
    SAME,
    TAU2,
    THINKING,
)

_OTHER_PROTOCOL = re.compile(
    r"parallel|multiple attempts|majority|maj@|cons@|best of|text[- ]only|text subset|heavy", re.I
)
_TOOLS = re.compile(
    r"search|(?<!w/o )tool use|with (python|tools)|^python$|python \+|\+ browser", re.I
)
_THINKING = re.compile(r"(?<!non-)(?<!non )\bthinking", re.I)
_NO_METHOD = ("", "accuracy", "score")
_APART = 0.1
"""Two sources of one cell that differ by more mean that the second mixes two modes of the model."""
_MOSTLY_ABOVE = 0.1
"""In a column whose other scores are all above it, a zero is a cell that nobody measured."""


def build(data: Path) -> Tables:
    """Return the tables of the reference, from the folder of all tables."""
    first = of_benchpress(pd.read_csv(data / "benchpress_tidy.csv.gz"))
    second = of_llm_stats(
        pd.read_csv(data / "llm_stats" / "llm_stats_tidy.csv", keep_default_na=False)
    )
    tables = Tables(dict(ABOUT), BENCHMARKS, TARGETS)
    with_tools = {_rounded(r) for r in second if r["tools"]}
    without = {(r["model"], r["benchmark"]) for r in second if not r["tools"]}
    cells = {
        (r["model"], r["benchmark"]): r
        for r in first
        if _rounded(r) not in with_tools or (r["model"], r["benchmark"]) not in without
    }
    second = [r for r in second if not r["tools"]]
    apart = [
        r
        for r in second
        if (known := cells.get((r["model"], r["benchmark"])))
        and abs(known["score"] - r["score"]) > _APART
    ]
    mixed = {r["model"] for r in apart}
    doubtful = {(r["source"], r["benchmark"]) for r in apart if not r["stated"]}
    for row in second:
        is_doubtful = not row["stated"] and (row["source"], row["benchmark"]) in doubtful
        if row["model"] not in mixed and not is_doubtful:
            cells.setdefault((row["model"], row["benchmark"]), row)
    models = {model for model, _ in cells}
    for row in (*_tau2(data / "tau2" / "tidy.csv"), *_bfcl(data / "bfcl_v4", models)):
        cells.setdefault((row["model"], row["benchmark"]), row)
    rows = list(cells.values())
    for row in rows:
        others = [r["score"] for r in rows if r["benchmark"] == row["benchmark"] and r["score"] > 0]
        if row["score"] > 0 or min(others) < _MOSTLY_ABOVE:
            tables.add(**{name: row[name] for name in ("model", "benchmark", "score", "source")})
    tables.models = _models(data, {r["model"] for r in tables.scores})
    tables.scores = [r for r in tables.scores if r["model"] in tables.models]
    tables.drop_rare(8)
    return tables


def of_benchpress(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return BenchPress' rows of the columns used."""
    names = {column: name for name, (column, _) in COLUMNS.items() if column}
    used = table[table["benchmark"].isin(names)]
    return [
        {
            "model": RENAMED.get(r.model, r.model),
            "benchmark": names[r.benchmark],
            "score": r.value / 100,
            "source": "BenchPress@108c0997, "
            f"{r.benchmark} ({r.origin_type if isinstance(r.origin_type, str) else 'no origin'})",
        }
        for r in used.itertuples()
    ]


def of_llm_stats(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of llm-stats: with tools or not, and with a stated method or not."""
    rows = []
    values = {(r.model, r.benchmark): float(r.value) for r in table.itertuples()}
    for name, (_, columns) in COLUMNS.items():
        for column in columns:
            for r in table[table["benchmark"] == column].itertuples():
                model = SAME.get(r.model, r.model)
                if model in LEFT_OUT or _OTHER_PROTOCOL.search(r.method):
                    continue
                if model not in THINKING and _THINKING.search(r.method):
                    continue
                value = float(r.value)
                edit = values.get((r.model, "aider-polyglot-edit"), 1.0)
                if name == "aider-polyglot/diff" and edit < value:
                    value = edit  # of the two the one in the format "diff"
                if name == "simpleqa/closed-book" and model == "grok-4-fast":
                    continue  # 0.95 is with search
                rows.append(
                    {
                        "model": model,
                        "benchmark": name,
                        "score": value,
                        "source": f"{r.source or 'no link'} (llm-stats@24a9ccf7, {r.benchmark})",
                        "stated": r.method.strip().lower() not in _NO_METHOD,
                        "tools": _is_without_tools(name) and bool(_TOOLS.search(r.method)),
                    }
                )
    return rows


def _is_without_tools(name: str) -> bool:
    """Return whether models answer alone: on cheap benchmarks, and where the target says so."""
    return "/" not in name or name.endswith(("/no-tools", "/closed-book"))


def _rounded(row: dict[str, Any]) -> tuple[str, str, float]:
    return row["model"], row["benchmark"], round(row["score"], 3)


def _tau2(path: Path) -> list[dict[str, Any]]:
    table = pd.read_csv(path, keep_default_na=False)
    users = {"gpt-5.2": "gpt-5.2-user", "gpt-4.1-2025-04-14": "gpt-4.1-user"}
    plain = table[table["sim"].isin(users) & table["voice"].eq(False) & (table["typ"] != "custom")]
    names = {t["name"] for t in TARGETS}
    rows = []
    for r in plain.itertuples():
        target = f"tau2-{r.dom.removesuffix('_knowledge')}/{users[r.sim]}"
        if target in names and r.model in TAU2:
            rows.append(
                {
                    "model": TAU2[r.model],
                    "benchmark": target,
                    "score": r.value / 100,
                    "source": f"tau2-bench@a2c02472, {r.dom}, user {r.sim}, run by {r.sub}",
                }
            )
    return rows


def _bfcl(folder: Path, models: set[str]) -> list[dict[str, Any]]:
    """Return the board's rows of models that have other scores."""
    rows = [{**row, "model": SAME.get(row["model"], row["model"])} for row in read_bfcl(folder)]
    return [row for row in rows if row["model"] in models]


def _models(data: Path, scored: set[str]) -> dict[str, dict[str, Any]]:
    """Return the facts of the scored models, BenchPress' before those of llm-stats."""
    models: dict[str, dict[str, Any]] = {}
    table = pd.read_csv(data / "benchpress_tidy.csv.gz").drop_duplicates("model")
    for r in table.itertuples():
        models[RENAMED.get(r.model, r.model)] = {
            "release_date": DATES.get(r.model, r.release_date),
            "provider": PROVIDERS.get(r.provider, r.provider),
            "mode": "thinking" if r.reasoning else "plain",
        }
    facts = pd.read_csv(data / "llm_stats" / "models.csv")
    for r in facts.itertuples():
        model = SAME.get(r.model_id, r.model_id)
        known = models.setdefault(
            model,
            {
                "release_date": DATES.get(model, r.release_date),
                "provider": PROVIDERS.get(r.organization_id, r.organization_id),
                "mode": "thinking" if model in THINKING else "plain",
            },
        )
        known["parameters"] = r.param_count
        known["training_tokens"] = r.training_tokens
    for model, known in models.items():
        known["tuning"] = "base" if model in BASE_MODELS else "instruct"
        known["family"] = family(model)
    ordered = sorted(models.items(), key=lambda item: (str(item[1]["release_date"]), item[0]))
    return {m: known for m, known in ordered if m in scored}


def family(model: str) -> str:
    """Return the family of a model: its name up to its version, without tiers of size."""
    if model.startswith("gpt-oss"):
        return "gpt-oss"
    name = re.sub(r"-(opus|sonnet|haiku|instruct|nemo|large|small|plus)(?![a-z])", "", model)
    name = re.sub(r"(-\d\d)?-(20)?2\d\d\d$", "", name).replace("qwen-2.5", "qwen2.5")
    match = re.match(r"[a-z]+(-(?!\d+b)[a-z]+)*?-?[a-z]?\d+(\.\d+)?(?!\d*b\b)", name)
    return match.group(0) if match else name.split("-")[0]
