"""A panel is a named, versioned set of benchmarks, each with its protocol."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from .errors import PanelError, YamlError
from .item_estimate import ItemEstimate
from .yaml_model import near_names, parse_model

__all__ = ["Benchmark", "Difference", "Panel", "PanelError", "load_panel", "panel_names"]

# Tasks can name code to run, so a panel must not reach any that lie elsewhere.
_INNER_PATH = r"^[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)*$"
Text = Annotated[str, Field(min_length=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Benchmark(_Frozen):
    """One benchmark and the protocol it is measured by."""

    name: Text
    """Label under which the score is kept and compared, e.g. ``"ARC-C"``."""

    tasks: Annotated[tuple[Text, ...], Field(min_length=1)]
    """lm-eval tasks, groups or tags; all leaf tasks below them count once each."""

    n_shot: Annotated[int, Field(ge=0)]
    """Solved examples in the prompt."""

    metric: Text
    """lm-eval's name of the metric, e.g. ``"acc_norm"``; of several joined by "+", the mean."""

    filter: Text = "none"
    """lm-eval's name of the answer filter, e.g. ``"strict-match"``."""

    aggregate: Literal["mean", "weighted"] = "mean"
    """How leaf tasks become one score: their mean, each counting once, or as its items do."""

    n_tasks: Annotated[int, Field(ge=1)] = 1
    """Leaf tasks expected; another count is an error, never a silently different mean."""

    folder: Annotated[str, Field(pattern=_INNER_PATH)] | None = None
    """Folder below lm-eval's own tasks that defines them; saves indexing all of its files."""

    chance: Annotated[float, Field(ge=0, le=1)] | None
    """Score expected from guessing; null where it is not defined."""

    normalised: bool = False
    """Whether the score is also given on the scale of the Open LLM Leaderboard, on which guessing
    is 0."""

    task_chance: dict[Text, Annotated[float, Field(ge=0, lt=1)]] = {}
    """Score of guessing by leaf task, where the leaderboard normalises task by task."""

    generation: dict[Text, float | int | str | bool | list[str]] = {}
    """Generation settings of lm-eval in place of the tasks' own, e.g. ``max_gen_toks``."""

    repeats: Annotated[int, Field(ge=1)] | None = None
    """Responses per item, whose scores are averaged; null for what the task itself does."""

    items: Annotated[int, Field(ge=1)] | None = None
    """Items in all, spread evenly over each leaf task in proportion to its size; null for all."""

    draw: Literal["spread", "random"] = "spread"
    """How ``items`` are chosen: evenly spread, or in a random order by the run's seed, of which
    every leaf task has the same number where the score is their mean, and its share where not."""

    estimate: ItemEstimate | None = None
    """Some items alone, and how the score by all follows from them; null to measure all."""

    comparable: bool = True
    """Whether published scores are measured by this protocol."""

    executes_code: bool = False
    """Whether scoring runs code that the model wrote."""

    source: Text
    """Where this protocol comes from."""

    @model_validator(mode="after")
    def _items_are_chosen_once(self) -> Self:
        if self.estimate is not None and self.items is not None:
            raise ValueError("items and estimate both say which items are measured; leave one out")
        if self.estimate is not None and self.normalised:
            raise ValueError("an estimated score has no parts that a leaderboard would normalise")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether all of its items are measured."""
        return self.items is None and self.estimate is None

    def on_board_scale(self, score: float, by_task: Mapping[str, float]) -> float:
        """Return the score as the Open LLM Leaderboard shows it.

        Parameters
        ----------
        score : float
            The benchmark's score.
        by_task : mapping
            Scores of its leaf tasks.

        Returns
        -------
        float
            ``max(0, (score - chance) / (1 - chance))``; where tasks have chance levels of their
            own, the mean of theirs.

        """
        pairs = [(by_task[name], chance) for name, chance in self.task_chance.items()]
        pairs = pairs or [(score, self.chance or 0.0)]
        return math.fsum(max(0.0, (s - c) / (1 - c)) for s, c in pairs) / len(pairs)


class Difference(_Frozen):
    """Where a leaderboard, lm-eval and a panel that stands for it measure alike or do not."""

    subject: Text
    """What they may differ in."""

    board: Text
    """What the leaderboard does."""

    lm_eval: Text
    """What lm-eval does by itself."""

    panel: Text
    """What the panel does."""

    reason: Text
    """Why it matters, or why they differ."""


class Panel(_Frozen):
    """A named, versioned set of benchmarks."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Annotated[int, Field(ge=1)]
    description: Text
    differences: tuple[Difference, ...] = ()
    """What matches the leaderboard that the panel stands for, and what does not."""

    benchmarks: Annotated[tuple[Benchmark, ...], Field(min_length=1)]

    _file: Path | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        seen: set[str] = set()
        for benchmark in self.benchmarks:
            if benchmark.name in seen:
                raise ValueError(f"benchmark {benchmark.name!r} is there twice")
            seen.add(benchmark.name)
        return self

    def __getitem__(self, name: str) -> Benchmark:
        """Return the benchmark of this name.

        Raises
        ------
        PanelError
            No benchmark has it; packaged panels that do are named, or near matches, or else all
            benchmarks.

        """
        for benchmark in self.benchmarks:
            if benchmark.name == name:
                return benchmark
        known = [b.name for b in self.benchmarks]
        others = [
            panel
            for panel in panel_names()
            if any(b.name == name for b in _packaged(panel).benchmarks)
        ]
        if others:
            near = f"; panel {' and panel '.join(others)} {'have' if len(others) > 1 else 'has'} it"
        else:
            near = near_names(name, known) or f"; it has {', '.join(known)}"
        raise PanelError(f"panel {self.name} has no benchmark {name!r}{near}")

    @property
    def file(self) -> Path | None:
        """The file that it was read from, as an absolute path; None for any other panel."""
        return self._file

    def select(self, names: Iterable[str]) -> Panel:
        """Return the same panel with only these benchmarks, in the panel's own order."""
        wanted = {self[name].name for name in names}
        chosen = tuple(b for b in self.benchmarks if b.name in wanted)
        return self.model_copy(update={"benchmarks": chosen})


def panel_names() -> list[str]:
    """Return the names of the panels that come with the package, sorted.

    Examples
    --------
    >>> from capspace.tasks import panel_names
    >>> "smoke" in panel_names()
    True

    """
    folder = files("capspace.tasks") / "panels"
    names = (path.name for path in folder.iterdir())
    return sorted(n.removesuffix(".yaml") for n in names if n.endswith(".yaml"))


def load_panel(name_or_path: str | Path) -> Panel:
    """Read a panel: the name of one that comes with the package, or a path to a YAML file.

    Raises
    ------
    PanelError
        No such panel (near matches are named), or the file is not a valid panel (file and field).

    Examples
    --------
    >>> from capspace.tasks import load_panel
    >>> load_panel("classic-8")["MMLU"].n_shot
    5

    """
    text = str(name_or_path)
    if text in panel_names():
        return _packaged(text).model_copy(deep=True)
    path = Path(text)
    if path.suffix not in {".yaml", ".yml"} and not path.is_file():
        raise PanelError(
            f"unknown panel {text!r}{near_names(text, panel_names())}; "
            f"there are {', '.join(panel_names())}, or give a path to a .yaml file"
        )
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PanelError(f"{text}: cannot read this panel: {reason}") from None
    panel = _parse(content, text)
    panel._file = path.resolve()
    return panel


@cache
def _packaged(name: str) -> Panel:
    resource = files("capspace.tasks") / "panels" / f"{name}.yaml"
    return _parse(resource.read_text(encoding="utf-8"), f"{name}.yaml")


def _parse(text: str, where: str) -> Panel:
    try:
        return parse_model(text, where, Panel, kind="panel")[0]
    except YamlError as error:
        raise PanelError(*error.args) from None
