"""How far sources are apart that measured the same models, for all references by the same tables.

Each source's scores are compared as it states them, those that a reference leaves out included,
but for another protocol by the source's own words. A column of a reference stands under the title
of its source, so that predictions know which of the two sides is the reference's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from capspace.fit.table import ScoreTable, SourceOffsets, scaffold_offsets, source_offsets

from . import epoch, frontier, openllm
from .common import Tables, key
from .frontier_models import SAME
from .openllm_targets import of_vendors

BENCHPRESS, LLM_STATS = "BenchPress", "llm-stats"
EPOCH = "Epoch AI Benchmarking Hub"
LEADERBOARD = "Open LLM Leaderboard v2 in every_eval_ever"
EXPORT = "Open LLM Leaderboard v2, export of January 2025"
LEAST = 3
"""Pairs of fewer models have no spread."""
# Columns of two references that ask the same questions. Whoever ran an agent's benchmark chose its
# scaffold, which is a source's, too.
SAME_QUESTIONS = {
    "swe-bench-verified/mini-swe-agent": "swe-bench-verified/vendor",
    "swe-bench-verified/epoch": "swe-bench-verified/vendor",
    "terminal-bench-2/terminus-2": "terminal-bench-2/vendor",
    "terminal-bench-2/mini-swe-agent": "terminal-bench-2/vendor",
    "aider-polyglot/any-edit-format": "aider-polyglot/diff",
}
_VENDORS = {
    "leaderboard_mmlu_pro": "mmlu-pro",
    "leaderboard_ifeval": "ifeval",
    "leaderboard_gpqa": "gpqa",
    "leaderboard_bbh": "big-bench-hard",
}
_DATED = re.compile(r"-(20\d{6}|20\d\d-\d\d-\d\d)$")
_VERSION = re.compile(r"(?<=-)(\d)-(\d)(?=$|-)")

Row = dict[str, Any]


def of_frontier(data: Path) -> SourceOffsets:
    """Return the offsets between BenchPress, llm-stats and Epoch AI's hub."""
    vendors = _of_vendors(data)
    columns = {row["benchmark"] for row in vendors}
    runs = _of_epoch(data)
    for row in runs:
        asked = SAME_QUESTIONS.get(row["benchmark"])
        if asked in columns:
            scaffold = row["benchmark"].partition("/")[2]
            row |= {"benchmark": asked, "source": f"{EPOCH}, {scaffold}"}
    return _compared([*vendors, *runs])


def of_epoch(data: Path) -> SourceOffsets:
    """Return the same from the hub's side, and between the scaffolds of its boards."""
    vendors = _of_vendors(data)
    runs = _of_epoch(data)
    rows = list(runs)
    for name in dict.fromkeys(row["benchmark"] for row in runs):
        asked = SAME_QUESTIONS.get(name, name)
        rows += [{**row, "benchmark": name} for row in vendors if row["benchmark"] == asked]
    scaffolds = scaffold_offsets(_table(runs), ["swe-bench-verified", "terminal-bench-2"])
    between = _compared(rows, of=EPOCH)
    return SourceOffsets((*between.pairs, *scaffolds.pairs), between.agreements)


def of_openllm(data: Path) -> SourceOffsets:
    """Return the offsets of the leaderboard to its earlier export, and to vendors and Epoch AI."""
    table = pd.read_csv(data / "openllm_v2_full_tidy.csv.gz")
    earlier = pd.read_csv(data / "openllm_v2_sloth_export_tidy.csv.gz")
    names = {"MATH Lvl 5": "leaderboard_math_hard", **openllm.COLUMNS}
    rows = [
        _row(r.model, names[r.benchmark], r.value, LEADERBOARD)
        for r in table.drop_duplicates(["model", "benchmark"]).itertuples()
    ]
    rows += [
        _row(r.model, names[r.benchmark.removesuffix(" Raw")], r.value, EXPORT)
        for r in earlier.drop_duplicates(["model", "benchmark"]).itertuples()
    ]
    leaves = {key(r["model"]): r["model"] for r in rows if openllm.is_first_party(r["model"])}
    others = [
        *((r, LLM_STATS) for r in of_vendors(data, _VENDORS)),
        *(
            ({**r, "benchmark": "leaderboard_gpqa"}, EPOCH)
            for r in _of_epoch(data)
            if r["benchmark"] == "GPQA-diamond"
        ),
    ]
    for row, source in others:
        if (model := leaves.get(key(row["model"]))) is not None:
            rows.append(_row(model, row["benchmark"], row["score"], source))
    return _compared(rows, of=LEADERBOARD)


def _of_vendors(data: Path) -> list[Row]:
    """Return the rows of BenchPress and llm-stats, of the latter those by the same protocol."""
    tidy = pd.read_csv(data / "benchpress_tidy.csv.gz")
    stats = pd.read_csv(data / "llm_stats" / "llm_stats_tidy.csv", keep_default_na=False)
    rows = [{**row, "source": BENCHPRESS} for row in frontier.of_benchpress(tidy)]
    second = [row for row in frontier.of_llm_stats(stats) if not row["tools"]]
    return rows + [{**row, "source": LLM_STATS} for row in second]


def _of_epoch(data: Path) -> list[Row]:
    """Return the hub's rows, each model under its vendor's name and at its greatest effort."""
    tables: Tables = epoch.build(data)
    chosen: dict[tuple[str, str], tuple[float, Row]] = {}
    for row in tables.scores:
        base, effort = epoch.split_effort(row["model"])
        own = _vendors_name(base)
        rank = epoch.effort_rank(effort)
        held = chosen.get((own, row["benchmark"]))
        if held is None or rank > held[0]:
            chosen[own, row["benchmark"]] = rank, _row(own, row["benchmark"], row["score"], EPOCH)
    return [row for _, row in chosen.values()]


def _vendors_name(model: str) -> str:
    name = SAME.get(model.lower(), model.lower())
    name = _VERSION.sub(r"\1.\2", _DATED.sub("", name)).removesuffix("-preview")
    return SAME.get(name, name)


def _row(model: str, benchmark: str, score: float, source: str) -> Row:
    return {"model": model, "benchmark": benchmark, "score": score, "source": source}


def _table(rows: Iterable[Row]) -> ScoreTable:
    frame = pd.DataFrame(rows)[["model", "benchmark", "score", "source"]]
    frame = frame.assign(protocol=frame["source"])
    return ScoreTable(frame.drop_duplicates(["model", "benchmark", "source"]), pd.DataFrame())


def _compared(rows: Iterable[Row], *, of: str = "") -> SourceOffsets:
    """Return the pairs of sources, those with ``of`` alone where it is given."""
    offsets = source_offsets(_table(rows))
    pairs = [p for p in offsets.pairs if p.n_shared >= LEAST]
    pairs = [p for p in pairs if not of or of in (p.source, p.other)]
    return SourceOffsets(tuple(pairs), offsets.agreements)
