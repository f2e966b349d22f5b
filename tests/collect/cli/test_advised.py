"""Commands that measure what is advised: the panels that have it, and the user's own options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Command

from capspace.collect.cli.advised import checkpoint_of, commands_to_measure
from capspace.collect.cli.setting_options import option_words
from capspace.collect.settings import RunSettings
from capspace.tasks.panel import load_panel


def test_a_panel_of_ones_own_goes_before_the_packaged_ones() -> None:
    own = load_panel("smoke").select(["MMLU"])
    assert commands_to_measure(
        ["GSM8K", "MMLU", "No such", "ARC-C"], "./my model", store=Path("here"),
        panels=[("own.yaml", own)], options=["--device", "cpu"],
    ) == [
        "capspace collect './my model' --panel classic-8 --benchmark GSM8K --benchmark ARC-C "
        "--device cpu --store here",
        "capspace collect './my model' --panel own.yaml --benchmark MMLU --device cpu --store here",
    ]  # fmt: skip


def test_items_are_spread_over_the_tasks_of_a_benchmark() -> None:
    (command,) = commands_to_measure(["MMLU"], "org/model", max_items=200)
    assert command.endswith("--benchmark MMLU --limit 4")  # of 57 tasks


def test_benchmarks_that_no_panel_has_are_measured_by_no_command() -> None:
    assert commands_to_measure(["No such"], "org/model") == []


def test_settings_are_given_as_options_again() -> None:
    settings = RunSettings(
        device="cpu", chat_template=True, limit=3, chat_template_args='{"thinking": true}'
    )
    assert option_words(settings, but=["limit"]) == [
        *("--device", "cpu", "--chat-template"),
        *("--chat-template-args", '{"thinking": true}'),
    ]
    assert option_words(RunSettings()) == []


@pytest.mark.parametrize(
    ("model", "checkpoint"),
    [("org/m", "org/m"), ("org/m (thinking)", "org/m"), ("m (7B)", "m (7B)")],
)
def test_the_mode_is_no_part_of_a_checkpoint(model: str, checkpoint: str) -> None:
    assert checkpoint_of(model) == checkpoint


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of lm-eval and its libraries
def test_a_placement_says_how_what_it_advises_is_measured(
    capspace: Command, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    pytest.importorskip("lm_eval", reason="measures through lm-eval")
    dear = ("Winogrande", "MMLU", "HellaSwag", "TruthfulQA", "GSM8K", "XWinograd")
    place = (
        "place", tiny_checkpoint, "--panel", "smoke", "--store", tmp_path / "store",
        "--benchmark", "ARC-C", "--benchmark", "Winogrande",
        "--data-root", "embedded", "--device", "cpu", "--limit", "12", "--out", tmp_path / "out",
        "--target", "bbh", "--cost", "120h", "--threshold", "0.319",
        "--price", "HumanEval=1s", "--price", "ARC-C=2h",
        *(word for name in dear for word in ("--price", f"{name}=300h")),
    )  # fmt: skip
    command = (
        f"capspace collect {tiny_checkpoint} --panel smoke --benchmark HumanEval "
        "--benchmark ARC-C --allow-code-execution --device cpu --data-root embedded "
        f"--store {tmp_path / 'store'}"
    )
    needed = "HumanEval runs code that the model writes"
    run = capspace(*place)
    assert run.code == 0, run.err
    lines = run.out.splitlines()
    assert lines[lines.index("to measure what is advised:") + 1] == f"  {command}"
    assert sum(needed in line for line in lines) == 1
    page = (tmp_path / "out" / "report.html").read_text()
    assert needed in page
    assert command in page
    allowed = json.loads(capspace(*place, "--allow-code-execution", "--json").out)["verdict"]
    assert allowed["measure_first"] == ["HumanEval", "ARC-C"]
    assert allowed["commands"] == [command]
    assert not any(needed in note for note in allowed["notes"])
