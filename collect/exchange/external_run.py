"""Result files of lm-eval, old and new, and of the Open LLM Leaderboard are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, ValidationError

from ..errors import ImportFileError
from ..run.run_conditions import argument_conditions, model_arguments, seed_conditions
from ..storage.run_dates import date_of_epoch, date_of_stamp
from .exported_runs import file_name
from .external_score import (
    Count,
    ExternalFile,
    ExternalScore,
    Name,
    first_problem,
    no_score,
    no_stderr,
)
from .model_names import ModelName, UnnamedModelError, named_model

__all__ = ["read_run"]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, protected_namespaces=())


class _Seeds(_Part):
    random_seed: int | None = None
    numpy_seed: int | None = None
    torch_seed: int | None = None
    fewshot_seed: int | None = None


class _Config(_Seeds):
    model: str | None = None
    model_args: str | dict[str, JsonValue] | None = None
    model_name: str | None = None
    model_sha: str | None = None
    model_revision: str | None = None
    model_dtype: str | None = None
    limit: FiniteFloat | None = None
    max_samples: int | None = None
    """The leaderboard's word for a limit."""

    num_fewshot: Count | None = None
    gen_kwargs: str | dict[str, JsonValue] | None = None

    def seeds(self) -> dict[str, int | None]:
        """Return the seeds that the file states; null is a run without one."""
        return {n: getattr(self, n) for n in _Seeds.model_fields if n in self.model_fields_set}


class _Items(_Part):
    original: Count | None = None
    effective: Count | None = None


class _Own(_Part):
    conditions: tuple[str, ...] = Field(default=(), strict=False)
    name: str | None = None
    protocol: str = ""
    dated: bool = True
    """False where the date is that of an import."""


class _Run(_Part):
    """What is read of a file; it may hold more."""

    results: dict[Name, dict[str, JsonValue]]
    config: _Config | None = None
    config_general: _Config | None = None
    group_subtasks: dict[str, list[str]] | None = None
    versions: dict[str, str | int | float | None] | None = None
    n_shot: dict[str, Count | None] | None = Field(None, alias="n-shot")
    n_samples: dict[str, _Items | None] | None = Field(None, alias="n-samples")
    lm_eval_version: str | None = None
    model_name: str | None = None
    date: JsonValue = None
    chat_template: JsonValue = None
    system_instruction: JsonValue = None
    capspace: _Own | None = None
    """What our own exports say that lm-eval's layout has no place for."""


def read_run(path: Path, text: str, *, model: ModelName | None = None) -> ExternalFile:
    """Return the scores of a JSON file.

    Parameters
    ----------
    path : Path
        Where it lies, with its samples.
    text : str
        What is in it.
    model : ModelName, optional
        Which model it is about; by default what it says itself.

    Raises
    ------
    ImportFileError
        It is not laid out as lm-eval's are, states what cannot be, or names no model.

    """
    run = _load(path, text)
    config = run.config or run.config_general or _Config()
    arguments = model_arguments(config.model_args)
    own = run.capspace or _Own()
    name, about = _model(run, config, arguments, model, path)
    common: dict[str, Any] = {
        "model": name.model,
        "revision": name.revision,
        "setup": _setup(config, arguments),
        "harness": f"lm-eval {run.lm_eval_version or ''}".strip(),
        "protocol": own.protocol,
        "run_date": (date_of_epoch(run.date) or date_of_stamp(path.name)) if own.dated else "",
    }
    conditions = _conditions(run, config, arguments)
    scores: list[ExternalScore] = []
    left_out: list[str] = []
    for key, metrics in run.results.items():
        if (run.group_subtasks or {}).get(key) or key == "all":
            continue  # an average of tasks that are there themselves
        task, n_shot = _task_and_shots(key, run, config, path)
        count = (run.n_samples or {}).get(key) or _Items()
        of_task = {
            "task": task,
            "n_shot": n_shot,
            "n_items": count.effective,
            "version": _version((run.versions or {}).get(key)),
            "conditions": _limited(conditions, config, count),
            "samples": _samples_beside(path, task),
        }
        scores += _scores(common | of_task, metrics, path, left_out)
    return ExternalFile(tuple(scores), tuple(left_out), about=about)


def _load(path: Path, text: str) -> _Run:
    try:
        return _Run.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            raise ImportFileError(f"{path}: not JSON ({first['msg']})") from None
        if first["loc"][:1] in {(), ("results",)} and "[key]" not in first["loc"]:
            raise ImportFileError(
                f"{path}: no mapping 'results' of task to metrics, as lm-eval writes"
            ) from None
        raise ImportFileError(f"{path}: {first_problem(error)}") from None


def _task_and_shots(key: str, run: _Run, config: _Config, path: Path) -> tuple[str, int | None]:
    """Return a task and its shots; the leaderboard names both in one, as in "harness|arc|25"."""
    _, task, shots = key.split("|") if key.count("|") == 2 else ("", key, "")
    stated = (run.n_shot or {}).get(key)
    if stated is None and shots:
        if not (shots.isascii() and shots.isdigit() and len(shots) < 10):
            raise ImportFileError(f"{path}: {key}: {shots!r} is not a number of shots")
        stated = int(shots)
    return task, config.num_fewshot if stated is None else stated


def _scores(
    of_task: dict[str, Any], metrics: dict[str, JsonValue], path: Path, left_out: list[str]
) -> Iterator[ExternalScore]:
    for name, value in metrics.items():
        metric, _, chosen = name.partition(",")
        if metric.endswith("_stderr") or metric in {"sample_len", "sample_count"}:
            continue
        if isinstance(value, str) and not chosen:
            continue  # a name, not a metric
        where = f"{of_task['task']}: {name}"
        if problem := no_score(value):
            left_out.append(f"{where} is {problem}")
            continue
        stderr = metrics.get(f"{metric}_stderr,{chosen}" if chosen else f"{metric}_stderr")
        if stderr is None or stderr == "N/A":  # lm-eval writes both
            stderr = math.nan
        elif problem := no_stderr(stderr):
            left_out.append(f"{where}: its standard error is {problem}")
            stderr = math.nan
        try:
            yield ExternalScore(
                **of_task,
                metric=metric,
                filter=chosen or "none",
                score=value,  # type: ignore[arg-type] # a number, or it would be left out
                stderr=stderr,  # type: ignore[arg-type]
            )
        except ValidationError as error:
            raise ImportFileError(f"{path}: {where}: {first_problem(error)}") from None


def _model(
    run: _Run,
    config: _Config,
    arguments: dict[str, JsonValue],
    given: ModelName | None,
    path: Path,
) -> tuple[ModelName, tuple[ModelName, ...]]:
    """Return the model, and what the file says of it; a snapshot's own commit goes first."""
    try:
        own = run.capspace and (run.capspace.name or run.model_name)
        if own:  # whatever it looks like: it was the name in a store
            name = ModelName(own)
        else:
            name = named_model(
                arguments,
                own=config.model_name,
                stated=run.model_name,
                kind=config.model,
                sha=config.model_sha,
            )
        name = name if name.revision else ModelName(name.model, _revision(config, arguments))
    except UnnamedModelError as error:
        if given is not None:
            return given, error.about
        raise ImportFileError(f"{path}: {error.remedy(path)}") from None
    if given is None:
        return name, (name,)
    return ModelName(given.model, given.revision or name.revision), (name,)


def _revision(config: _Config, arguments: dict[str, JsonValue]) -> str:
    stated = config.model_sha or arguments.get("revision") or config.model_revision or ""
    if isinstance(stated, float):  # as 5e12345 becomes where it is taken for a number
        raise UnnamedModelError("its revision was read as the number", str(stated))
    return str(stated)


def _setup(config: _Config, arguments: dict[str, JsonValue]) -> str:
    """Return the model class and the dtype where both are stated: another dtype scores another."""
    stated = arguments.get("dtype")
    loaded = (config.model_dtype or "").removeprefix("torch.")
    dtype = stated if isinstance(stated, str) and stated != "auto" else loaded
    return f"{config.model} {dtype}" if config.model and dtype else ""


def _conditions(run: _Run, config: _Config, arguments: dict[str, JsonValue]) -> list[str]:
    limit = config.limit  # a share of the items, or their number
    conditions = [] if limit is None else [f"limit {int(limit) if limit.is_integer() else limit}"]
    if config.max_samples is not None:
        conditions.append(f"limit {config.max_samples}")
    if run.chat_template:
        conditions.append("chat template")
    if run.system_instruction:
        conditions.append("system instruction")
    if config.gen_kwargs:
        conditions.append(f"generation settings {config.gen_kwargs}")
    conditions += argument_conditions(arguments)
    conditions += seed_conditions(config.seeds())
    return conditions + list(run.capspace.conditions if run.capspace else ())


def _limited(conditions: list[str], config: _Config, count: _Items) -> tuple[str, ...]:
    """Return the conditions of one task: which items were asked is stated by their number too."""
    some = None not in (count.original, count.effective) and count.original != count.effective
    if some and not any(condition.startswith("limit ") for condition in conditions):
        conditions = [f"limit {count.effective}", *conditions]
    return tuple(dict.fromkeys(conditions))


def _version(stated: str | float | None) -> str:
    return "" if stated in (None, "", "Yaml", "N/A") else str(stated)


def _samples_beside(path: Path, task: str) -> Path | None:
    """Return the samples of a task, under lm-eval's name for the file or that of our exports."""
    stamp = path.stem.removeprefix("results")
    plain = task if len(task) < 150 and "/" not in task else file_name(task)
    for name in (plain, file_name(task)):
        beside = path.with_name(f"samples_{name}{stamp}.jsonl")
        if beside.is_file():
            return beside
    return None
