"""lm-eval evaluates one benchmark at a time, on tasks read from the Hub or from a data root.

lm-eval is imported inside functions, so that the command line starts without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capspace.tasks.panel import Benchmark

from ..errors import HarnessError
from ..sandbox import SANDBOX_FILTER
from ..storage.identity import HARNESS_SEEDS, Seeds, TaskIdentity
from ._plain_prompts import plain_prompts
from ._random_code import with_drawn_order
from .data_root import DataRoot, DataSource, datasets_offline, own_files_fingerprint
from .definition import definition_hash
from .evaluation import Evaluation, read_evaluation
from .load_errors import clear_load_errors
from .metering import ItemsDone, metered
from .patches import templates_compiled_once, without_survey
from .sentence_data import require_sentence_data, sentence_data_from, with_sentence_data
from .task_changes import TaskChanges, chosen_items
from .tasks import TaskIndex
from .unsafe_graders import evaluator_of_responses

if TYPE_CHECKING:
    from lm_eval.api.model import LM

__all__ = ["Evaluation", "Harness", "Workload"]

_DEFAULT_NEW_TOKENS = 256
_SCORED = {"loglikelihood", "loglikelihood_rolling", "multiple_choice"}
_NO_CHANGES = TaskChanges()


@dataclass(frozen=True)
class Workload:
    """What a benchmark requests of any model."""

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
        What will be measured; decides which of lm-eval's task folders are indexed.
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
        self._index = TaskIndex(benchmarks, include_path)

    def tasks(
        self, benchmark: Benchmark, changes: TaskChanges = _NO_CHANGES
    ) -> tuple[TaskIdentity, ...]:
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
        for name in self._index.leaves(benchmark):
            config = self._index.config(name)
            _require_sandbox(name, config)
            identities.append(
                TaskIdentity(
                    name=name,
                    version=str((config.get("metadata") or {}).get("version", "")),
                    definition=definition_hash(
                        with_drawn_order(config) | changes.of(benchmark, config)
                    ),
                    data=self._data_identity(config),
                )
            )
        return tuple(identities)

    def generates(self, benchmark: Benchmark) -> bool:
        """Return whether a benchmark asks for texts; no data set is loaded."""
        return bool(self.output_types(benchmark) - _SCORED)

    def compares(self, benchmark: Benchmark) -> bool:
        """Return whether a benchmark asks for log-likelihoods of texts; no data set is loaded."""
        return bool(self.output_types(benchmark) & _SCORED)

    def output_types(self, benchmark: Benchmark) -> set[str]:
        """Return lm-eval's output types of a benchmark's tasks; no data set is loaded."""
        leaves = map(self._index.config, self._index.leaves(benchmark))
        return {str(config.get("output_type", "generate_until")) for config in leaves}

    def evaluate(
        self,
        lm: LM,
        benchmark: Benchmark,
        *,
        seeds: Seeds,
        limit: int | None = None,
        changes: TaskChanges = _NO_CHANGES,
        chat_template: bool = False,
        allow_code_execution: bool = False,
        items_done: ItemsDone = lambda done, total: None,
    ) -> Evaluation | None:
        """Measure one benchmark with lm-eval and return its score.

        Returns None in a process that is not the first of several that share the work.

        Raises
        ------
        HarnessError
            lm-eval gave no finite number for the metric, or used other shots than the panel's.

        """
        from lm_eval import simple_evaluate

        with (
            sentence_data_from(self.data_root),
            plain_prompts(seeds.python, seeds.numpy),
            metered(items_done, getattr(lm, "share_done", None)),
            templates_compiled_once(),
            without_survey(),
        ):
            tasks = self._load(benchmark, changes)
            _require_examples(benchmark, tasks)
            chosen = None
            if not benchmark.is_whole and limit is None:
                chosen = chosen_items(tasks, benchmark, seeds.fewshot)
                tasks = [task for task in tasks if task.config.task in chosen]
            results = simple_evaluate(
                model=lm,
                tasks=tasks,
                num_fewshot=benchmark.n_shot,
                limit=limit,
                samples=chosen,
                apply_chat_template=chat_template,
                random_seed=seeds.python,
                numpy_random_seed=seeds.numpy,
                torch_random_seed=seeds.torch,
                fewshot_random_seed=seeds.fewshot,
                confirm_run_unsafe_code=allow_code_execution,
                task_manager=self._index.manager,
            )
        return None if results is None else read_evaluation(benchmark, results)

    def workload(
        self,
        benchmark: Benchmark,
        *,
        limit: int | None = None,
        changes: TaskChanges = _NO_CHANGES,
    ) -> Workload:
        """Return what a benchmark requests of a model; its data sets are loaded.

        Raises
        ------
        HarnessError, DataRootError
            As ``tasks``.

        """
        n_requests = n_characters = n_generated = 0
        with (
            sentence_data_from(self.data_root),
            plain_prompts(HARNESS_SEEDS.python, HARNESS_SEEDS.numpy),
        ):
            tasks = self._load(benchmark, changes)
            _require_examples(benchmark, tasks)
        chosen: dict[str, list[int]] = {}
        if not benchmark.is_whole and limit is None:
            chosen = chosen_items(tasks, benchmark, HARNESS_SEEDS.fewshot)
            tasks = [task for task in tasks if task.config.task in chosen]
        for task in tasks:
            task.set_config(key="num_fewshot", value=benchmark.n_shot)
            task.set_fewshot_seed(HARNESS_SEEDS.fewshot)
            with metered(lambda done, total: None):
                task.build_all_requests(limit=limit, samples=chosen.get(task.config.task))
            for request in task.instances * task.config.repeats:
                n_requests += 1
                n_characters += sum(len(a) for a in request.args if isinstance(a, str))
                for argument in request.args:
                    if isinstance(argument, dict):
                        n_generated += int(argument.get("max_gen_toks", _DEFAULT_NEW_TOKENS))
        return Workload(n_requests, n_characters, n_generated)

    def _load(self, benchmark: Benchmark, changes: TaskChanges = _NO_CHANGES) -> list[Any]:
        with clear_load_errors(benchmark.name):
            tasks = self._loaded(benchmark)
        for task in tasks:
            changes.make(benchmark, task)
        return tasks

    def _loaded(self, benchmark: Benchmark) -> list[Any]:
        names = self._index.leaves(benchmark)  # may extend the index
        manager = self._index.manager
        for name in names:
            require_sentence_data(self._index.config(name), self.data_root)
        if self.data_root is None:
            return list(manager.load(names)["tasks"].values())
        # lm-eval merges overrides into registered tasks only inside a group.
        members = []
        for name in names:
            source = self._source(self._index.config(name))
            members.append({"task": name, **({} if source is None else source.overrides())})
        with datasets_offline():
            loaded = manager.load([{"group": "capspace", "task": members}])
        return list(loaded["tasks"].values())

    def _source(self, config: dict[str, Any]) -> DataSource | None:
        """Return the files of the data root that a task reads; None where it reads others."""
        return None if self.data_root is None else self.data_root.serves(config)

    def _data_identity(self, config: dict[str, Any]) -> str:
        if "custom_dataset" in config:  # made by code, which the definition's hash covers
            return "generated"
        source = self._source(config)
        named = (source and source.fingerprint) or own_files_fingerprint(config) or "hub"
        return with_sentence_data(named, config, self.data_root)


def _require_examples(benchmark: Benchmark, tasks: Sequence[Any]) -> None:
    """Refuse more examples than a task's data has, of which lm-eval draws without a clear word."""
    for task in tasks:
        pool = getattr(getattr(task, "sampler", None), "df", None)
        if pool is None or not benchmark.n_shot:
            continue
        itself = (
            task.fewshot_cfg.split == task.config.test_split
        )  # an item is no example of its own
        if benchmark.n_shot + itself > len(pool):
            raise HarnessError(
                f"{benchmark.name}: n_shot: {benchmark.n_shot} wants more examples than task "
                f"{task.config.task} has to draw from, {max(0, len(pool) - itself)}; give a lower "
                "n_shot in the panel, or more data"
            )


def _require_sandbox(name: str, config: dict[str, Any]) -> None:
    """Refuse a task that would run what a model writes outside the sandbox."""
    steps = [step for entry in config.get("filter_list") or () for step in entry["filter"]]
    if config.get("unsafe_code") and SANDBOX_FILTER not in {s["function"] for s in steps}:
        raise HarnessError(
            f"task {name} runs code that the model writes outside a sandbox; let a filter "
            f"{SANDBOX_FILTER} judge it (as humaneval_sandboxed does)"
        )
    evaluator = evaluator_of_responses(config)
    if evaluator is not None:
        raise HarnessError(
            f"task {name} runs text that the model writes as code, outside a sandbox "
            f"({evaluator}); take another task"
        )
