"""Handing scores to others: tables, lm-eval's results layout, and Every Eval Ever records."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from capspace.collect.errors import CollectError
from capspace.collect.result import Result, to_table
from capspace.collect.store import Store

__all__ = ["EXPORT_FORMATS", "export_scores"]

_SCHEMA_VERSION = "0.3.0"


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
    for (model, revision, limit), own in _grouped(results, _run).items():
        folder = out / _file_name(model)
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
    metric, chosen = _metric(result)
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
        lines.setdefault(task, []).append(json.dumps(record, ensure_ascii=False))
    paths = []
    for task, own in lines.items():
        path = folder / f"samples_{_file_name(task)}_{stamp}.jsonl"
        path.write_text("\n".join(own) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def _every_eval_ever(results: Sequence[Result], store: Store, out: Path) -> list[Path]:
    """Write one record per model and day's library, with a result per benchmark."""
    written = []
    now = f"{datetime.now(UTC).timestamp():.3f}"
    for (model, revision, limit), own in _grouped(results, _run).items():
        identity = json.loads(own[0].identity)
        measured = "harness" in identity
        library = identity["harness"].split() if measured else ["unknown", "unknown"]
        parts = (_file_name(model), revision[:12], f"limit{limit}" if limit else "")
        name = "-".join(filter(None, parts))
        record = {
            "schema_version": _SCHEMA_VERSION,
            "evaluation_id": f"capspace/{name}/{now}",
            "evaluation_timestamp": own[0].measured_at,
            "retrieved_timestamp": now,
            "source_metadata": {
                "source_name": "capspace" if measured else "scores imported into capspace",
                "source_type": "evaluation_run" if measured else "documentation",
                "source_organization_name": "unknown",
                "evaluator_relationship": "other",
            },
            "eval_library": {"name": library[0].replace("-", "_"), "version": library[-1]},
            "model_info": {
                "name": model,
                "id": model,
                "additional_details": {
                    "deployment_type": "self_deployed" if measured else "unknown",
                    "model_availability": "unknown",
                    "revision": revision,
                    **{k: str(v) for k, v in sorted(identity.get("model", {}).items())},
                },
            },
            "evaluation_results": [_evaluation_result(result) for result in own],
        }
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"{name}.json"
        path.write_text(_json(record), encoding="utf-8")
        written.append(path)
    return written


def _evaluation_result(result: Result) -> dict[str, Any]:
    metric, chosen = _metric(result)
    details = {"protocol": result.protocol, "source": result.source, "capspace_key": result.key}
    score: dict[str, Any] = {
        "score": result.score,
        "details": details | {"comparable_with_published_scores": str(result.comparable).lower()},
    }
    uncertainty: dict[str, Any] = {}
    if math.isfinite(result.stderr):
        uncertainty["standard_error"] = {"value": result.stderr}
    if result.n_items is not None:
        uncertainty["num_samples"] = result.n_items
    if uncertainty:
        score["uncertainty"] = uncertainty
    shots = {} if result.n_shot is None else {"n_shot": str(result.n_shot)}
    return {
        "evaluation_result_id": result.key,
        "evaluation_name": result.benchmark,
        "evaluation_timestamp": result.measured_at,
        "source_data": {
            "dataset_name": result.benchmark,
            "source_type": "other",
            "additional_details": {"tasks": ", ".join(t["task"] for t in result.tasks)},
        },
        "metric_config": {
            "metric_name": metric or "score",
            "lower_is_better": "perplexity" in metric or metric == "ppl",
            "score_type": "continuous",
            **(
                {}
                if "perplexity" in metric or metric == "ppl"
                else {"min_score": 0, "max_score": 1}
            ),
            "additional_details": {"filter": chosen, **shots},
        },
        "score_details": score,
    }


EXPORT_FORMATS: dict[str, Callable[[Sequence[Result], Store, Path], list[Path]]] = {
    "csv": _csv,
    "parquet": _parquet,
    "lm-eval": _lm_eval,
    "every-eval-ever": _every_eval_ever,
}
"""Names of the formats, and what writes each."""


def _run(result: Result) -> tuple[str, str, int | None]:
    """Return what the results of one file have in common."""
    return result.model, result.revision, json.loads(result.identity).get("limit")


def _grouped(
    results: Iterable[Result], key: Callable[[Result], tuple[str, str, int | None]]
) -> dict[tuple[str, str, int | None], list[Result]]:
    groups: dict[tuple[str, str, int | None], list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return groups


def _metric(result: Result) -> tuple[str, str]:
    identity = json.loads(result.identity)
    first = (identity.get("scores") or [identity])[0]
    return str(first.get("metric", "")), str(first.get("filter", "none"))


def _stamp(results: Sequence[Result], taken: set[str]) -> str:
    """Return the time of the last result in lm-eval's form, moved on where it is taken."""
    moment = max(datetime.fromisoformat(result.measured_at) for result in results)
    stamp = moment.strftime("%Y-%m-%dT%H-%M-%S.%f")
    while stamp in taken:
        stamp = f"{stamp[:-6]}{int(stamp[-6:]) + 1:06d}"
    taken.add(stamp)
    return stamp


def _file_name(name: str) -> str:
    """Return a name as a single file name: no name leads out of the folder."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "__", name).lstrip(".")
    return plain or "model"


def _json(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
