"""The zoo's commands, as a user types them."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
import yaml
from checkout import ROOT
from store_parts import RESULT
from zoo_parts import small_panel, untrained

from capspace.collect.cli import main
from capspace.collect.cli.zoo import live
from capspace.collect.cli.zoo.live import print_outcome, print_status, watch
from capspace.collect.cli.zoo.show import duration, print_plan, size
from capspace.collect.settings import RunSettings
from capspace.collect.storage.result import Missing
from capspace.collect.storage.store import Store
from capspace.collect.zoo.config.config import read_zoo
from capspace.collect.zoo.devices.device import DeviceKind
from capspace.collect.zoo.driver import prepare
from capspace.collect.zoo.planning.cost import Estimate
from capspace.collect.zoo.planning.plan import Cell, Model, Plan, Unit
from capspace.collect.zoo.planning.planner import make_plan
from capspace.collect.zoo.status import ModelStatus, ZooStatus
from capspace.collect.zoo.work.downloads import evict
from capspace.collect.zoo.work.folder import ZooFolder
from capspace.collect.zoo.work.records import WorkerState

pytestmark = pytest.mark.usefixtures("forked")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def capspace(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line: exit code, output, errors."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(w) for w in words])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """A zoo of one checkpoint and two benchmarks."""
    untrained(tmp_path / "models" / "one", "wren", 16)
    small_panel(tmp_path / "small.yaml", ["Copying", "Depth"])
    path = tmp_path / "zoo.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "checkpoints": ["models/*"],
                "panels": "small.yaml",
                "store": "store",
                "limit": 8,
            }
        )
    )
    return path


@pytest.mark.slow
def test_plan_run_status_and_run_again(
    zoo: Path, capspace: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CAPSPACE_STORE")
    code, out, _ = capspace("zoo", "plan", zoo, "--json")
    shown = json.loads(out)
    assert (code, shown["n_missing"], shown["n_done"]) == (0, 2, 0)
    assert shown["models"][0]["counted"] == ["parameters"]
    assert (zoo.parent / "store" / "workloads.json").is_file()
    assert not (zoo.parent / "store" / "zoo").exists()  # a zoo has a folder once it is run

    code, out, _ = capspace("zoo", "run", zoo)
    assert code == 0
    assert "zoo: 2 of 2 cells done" in out
    code, out, _ = capspace("zoo", "status", zoo, "--json")
    shown = json.loads(out)
    assert (shown["n_done"], shown["is_finished"], shown["items_per_second"]) == (2, True, None)

    code, out, _ = capspace("zoo", "plan", zoo)
    assert "2 cells done, 0 missing" in out
    code, out, _ = capspace("zoo", "retry", zoo)
    assert "no failed cell is recorded" in out
    code, out, err = capspace("zoo", "fit", zoo)
    assert code == 2
    assert "too few for a space: 1 model with 2 benchmarks" in err
    code, out, _ = capspace("zoo", "export", zoo, zoo.parent / "shared")
    assert code == 0
    assert (zoo.parent / "shared" / "scores.csv").is_file()


def test_status_says_what_runs_what_failed_and_where_jobs_wait(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    at_it = WorkerState("w", "n1", 7, "unit", "org/a", "Copying", 2, 3, 8, 1.5)
    jobs = [
        {"job": f"9_{i}", "state": state, "node": node, "reason": reason}
        for i, (state, node, reason) in enumerate(
            [("RUNNING", "n1", "None"), ("PENDING", "", "Resources"), ("PENDING", "", "Resources")]
        )
    ]
    state = ZooStatus(
        zoo="mine",
        n_cells=4,
        n_done=1,
        n_failed=2,
        n_running=1,
        items_per_second=1.5,
        seconds_left=100.0,
        models=(
            ModelStatus("org/a", 2, 1, 0, ("Copying",), ()),
            ModelStatus("org/b", 2, 0, 2, (), ("Copying: it is broken", "Depth: it is not there")),
        ),
        workers=(at_it,),
        jobs=tuple(jobs),
        unmeasurable=(Missing("org/c", "Copying", "no such thing"),),
    )
    strange = replace(state, zoo="a\x1b[31mb", models=(
        ModelStatus("org/a\x1b]0;title\x07", 2, 0, 2, (), ("a\x9b31m\x1b[2J",)),
    ), workers=())  # fmt: skip
    print_status(strange)
    assert not {"\x1b", "\x9b", "\x07"} & {*capsys.readouterr().out}
    print_status(state)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == (
        "mine: 1 of 4 cells done, 1 running, 2 failed, 1 cannot be measured, 1.5 items/s, "
        "about 2 min left"
    )
    assert lines[3] == "org/a 1/2 Copying 3/8 (try 2)"
    assert lines[4] == "org/b 0/2 2 Copying: it is broken (and 1 more)"
    assert lines[5] == "jobs: 1 running (n1), 2 pending (Resources)"
    assert lines[6] == "cannot be measured: Copying of org/c: no such thing"


def test_a_checkpoint_that_cannot_be_measured_is_named_and_the_run_exits_with_1(
    zoo: Path, capspace: Run
) -> None:
    where = zoo.parent / "store"
    file = read_zoo(zoo)
    with Store(where) as store:  # of the good one all is there
        for cell in chain(*make_plan(file, store, device=DeviceKind("cpu")).cells.values()):
            store.put(replace(RESULT, key=cell.key))
    bad = shutil.copytree(zoo.parent / "models" / "one", zoo.parent / "models" / "two")
    weights = (bad / "model.safetensors").read_bytes()
    (bad / "model.safetensors").write_bytes(b"\xff" * 8 + weights[8:])
    code, out, err = capspace("zoo", "run", zoo, "--store", where)
    assert code == 1
    shown = " ".join(err.split())
    assert "cannot be measured: 2 benchmarks of two: " in shown
    assert "no readable safetensors header" in shown
    assert "2 cannot be measured" in out


@pytest.mark.slow
def test_bad_input_is_one_line(zoo: Path, capspace: Run, tmp_path: Path) -> None:
    for words, message in [
        (("status", zoo), "this zoo was never run with the store"),
        (("run", zoo, "--compute-budget", "lots"), "--compute-budget 'lots': expected a time"),
        (("run", zoo, "--budget", "lots"), "--budget is now --compute-budget"),
        (("run", zoo, "--executor", "slurm", "--time", "soon"), "--time 'soon': expected"),
        (("run", zoo, "--executor", "slurm", "--max-disk", "9GB"), "--max-disk bounds a local run"),
        (("plan", tmp_path / "gone.yaml"), "gone.yaml: cannot read this zoo"),
    ]:
        code, _, err = capspace("zoo", *words, "--store", tmp_path / "other")
        assert code == 2
        assert message in " ".join(err.split())
        assert "Traceback" not in err


def test_a_machine_without_slurm_is_named_before_anything_is_planned(
    zoo: Path, capspace: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "models"))
    where = tmp_path / "other"
    code, _, err = capspace("zoo", "run", zoo, "--executor", "slurm", "--store", where)
    assert code == 2
    assert "no Slurm here" in err
    assert "resolving" not in err
    assert not where.exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_plan_that_is_refused_leaves_nothing_behind(
    zoo: Path, capspace: Run, tmp_path: Path, command: str
) -> None:
    where = tmp_path / "other"
    words = ("zoo", command, zoo, "--store", where)
    code, _, err = capspace(*words, "--compute-budget", "0.000001s")
    assert (code, "the cheapest checkpoint takes about" in " ".join(err.split())) == (2, True)
    assert not where.exists()
    assert capspace("zoo", "plan", zoo, "--store", where)[0] == 0
    assert (where / "workloads.json").is_file()


def test_every_command_is_in_the_help(capspace: Run) -> None:
    code, out, _ = capspace("zoo", "--help")
    assert code == 0
    for command in ("plan", "run", "status", "retry", "cancel", "fit", "export"):
        assert re.search(rf"\b{command}\b", out)


def test_evicting_frees_one_checkpoint_and_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "hub"
    for name, commit in (("a", "1" * 40), ("b", "2" * 40)):
        repo = cache / f"models--org--{name}"
        for part in ("blobs", "refs", f"snapshots/{commit}"):
            (repo / part).mkdir(parents=True)
        (repo / "blobs" / "0f").write_bytes(b"x" * 5000)
        (repo / "refs" / "main").write_text(commit)
        (repo / "snapshots" / commit / "model.safetensors").symlink_to("../../blobs/0f")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    assert evict([f"org/a@{'1' * 40}"]) == 5000
    assert not (cache / "models--org--a").exists()
    assert (cache / "models--org--b" / "blobs" / "0f").is_file()
    assert evict([f"org/a@{'1' * 40}"]) == 0
    shutil.rmtree(cache)


@pytest.mark.slow
def test_the_training_script_writes_a_zoo_that_can_be_planned(
    tmp_path: Path, capspace: Run
) -> None:
    subprocess.run(
        [sys.executable, ROOT / "scripts" / "train_zoo", tmp_path, "--families", "wren",
         "--sizes", "16", "--tokens", "4096,8192"],
        check=True, capture_output=True,
    )  # fmt: skip
    code, out, _ = capspace(
        "zoo", "plan", tmp_path / "zoo.yaml", "--store", tmp_path / "store", "--json"
    )
    planned = json.loads(out)
    assert code == 0
    assert planned["n_models"] == 2
    small, large = sorted(planned["models"], key=lambda m: m["facts"]["training_tokens"])
    assert small["facts"] | {"training_tokens": 0, "training_flops": 0} == large["facts"] | {
        "training_tokens": 0,
        "training_flops": 0,
    }
    assert large["facts"]["training_flops"] == 6.0 * 5168 * 8192
    assert large["counted"] == []


def _status(n_models: int, **changes: object) -> ZooStatus:
    models = tuple(
        ModelStatus(f"org/m{i:02}", 1, i % 2, (i + 1) % 2, (), ("b: why",) * ((i + 1) % 2))
        for i in range(n_models)
    )
    state = ZooStatus(
        zoo="mine", n_cells=n_models, n_done=n_models // 2, n_failed=0, n_running=0,
        items_per_second=math.nan, seconds_left=math.nan, models=models, workers=(), jobs=(),
        unmeasurable=(),
    )  # fmt: skip
    return replace(state, **changes)  # type: ignore[arg-type]


def test_what_a_run_came_to_names_each_failure(capsys: pytest.CaptureFixture[str]) -> None:
    print_outcome(_status(2, n_failed=1, notices=("org/m00: runs in float32",)))
    assert capsys.readouterr().out.splitlines() == [
        "mine: 1 of 2 cells done, 1 failed",
        "org/m00: b: why",
        "org/m00: runs in float32",
    ]


def test_a_large_zoo_is_shown_in_part(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    print_status(_status(43))
    shown = capsys.readouterr().out
    assert shown.count("b: why") == 22  # failures come before what is done
    assert "... and 3 more" in shown


def test_a_terminal_shows_a_live_table_and_leaves_notes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    monkeypatch.delenv("NO_COLOR", raising=False)
    states = iter([_status(2, n_running=1, notices=("a note",)), KeyboardInterrupt()])

    def look() -> ZooStatus:
        state = next(states)
        if isinstance(state, BaseException):
            raise state
        return state

    monkeypatch.setattr(live, "_LIVE_SECONDS", 0.0)
    watch(look, is_over=lambda state: state.is_finished)
    shown = capsys.readouterr().err
    assert shown.count("a note") == 1
    assert "Checkpoint" in shown
    assert "no longer watching" in shown


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (duration(math.nan), "?"),
        (duration(45), "45 s"),
        (duration(720), "12 min"),
        (duration(12240), "3.4 h"),
        (size(12), "12 B"),
        (size(2.5e12), "2.5 TB"),
    ],
)
def test_times_and_sizes_are_put_in_words(shown: str, words: str) -> None:
    assert shown == words


def test_a_plan_shows_its_cost_and_what_comes_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    brief = Estimate(100.0, 0.0, 0.0)
    models = [
        Model(f"m{i:02}", f"m{i}", f"m{i}", "0", (), RunSettings(), {}, (), n, 400, 2000, 1)
        for i, n in enumerate([999, 1500, *[7 * 10**9] * 39])
    ]
    cells = {m.row: (Cell(f"{m.row}x", "panel", "b", False, brief),) for m in models}
    units = tuple(Unit(m, "panel", cells[m.row], Estimate(0.0, 0.0, 0.0)) for m in models[:2])
    gaps = (Missing("m", "b", "it is not there"),)
    print_plan(Plan("z", tuple(models), cells, units, gaps, ("a guess",)))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "zoo z: 0 cells done, 41 missing"
    assert "m00 1 0/1 999 " in "\n".join(lines)
    assert "m01 2 0/1 1.5k " in "\n".join(lines)
    assert "m02 0/1 7B " in "\n".join(lines)
    assert lines[-5:] == [
        "... and 1 more (--json shows all)",
        "",
        "total: 3 min (3 min-3 min) on one device, 4 kB to download",
        "a guess",
        "cannot be measured: b of m: it is not there",
    ]


def test_cancelling_what_was_never_submitted_cancels_nothing(tmp_path: Path, capspace: Run) -> None:
    path = tmp_path / "zoo.yaml"
    path.write_text("checkpoints: [a/b]\npanels: smoke\nlimits: {items: 3}\n")
    plan = Plan(name="zoo", models=(), cells={}, units=(), unmeasurable=(), notices=())
    with Store(tmp_path / "store") as store:
        prepare(read_zoo(path), plan, ZooFolder.of(store, "zoo"))
    code, out, err = capspace("zoo", "cancel", path, "--store", tmp_path / "store")
    assert (code, out) == (0, "no job of this zoo is queued\n")
    assert "limit" in err  # the old name of a field
