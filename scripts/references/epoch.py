"""The reference epoch-2026 holds the boards of Epoch AI's hub, most of them by its own runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from .common import Tables, key

COPY = "feruiloba/miri-fellowship-inference-scaling@69eb0692"
ABOUT = {
    "name": "epoch-2026",
    "title": "Epoch AI's Benchmarking Hub: one protocol, run by one laboratory",
    "kind": "single-protocol",
    "version": "1",
    "licence": "CC-BY-4.0",
    "attribution": (
        "Epoch AI, 'AI Benchmarking Hub', https://epoch.ai/benchmarks, as of 2026-05-14 (CC-BY 4.0)"
    ),
    "note": (
        "Boards whose files end in _external were compiled by Epoch AI from others, whose terms "
        "hold for them."
    ),
    "sources": [
        {
            "title": "Epoch AI Benchmarking Hub",
            "url": "https://epoch.ai/benchmarks",
            "commit": COPY,
            "date": "2026-05-14",
            "licence": "CC-BY-4.0",
        }
    ],
}
PROTOCOL = "generated with reasoning, graded by Epoch AI"
BENCHMARKS: list[dict[str, Any]] = [
    {"name": "GPQA-diamond", "chance": 0.25, "n_items": 198, "protocol": PROTOCOL},
    {
        "name": "MATH level 5",
        "chance": 0.0,
        "n_items": 1324,
        "measures": "MATH level 5",
        "protocol": PROTOCOL,
    },
    {"name": "OTIS Mock AIME", "chance": 0.0, "n_items": 45, "protocol": PROTOCOL},
]
CHEAP = {
    "GPQA-diamond": "gpqa_diamond",
    "MATH level 5": "math_level_5",
    "OTIS Mock AIME": "otis_mock_aime_2024_2025",
}
OWN = ("mean_score", "stderr")

# target: (file, column of scores, column of standard errors, divided by, only rows where,
# label, description)
TARGETS: dict[str, tuple[str, str, str, float, dict[str, str], str, str]] = {
    "aider-polyglot/any-edit-format": (
        "aider_polyglot_external", "Percent correct", "", 100, {},
        "Aider polyglot", "225 coding exercises in six languages, two attempts, the model's own "
        "edit format.",
    ),
    "livebench/2024-11-25": (
        "live_bench_external", "Global average", "", 100,
        {"LiveBench Version": "LiveBench-2024-11-25"},
        "LiveBench", "Global average of LiveBench's questions of 2024-11-25.",
    ),
    "weirdml/v2": (
        "weirdml_external", "Accuracy", "Accuracy SE", 1, {},
        "WeirdML", "Machine-learning tasks on unusual data, solved by code in five iterations.",
    ),
    "frontiermath/tiers-1-3": (
        "frontiermath", *OWN, 1, {},
        "FrontierMath tiers 1 to 3", "Hard unpublished mathematics, Epoch AI's own scaffold.",
    ),
    "frontiermath/tier-4": (
        "frontiermath_tier_4", *OWN, 1, {},
        "FrontierMath tier 4", "Research-level mathematics, Epoch AI's own scaffold.",
    ),
    "hle/no-tools": (
        "hle_external", "Accuracy", "Accuracy Standard Error", 1, {},
        "Humanity's Last Exam", "Expert questions of all fields, without tools.",
    ),
    "arc-agi-1/semi-private": (
        "arc_agi_external", "Score", "", 1, {},
        "ARC-AGI-1", "Abstract puzzles, semi-private set of the ARC Prize's board.",
    ),
    "arc-agi-2/semi-private": (
        "arc_agi_2_external", "Score", "", 1, {},
        "ARC-AGI-2", "Harder abstract puzzles, semi-private set of the ARC Prize's board.",
    ),
    "metr-horizon/score": (
        "metr_time_horizons_external", "average_score", "", 1, {},
        "METR tasks", "Average score over METR's tasks of its time-horizon suite.",
    ),
    "simplebench/avg-5": (
        "simplebench_external", "Score (AVG@5)", "", 1, {},
        "SimpleBench", "Trick questions of everyday reasoning, average of five runs.",
    ),
    "simpleqa-verified/closed-book": (
        "simpleqa_verified", *OWN, 1, {},
        "SimpleQA Verified", "Short questions of fact, without search.",
    ),
    "swe-bench-verified/mini-swe-agent": (
        "swe_bench_bash", "% Resolved", "", 1, {},
        "SWE-bench Verified (bash only)", "500 GitHub issues, solved by mini-SWE-agent with bash "
        "alone, its versions 0 to 2 as on SWE-bench's board.",
    ),
    "swe-bench-verified/epoch": (
        "swe_bench_verified", *OWN, 1, {},
        "SWE-bench Verified (Epoch AI)", "484 of the GitHub issues, Epoch AI's own scaffold.",
    ),
    "terminal-bench-2/terminus-2": (
        "terminalbench_external", "Accuracy mean", "Accuracy SE", 1, {"Agent": "Terminus 2"},
        "Terminal-Bench 2 (Terminus 2)", "Tasks in a terminal, by the agent Terminus 2.",
    ),
    "terminal-bench-2/mini-swe-agent": (
        "terminalbench_external", "Accuracy mean", "Accuracy SE", 1, {"Agent": "Mini-SWE-Agent"},
        "Terminal-Bench 2 (mini-SWE-agent)", "Tasks in a terminal, by mini-SWE-agent.",
    ),
    "cybench/unguided": (
        "cybench_external", "Unguided % Solved", "", 1, {},
        "Cybench", "Capture-the-flag tasks solved without guidance.",
    ),
    "gso/openhands": (
        "gso_external", "Score OPT@1", "", 1, {"Scaffold": "OpenHands"},
        "GSO", "Optimisation of real code bases, by the agent OpenHands.",
    ),
    "the-agent-company/openhands": (
        "the_agent_company_external", "% Score", "", 1, {},
        "TheAgentCompany", "Office work in a simulated company, by the agent OpenHands.",
    ),
    "balrog/average": (
        "balrog_external", "Average progress", "Average Standard error", 1, {},
        "BALROG", "Progress in six games.",
    ),
    "chess-puzzles/epoch": (
        "chess_puzzles", *OWN, 1, {}, "Chess puzzles", "Best moves of chess puzzles.",
    ),
    "vpct/public": (
        "vpct_external", "Correct", "", 1, {}, "VPCT", "Where a ball in a drawing ends.",
    ),
    "fiction-livebench/16k": (
        "fictionlivebench_external", "16k token score", "", 1, {},
        "Fiction.LiveBench 16k", "Questions on stories of 16 thousand tokens.",
    ),
}  # fmt: skip

PROVIDERS = {
    "Allen Institute for AI": "Ai2",
    "Microsoft Research": "Microsoft",
    "Tsinghua University": "Tsinghua University",
    "Z.ai (Zhipu AI)": "Zhipu AI",
    "Google DeepMind,Google": "Google",
    "Google DeepMind": "Google",
    "Google": "Google",
    "Meta AI": "Meta",
    "Mistral AI": "Mistral",
    "Zhipu AI,Tsinghua University": "Zhipu AI",
    "Moonshot": "Moonshot AI",
}
# Endings that state an effort, from the least on; budgets of tokens, as in 16K, lie between.
EFFORTS = ("none", "minimal", "low", "medium", "thinking", "high", "xhigh", "max")
_UNSTATED = "unknown"
_BUDGET = 4.5
"""Where a budget of tokens stands among the efforts."""
_ALWAYS_THINKS = re.compile(
    r"o\d|gpt-5|gpt-oss|deepseek-r|qwq|gemini-(2\.5|3)|gemini-2\.0-flash-thinking|grok-4|"
    r"grok-3-mini|magistral|kimi-k2-thinking|muse|.*thinking",
    re.I,
)


def build(data: Path) -> Tables:
    """Return the tables of the reference, from the folder of all tables."""
    targets = [
        {"name": name, "label": label, "description": text, "population": "all"}
        for name, (*_, label, text) in TARGETS.items()
    ]
    tables = Tables(dict(ABOUT), BENCHMARKS, targets)
    boards = {name: _board(data, file, *OWN, 1.0, {}) for name, file in CHEAP.items()}
    names = _names(model for board in boards.values() for model in board["model"])
    boards |= {name: _board(data, *spec[:5]) for name, spec in TARGETS.items()}
    for name, board in boards.items():
        board["known"] = [names.get(_key(model)) for model in board["model"]]
        for model, rows in board.dropna(subset="known").groupby("known", sort=True):
            errors = rows["stderr"].dropna()
            tables.add(
                str(model),
                name,
                float(rows["score"].median()),
                stderr=float(errors.median()) if len(errors) == len(rows) else None,
                date=rows["date"].dropna().max(),
                source=f"Epoch AI hub 2026-05-14, {', '.join(rows['source'])}",
            )
            tables.models.setdefault(str(model), _facts(str(model), rows.iloc[0]))
    tables.models = dict(sorted(tables.models.items(), key=lambda m: (m[1]["release_date"], m[0])))
    tables.drop_rare(8)
    return tables


def _board(
    data: Path, file: str, column: str, error: str, scale: float, where: dict[str, str]
) -> pd.DataFrame:
    """Return model, score, stderr, date, source and facts of the rows of a board."""
    board = pd.read_csv(data / "epoch_hub" / f"{file}.csv")
    for field, value in where.items():
        board = board[board[field].astype(str).str.strip() == value]
    board = board[board["Model version"].notna() & board[column].notna()]
    run = board["Started at"].str[:10] if "Started at" in board else None
    return board.assign(
        model=board["Model version"].astype(str),
        score=board[column].astype(float) / scale,
        stderr=board[error].astype(float) / scale if error else None,
        date=run,
        source=[f"{file}.csv {i}" for i in board["id"]] if "id" in board else f"{file}.csv",
    )


def _names(models: Iterable[str]) -> dict[str, str]:
    """Return what each name is called here, by its key.

    A score of an effort that is not stated counts for the greatest one that Epoch AI ran.
    """
    names: dict[str, str] = {}
    greatest: dict[str, float] = {}
    for model in sorted(set(models)):
        name = re.sub(r"(?<=\d)p(?=\d)", ".", model.rpartition("/")[2])
        names.setdefault(_key(model), name)
        base, effort = split_effort(model)
        rank = effort_rank(effort)
        if rank > greatest.get(_key(base), -2.0):
            greatest[_key(base)] = rank
            names[_key(f"{base}_{_UNSTATED}")] = name
    return names


def _key(model: str) -> str:
    return key(re.sub(r"(?<=\d)p(?=\d)", ".", model).replace("_", "-effort-"))


def split_effort(model: str) -> tuple[str, str]:
    """Return a name without its effort, and the effort; "" where it states none."""
    base, _, ending = model.rpartition("_")
    is_effort = ending.lower() in (*EFFORTS, _UNSTATED) or re.fullmatch(r"\d+K", ending)
    return (base, ending.lower()) if base and is_effort else (model, "")


def effort_rank(effort: str) -> float:
    """Return where an effort stands among the others; below all where none is stated."""
    return EFFORTS.index(effort) if effort in EFFORTS else _BUDGET if effort else -1.0


def _facts(model: str, row: pd.Series) -> dict[str, Any]:
    base, effort = split_effort(model)
    organisation = "" if pd.isna(row["Organization"]) else str(row["Organization"])
    thinks = effort not in ("", "none") or _ALWAYS_THINKS.match(base)
    return {
        "family": base,
        "training_flops": row["Training compute (FLOP)"],
        "release_date": row["Release date"] if pd.notna(row["Release date"]) else "",
        "tuning": "instruct",
        "provider": PROVIDERS.get(organisation, organisation.split(",")[0]) or base,
        "mode": "thinking" if thinks else "plain",
        "note": f"effort {effort}" if effort else "",
    }
