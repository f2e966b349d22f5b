"""``--json`` prints one JSON document and nothing else, whatever else is asked for."""

from __future__ import annotations

import json
import os
import pty
import shutil
import time
from contextlib import redirect_stdout
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from all_commands import COMMANDS
from commands import MINE, Command
from typer.utils import get_params_from_function
from zoo_parts import untrained

from capspace.collect.cli import main, options
from capspace.collect.run.collect import collect_scores
from capspace.collect.storage.store import Store
from capspace.collect.zoo.config.config import read_zoo
from capspace.collect.zoo.devices.device import DeviceKind
from capspace.collect.zoo.driver import prepare
from capspace.collect.zoo.planning.planner import make_plan
from capspace.collect.zoo.work.folder import ZooFolder
from capspace.collect.zoo.work.records import WorkerState
from capspace.tasks.panel import load_panel

BASE = ("base.csv", "--components", "2")
STORE = ("--store", "store")
SMALL = ("--panel", "small.yaml", "--data-root", "embedded", "--limit", "2", *STORE)
LEDGER = ("--ledger", "ledger.jsonl")
TRUTH = ("--target-scores", "truth.csv", "--target-column", "bbh")
REFERENCE = ("--name", "mine", "--licence", "MIT", "--date", "2025-06-01")

# Each command with --json: its arguments, and its other options that write or print something.
CASES: dict[str, tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]] = {
    "place": (("models/a", *SMALL, "--target", "bbh"), (("--out", "out"),)),
    "collect": (("models/a", *SMALL), ()),
    "scores": (STORE, (("--csv", "out.csv"), ("--receipt", "a", "ARC-C"))),
    "panels show": (("small.yaml",), ()),
    "panels shrink": (
        ("small.yaml", "--benchmark", "ARC-C", "--answers", "answers.csv", "--items", "3"),
        (("--out", "few.yaml"),),
    ),
    "zoo plan": (("zoo.yaml", *STORE), ()),
    "zoo run": (("zoo.yaml", *STORE), ()),
    "zoo status": (("zoo.yaml", *STORE), ()),
    "zoo fit": (("zoo.yaml", *STORE), (("--out", "out"),)),
    "predict": (("scores.csv", "--target", "bbh"), (("--csv", "out.csv"),)),
    "compare": (("pair.csv", "--target", "bbh"), ()),
    "verdict": (("scores.csv", "--target", "bbh", "--cost", "5h"), (("--out", "out"),)),
    "next": (("few.csv", "--target", "bbh"), (("--out", "out"),)),
    "lift": (("scores.csv",), (("--out", "out"),)),
    "references build": (("scores.csv", "truth.csv", "--out", "new", *REFERENCE), ()),
    "references update": (("ref", "scores.csv", "truth.csv", *REFERENCE[2:]), ()),
    "references show": (("study-2024",), ()),
    "complete": (("scores.csv", "--reference", "frontier-2026"), (("--csv", "out.csv"),)),
    "targets": ((), ()),
    "models": ((), ()),
    "backtest": (
        (
            *BASE,
            "--target-column",
            "Agents",
            "--cutoff-flops",
            "3e22",
            "--baselines",
            "--error-curve",
        ),
        (("--out", "out"),),
    ),
    "gain": (
        (*BASE, "--target-scores", "base.csv", "--base", "Agents", "--treated", "Treated"),
        (("--out", "out"),),
    ),
    "space": (BASE, (("--out", "out"),)),
    "efficiency": ((*BASE, "--reference-family", "F1"), (("--out", "out"),)),
    "select": ((*BASE, "--model-budget", "10"), (("--out", "out"),)),
    "ledger add": (("bbh", *LEDGER), ()),
    "ledger score": (("first", *LEDGER, "scores.csv", *TRUTH), ()),
    "ledger show": (LEDGER, ()),
    "store info": (STORE, ()),
    "store check": (STORE, ()),
    "import": (("scores.csv", *STORE), ()),
    "twin": (("models/a", *SMALL[:4], *STORE, "--sample", "4"), ()),
}
RUNS = [
    (command, given)
    for command, (_, extra) in CASES.items()
    for n in range(len(extra) + 1)
    for given in combinations(extra, n)
]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three checkpoints, a zoo of them, and a store in which they are measured."""
    folder = tmp_path_factory.mktemp("measured")
    names = [str(folder / "models" / name) for name in "abc"]
    for name, width in zip(names, (16, 24, 32), strict=True):
        untrained(Path(name), "wren", width)
    panel = load_panel("smoke").select(["ARC-C", "HellaSwag"]).model_dump(mode="json")
    (folder / "small.yaml").write_text(yaml.safe_dump(panel | {"name": "small"}))
    (folder / "zoo.yaml").write_text(
        yaml.safe_dump(
            {
                "checkpoints": ["models/*"],
                "panels": "small.yaml",
                "data_root": "embedded",
                "limit": 2,
            }
        )
    )
    file = read_zoo(folder / "zoo.yaml")
    with Store(folder / "store") as store:
        collect_scores(
            names, panel=folder / "small.yaml", data_root="embedded", store=store, limit=2
        )
        plan = make_plan(file, store, device=DeviceKind("cpu"))
        assert plan.n_missing == 0
        prepare(file, plan, ZooFolder.of(store, file.name))
    return folder


@pytest.fixture
def desk(
    measured: Path, zoo: Path, tmp_path: Path, capspace: Command, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A working directory with all that the commands read, a copy of what is made once."""
    if not (measured / "ref").exists():
        monkeypatch.chdir(measured)
        Path("scores.csv").write_text(MINE)
        rows = [f"m{i}" + f",{i % 2},{i % 3 // 2},{i % 5 // 3},{i % 7 // 4}" for i in range(21)]
        items = ",".join(f"arc_challenge/{i}" for i in range(4))
        Path("answers.csv").write_text("\n".join([f"model,{items}", *rows]) + "\n")
        Path("few.csv").write_text("model,MMLU,GSM8K\nmine,0.6,0.4\n")
        Path("pair.csv").write_text("model,MMLU,GSM8K\na,0.6,0.4\nb,0.5,0.2\n")
        Path("truth.csv").write_text("Model,bbh\nmine,0.45\n")
        base = pd.read_csv(zoo).rename(columns={"Agents, treated": "Treated"})
        base.to_csv("base.csv", index=False)
        assert capspace("ledger", "add", "bbh", "--name", "first", *LEDGER).code == 0
        reference = capspace(
            "references", "build", "scores.csv", "truth.csv", "--out", "ref", *REFERENCE
        )
        assert reference.code == 0, reference.err
    desk = tmp_path / "desk"
    shutil.copytree(measured, desk)
    monkeypatch.chdir(desk)
    return desk


def document(text: str) -> Any:
    """Parse a JSON document as RFC 8259 has it: without NaN and infinities."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_every_command_with_json_is_tried() -> None:
    with_json = {
        " ".join(path)
        for path, command in COMMANDS.items()
        if command.callback is not None and "as_json" in get_params_from_function(command.callback)
    }
    # It takes a minute: what it prints is tested with the study's page.
    assert with_json - {"reproduce"} == set(CASES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "given"), RUNS, ids=[" ".join([c, *chain(*g)]) for c, g in RUNS]
)
def test_the_output_is_one_json_document(
    capspace: Command, desk: Path, command: str, given: tuple[tuple[str, ...], ...]
) -> None:
    run = capspace(*command.split(), *CASES[command][0], *chain(*given), "--json")
    assert run.code == 0, run.err
    assert document(run.out)


@pytest.mark.slow
def test_figures_are_told_of_on_standard_error(capspace: Command, desk: Path) -> None:
    run = capspace("space", *BASE, "--out", "out", "--json")
    assert "figures: out/{space,map}.png, .svg" in run.err
    assert Path("out", "map.png").is_file()


def test_what_a_library_prints_is_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print("before")
    with options.only_json_on_stdout():
        print("a library's own words")
        options.print_json({"score": float("nan"), "bound": float("inf")})
    print("after")
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == "before"
    assert document("\n".join(shown.out.splitlines()[1:-1])) == {"score": None, "bound": None}
    assert shown.err == "a library's own words\n"


@pytest.mark.slow
def test_place_shows_the_verdict_on_a_costly_run_or_refuses_it(
    capspace: Command, desk: Path
) -> None:
    few = ("place", "models/a", *SMALL, "--cost", "120h", "--out", "out", "--target")
    no_verdict = document(capspace(*few, "bbh", "--json").out)["no_verdict"]
    assert "no verdict from so few items" in no_verdict
    words = (*few[:-1], "--limit", "12", "--target")
    made = document(capspace(*words, "bbh", "--json").out)
    verdict = made["verdict"]
    assert "no_verdict" not in made
    run = capspace(*words, "bbh")
    assert run.code == 0, run.err
    headline = f"{verdict['decision'].upper()}: BBH of a (weak)\n{verdict['reason']}"
    assert run.out.startswith(headline)
    shown = " ".join(run.out.split())
    assert all(" ".join(note.split()) in shown for note in verdict["notes"])
    for more in ((), ("--json",)):  # before anything is measured
        line = capspace.refused(*words, "agentboard", *more)
        assert "agentboard: refused by its back-test" in line
        assert "--force" not in line


@pytest.mark.slow
def test_collect_says_how_many_items_were_enough(capspace: Command, desk: Path) -> None:
    words = ("collect", "models/a", "--panel", "small.yaml", "--data-root", "embedded", *STORE)
    made = document(capspace(*words, "--until", "5%", "--json").out)
    ((model, plan),) = made["stopping"].items()
    assert model == "a"
    assert plan["widening"] <= 0.05
    measured = {row["benchmark"]: row["n_items"] for row in made["results"]}
    assert measured == {row["benchmark"]: row["n_items"] for row in plan["benchmarks"]}
    run = capspace(*words, "--until", "5%")
    assert run.code == 0
    assert "until 5%: all items are measured" in run.err
    assert capspace(*words, "--until", "5%", "--target", "bbh").code == 0


@pytest.mark.slow
def test_a_zoo_s_fit_is_shown_and_has_a_report(capspace: Command, desk: Path) -> None:
    run = capspace("zoo", "fit", "zoo.yaml", *STORE, "--out", "out")
    assert run.code == 0, run.err
    assert "3 models" in run.out
    page = run.out.splitlines()[-1].removeprefix("report: ")
    assert Path(page).is_file()


@pytest.mark.slow
def test_a_process_that_only_helps_another_prints_nothing(
    capspace: Command, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    for words in (("collect",), ("place", "--target", "bbh", "--out", "out")):
        run = capspace(words[0], "models/a", *SMALL, *words[1:])
        assert (run.code, run.out) == (0, ""), run.err
    assert not Path("out").exists()


@pytest.mark.slow
def test_a_terminal_watches_a_zoo_until_it_is_finished(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Store(desk / "store") as store:
        folder = ZooFolder.of(store, "zoo")
        folder.write_worker(WorkerState("w", "n1", os.getpid(), beat=time.time()))
    ours, theirs = pty.openpty()
    with (
        os.fdopen(theirs, "w") as terminal,
        redirect_stdout(terminal),
        pytest.raises(SystemExit) as ended,
    ):
        main(["zoo", "status", "zoo.yaml", *STORE])
    os.close(ours)
    assert not ended.value.code
    assert "zoo: 6 of 6 cells done" in capsys.readouterr().err
