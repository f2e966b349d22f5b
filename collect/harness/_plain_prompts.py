"""A task gets the prompts of a plain lm-eval run of it alone, whatever else is measured with it.

Everything that a task draws at random then depends only on the seeds: its few-shot examples, and
the items that some tasks shuffle during preparation (the options of GPQA). In lm-eval itself, they
also depend on the number of processes, on the items chosen, on the tasks that were loaded before,
and on the machine's cache of ``datasets``, which takes no account of seeds.

A task that draws anew each time it builds the prompt of an item (in lm-eval, only
``med_prescriptions``) has prompts that depend on the seeds too, but differ from lm-eval's, which
draws from the same stream for names that it then does not use.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from runpy import run_path
from typing import Any

from ._random_code import random_code
from .fewshot_draws import positions_of, whole_run_draws

__all__ = ["plain_prompts"]

_STREAM = "_capspace_random_state"


@contextmanager
def plain_prompts(python_seed: int | None, numpy_seed: int | None) -> Iterator[None]:
    """Let tasks that are made within have the prompts of lm-eval's plain run of each alone.

    Parameters
    ----------
    python_seed, numpy_seed : int, optional
        Seeds of what the tasks draw when they prepare their items; None leaves that unseeded.

    """
    from lm_eval.api.task import ConfigurableTask

    make, build = ConfigurableTask.__init__, ConfigurableTask.build_all_requests

    @wraps(make)
    def made(self: Any, *given: Any, config: Any = None, **settings: Any) -> None:
        draws = random_code(_with_class(config, self))
        if not draws:
            make(self, *given, config=config, **settings)
            return
        with _own_stream(), _transforms_uncached():
            _renew_generators(draws.files)
            if python_seed is not None:
                random.seed(python_seed)
            if numpy_seed is not None:
                _legacy_numpy().seed(numpy_seed)
            make(self, *given, config=_prepared_once(config), **settings)
            if draws.renders:
                setattr(self, _STREAM, _state())

    @wraps(build)
    def built(self: Any, **settings: Any) -> None:
        subset = positions_of(settings.get("samples"))
        if hasattr(self, _STREAM):
            with _own_stream(getattr(self, _STREAM)):
                _build_whole(self, build, settings)
                setattr(self, _STREAM, _state())
        else:
            with whole_run_draws(self, subset):
                build(self, **settings)
        if subset is not None:
            for instance in self.instances:
                instance.position = subset[instance.doc_id]

    # mypy: the replacements have the signatures of what they stand for.
    ConfigurableTask.__init__, ConfigurableTask.build_all_requests = made, built
    try:
        yield
    finally:
        ConfigurableTask.__init__, ConfigurableTask.build_all_requests = make, build


def _with_class(config: Any, task: Any) -> dict[str, Any]:
    """Return a task's configuration with its class, where that is not lm-eval's general one."""
    from lm_eval.api.task import ConfigurableTask

    known = dict(config or {}) if task.CONFIG is None else {**vars(task.CONFIG), **(config or {})}
    return known if type(task) is ConfigurableTask else {**known, "class": type(task)}


def _prepared_once(config: Any) -> Any:
    """Return a configuration by which each split is prepared once, as it may be at random."""
    if not isinstance(config, dict):
        return config
    prepared: dict[tuple[Any, int], tuple[Any, Any]] = {}

    def once(prepare: Callable[[Any], Any]) -> Callable[[Any], Any]:
        @wraps(prepare)
        def prepare_once(split: Any) -> Any:
            key = prepare, id(split)
            if key not in prepared:
                with _transforms_uncached():
                    prepared[key] = split, prepare(split)
            return prepared[key][1]

        return prepare_once

    def changed(part: dict[str, Any]) -> dict[str, Any]:
        prepare = part.get("process_docs")
        return {**part, "process_docs": once(prepare)} if callable(prepare) else part

    examples = config.get("fewshot_config")
    if isinstance(examples, dict):
        config = {**config, "fewshot_config": changed(examples)}
    return changed(config)


def _build_whole(task: Any, build: Any, settings: dict[str, Any]) -> None:
    """Build all documents up to the last that is wanted, and keep those that are.

    For a task that draws while it makes a prompt, so that no document can be left out.
    """
    part = {key: settings.get(key) for key in ("limit", "samples")}
    share = {"rank": settings.get("rank", 0), "world_size": settings.get("world_size", 1)}
    order = positions_of(part["samples"])
    indices = [index for index, _ in task.doc_iterator(**part, **share)]
    index_of = {index if order is None else order[index]: index for index in indices}
    whole = {"limit": max(index_of, default=0) + 1, "samples": None, "rank": 0, "world_size": 1}
    build(task, **(settings | whole))
    task._instances = [i for i in task._instances if i.doc_id in index_of]
    for instance in task._instances:
        name, position, repeats = instance.metadata
        instance.doc_id = index_of[position]
        instance.metadata = (name, instance.doc_id, repeats)


def _renew_generators(files: frozenset[Path]) -> None:
    """Set random number generators that live in tasks' modules to as they are when imported."""
    import numpy as np

    names = tuple({file.name for file in files})
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        # Of thousands of modules few are worth a Path, which takes long to make.
        if not file or not file.endswith(names) or Path(file) not in files:
            continue
        kinds = (random.Random, np.random.Generator, np.random.RandomState)
        live = {k: v for k, v in vars(module).items() if isinstance(v, kinds)}
        fresh = run_path(file, run_name=module.__name__) if live else {}
        for name, generator in live.items():
            if isinstance(generator, random.Random):
                generator.setstate(fresh[name].getstate())
            elif isinstance(generator, np.random.RandomState):
                generator.set_state(fresh[name].get_state())
            else:
                generator.bit_generator.state = fresh[name].bit_generator.state


def _legacy_numpy() -> Any:
    """Return NumPy's global stream, which lm-eval seeds and its tasks draw from."""
    import numpy as np

    return np.random  # the state that tasks use, not one of ours


def _state() -> tuple[Any, Any]:
    return random.getstate(), _legacy_numpy().get_state()


@contextmanager
def _own_stream(state: tuple[Any, Any] | None = None) -> Iterator[None]:
    """Give the global streams back as they were; within, they go on from a state of a task's."""
    before = _state()
    try:
        if state is not None:
            _set_state(state)
        yield
    finally:
        _set_state(before)


def _set_state(state: tuple[Any, Any]) -> None:
    random.setstate(state[0])
    _legacy_numpy().set_state(state[1])


@contextmanager
def _transforms_uncached() -> Iterator[None]:
    """Let ``datasets`` run what maps a data set, whatever its disk cache holds."""
    import datasets

    before = datasets.is_caching_enabled()
    datasets.disable_caching()
    try:
        yield
    finally:
        if before:
            datasets.enable_caching()
