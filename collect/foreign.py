"""Result files that others wrote: lm-eval's, old and new, and tables of scores."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from capspace.collect.errors import ImportFileError
from capspace.fit.errors import TableError
from capspace.fit.read import read_table

__all__ = ["ForeignScore", "read_foreign"]

_TIDY = {"model", "benchmark", "metric", "value"}


@dataclass(frozen=True)
class ForeignScore:
    """One score as a file states it; None and "" where it states nothing."""

    model: str
    revision: str
    task: str
    """lm-eval's task, or the benchmark's label in a table."""

    score: float
    stderr: float = math.nan
    metric: str = ""
    filter: str = "none"
    n_shot: int | None = None
    n_items: int | None = None
    version: str = ""
    """lm-eval's version of the task."""

    harness: str = ""
    conditions: tuple[str, ...] = ()
    """What else may move the score: a limit, a chat template, other generation settings."""

    protocol: str = ""
    """The protocol in the words of a score table."""

    source: str = ""
    samples: Path | None = None


def read_foreign(path: Path) -> list[ForeignScore]:
    """Return the scores of a file.

    Parameters
    ----------
    path : Path
        lm-eval's ``results_*.json`` (with ``samples_*.jsonl`` beside it), a result file of the Open
        LLM Leaderboard, or a long, tidy or wide CSV or Parquet table.

    Raises
    ------
    ImportFileError
        It is none of these.

    """
    if not path.is_file():
        raise ImportFileError(f"{path}: there is no such file")
    found = list(_from_json(path)) if path.suffix == ".json" else list(_from_table(path))
    if not found:
        raise ImportFileError(f"{path}: there are no scores in it")
    return found


def _from_json(path: Path) -> Iterator[ForeignScore]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise ImportFileError(f"{path}: not JSON ({error})") from None
    results = told.get("results") if isinstance(told, dict) else None
    if not isinstance(results, dict) or not all(isinstance(r, dict) for r in results.values()):
        raise ImportFileError(f"{path}: no mapping 'results' of task to metrics, as lm-eval writes")
    config = told.get("config") or told.get("config_general") or {}
    model, revision = _model(told, config, path)
    common = ForeignScore(
        model=model,
        revision=revision,
        task="",
        score=math.nan,
        harness=f"lm-eval {told['lm_eval_version']}" if told.get("lm_eval_version") else "lm-eval",
        conditions=_conditions(told, config),
    )
    groups = told.get("group_subtasks") or {}
    for key, metrics in results.items():
        if groups.get(key) or key == "all":
            continue  # an average of tasks that are there themselves
        _, task, shots = key.split("|") if key.count("|") == 2 else ("", key, "")
        n_shot = (told.get("n-shot") or {}).get(key, shots or config.get("num_fewshot"))
        count = ((told.get("n-samples") or {}).get(key) or {}).get("effective")
        one = replace(
            common,
            task=task,
            n_shot=None if n_shot in (None, "") else int(n_shot),
            n_items=None if count is None else int(count),
            version=_version((told.get("versions") or {}).get(key)),
            samples=_samples_beside(path, task),
        )
        yield from _metrics(one, metrics, path)


def _metrics(one: ForeignScore, metrics: dict[str, Any], path: Path) -> Iterator[ForeignScore]:
    for name, value in metrics.items():
        metric, _, chosen = name.partition(",")
        if metric.endswith("_stderr") or isinstance(value, (str, bool)) or metric == "sample_len":
            continue
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ImportFileError(f"{path}: {one.task}: {name} is {value!r}, which is no score")
        stderr = metrics.get(f"{metric}_stderr,{chosen}" if chosen else f"{metric}_stderr")
        yield replace(
            one,
            metric=metric,
            filter=chosen or "none",
            score=float(value),
            stderr=float(stderr) if isinstance(stderr, (int, float)) else math.nan,
        )


def _model(told: dict[str, Any], config: dict[str, Any], path: Path) -> tuple[str, str]:
    arguments = config.get("model_args") or {}
    if isinstance(arguments, str):
        arguments = dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
    name = (
        config.get("model_name")
        or arguments.get("pretrained")
        or told.get("model_name")
        or config.get("model")
    )
    if not name:
        raise ImportFileError(f"{path}: it does not say which model it is about")
    revision = (
        config.get("model_sha") or arguments.get("revision") or config.get("model_revision") or ""
    )
    text = str(name)
    # A folder's place on some machine is no part of a model's name.
    return (Path(text).name if text.startswith(("/", ".", "~")) else text), str(revision)


def _conditions(told: dict[str, Any], config: dict[str, Any]) -> tuple[str, ...]:
    found = []
    if config.get("limit") is not None:
        found.append(f"limit {config['limit']:g}")
    if told.get("chat_template"):
        found.append("chat template")
    if told.get("system_instruction"):
        found.append("system instruction")
    if config.get("gen_kwargs"):
        found.append(f"generation settings {config['gen_kwargs']}")
    # Our own exports say what lm-eval's layout has no place for.
    found += [str(c) for c in (told.get("capspace") or {}).get("conditions", ())]
    return tuple(dict.fromkeys(found))


def _version(stated: object) -> str:
    return "" if stated in (None, "", "Yaml", "N/A") else str(stated)


def _samples_beside(path: Path, task: str) -> Path | None:
    stamp = path.stem.removeprefix("results")
    beside = path.with_name(f"samples_{task}{stamp}.jsonl")
    return beside if beside.is_file() else None


def _from_table(path: Path) -> Iterator[ForeignScore]:
    try:
        frame = pd.read_parquet(path) if path.suffix in {".parquet", ".pq"} else pd.read_csv(path)
    except (ValueError, OSError) as error:  # pandas' own parsing errors are ValueErrors
        raise ImportFileError(f"{path}: neither lm-eval's JSON nor a table ({error})") from None
    if set(frame.columns) >= _TIDY:
        yield from _tidy(frame, path)
        return
    try:
        table = read_table(path)
    except TableError as error:
        raise ImportFileError(str(error)) from None
    for row in table.scores.to_dict("records"):
        yield ForeignScore(
            model=row["model"],
            revision=row["revision"],
            task=row["benchmark"],
            score=row["score"],
            stderr=row["stderr"],
            n_shot=_whole(row["n_shot"]),
            n_items=_whole(row["n_items"]),
            protocol=row["protocol"],
            source=row["source"],
        )


def _tidy(frame: pd.DataFrame, path: Path) -> Iterator[ForeignScore]:
    """Read a table with a row per metric, as lm-eval's results are often gathered."""
    for row in frame.to_dict("records"):
        if not math.isfinite(row["value"]):
            continue
        parts = [f"{row[c]}" for c in ("version", "variant") if _is_told(row, c)]
        parts = [part for part in parts if part != row["model"]]
        if _is_told(row, "step"):
            parts.append(f"step {row['step']:g}")
        yield ForeignScore(
            model=str(row["model"]),
            revision=" ".join(parts),
            task=str(row["benchmark"]),
            score=float(row["value"]),
            stderr=float(row.get("stderr", math.nan)),
            metric=str(row["metric"]),
            n_shot=_whole(row.get("num_fewshot", math.nan)),
            source=str(row["source"]) if _is_told(row, "source") else "",
        )


def _is_told(row: dict[Any, Any], column: str) -> bool:
    return column in row and not pd.isna(row[column])


def _whole(value: float) -> int | None:
    return None if pd.isna(value) else int(value)
