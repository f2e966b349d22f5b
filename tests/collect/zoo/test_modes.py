"""A zoo in modes: a checkpoint in two modes is two rows, each with its results and its cost."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from chat_checkpoint import make_chat_checkpoint

from capspace.collect.errors import ZooError
from capspace.collect.runtime.log_capture import logged_to
from capspace.collect.settings import RunSettings
from capspace.collect.storage.store import Store
from capspace.collect.zoo.config.config import read_zoo
from capspace.collect.zoo.config.expand import candidates
from capspace.collect.zoo.config.modes import mode_names
from capspace.collect.zoo.planning.planner import make_plan, zoo_panels
from capspace.collect.zoo.table import zoo_table
from capspace.collect.zoo.work.folder import ZooFolder
from capspace.collect.zoo.work.measure import Messenger, measure_unit

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once")

PANEL = """\
name: one
version: 1
description: d
benchmarks:
  - name: Pro
    tasks: [mmlu_pro_law]
    folder: mmlu_pro
    n_shot: 0
    metric: exact_match
    filter: custom-extract
    chance: 0.1
    source: s
  - name: MuSR
    tasks: [leaderboard_musr_murder_mysteries]
    folder: leaderboard/musr
    n_shot: 0
    metric: acc_norm
    chance: 0.5
    source: s
"""
ZOO = """\
checkpoints:
  - ref: chat
    max_gen_toks: 4
    facts: {family: mine, training_tokens: 1e9}
  - {ref: chat, thinking: on, max_gen_toks: 8}
  - {ref: chat, thinking: on, max_gen_toks: 9}
panels: one.yaml
data_root: embedded
store: store
"""


@pytest.mark.slow
def test_a_checkpoint_in_several_modes_is_several_rows(tmp_path: Path) -> None:
    make_chat_checkpoint(tmp_path / "chat")
    (tmp_path / "one.yaml").write_text(PANEL)
    (tmp_path / "zoo.yaml").write_text(ZOO)
    zoo = read_zoo(tmp_path / "zoo.yaml")
    with Store(tmp_path / "store") as store:
        plan = make_plan(zoo, store)
        budgets = [model.settings.max_gen_toks for model in plan.models]
        assert budgets == [4, 8, 9]
        names = ["chat (plain)", *(
            f"chat (chat template; thinking on; at most {n} tokens)" for n in (8, 9)
        )]  # fmt: skip
        assert [model.name for model in plan.models] == names
        assert len({model.identity for model in plan.models}) == 1
        cells = [{c.benchmark: c for c in plan.cells[model.row]} for model in plan.models]
        assert [sorted(each) for each in cells] == [["MuSR", "Pro"], ["Pro"], ["Pro"]]
        # Twice the tokens at twice the price; what a request costs by itself is the same.
        (four, eight, nine) = (each["Pro"].estimate.seconds for each in cells)
        assert (nine - eight) * 4 == pytest.approx(eight - four)
        assert [m.benchmark for m in plan.unmeasurable] == ["MuSR", "MuSR"]
        assert "log-likelihoods of given answers" in plan.unmeasurable[0].reason
        modes = [model["mode"] for model in plan.to_dict()["models"]]
        assert modes == ["at most 4 tokens", *(name[6:-1] for name in names[1:])]

        folder = ZooFolder.of(store, zoo.name)
        assert folder.write_work(plan, [], None) == 3
        work = folder.read_work()
        assert {unit.settings.max_gen_toks for unit in work.units} == {4, 8, 9}
        (panel,) = zoo_panels(zoo)
        for unit in work.units:
            out = Messenger(folder, unit, io.StringIO())
            with logged_to(tmp_path / "log"):
                measure_unit(unit, panel=panel, batch_size=4, store=store, progress=out)
        folder.write_work(make_plan(zoo, store), [panel], None)
        table, _ = zoo_table(folder, store)
    assert set(table.scores["model"]) == set(names)
    assert len(table.scores) == 4
    assert table.models["mode"].to_dict() | {names[0]: None} == {
        names[0]: None, names[1]: "thinking", names[2]: "thinking",
    }  # fmt: skip
    assert table.models["family"].to_dict()[names[0]] == "mine"


def test_one_checkpoint_in_one_mode_with_two_settings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zoo.yaml").write_text(
        "checkpoints: [{ref: a/b, thinking: on}, {ref: a/b, thinking: off},\n"
        "  {ref: a/b, thinking: on, dtype: float16}]\npanels: smoke\n"
    )
    with pytest.raises(ZooError, match=r"zoo.yaml:2: a/b was listed with other settings at .*:1"):
        candidates(read_zoo(tmp_path / "zoo.yaml"))


def test_rows_are_called_by_the_shortest_name_that_tells_modes_apart() -> None:
    on, off = RunSettings(thinking="on"), RunSettings(thinking="off")
    assert mode_names([on]) == [""]
    assert mode_names([RunSettings(), off, on]) == ["plain", "chat", "thinking"]
    assert mode_names([off, RunSettings(chat_template=True), on]) == [
        "chat template; thinking off",
        "chat template",
        "thinking",
    ]
