"""A small panel that is measured behind a server whose answers a test scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from commands import Notes
from lm_eval.api.instance import Instance
from scripted_server import ScriptedServer

from capspace.collect.endpoint.address import served_checkpoint
from capspace.collect.endpoint.answers import Answer
from capspace.collect.endpoint.served_model import ServedModel, connect
from capspace.collect.run.collect import collect_scores
from capspace.collect.run.collection import Collection
from capspace.collect.settings import RunSettings
from capspace.tasks.panel import Benchmark, Panel

_ANSWER = Benchmark(
    name="Answer", tasks=("fault_answer",), n_shot=0, metric="exact_match", chance=0,
    source="made up",
)  # fmt: skip
_CHOICE = _ANSWER.model_copy(
    update={"name": "Choice", "tasks": ("fault_choice",), "metric": "acc", "chance": 0.25}
)
BOTH = Panel(name="both", version=1, description="d", benchmarks=(_ANSWER, _CHOICE))
ANSWERS = BOTH.select(["Answer"])
CHOICES = BOTH.select(["Choice"])


def served(server: ScriptedServer, model: str = "tiny", **settings: Any) -> ServedModel:
    """Return the model behind a server, which answers by then."""
    given = RunSettings.of(**{"endpoint": server.url, "concurrency": 1, **settings})
    return connect(served_checkpoint(model, given), given)


def generated(model: ServedModel, *prompts: str, **settings: Any) -> list[Answer]:
    """Return the answers to prompts, by lm-eval's generation settings."""
    given = {"until": ["."], "max_gen_toks": 4, **settings}
    requests = [Instance("generate_until", {}, (p, given), i) for i, p in enumerate(prompts)]
    return [Answer.from_json(text) for text in model.generate_until(requests)]


def measured(
    server: ScriptedServer,
    tasks: Path,
    store: Path,
    *,
    panel: Panel = ANSWERS,
    notes: Notes | None = None,
    **settings: Any,
) -> Collection:
    """Measure the model ``tiny`` greedily on a few items."""
    given = {"endpoint": server.url, "temperature": 0, "limit": 3, **settings}
    return collect_scores(
        "tiny", panel=panel, store=store, include_path=tasks, progress=notes, **given
    )
