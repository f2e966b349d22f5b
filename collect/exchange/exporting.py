"""Scores are exported as tables, in lm-eval's layout, or as records of Every Eval Ever."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capspace.fit._files import write_whole
from capspace.fit.table.cells import PARQUET_ENDINGS

from ..errors import CollectError
from ..storage.files import write_atomically
from ..storage.result import Result, metric_and_filter
from ..storage.samples import json_line
from ..storage.score_table import to_table
from ..storage.store import Store
from .eee_export import write_every_eval_ever
from .exported_runs import (
    Run,
    file_name,
    runs,
    versions_of,
    without_collisions,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EXPORT_FORMATS", "export_scores", "require_format"]

_SEEDS = {
    "python": "random_seed",
    "numpy": "numpy_seed",
    "torch": "torch_seed",
    "fewshot": "fewshot_seed",
}


def require_format(form: str) -> None:
    """Refuse a format that is not there.

    Raises
    ------
    CollectError
        The formats that there are are named.

    """
    if form not in EXPORT_FORMATS:
        raise CollectError(f"unknown format {form!r}; there are {', '.join(EXPORT_FORMATS)}")


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
    require_format(form)
    if not results:
        raise CollectError("there are no scores to export")
    try:
        return EXPORT_FORMATS[form](results, store, out)
    except OSError as error:
        raise CollectError(f"cannot write {out}: {error.strerror or error}") from None


def _csv(results: Sequence[Result], store: Store, out: Path) -> list[Path]:
    if out.suffix.lower() in {*PARQUET_ENDINGS, ".json"}:
        raise CollectError(f"{out}: a name that ends so is read as something else than CSV")
    write_whole(out, _table(results).to_csv(index=False, lineterminator="\n"))
    return [out]


def _parquet(results: Sequence[Result], store: Store, out: Path) -> list[Path]:
    if out.suffix.lower() not in PARQUET_ENDINGS:
        raise CollectError(
            f"{out}: name a Parquet file .parquet or .pq; other tools do not read it"
        )
    try:
        content: bytes = _table(results).to_parquet(index=False)
    except ImportError:
        raise CollectError(
            "writing Parquet needs pyarrow: pip install 'capspace[parquet]'"
        ) from None
    write_whole(out, content)
    return [out]


def _table(results: Sequence[Result]) -> pd.DataFrame:
    """Return a table of whole revisions, so that they are the same where it is read.

    Models have their modes beside them, where one did not respond in plain mode.
    """
    table = to_table(results, longest_revision=64, leaves_store=True)
    modes = table.models["mode"].reindex(table.scores["model"])
    return table.scores if modes.isna().all() else table.scores.assign(mode=modes.to_numpy())


def _lm_eval(results: Sequence[Result], store: Store, out: Path) -> list[Path]:
    """Write a results file per run, or several where one cannot hold it, with samples beside."""
    written = []
    stamps: set[str] = set()
    for run in runs(results):
        folder = out / file_name(run.name)
        folder.mkdir(parents=True, exist_ok=True)
        for own in without_collisions(run.results):
            stamp = _stamp(own, stamps)
            record = _run_record(run, own[0].measured_at)
            for result in own:
                _add_tasks(record, result)
            written += _write_samples(store, own, folder, stamp)
            path = folder / f"results_{stamp}.json"
            write_atomically(path, _json(record), sync=False)
            written.append(path)
    return written


def _run_record(run: Run, measured_at: str) -> dict[str, Any]:
    """Return what lm-eval's layout says of a run as a whole."""
    arguments = {"pretrained": run.model}
    if "dtype" in run.model_identity:
        arguments["dtype"] = run.model_identity["dtype"]
    record: dict[str, Any] = {
        "results": {},
        "versions": {},
        "n-shot": {},
        "n-samples": {},
        "config": {
            "model": run.model_identity.get("backend", "capspace"),
            "model_args": arguments,
            "model_sha": run.revision,
            "limit": run.limit,
            **{_SEEDS[name]: seed for name, seed in run.seeds.items()},
        },
        "model_name": run.name,
        "date": datetime.fromisoformat(measured_at).timestamp(),
        # What lm-eval's layout has no place for.
        "capspace": {
            "name": run.name,
            "conditions": list(run.conditions),
            "protocol": run.protocol,
            "dated": run.is_dated,
            "model": run.model_identity,
        },
    }
    version = run.harness.removeprefix("lm-eval").strip()
    if version:
        record["lm_eval_version"] = version
    if run.model_identity.get("chat_template"):
        record["chat_template"] = "the model's own"
    return record


def _add_tasks(record: dict[str, Any], result: Result) -> None:
    versions = versions_of(result)
    metric, chosen = metric_and_filter(result)
    for task in result.tasks:
        name = task["task"]
        record["results"].setdefault(name, {"alias": name})
        record["results"][name][f"{metric},{chosen}"] = task["score"]
        stderr = task["stderr"]
        unknown = stderr is None or math.isnan(stderr)
        record["results"][name][f"{metric}_stderr,{chosen}"] = "N/A" if unknown else stderr
        record["versions"][name] = versions.get(name, "")
        record["n-shot"][name] = result.n_shot
        record["n-samples"][name] = {"effective": task["n_items"]}


def _write_samples(store: Store, own: list[Result], folder: Path, stamp: str) -> list[Path]:
    """Write a file per task; several metrics of one task have the same samples."""
    lines: dict[str, dict[str, None]] = {}
    for result in own:
        if not store.samples_file(result.key).exists():
            continue
        for record in store.samples(result.key):
            task = str(record.pop("task", result.benchmark))
            lines.setdefault(file_name(task), {})[json_line(record)] = None
    paths = []
    for name, of_task in lines.items():
        path = folder / f"samples_{name}_{stamp}.jsonl"
        write_atomically(path, "\n".join(of_task) + "\n", sync=False)
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
    while (stamp := moment.strftime("%Y-%m-%dT%H-%M-%S.%f")) in taken:
        moment += timedelta(microseconds=1)
    taken.add(stamp)
    return stamp


def _json(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
