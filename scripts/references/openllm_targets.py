"""What open models of the leaderboard scored elsewhere are the targets of openllm-v2."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from . import bfcl

# target: (file of Epoch AI's hub, column, divided by, label, description, benchmarks alike)
_EPOCH: dict[str, tuple[str, str, float, str, str]] = {
    "gpqa-diamond/epoch": (
        "gpqa_diamond", "mean_score", 1, "GPQA-diamond (Epoch AI)",
        "Graduate questions, answered with reasoning, run by Epoch AI.",
    ),
    "math-level-5/epoch": (
        "math_level_5", "mean_score", 1, "MATH level 5 (Epoch AI)",
        "The hardest problems of MATH, run by Epoch AI.",
    ),
    "livebench/2024-11-25": (
        "live_bench_external", "Global average", 100, "LiveBench",
        "Global average of LiveBench's questions of 2024-11-25.",
    ),
    "aider-polyglot/any-edit-format": (
        "aider_polyglot_external", "Percent correct", 100, "Aider polyglot",
        "225 coding exercises in six languages, the model's own edit format.",
    ),
}  # fmt: skip
# target: (column of ZeroEval, label, description)
_ZEROEVAL: dict[str, tuple[str, str, str]] = {
    "mmlu-redux/zeroeval": (
        "MMLU<br/>-Redux", "MMLU-Redux (ZeroEval)", "MMLU, corrected, answered with reasoning.",
    ),
    "zebralogic/zeroeval": ("ZebraLogic", "ZebraLogic", "Logic grids, answered with reasoning."),
    "crux/zeroeval": ("CRUX", "CRUX (ZeroEval)", "Output of short programs, with reasoning."),
    "math-l5/zeroeval": ("MATH<br/>-L5", "MATH level 5 (ZeroEval)", "With reasoning."),
    "gsm8k/zeroeval": ("GSM8K", "GSM8K (ZeroEval)", "With reasoning, no examples."),
}  # fmt: skip
# target: (column of llm-stats, label, description)
_VENDORS: dict[str, tuple[str, str, str]] = {
    "mmlu-pro/vendor": ("mmlu-pro", "MMLU-Pro (reasoned)", "With reasoning, as vendors report."),
    "gpqa-diamond/vendor": ("gpqa", "GPQA (reasoned)", "With reasoning, as vendors report."),
    "mmlu/vendor": ("mmlu", "MMLU", "As vendors report it."),
    "math/vendor": ("math", "MATH", "As vendors report it."),
    "gsm8k/vendor": ("gsm8k", "GSM8K", "As vendors report it."),
    "humaneval/vendor": ("humaneval", "HumanEval", "As vendors report it."),
    "mbpp/vendor": ("mbpp", "MBPP", "As vendors report it."),
    "arena-hard/vendor": ("arena-hard", "Arena-Hard", "Wins that a model judges, as reported."),
    "livecodebench/vendor": ("livecodebench", "LiveCodeBench", "As vendors report it."),
}
_TEXTS = {
    **{name: spec[3:] for name, spec in _EPOCH.items()},
    **{name: spec[1:] for name, spec in (*_ZEROEVAL.items(), *_VENDORS.items())},
}
TARGETS: list[dict[str, Any]] = bfcl.TARGETS + [
    {"name": name, "label": label, "description": text, "population": "all"}
    for name, (label, text) in _TEXTS.items()
]


def published(data: Path) -> list[dict[str, Any]]:
    """Return rows of the targets, models by the names of their tables."""
    return [
        *_of_epoch(data / "epoch_hub"),
        *_of_zeroeval(data / "zeroeval"),
        *of_vendors(data, {target: column for target, (column, *_) in _VENDORS.items()}),
    ]


def _of_epoch(hub: Path) -> list[dict[str, Any]]:
    rows = []
    for target, (file, column, scale, *_) in _EPOCH.items():
        board = pd.read_csv(hub / f"{file}.csv")
        board = board[board["Model version"].notna() & board[column].notna()]
        for model, scores in board.groupby("Model version")[column]:
            rows.append(
                {
                    "model": str(model),
                    "benchmark": target,
                    "score": float(scores.median()) / scale,
                    "source": f"Epoch AI hub 2026-05-14, {file}.csv",
                }
            )
    return rows


def _of_zeroeval(folder: Path) -> list[dict[str, Any]]:
    table = json.loads((folder / "summary_full.json").read_text(encoding="utf-8"))
    return [
        {
            "model": re.sub(r"@.*$", "", row["Model"]),
            "benchmark": target,
            "score": row[column] / 100,
            "source": "ZeroEval@8c1485ed, summary_full.json",
        }
        for row in table
        for target, (column, *_) in _ZEROEVAL.items()
        if row[column] is not None
    ]


def of_vendors(data: Path, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what llm-stats has of its columns, each under the name that stands before it."""
    table = pd.read_csv(data / "llm_stats" / "llm_stats_tidy.csv", keep_default_na=False)
    return [
        {
            "model": r.model,
            "benchmark": target,
            "score": float(r.value),
            "source": f"{r.source or 'no link'} (llm-stats@24a9ccf7, {r.benchmark})",
        }
        for target, column in columns.items()
        for r in table[table["benchmark"] == column].itertuples()
    ]
