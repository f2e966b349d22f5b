"""A protocol says how a benchmark was measured, in the sentence that is stored with the score.

It stands in this room because runs state it, exchange compares it, and both know it from the column
``protocol`` of stored results, of which this module is the only reader.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from capspace.tasks.panel import Benchmark

from .identity import TaskIdentity
from .mode import Mode

__all__ = ["CHAT_TEMPLATE", "Protocol"]

CHAT_TEMPLATE = "chat template"
_ORDINARY = Mode()

# The task's own words: harness, tasks, versions, metric, and the filter unless there is none.
_TASK = re.compile(
    r"(?:(?P<harness>lm-eval(?: \d\S*)?) )?(?P<tasks>\S+)"
    r"(?: (?P<version>v[^\s/]+(?:/v[^\s/]+)*|(?= )))?"
    r" (?P<metric>[^\s(]\S*?)(?: \((?P<filter>.+)\))?"
)
# Where a sentence states harness and version, a metric of several words is told from them.
_TASK_OF_HARNESS = re.compile(
    r"(?P<harness>lm-eval \d\S*) (?P<tasks>\S+)"
    r" (?P<version>v[^\s/]+(?:/v[^\s/]+)*|) (?P<metric>[^\s(].*?)(?: \((?P<filter>.+)\))?"
)
_NUMBERED = re.compile(r"(limit|seed) ([0-9]{1,40})")


@dataclass(frozen=True)
class Protocol:
    """How a benchmark was measured, as far as two ways may differ in score.

    ``str`` gives the sentence that tells any two apart, which results carry and score tables show.

    Attributes
    ----------
    tasks : tuple of str
        lm-eval's tasks or groups.
    metric, filter : str
        lm-eval's names of them; ``"none"`` is its name where there is no filter.
    version : str or None
        The tasks' versions (``"v1.0"``, ``"v1.0/v2.0"``); "" where they have none, None where
        nobody states it.
    harness : str or None
        ``"lm-eval <version>"``; None where nobody states it.
    n_shot : int or None
        Worked examples in a prompt. A result and a score table have a column of it, so that it is
        not in the sentence, and None in a protocol read from one.
    backend, dtype : str
        Registered name of the lm-eval model class, and the dtype of the weights; "" where nobody
        states them.
    data : str
        Where the items come from; "" for the Hub.
    chat_template : bool
        Whether prompts went through the checkpoint's chat template.
    limit : int or None
        First items of each task that were asked for; None for all.
    seed : int or None
        Seed of the few-shot examples; None for lm-eval's own.
    mode : Mode
        How the model responded: whether it thought, how its texts were sampled.
    further : tuple of str
        What else was out of the ordinary, in words of others.

    Examples
    --------
    >>> protocol = Protocol(
    ...     tasks=("arc_challenge",), metric="acc_norm", version="v1.0", harness="lm-eval 0.4.13",
    ...     backend="hf", dtype="bfloat16", limit=100,
    ... )
    >>> str(protocol)
    'lm-eval 0.4.13 arc_challenge v1.0 acc_norm; hf bfloat16; limit 100'
    >>> Protocol.parse(str(protocol)) == protocol
    True

    """

    tasks: tuple[str, ...]
    metric: str
    filter: str = "none"
    version: str | None = None
    harness: str | None = None
    n_shot: int | None = None
    backend: str = ""
    dtype: str = ""
    data: str = ""
    chat_template: bool = False
    limit: int | None = None
    seed: int | None = None
    mode: Mode = _ORDINARY
    further: tuple[str, ...] = ()

    @classmethod
    def of(cls, benchmark: Benchmark, tasks: Sequence[TaskIdentity]) -> Protocol:
        """Return what a panel says of a benchmark, whose leaf tasks in lm-eval are ``tasks``."""
        versions = sorted({f"v{task.version}" for task in tasks if task.version})
        return cls(
            tasks=tuple(benchmark.tasks),
            metric=benchmark.metric,
            filter=benchmark.filter,
            version="/".join(versions),
            n_shot=benchmark.n_shot,
        )

    @property
    def task(self) -> str:
        """The task's own words without the harness, which names the version that was installed."""
        parts = ["+".join(self.tasks), self.version, self.metric]
        chosen = "" if self.filter == "none" else f" ({self.filter})"
        return " ".join(part for part in parts if part is not None) + chosen

    @property
    def conditions(self) -> tuple[str, ...]:
        """What was out of the ordinary, in words."""
        words = [
            self.data,
            CHAT_TEMPLATE if self.chat_template else "",
            "" if self.limit is None else f"limit {self.limit}",
            "" if self.seed is None else f"seed {self.seed}",
            *self.mode.words,
            *self.further,
        ]
        return tuple(filter(None, words))

    @property
    def by_all_items(self) -> Protocol:
        """The protocol of the score by all items, where this one is estimated from some."""
        return replace(self, mode=replace(self.mode, n_drawn=None, n_estimating=None))

    @property
    def of_any_run(self) -> Protocol:
        """The protocol without what runs of one benchmark may differ in and yet measure the same.

        That is which of its items are measured, by what backend, and by which release of lm-eval as
        long as the tasks' versions are the same.
        """
        mode = replace(self.by_all_items.mode, n_items=None)
        return replace(self, mode=mode, harness=None, backend="", limit=None)

    def __str__(self) -> str:
        task = self.task if self.harness is None else f"{self.harness} {self.task}"
        setup = " ".join(filter(None, (self.backend, self.dtype)))
        return "; ".join([task, *filter(None, [setup]), *self.conditions])

    @classmethod
    def parse(cls, sentence: str) -> Protocol | None:
        """Return the protocol that a stored sentence states, or None where it is no such sentence.

        Sentences come from stored results and from tables of others, which may hold any text.
        Behind the task's words comes the backend, unless the part reads as a condition; behind
        that, what stands before the conditions known here is taken for where the items come from.
        Such a text may read as a condition itself: what must be certain is in the identity.
        """
        first, *parts = sentence.split("; ")
        match = _TASK.fullmatch(first) or _TASK_OF_HARNESS.fullmatch(first)
        if match is None:
            return None
        backend = dtype = ""
        if parts and not (_is_known(parts[0]) or "=" in parts[0]):
            backend, _, dtype = parts.pop(0).partition(" ")
        n_data = _length_of_data(parts)
        data, parts = "; ".join(parts[:n_data]), parts[n_data:]
        chat_template = parts[:1] == [CHAT_TEMPLATE]
        parts = parts[chat_template:]
        numbers: dict[str, int] = {}
        for name in ("limit", "seed"):
            number = _number_of(name, parts[0]) if parts else None
            if number is not None:
                numbers[name] = number
                parts = parts[1:]
        mode, parts = Mode.read(parts)
        protocol = cls(
            tasks=tuple(match["tasks"].split("+")),
            metric=match["metric"],
            filter=match["filter"] or "none",
            version=match["version"],
            harness=match["harness"],
            backend=backend,
            dtype=dtype,
            data=data,
            chat_template=chat_template,
            **numbers,
            mode=mode,
            further=tuple(parts),
        )
        return protocol if str(protocol) == sentence else None


def _length_of_data(parts: Sequence[str]) -> int:
    """Return how many parts say where the items come from; they may hold a "=" too."""
    end = len(parts)
    while end and Mode.states(parts[end - 1]):
        end -= 1
    for name in ("seed", "limit"):
        if end and _number_of(name, parts[end - 1]) is not None:
            end -= 1
    if end and parts[end - 1] == CHAT_TEMPLATE:
        end -= 1
    if end < len(parts):  # as a measurement of our own ends
        return end
    is_condition = _is_known if any(map(_is_known, parts)) else lambda part: "=" in part
    return next((i for i, part in enumerate(parts) if is_condition(part)), len(parts))


def _is_known(part: str) -> bool:
    return part == CHAT_TEMPLATE or _NUMBERED.fullmatch(part) is not None or Mode.states(part)


def _number_of(name: str, part: str) -> int | None:
    """Return the number that a part states under this name, spelled as a protocol spells it."""
    stated = _NUMBERED.fullmatch(part)
    if stated is None or stated[1] != name or str(int(stated[2])) != stated[2]:
        return None
    return int(stated[2])
