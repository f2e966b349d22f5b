"""A workload says how many items a benchmark has, and about how many tokens each takes a model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from .yaml_model import parse_model

__all__ = ["GENERATED_WEIGHT", "Mode", "TypicalWorkload", "typical_workloads"]

Mode = Literal["plain", "chat", "thinking"]

GENERATED_WEIGHT = 20.0
"""How many tokens of a prompt take as long as one that is generated, which reads all weights."""

_Count = Annotated[int, Field(ge=0)]
_MODES: tuple[Mode, ...] = ("plain", "chat", "thinking")


@dataclass(frozen=True)
class TypicalWorkload:
    """What a benchmark takes a model, about.

    Attributes
    ----------
    n_items : int
    prompt : int
        Tokens of an item's prompt.
    generated : int
        Tokens of an item's answer, 0 where choices are scored.

    """

    n_items: int
    prompt: int
    generated: int

    @property
    def tokens(self) -> float:
        """Tokens of all items, in tokens of a prompt."""
        return self.n_items * (self.prompt + GENERATED_WEIGHT * self.generated)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    benchmarks: dict[str, tuple[_Count, _Count, _Count, _Count, _Count]]


def typical_workloads(mode: Mode) -> dict[str, TypicalWorkload]:
    """Return the workloads of benchmarks by name, for models that answer in a mode.

    Examples
    --------
    >>> from capspace.tasks.workload import typical_workloads
    >>> typical_workloads("plain")["GSM8K"].n_items
    1319

    """
    column = _MODES.index(mode)
    return {
        name: TypicalWorkload(n_items, prompt, generated[column])
        for name, (n_items, prompt, *generated) in _table().benchmarks.items()
    }


@cache
def _table() -> _File:
    file = files("capspace.tasks") / "workloads.yaml"
    return parse_model(file.read_text(encoding="utf-8"), str(file), _File, kind="workloads")[0]
