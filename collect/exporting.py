"""Handing scores to others: tables, lm-eval's results layout, and Every Eval Ever records."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from capspace.collect.eee_export import write_every_eval_ever
from capspace.collect.errors import CollectError
from capspace.collect.exported_runs import file_name, limit_of, metric_and_filter, runs
from capspace.collect.result import Result, to_table
from capspace.collect.samples import json_line
from capspace.collect.store import Store

__all__ = ["EXPORT_FORMATS", "export_scores"]


def export_scores(results: Sequence[Result], *, store: Store, form: str, out: Path) -> list[Path]:
    """Write results in a format that other tools read, and return the files.

    Parameters
    ----------
    results : sequence of Result
        What to write.
    store : Store
        Where their samples are.
    form : str
        One of ``EXPORT_FORMATS``. ``csv`` and ``parquet`` write one file, the others a folder.
    out : Path
        The file or folder.

    Raises
    ------
    CollectError
        An unknown format, nothing to write, or a place that cannot be written.

    Notes
    -----
    ``every-eval-ever`` follows version 0.3.0 of the schema of that name (evaleval on GitHub).

    """
    if form not in EXPORT_FORMATS:
        raise CollectError(f"unknown format {form!r}; there are {', '.join(EXPORT_FORMATS)}")
    if not results:
        raise CollectError("there are no scores to export")
    try:
        return EXPORT_FORMATS[form](results, store, out)
    except OSError as error:
        raise CollectError(f"cannot write {out}: {error.strerror}") from None


def _csv(results: Sequence[Result], store: Store, out: Path) -> list[Path]:
    to_table(results).scores.to_csv(out, index=False)
    return [out]


def _parquet(results: Sequence[Result], store: Store, out: Path) -> list[Path]:
    try:
        to_table(results).scores.to_parquet(out, index=False)
    except ImportError:
        raise CollectError(
            "writing Parquet needs pyarrow: pip install 'capspace[parquet]'"
        ) from None
    return [out]


def _lm_eval(results: Sequence[Result], store: Store, out: Path) -> list[Path]:
    """Write one results file per model and limit, with the samples of each task beside it."""
    written = []
    stamps: set[str] = set()
    for own in runs(results):
        model, revision, limit = own[0].model, own[0].revision, limit_of(own[0])
        folder = out / file_name(model)
        folder.mkdir(parents=True, exist_ok=True)
        stamp = _stamp(own, stamps)
        told: dict[str, Any] = {
            "results": {},
            "versions": {},
            "n-shot": {},
            "n-samples": {},
            "config": {"model": "capspace", "model_args": {"pretrained": model}, "limit": limit}
            | {"model_sha": revision},
            "model_name": model,
            "date": datetime.fromisoformat(own[0].measured_at).timestamp(),
        }
        # Behind the task and the backend a protocol names what was out of the ordinary.
        special = [words for r in own for words in r.protocol.split("; ")[2:]]
        told["capspace"] = {"conditions": list(dict.fromkeys(special))}
        for result in own:
            _add_tasks(told, result)
            written += _write_samples(store, result, folder, stamp)
        path = folder / f"results_{stamp}.json"
        path.write_text(_json(told), encoding="utf-8")
        written.append(path)
    return written


def _add_tasks(told: dict[str, Any], result: Result) -> None:
    identity = json.loads(result.identity)
    versions = {task["name"]: task["version"] for task in identity.get("tasks", ())}
    metric, chosen = metric_and_filter(result)
    if identity.get("harness"):
        told["lm_eval_version"] = identity["harness"].removeprefix("lm-eval ")
    if identity.get("model", {}).get("chat_template"):
        told["chat_template"] = "the model's own"
    for task in result.tasks:
        name = task["task"]
        told["results"].setdefault(name, {"alias": name})
        told["results"][name][f"{metric},{chosen}"] = task["score"]
        stderr = task["stderr"]
        unknown = stderr is None or math.isnan(stderr)
        told["results"][name][f"{metric}_stderr,{chosen}"] = "N/A" if unknown else stderr
        told["versions"][name] = versions.get(name, "")
        told["n-shot"][name] = result.n_shot
        told["n-samples"][name] = {"effective": task["n_items"]}


def _write_samples(store: Store, result: Result, folder: Path, stamp: str) -> list[Path]:
    if not store.samples_file(result.key).exists():
        return []
    lines: dict[str, list[str]] = {}
    for record in store.samples(result.key):
        task = str(record.pop("task", result.benchmark))
        lines.setdefault(task, []).append(json_line(record))
    paths = []
    for task, own in lines.items():
        path = folder / f"samples_{file_name(task)}_{stamp}.jsonl"
        path.write_text("\n".join(own) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


EXPORT_FORMATS: dict[str, Callable[[Sequence[Result], Store, Path], list[Path]]] = {
    "csv": _csv,
    "parquet": _parquet,
    "lm-eval": _lm_eval,
    "every-eval-ever": write_every_eval_ever,
}
"""Names of the formats, and what writes each."""


def _stamp(results: Sequence[Result], taken: set[str]) -> str:
    """Return the time of the last result in lm-eval's form, moved on where it is taken."""
    moment = max(datetime.fromisoformat(result.measured_at) for result in results)
    stamp = moment.strftime("%Y-%m-%dT%H-%M-%S.%f")
    while stamp in taken:
        stamp = f"{stamp[:-6]}{int(stamp[-6:]) + 1:06d}"
    taken.add(stamp)
    return stamp


def _json(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
