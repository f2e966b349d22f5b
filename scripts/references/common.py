"""Cells of published tables become the rows of a reference, written the same each time."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

DIGITS = 4
LARGEST_PLAIN = 1_000_000
"""A table of more bytes than this is written compressed."""

SCORES = ["model", "benchmark", "score", "stderr", "date", "source"]
FACTS = [
    *("model", "family", "parameters", "training_tokens", "training_flops", "release_date"),
    *("tuning", "provider", "mode", "weight", "note"),
]


@dataclass
class Tables:
    """The tables of a reference, before they are written.

    ``scores`` holds rows of ``SCORES``, fractions; ``models`` a row of ``FACTS`` per model.
    """

    about: dict[str, Any]
    benchmarks: list[dict[str, Any]]
    targets: list[dict[str, Any]]
    scores: list[dict[str, Any]] = field(default_factory=list)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, model: str, benchmark: str, score: float, **cell: Any) -> None:
        """Add a score, a fraction."""
        if not 0 <= score <= 1:
            raise SystemExit(f"{model}: {benchmark} is {score:g}, no fraction")
        self.scores.append({"model": model, "benchmark": benchmark, "score": score, **cell})

    def drop_rare(self, least: int, *, cheap: int = 1) -> None:
        """Drop targets of fewer than ``least`` models, then models without ``cheap`` benchmarks."""
        benchmarks = {b["name"] for b in self.benchmarks}
        n_cheap: dict[str, int] = {}
        for row in self.scores:
            n_cheap[row["model"]] = n_cheap.get(row["model"], 0) + (row["benchmark"] in benchmarks)
        self.scores = [row for row in self.scores if n_cheap[row["model"]] >= cheap]
        counts = pd.Series([row["benchmark"] for row in self.scores]).value_counts()
        self.targets = [t for t in self.targets if counts.get(t["name"], 0) >= least]
        known = benchmarks | {t["name"] for t in self.targets}
        self.scores = [row for row in self.scores if row["benchmark"] in known]
        scored = {row["model"] for row in self.scores}
        self.models = {m: facts for m, facts in self.models.items() if m in scored}

    def write(self, folder: Path) -> str:
        """Write the reference, and return in a line what it holds."""
        folder.mkdir(parents=True, exist_ok=True)
        order = [b["name"] for b in (*self.benchmarks, *self.targets)]
        scores = pd.DataFrame(self.scores).reindex(columns=SCORES)
        scores["score"] = scores["score"].round(DIGITS)
        scores["stderr"] = scores["stderr"].astype(float).round(DIGITS)
        models = pd.DataFrame.from_dict(self.models, orient="index").rename_axis("model")
        models = models.reset_index().reindex(columns=FACTS)
        place = {m: i for i, m in enumerate(models["model"])}
        scores = scores.sort_values(
            ["model", "benchmark"],
            key=lambda c: c.map(place if c.name == "model" else order.index),
            kind="stable",
        )
        write_csv(scores.dropna(axis=1, how="all"), folder / "scores.csv")
        write_csv(models.dropna(axis=1, how="all"), folder / "models.csv")
        dates = [d for d in models["release_date"].fillna("") if d]
        self.about.setdefault("date", max(dates))
        self.about = {k: self.about[k] for k in ABOUT if k in self.about}
        write_yaml(self.about, folder / "reference.yaml")
        write_yaml(self.benchmarks, folder / "benchmarks.yaml")
        write_yaml(self.targets, folder / "targets.yaml")
        return f"{len(scores)} scores of {len(models)} models, {len(self.targets)} targets"


ABOUT = ("name", "title", "kind", "date", "version", "licence", "attribution", "note", "sources")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table, compressed where it is large."""
    text = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()
    packed = path.with_name(f"{path.name}.gz")
    for stale in (path, packed):
        stale.unlink(missing_ok=True)
    if len(text) > LARGEST_PLAIN:
        packed.write_bytes(gzip.compress(text, mtime=0))
    else:
        path.write_bytes(text)


def write_yaml(entries: Any, path: Path) -> None:
    """Write entries, a line each as far as they are short."""
    text = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=100)
    path.write_text(text, encoding="utf-8")


def key(name: str) -> str:
    """Return what two spellings of one model's name share."""
    leaf = name.rpartition("/")[2].lower()
    leaf = re.sub(r"^(meta-|moonshotai-|open-)", "", leaf)
    leaf = re.sub(r"-(hf|fp8|v1:0)$", "", leaf)
    return re.sub(r"[^a-z0-9.]", "", leaf)
