"""A panel and a run's mode change how lm-eval's tasks generate, how often, and on which items.

What is changed is put into a task's configuration before it is hashed, so that it is part of the
task's identity; a task that nothing changes is the same as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from capspace.tasks.panel import Benchmark

from ..errors import HarnessError
from ..storage.mode import Mode
from .estimates import estimating_items
from .item_draws import drawn_items

__all__ = ["TaskChanges", "chosen_items"]

_NO_LOGLIKELIHOODS = (
    "it compares log-likelihoods of given answers, which a model that thinks first has none of; "
    "measure it with thinking off, or take a benchmark that generates"
)
_ITEMS = "capspace_items"  # the key in a configuration that is hashed


@dataclass(frozen=True)
class TaskChanges:
    """What a run changes of every task that generates, beside what the panel does.

    Attributes
    ----------
    generation : mapping
        Generation settings of lm-eval, which win over those of panel and task.
    repeats : int, optional
        Responses per item; None for those of panel or task.
    thinks : bool
        Whether the model thinks before it answers, so that it has no log-likelihoods of answers.

    """

    generation: Mapping[str, Any] = field(default_factory=dict)
    repeats: int | None = None
    thinks: bool = False

    @classmethod
    def of_mode(cls, mode: Mode) -> TaskChanges:
        """Return what a mode changes."""
        return cls(mode.generation, mode.n_samples, mode.cuts_thoughts)

    def of(self, benchmark: Benchmark, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return what of a task's configuration is replaced; {} where nothing is.

        Raises
        ------
        HarnessError
            The task has no score in this mode.

        """
        changes: dict[str, Any] = {}
        if benchmark.estimate is not None:
            changes[_ITEMS] = benchmark.estimate.model_dump(mode="json", exclude={"fitted_on"})
        elif benchmark.items is not None:
            is_drawn = benchmark.draw == "random"  # by a seed, which the identity has as well
            changes[_ITEMS] = {"drawn": benchmark.items} if is_drawn else benchmark.items
        if config.get("output_type", "generate_until") != "generate_until":
            if self.thinks:
                raise HarnessError(_NO_LOGLIKELIHOODS)
            return changes
        generation = {**benchmark.generation, **self.generation}
        if generation:
            changes["generation_kwargs"] = {
                **(config.get("generation_kwargs") or {}),
                **generation,
            }
        repeats = benchmark.repeats if self.repeats is None else self.repeats
        if repeats is not None:
            changes["repeats"] = repeats
        settings = changes.get("generation_kwargs", config.get("generation_kwargs")) or {}
        if (repeats or 1) > 1 and not _samples(settings):
            raise HarnessError(
                f"{repeats} samples per item would be {repeats} times the same text: it takes the "
                "most probable one; give a temperature (--temperature 0.6)"
            )
        return changes

    def make(self, benchmark: Benchmark, task: Any) -> None:
        """Change a task that lm-eval has loaded."""
        config = {
            "output_type": task.config.output_type,
            "generation_kwargs": task.config.generation_kwargs,
        }
        changes = self.of(benchmark, config)
        changes.pop(_ITEMS, None)
        for key, value in changes.items():
            task.set_config(key=key, value=value)
        if changes.get("repeats", 1) > 1:
            _average(task)


def _samples(settings: Mapping[str, Any]) -> bool:
    """Return whether lm-eval samples by these settings, as it reads them."""
    temperature = float(settings.get("temperature", 0.0) or 0.0)
    does = settings.get("do_sample")
    return temperature > 0 if does is None else bool(does) and temperature > 0


def chosen_items(tasks: Sequence[Any], benchmark: Benchmark, seed: int) -> dict[str, list[int]]:
    """Return which items of each task are measured where a benchmark does not take them all.

    Raises
    ------
    HarnessError
        A panel chose items of another data set than the one that is there.

    """
    if benchmark.estimate is not None:
        return estimating_items(tasks, benchmark.estimate)
    if benchmark.items is None:
        return {}
    if benchmark.draw == "random":
        return drawn_items(tasks, benchmark, benchmark.items, seed)
    return _spread_items(tasks, benchmark.items)


def _spread_items(tasks: Sequence[Any], n_items: int) -> dict[str, list[int]]:
    """Return so many items in all, spread over the tasks.

    Each task has a share in proportion to its size, by largest remainders, and at least one item;
    its items are spread evenly over it, and are the same on every machine.
    """
    sizes = [len(task.eval_docs) for task in tasks]
    wanted = min(n_items, sum(sizes))
    exact = [wanted * size / sum(sizes) for size in sizes]
    shares = [max(1, int(share)) for share in exact]
    by_remainder = sorted(range(len(tasks)), key=lambda i: shares[i] - exact[i])
    for i in by_remainder[: max(0, wanted - sum(shares))]:
        shares[i] += 1
    return {
        task.config.task: [(2 * k + 1) * size // (2 * share) for k in range(share)]
        for task, size, share in zip(tasks, sizes, shares, strict=True)
    }


def _average(task: Any) -> None:
    """Let every response of an item count, where lm-eval takes the first and drops the others."""
    from lm_eval.filters.selection import TakeFirstFilter

    drops_others = []
    for ensemble in task._filters:
        steps = [getattr(step, "func", step) for step in ensemble.filters]
        drops_others.append(TakeFirstFilter in steps)
        ensemble.filters = [
            step
            for step, kind in zip(ensemble.filters, steps, strict=True)
            if kind is not TakeFirstFilter
        ]
        if not ensemble.filters:
            ensemble.filters = [_AsTheyAre]
    if not any(drops_others):
        return  # its own grading takes all of them
    if not all(drops_others):
        raise HarnessError(
            f"task {task.config.task}: some of its filters take one response and some take all, so "
            "that several samples per item have no score; leave out --n-samples"
        )
    task.process_results = _averaged(task.process_results)


class _AsTheyAre:
    """A filter of lm-eval that leaves responses alone."""

    def apply(self, resps: Sequence[Any], docs: Sequence[Any]) -> list[list[Any]]:
        return [list(responses) for responses in resps]


def _averaged(score: Callable[[Any, list[Any]], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def of_all(doc: Any, results: list[Any]) -> dict[str, Any]:
        (responses,) = results
        scored = [score(doc, [response]) for response in responses]
        return {name: _mean([metrics[name] for metrics in scored]) for name in scored[0]}

    return of_all


def _mean(values: list[Any]) -> Any:
    """Return the mean of numbers; lists of one number each per part are joined."""
    if isinstance(values[0], list):
        return [number for part in values for number in part]
    return sum(map(float, values)) / len(values)
