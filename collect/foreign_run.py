"""Result files of lm-eval, old and new, and of the Open LLM Leaderboard."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, ValidationError

from capspace.collect.errors import ImportFileError
from capspace.collect.exported_runs import file_name
from capspace.collect.foreign_score import Count, ForeignScore, Name, first_problem
from capspace.collect.run_conditions import (
    ADAPTERS,
    argument_conditions,
    model_arguments,
    plain_name,
    seed_conditions,
)

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
    conditions: tuple[str, ...] = Field((), strict=False)


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
    chat_template: JsonValue = None
    system_instruction: JsonValue = None
    capspace: _Own | None = None
    """What our own exports say that lm-eval's layout has no place for."""


def read_run(path: Path) -> Iterator[ForeignScore]:
    """Yield the scores of a JSON file.

    Raises
    ------
    ImportFileError
        It is not laid out as lm-eval's are, or states what cannot be.

    """
    told = _load(path)
    config = told.config or told.config_general or _Config()
    arguments = model_arguments(config.model_args)
    common: dict[str, Any] = {
        "model": _model(told, config, arguments, path),
        "revision": _revision(config, arguments),
        "setup": _setup(config, arguments),
        "harness": f"lm-eval {told.lm_eval_version or ''}".strip(),
    }
    conditions = _conditions(told, config, arguments)
    for key, metrics in told.results.items():
        if (told.group_subtasks or {}).get(key) or key == "all":
            continue  # an average of tasks that are there themselves
        task, n_shot = _task_and_shots(key, told, config, path)
        count = (told.n_samples or {}).get(key) or _Items()
        of_task = {
            "task": task,
            "n_shot": n_shot,
            "n_items": count.effective,
            "version": _version((told.versions or {}).get(key)),
            "conditions": _limited(conditions, config, count),
            "samples": _samples_beside(path, task),
        }
        yield from _scores(common | of_task, metrics, path)


def _load(path: Path) -> _Run:
    try:
        return _Run.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ImportFileError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            raise ImportFileError(f"{path}: not JSON ({first['msg']})") from None
        if first["loc"][:1] in {(), ("results",)} and "[key]" not in first["loc"]:
            raise ImportFileError(
                f"{path}: no mapping 'results' of task to metrics, as lm-eval writes"
            ) from None
        raise ImportFileError(f"{path}: {first_problem(error)}") from None


def _task_and_shots(key: str, told: _Run, config: _Config, path: Path) -> tuple[str, int | None]:
    """Return a task and its shots; the leaderboard names both in one, as in "harness|arc|25"."""
    _, task, shots = key.split("|") if key.count("|") == 2 else ("", key, "")
    stated = (told.n_shot or {}).get(key)
    if stated is None and shots:
        if not (shots.isascii() and shots.isdigit() and len(shots) < 10):
            raise ImportFileError(f"{path}: {key}: {shots!r} is no number of shots")
        stated = int(shots)
    return task, config.num_fewshot if stated is None else stated


def _scores(one: dict[str, Any], metrics: dict[str, JsonValue], path: Path) -> Iterator[Any]:
    for name, value in metrics.items():
        metric, _, chosen = name.partition(",")
        if metric.endswith("_stderr") or isinstance(value, (str, bool)):
            continue
        if metric in {"sample_len", "sample_count"}:
            continue
        stderr = metrics.get(f"{metric}_stderr,{chosen}" if chosen else f"{metric}_stderr")
        unknown = stderr is None or isinstance(stderr, str)  # lm-eval writes "N/A"
        if not isinstance(value, (int, float)) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            shown = f"{value!r:.60}"
            raise ImportFileError(f"{path}: {one['task']}: {name} is {shown}, which is no score")
        try:
            yield ForeignScore(
                **one,
                metric=metric,
                filter=chosen or "none",
                score=value,
                stderr=math.nan if unknown else stderr,  # type: ignore[arg-type] # checked there
            )
        except ValidationError as error:
            raise ImportFileError(
                f"{path}: {one['task']}: {name}: {first_problem(error)}"
            ) from None


def _model(told: _Run, config: _Config, arguments: dict[str, JsonValue], path: Path) -> str:
    named = config.model_name or arguments.get("pretrained") or arguments.get("model")
    name = named or told.model_name or config.model
    parts = [name, *(arguments[adapter] for adapter in ADAPTERS if adapter in arguments)]
    plain = [plain_name(part) for part in parts if isinstance(part, str)]
    if len(plain) < len(parts) or not all(plain):
        raise ImportFileError(f"{path}: it does not say which model it is about")
    return "+".join(plain)


def _revision(config: _Config, arguments: dict[str, JsonValue]) -> str:
    return config.model_sha or str(arguments.get("revision") or config.model_revision or "")


def _setup(config: _Config, arguments: dict[str, JsonValue]) -> str:
    """Return the model class and the dtype where both are stated: another dtype scores another."""
    stated = arguments.get("dtype")
    loaded = (config.model_dtype or "").removeprefix("torch.")
    dtype = stated if isinstance(stated, str) and stated != "auto" else loaded
    return f"{config.model} {dtype}" if config.model and dtype else ""


def _conditions(told: _Run, config: _Config, arguments: dict[str, JsonValue]) -> list[str]:
    limit = config.limit  # a share of the items, or their number
    found = [] if limit is None else [f"limit {int(limit) if limit.is_integer() else limit}"]
    if config.max_samples is not None:
        found.append(f"limit {config.max_samples}")
    if told.chat_template:
        found.append("chat template")
    if told.system_instruction:
        found.append("system instruction")
    if config.gen_kwargs:
        found.append(f"generation settings {config.gen_kwargs}")
    found += argument_conditions(arguments)
    found += seed_conditions(config.seeds())
    return found + list(told.capspace.conditions if told.capspace else ())


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
