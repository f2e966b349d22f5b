"""The adapter to lm-eval: its tasks, its evaluation and its command line, and nothing else of it.

Only this module touches lm-eval's evaluation API. lm-eval is imported inside functions, so that
the command line starts without it.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capspace.collect.data_root import DataRoot, DataSource
from capspace.collect.errors import HarnessError
from capspace.collect.identity import Seeds, TaskIdentity
from capspace.collect.sandbox import SANDBOX_FILTER
from capspace.fit.errors import near_matches
from capspace.tasks.panel import Benchmark

if TYPE_CHECKING:
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

__all__ = [
    "Evaluation",
    "Harness",
    "Workload",
    "harness_version",
    "lm_eval_main",
    "register_models",
]

ItemsDone = Callable[[int, int], None]
"""Called with items answered and items in all, again and again while a model answers."""

_DEFAULT_NEW_TOKENS = 256
_LABELS = frozenset({"tag", "task_alias", "group", "group_alias"})


@dataclass(frozen=True)
class Evaluation:
    """What lm-eval measured for one benchmark."""

    score: float
    stderr: float
    """Standard error of the score; NaN where lm-eval gives none (a single item)."""

    n_items: int
    tasks: tuple[dict[str, Any], ...]
    """Per leaf task: name, score, stderr, n_items."""

    samples: tuple[dict[str, Any], ...]
    """lm-eval's own record of every item, with its task's name."""

    environment: dict[str, Any]
    """Batch sizes and library versions as lm-eval reports them."""


@dataclass(frozen=True)
class Workload:
    """What a benchmark asks of any model."""

    n_requests: int
    n_characters: int
    """Characters of all prompts and continuations."""

    n_generated: int
    """Most tokens to be generated."""


class Harness:
    """lm-eval's tasks for a set of benchmarks, read from the Hub or from a data root.

    Parameters
    ----------
    benchmarks : sequence of Benchmark
        What will be asked for; decides which of lm-eval's task folders are indexed.
    data_root : DataRoot, optional
        Where tasks read their data; the Hub by default.
    include_path : Path, optional
        Folder with task definitions of the user's own. Loading one runs the code it names.

    """

    def __init__(
        self,
        benchmarks: Sequence[Benchmark],
        *,
        data_root: DataRoot | None = None,
        include_path: Path | None = None,
    ) -> None:
        self.data_root = data_root
        self._include_path = include_path
        self._folders: set[str | None] = {b.folder for b in benchmarks if b.folder}
        self._manager: TaskManager | None = None
        self._leaf_names: dict[tuple[str, ...], list[str]] = {}

    def tasks(self, benchmark: Benchmark) -> tuple[TaskIdentity, ...]:
        """Return the identity of each leaf task of a benchmark; no data set is loaded.

        Raises
        ------
        HarnessError
            lm-eval has no such task, or not as many as the panel says.
        DataRootError
            The data root lacks a data set that a task reads.

        """
        identities = []
        for name in self._leaves(benchmark):
            config = self._config(name)
            _require_sandbox(name, config)
            source = self._source(config)
            data = "hub" if source is None else source.fingerprint
            if "custom_dataset" in config:  # made by code, which the definition's hash covers
                data = "generated"
            identities.append(
                TaskIdentity(
                    name=name,
                    version=str((config.get("metadata") or {}).get("version", "")),
                    definition=_definition_hash(config),
                    data=data,
                )
            )
        return tuple(identities)

    def evaluate(
        self,
        lm: LM,
        benchmark: Benchmark,
        *,
        seeds: Seeds,
        limit: int | None = None,
        chat_template: bool = False,
        allow_code_execution: bool = False,
        items_done: ItemsDone = lambda done, total: None,
    ) -> Evaluation | None:
        """Measure one benchmark with lm-eval and return its score.

        Returns None in a process that is not the first of several that share the work.

        Raises
        ------
        HarnessError
            lm-eval gave no finite number for the metric, or used other shots than asked for.

        """
        from lm_eval import simple_evaluate

        manager = self._task_manager()
        with _metered(items_done, getattr(lm, "share_done", None)):
            results = simple_evaluate(
                model=lm,
                tasks=self._load(benchmark),
                num_fewshot=benchmark.n_shot,
                limit=limit,
                apply_chat_template=chat_template,
                random_seed=seeds.python,
                numpy_random_seed=seeds.numpy,
                torch_random_seed=seeds.torch,
                fewshot_random_seed=seeds.fewshot,
                confirm_run_unsafe_code=allow_code_execution,
                task_manager=manager,
            )
        return None if results is None else _evaluation(benchmark, results)

    def workload(self, benchmark: Benchmark, *, limit: int | None = None) -> Workload:
        """Return what a benchmark asks, counted from its requests; its data sets are loaded.

        Raises
        ------
        HarnessError, DataRootError
            As ``tasks``.

        """
        n_requests = n_characters = n_generated = 0
        for task in self._load(benchmark):
            task.set_config(key="num_fewshot", value=benchmark.n_shot)
            with _metered(lambda done, total: None):
                task.build_all_requests(limit=limit)
            for request in task.instances:
                n_requests += 1
                n_characters += sum(len(a) for a in request.args if isinstance(a, str))
                for argument in request.args:
                    if isinstance(argument, dict):
                        n_generated += int(argument.get("max_gen_toks", _DEFAULT_NEW_TOKENS))
        return Workload(n_requests, n_characters, n_generated)

    def _load(self, benchmark: Benchmark) -> list[Any]:
        manager, names = self._task_manager(), self._leaves(benchmark)
        if self.data_root is None:
            return list(manager.load(names)["tasks"].values())
        # lm-eval merges overrides into registered tasks only inside a group.
        members = []
        for name in names:
            source = self._source(self._config(name))
            members.append({"task": name, **({} if source is None else source.overrides())})
        loaded = manager.load([{"group": "capspace", "task": members}])
        return list(loaded["tasks"].values())

    def _source(self, config: dict[str, Any]) -> DataSource | None:
        """Return the files that a task reads; None where they are the Hub's or made by code."""
        if self.data_root is None or "custom_dataset" in config:
            return None
        return self.data_root.source(config)

    def _leaves(self, benchmark: Benchmark) -> list[str]:
        if benchmark.tasks not in self._leaf_names:
            names = list(
                dict.fromkeys(leaf for name in benchmark.tasks for leaf in self._expand(name))
            )
            if len(names) != benchmark.n_tasks:
                raise HarnessError(
                    f"{benchmark.name}: {', '.join(benchmark.tasks)} is {len(names)} tasks in "
                    f"{harness_version()}, the panel says n_tasks: {benchmark.n_tasks}"
                )
            self._leaf_names[benchmark.tasks] = names
        return self._leaf_names[benchmark.tasks]

    def _expand(self, name: str) -> Iterator[str]:
        entry = self._entry(name)
        kind = entry.kind.name
        if kind == "TAG":
            yield from sorted(entry.tags)
        elif kind == "GROUP":
            members = entry.cfg["task"]
            for member in [members] if isinstance(members, str) else members:
                if not isinstance(member, str):
                    raise HarnessError(
                        f"group {name!r} changes its tasks in place; name its tasks in the panel"
                    )
                yield from self._expand(member)
        else:
            yield name

    def _config(self, name: str) -> dict[str, Any]:
        return dict(self._entry(name).cfg)

    def _entry(self, name: str) -> Any:
        manager = self._task_manager()
        if name not in manager.task_index and None not in self._folders:
            self._folders.add(None)
            self._manager = None
            manager = self._task_manager()
        if name not in manager.task_index:
            raise HarnessError(
                f"{harness_version()} has no task {name!r}{near_matches(name, manager.all_tasks)}"
            )
        return manager.task_index[name]

    def _task_manager(self) -> TaskManager:
        if self._manager is None:
            self._manager = _task_manager(
                tuple(sorted(f for f in self._folders if f is not None)),
                None in self._folders,
                self._include_path,
            )
        return self._manager


@cache
def _task_manager(
    folders: tuple[str, ...], everything: bool, include_path: Path | None
) -> TaskManager:
    """Return lm-eval's index over some of its task folders, or all, and ours.

    Indexing all of lm-eval's 14,000 task files takes ten seconds, a panel's folders one.
    """
    import lm_eval.tasks

    import capspace.collect.sandbox.scoring  # noqa: F401 - registers the filter our tasks name

    paths = [p for p in _own_task_folders()]
    if not everything:
        builtin = Path(lm_eval.tasks.__file__).parent
        paths += [p for p in (builtin / folder for folder in folders) if p.is_dir()]
    if include_path is not None:
        paths.append(include_path)
    return lm_eval.tasks.TaskManager(include_path=paths, include_defaults=everything)


def _own_task_folders() -> list[Path]:
    """Return the folders of ``capspace.tasks`` that define lm-eval tasks."""
    here = Path(str(files("capspace.tasks")))
    others = {"panels", "data"}
    return sorted(p for p in here.iterdir() if p.name not in others and any(p.glob("*.yaml")))


def harness_version() -> str:
    """Return ``"lm-eval <version>"`` of the installed one, without importing it."""
    return f"lm-eval {version('lm_eval')}"


def register_models() -> None:
    """Make capspace's own model classes known to lm-eval by name."""
    from capspace.collect.engine import register

    register()


def lm_eval_main(arguments: Sequence[str]) -> None:
    """Run lm-eval's command line with capspace's models registered."""
    from lm_eval.__main__ import cli_evaluate

    register_models()
    before = sys.argv
    # lm-eval reads and edits sys.argv itself.
    sys.argv = ["capspace lm-eval", *arguments]
    try:
        cli_evaluate()
    finally:
        sys.argv = before


def _require_sandbox(name: str, config: dict[str, Any]) -> None:
    """Refuse a task that would run a model's code outside the sandbox."""
    steps = [step for entry in config.get("filter_list") or () for step in entry["filter"]]
    if config.get("unsafe_code") and SANDBOX_FILTER not in {s["function"] for s in steps}:
        raise HarnessError(
            f"task {name} runs code that the model writes outside a sandbox; let a filter "
            f"{SANDBOX_FILTER} judge it (as humaneval_sandboxed does)"
        )


def _definition_hash(config: dict[str, Any]) -> str:
    """Return the hash of a task's configuration with the code of the functions it names."""
    kept = {k: v for k, v in config.items() if k not in _LABELS}
    text = json.dumps(_with_code(kept), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _with_code(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _with_code(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_code(v) for v in value]
    # lm-eval's index leaves "!function utils.f" as "<folder>/utils.f".
    if isinstance(value, str) and value.startswith("/") and "\n" not in value:
        module, _, function = value.rpartition(".")
        path = Path(f"{module}.py")
        if module and path.is_file():
            return [path.name, function, hashlib.sha256(path.read_bytes()).hexdigest()]
    return value


def _evaluation(benchmark: Benchmark, results: dict[str, Any]) -> Evaluation:
    key = f"{benchmark.metric},{benchmark.filter}"
    error_key = f"{benchmark.metric}_stderr,{benchmark.filter}"
    parts = []
    for task, metrics in results["results"].items():
        if key not in metrics:
            known = sorted(k for k in metrics if "," in k and "_stderr" not in k)
            raise HarnessError(f"task {task} gives no {key}; it gives {'; '.join(known)}")
        score, stderr = float(metrics[key]), metrics.get(error_key, math.nan)
        if not math.isfinite(score):
            raise HarnessError(f"task {task}: {key} is {score}")
        if results["n-shot"][task] != benchmark.n_shot:
            raise HarnessError(
                f"task {task} fixes its examples at {results['n-shot'][task]}, "
                f"the panel asks for {benchmark.n_shot}"
            )
        parts.append(
            {
                "task": task,
                "score": score,
                "stderr": float(stderr) if isinstance(stderr, (int, float)) else math.nan,
                "n_items": int(results["n-samples"][task]["effective"]),
            }
        )
    samples = (
        {"task": task, **sample}
        for task, records in results["samples"].items()
        for sample in records
    )
    return Evaluation(
        score=math.fsum(p["score"] for p in parts) / len(parts),
        stderr=math.sqrt(math.fsum(p["stderr"] ** 2 for p in parts)) / len(parts),
        n_items=sum(p["n_items"] for p in parts),
        tasks=tuple(parts),
        samples=tuple(samples),
        environment={
            "batch_sizes": results["config"].get("batch_sizes", []),
            "transformers": results.get("transformers_version"),
        },
    )


@contextmanager
def _metered(
    items_done: ItemsDone, share_done: Callable[[float], float] | None = None
) -> Iterator[None]:
    """Turn the progress bars of lm-eval and of our models into calls of ``items_done``.

    A recorder asks the model piece by piece: its ``share_done`` turns the share of a piece that is
    done into the share of all requests.
    """
    from tqdm import tqdm

    n_items = 0

    class Silent(tqdm):  # type: ignore[type-arg]  # generic in the stubs only
        monitor_interval = 0

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs | {"file": StringIO()})

        def display(self, *args: Any, **kwargs: Any) -> None:
            """Print nothing."""

    class Prompts(Silent):
        """The bar over the items whose prompts are built."""

        def close(self) -> None:
            nonlocal n_items
            n_items += int(self.total or 0)
            self.total = 0
            super().close()

    class Requests(Silent):
        """The bar over the requests that the model answers."""

        def update(self, n: float | None = 1) -> bool | None:
            drawn = super().update(n)
            if self.total:
                share = self.n / self.total
                items_done(round(n_items * (share_done(share) if share_done else share)), n_items)
            return drawn

    holders = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith(("lm_eval.", "capspace.")) and getattr(module, "tqdm", None) is tqdm
    ]
    for module in holders:
        kind = Prompts if module.__name__ == "lm_eval.api.task" else Requests
        module.tqdm = kind  # type: ignore[attr-defined]  # there: it was looked up above
    try:
        yield
    finally:
        for module in holders:
            module.tqdm = tqdm  # type: ignore[attr-defined]  # as above
