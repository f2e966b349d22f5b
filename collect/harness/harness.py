"""The adapter to lm-eval: its tasks and its evaluation, and nothing else of it.

Only this module touches lm-eval's evaluation API. lm-eval is imported inside functions, so that
the command line starts without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capspace.fit.errors import near_matches
from capspace.tasks.panel import Benchmark

from ..errors import HarnessError
from ..sandbox import SANDBOX_FILTER
from ..storage.identity import HARNESS_SEEDS, Seeds, TaskIdentity
from ._plain_prompts import plain_prompts
from ._random_code import with_drawn_order
from .data_root import (
    DataRoot,
    DataSource,
    datasets_offline,
    own_files_fingerprint,
)
from .definition import definition_hash
from .evaluation import Evaluation, read_evaluation
from .metering import ItemsDone, metered
from .unsafe_graders import evaluator_of_answers

if TYPE_CHECKING:
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

__all__ = [
    "Evaluation",
    "Harness",
    "Workload",
    "harness_version",
    "register_models",
    "wrapped_in_evaluator",
]

_DEFAULT_NEW_TOKENS = 256


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
            lm-eval has no such task, or not as many as the panel says; or it would run what a
            model writes.
        DataRootError
            The data root lacks a data set that a task reads.

        """
        identities = []
        for name in self._leaves(benchmark):
            config = self._config(name)
            _require_sandbox(name, config)
            identities.append(
                TaskIdentity(
                    name=name,
                    version=str((config.get("metadata") or {}).get("version", "")),
                    definition=definition_hash(with_drawn_order(config)),
                    data=self._data_identity(config),
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
        with (
            plain_prompts(seeds.python, seeds.numpy),
            metered(items_done, getattr(lm, "share_done", None)),
            _no_survey(),
        ):
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
        return None if results is None else read_evaluation(benchmark, results)

    def workload(self, benchmark: Benchmark, *, limit: int | None = None) -> Workload:
        """Return what a benchmark asks, counted from its requests; its data sets are loaded.

        Raises
        ------
        HarnessError, DataRootError
            As ``tasks``.

        """
        n_requests = n_characters = n_generated = 0
        with plain_prompts(HARNESS_SEEDS.python, HARNESS_SEEDS.numpy):
            tasks = self._load(benchmark)
        for task in tasks:
            task.set_config(key="num_fewshot", value=benchmark.n_shot)
            task.set_fewshot_seed(HARNESS_SEEDS.fewshot)
            with metered(lambda done, total: None):
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
        with datasets_offline():
            loaded = manager.load([{"group": "capspace", "task": members}])
        return list(loaded["tasks"].values())

    def _source(self, config: dict[str, Any]) -> DataSource | None:
        """Return the files of the data root that a task reads; None where it reads others."""
        if self.data_root is None or "custom_dataset" in config or own_files_fingerprint(config):
            return None
        return self.data_root.source(config)

    def _data_identity(self, config: dict[str, Any]) -> str:
        if "custom_dataset" in config:  # made by code, which the definition's hash covers
            return "generated"
        source = self._source(config)
        return (source and source.fingerprint) or own_files_fingerprint(config) or "hub"

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
            everything = None in self._folders
            named = (f for f in self._folders if f is not None)
            folders = () if everything else tuple(sorted(named))
            if self._include_path is None:
                self._manager = _packaged_tasks(folders, everything)
            else:
                self._manager = _index(folders, everything, self._include_path)
        return self._manager


@cache
def _packaged_tasks(folders: tuple[str, ...], everything: bool) -> TaskManager:
    """Return the index of tasks that come with lm-eval and capspace, which stay as they are."""
    return _index(folders, everything, None)


def _index(folders: tuple[str, ...], everything: bool, include_path: Path | None) -> TaskManager:
    """Return lm-eval's index over some of its task folders, or all, and ours.

    Indexing all of lm-eval's 14,000 task files takes ten seconds, a panel's folders one.
    """
    import lm_eval.tasks

    import capspace.collect.sandbox.scoring  # noqa: F401 - registers the filter our tasks name

    paths = _own_task_folders()
    if not everything:
        builtin = Path(lm_eval.tasks.__file__).parent
        paths += [p for p in (builtin / folder for folder in folders) if p.is_dir()]
    if include_path is not None:
        if not include_path.is_dir():
            raise HarnessError(f"{include_path}: no such folder to take tasks from")
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
    from ..engine.lm import CapspaceLM

    del CapspaceLM  # importing the class registered it


def _require_sandbox(name: str, config: dict[str, Any]) -> None:
    """Refuse a task that would run what a model writes outside the sandbox."""
    steps = [step for entry in config.get("filter_list") or () for step in entry["filter"]]
    if config.get("unsafe_code") and SANDBOX_FILTER not in {s["function"] for s in steps}:
        raise HarnessError(
            f"task {name} runs code that the model writes outside a sandbox; let a filter "
            f"{SANDBOX_FILTER} judge it (as humaneval_sandboxed does)"
        )
    evaluator = evaluator_of_answers(config)
    if evaluator is not None:
        raise HarnessError(
            f"task {name} runs text that the model writes as code, outside a sandbox "
            f"({evaluator}); take another task"
        )


@contextmanager
def wrapped_in_evaluator(**wrappers: Callable[[Any], Any]) -> Iterator[None]:
    """Put what a wrapper makes of one of the evaluator's functions in its place, by name."""
    import lm_eval.evaluator

    before = {name: getattr(lm_eval.evaluator, name) for name in wrappers}
    for name, wrap in wrappers.items():
        setattr(lm_eval.evaluator, name, wrap(before[name]))
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(lm_eval.evaluator, name, function)


@contextmanager
def _no_survey() -> Iterator[None]:
    """Skip lm-eval's survey of machine and git checkout: seconds per call, and kept nowhere."""
    with wrapped_in_evaluator(
        add_env_info=lambda survey: lambda results: None,
        get_git_commit_hash=lambda survey: lambda: None,
    ):
        yield
