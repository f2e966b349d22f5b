"""A zoo with models behind servers, beside those that are loaded here."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Answered, completion, scripted_server

from capspace.collect.errors import CollectError
from capspace.collect.runtime.log_capture import logged_to
from capspace.collect.storage.store import Store
from capspace.collect.zoo.config.config import read_zoo
from capspace.collect.zoo.config.expand import candidates
from capspace.collect.zoo.planning.planner import make_plan, zoo_panels
from capspace.collect.zoo.work.folder import ZooFolder
from capspace.collect.zoo.work.measure import Messenger, measure_unit
from capspace.collect.zoo.work.records import WorkUnit

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once")

PANEL = """\
name: two
version: 1
description: d
benchmarks:
  - {name: Answer, tasks: [fault_answer], n_shot: 0, metric: exact_match, chance: 0, source: s}
  - {name: Choice, tasks: [fault_choice], n_shot: 0, metric: acc, chance: 0.25, source: s}
"""
ZOO = """\
checkpoints:
  - {{ref: tiny, endpoint: {url}, answers_of: org/stated, facts: {{family: theirs}}}}
  - {{ref: tiny, endpoint: "{url}", answers_of: org/stated, chat_template: true, concurrency: 2}}
  - {here}
dtype: float32
temperature: 0
limit: 3
include_path: {tasks}
panels: two.yaml
store: store
"""


def reply(route: str, asked: dict[str, Any]) -> Answered:
    return completion("1")


@pytest.mark.slow
def test_models_behind_servers_are_planned_and_measured(
    tiny_checkpoint: Path, fault_tasks: Path, tmp_path: Path
) -> None:
    with scripted_server(reply) as server, Store(tmp_path / "store") as store:
        text = ZOO.format(url=server.url, here=tiny_checkpoint, tasks=fault_tasks)
        (tmp_path / "two.yaml").write_text(PANEL)
        (tmp_path / "zoo.yaml").write_text(text)
        zoo = read_zoo(tmp_path / "zoo.yaml")
        plan = make_plan(zoo, store)
        assert not server.answered  # a plan asks nothing
        stated, chat, here = plan.models
        assert (stated.name, chat.name) == ("org/stated (plain)", "org/stated (chat)")
        assert stated.ref == chat.ref == "tiny"
        assert stated.facts["parameters"] is None
        assert (stated.n_bytes, stated.n_download_bytes) == (0, 0)
        assert here.settings.dtype == "float32"
        assert here.settings.endpoint is None
        folder = ZooFolder(tmp_path / "folder")
        unit = next(u for u in plan.units if u.model is stated)
        (panel,) = zoo_panels(zoo)
        with logged_to(tmp_path / "log"):
            done = measure_unit(
                WorkUnit.of(unit), panel=panel, batch_size=2, store=store,
                progress=Messenger(folder, WorkUnit.of(unit), io.StringIO()),
            )  # fmt: skip
        assert [r.benchmark for r in done.results] == ["Answer"]
        assert {c.key for c in unit.cells} >= {r.key for r in done.results}
        assert "gives no log-probabilities" in str([m.reason for m in store.failures()])


def test_an_entry_says_one_place(tmp_path: Path) -> None:
    def problem(entry: str) -> str:
        (tmp_path / "two.yaml").write_text(PANEL)
        (tmp_path / "zoo.yaml").write_text(f"checkpoints:\n  - {entry}\npanels: two.yaml\n")
        with pytest.raises(CollectError) as caught:
            candidates(read_zoo(tmp_path / "zoo.yaml"))
        return str(caught.value)

    both = problem("{ref: a, endpoint: http://h/v1, dtype: float16}")
    assert "zoo.yaml:2" in both
    assert "`dtype` is a setting of a checkpoint that is loaded here, and there is none" in both
    assert "expected a URL such as" in problem("{ref: a, endpoint: 'http://u:p@h/v1'}")
