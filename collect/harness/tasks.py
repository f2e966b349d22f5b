"""lm-eval's tasks are indexed folder by folder, and a benchmark's leaf tasks looked up there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capspace.fit.errors import near_matches
from capspace.tasks.panel import Benchmark

from ..errors import HarnessError
from .version import harness_version

if TYPE_CHECKING:
    from lm_eval.tasks import TaskManager

__all__ = ["TaskIndex"]


class TaskIndex:
    """The index of lm-eval's tasks, ours and the user's, as far as a set of benchmarks needs it.

    Parameters
    ----------
    benchmarks : sequence of Benchmark
        What will be measured; decides which of lm-eval's task folders are indexed.
    include_path : Path, optional
        Folder with task definitions of the user's own. Loading one runs the code it names.

    """

    def __init__(self, benchmarks: Sequence[Benchmark], include_path: Path | None = None) -> None:
        self._include_path = include_path
        self._folders: set[str | None] = {b.folder for b in benchmarks if b.folder}
        self._manager: TaskManager | None = None
        self._leaf_names: dict[tuple[str, ...], list[str]] = {}

    def leaves(self, benchmark: Benchmark) -> list[str]:
        """Return the names of a benchmark's leaf tasks, each once.

        Raises
        ------
        HarnessError
            lm-eval has no such task, or not as many as the panel says.

        """
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

    def config(self, name: str) -> dict[str, Any]:
        """Return a leaf task's configuration as lm-eval's index holds it."""
        return dict(self._entry(name).cfg)

    def _entry(self, name: str) -> Any:
        manager = self.manager
        if name not in manager.task_index and None not in self._folders:
            self._folders.add(None)
            self._manager = None
            manager = self.manager
        if name not in manager.task_index:
            raise HarnessError(
                f"{harness_version()} has no task {name!r}{near_matches(name, manager.all_tasks)}"
            )
        return manager.task_index[name]

    @property
    def manager(self) -> TaskManager:
        """lm-eval's index over the folders that are needed so far."""
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

    from ..sandbox import scoring  # noqa: F401 - registers the filter our tasks name

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
