"""Faults done for real, with a real small model: kills, signals, memory, bad weights."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from checkout import TESTS
from commands import Notes
from small_disk import skip_without_namespaces

pytest.importorskip("lm_eval", reason="collecting needs the collect extra")

from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.errors import ResponseError
from capspace.collect.harness.backends import load_model
from capspace.collect.recorder.recorder import Recorder
from capspace.collect.run import collect as runner
from capspace.collect.settings import LoadSettings
from capspace.collect.storage.journal import Journal
from capspace.collect.storage.store import Store

# The full counts run in scripts/soak.
SOAK = "CAPSPACE_SOAK" in os.environ
KILLS, PAIRS = (50, 20) if SOAK else (3, 1)
DRIVER = TESTS / "fault_driver.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("forked"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def driver() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fault_driver", DRIVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def drive(what: str, checkpoint: Path, folder: Path, count: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, DRIVER, what, checkpoint, folder, str(count)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(what, outcome)
    return outcome


def test_killed_at_random_moments_and_resumed_gives_the_same_scores_and_samples(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    outcome = drive("kills", tiny_checkpoint, tmp_path / "kills", KILLS)
    assert outcome["kills"] == KILLS
    assert outcome["requests"] == 750  # each run was watched as it asked
    assert outcome["repeated_per_kill"] <= 432  # the largest chunk of this task


def test_two_runs_of_the_same_cells_share_them(tiny_checkpoint: Path, tmp_path: Path) -> None:
    outcome = drive("pairs", tiny_checkpoint, tmp_path / "pairs", PAIRS)
    assert outcome == {"pairs": PAIRS, "requests": 750}


def test_full_disk_and_read_only_store_stop_a_run_and_can_still_be_read(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    skip_without_namespaces()
    outcomes = drive("unwritable", tiny_checkpoint, tmp_path / "unwritable", 1)
    for how, outcome in outcomes.items():
        stop = outcome["stop"]
        if how == "remounted":  # the run was killed, then its disk mounted read-only
            assert stop["code"] == -signal.SIGKILL
        else:
            assert stop["code"] == 2
            (line,) = (x for x in stop["err"].splitlines() if x.startswith("capspace: "))
            assert re.search(r"No space left|disk is full|readonly|Read-only", line)
            assert line.endswith("run the same command again")
        assert outcome["known"] >= 150 + 8 + 32  # of the first run, and before the room was gone
        assert outcome["info"]["code"] == 0
        info = json.loads(outcome["info"]["out"])
        assert info["n_results"] == {"tiny-llama": 1}
        assert info["n_responses"] == {"tiny-llama": outcome["known"]}
        assert (outcome["check"]["code"], outcome["check"]["out"]) == (0, "everything is intact\n")
        for command in ("scores", "receipt", "export"):
            assert outcome[command]["code"] == 0, outcome[command]
            assert len(outcome[command]["err"].splitlines()) == (how != "full"), outcome[command]
        assert "Answer" in outcome["scores"]["out"]
        assert "What is 0 and on?" in outcome["receipt"]["out"]
        assert outcome.get("again", {"code": 2})["code"] == 2
        assert outcome["repeated"] <= 432  # at most the chunk that could not be written


@pytest.fixture
def tasks(driver: ModuleType, tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    driver.write_tasks(folder, n=40)
    return folder


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_signal_ends_a_run_that_the_same_command_resumes(
    driver: ModuleType, tiny_checkpoint: Path, tmp_path: Path, number: int, status: int, word: str
) -> None:
    folder, store = tmp_path / "many", tmp_path / "store"
    driver.write_tasks(folder, n=1500)
    panel = tmp_path / "panel.yaml"
    panel.write_text(json.dumps(driver.PANEL.select(["Choice"]).model_dump(mode="json")))
    # A shell that starts the tests in the background has SIGINT ignored, and children inherit that.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from capspace.collect.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "collect"]
    command += [tiny_checkpoint, "--panel", panel, "--include-path", folder, "--store", store]
    command += ["--device", "cpu", "--batch-size", "8", "--backend", "hf"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        while run.poll() is None and _bytes_written(store) < 20_000:
            threading.Event().wait(0.02)
        run.send_signal(number)
        _, errors = run.communicate(timeout=60)
    assert run.returncode == status, errors.decode()[-2000:]
    assert f"{word}: every finished chunk" in " ".join(errors.decode().split())
    with Journal(store / "journal") as journal:
        check = journal.check()
    assert check.problems == []
    assert 64 <= check.n_responses < 6_000
    assert list((store / "journal" / "claims").glob("*.json")) == []


def _bytes_written(store: Path) -> int:
    try:
        return sum(p.stat().st_size for p in (store / "journal").glob("live-*.sqlite"))
    except FileNotFoundError:
        return 0


def collect(checkpoint: Path, panel: Any, store: Path, tasks: Path, progress: Any = None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, while they are imported
        return runner.collect_scores(
            str(checkpoint),
            panel=panel,
            store=store,
            include_path=tasks,
            device="cpu",
            batch_size=8,
            backend="hf",
            progress=progress,
        )


@pytest.fixture(scope="module")
def lm(tiny_checkpoint: Path) -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, while they are imported
        options = LoadSettings(device="cpu", batch_size=8, backend="hf")
        yield load_model(resolve(str(tiny_checkpoint)), options)


def test_batch_that_does_not_fit_is_split_and_goes_on(
    lm: Any, driver: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model raises torch's own error above a number of tokens, as a full GPU does."""
    import torch
    from lm_eval.api.instance import Instance

    requests = [
        Instance("loglikelihood", {}, (f"What is {i} " + "so " * (i % 40), " one"), 0, ("t", i, 1))
        for i in range(120)
    ]
    quiet = Recorder(lm, journal=Journal(tmp_path / "quiet"), identity="m", label="m: t")
    expected = quiet.loglikelihood(requests)
    n_raised = 0
    forward = lm._model_call

    def full(inputs: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal n_raised
        if inputs.numel() > 150:
            n_raised += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return forward(inputs, *arguments, **named)

    monkeypatch.setattr(lm, "_model_call", full)
    journal = Journal(tmp_path / "full")
    tight = Recorder(lm, journal=journal, identity="m", label="m: t")
    answers = tight.loglikelihood(requests)
    assert [a[0] for a in answers] == pytest.approx([e[0] for e in expected], rel=1e-4)  # type: ignore[index]
    assert 1 <= n_raised <= 8
    again = Recorder(lm, journal=journal, identity="m", label="m: t")
    again.loglikelihood(
        [
            Instance("loglikelihood", {}, ("so " * 39 + str(i), " two"), 0, ("t", i, 1))
            for i in range(64)
        ]
    )
    assert again.counts.n_split <= 1  # the size found before is used at once
    long = Instance("loglikelihood", {}, ("so " * 400, " one"), 0, ("t", 7, 1))
    with pytest.raises(
        ResponseError, match=r"1 of 1 requests do not fit .* 1204 characters \(t it"
    ):
        again.loglikelihood([long])
    assert [(f.document, f.characters) for f in journal.failures("m")] == [(7, 1204)]


@pytest.fixture
def broken(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """The checkpoint with one weight that is not a number."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "broken-model"
    shutil.copytree(tiny_checkpoint, folder)
    weights = load_file(folder / "model.safetensors")
    name = next(n for n in weights if n.endswith("mlp.down_proj.weight"))
    weights[name][0, 0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("benchmark", ["Choice", "Answer"])
def test_weights_that_are_not_numbers_fail_the_cell_and_name_the_item(
    driver: ModuleType, broken: Path, tasks: Path, tmp_path: Path, benchmark: str
) -> None:
    tasks.joinpath("fault_answer.yaml").write_text(
        re.sub("do_sample: true, temperature: 1.0", "do_sample: false", _text(tasks))
    )
    from capspace.collect.errors import NothingMeasuredError

    store = tmp_path / "store"
    with pytest.raises(NothingMeasuredError, match=rf"broken-model: {benchmark}: item \d+ of fau"):
        collect(broken, driver.PANEL.select([benchmark]), store, tasks)
    with Store(store) as opened:
        assert opened.results() == []
        (failure,) = opened.failures()
    assert "NaN" in failure.reason or "nan" in failure.reason


def _text(tasks: Path) -> str:
    return tasks.joinpath("fault_answer.yaml").read_text()


def test_task_that_raises_leaves_the_other_cells(
    driver: ModuleType, tiny_checkpoint: Path, tasks: Path, tmp_path: Path
) -> None:
    tasks.joinpath("choice.jsonl").write_text('{"question": "What?", "answer": 17}\n')
    done = collect(tiny_checkpoint, driver.PANEL, tmp_path / "store", tasks)
    assert [r.benchmark for r in done.results] == ["Answer"]
    assert [m.benchmark for m in done.missing] == ["Choice"]
    assert not done.missing[0].skipped


def test_larger_limit_and_another_batch_size_ask_only_what_is_new(
    driver: ModuleType, tiny_checkpoint: Path, tasks: Path, tmp_path: Path
) -> None:
    def measured(limit: int | None, batch_size: int) -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries
            done = runner.collect_scores(
                str(tiny_checkpoint),
                panel=driver.PANEL.select(["Choice"]),
                store=tmp_path / "store",
                include_path=tasks,
                device="cpu",
                batch_size=batch_size,
                limit=limit,
            )
        requests: dict[str, Any] = done.results[0].provenance["requests"]
        return requests

    assert measured(10, 8)["n_asked"] == 40
    larger = measured(25, 4)
    assert (larger["n_known"], larger["n_asked"]) == (40, 60)
    full = measured(None, 16)
    assert (full["n_known"], full["n_asked"]) == (100, 60)
    with Store(tmp_path / "store") as opened:
        assert sorted(r.n_items for r in opened.results()) == [10, 25, 40]


def test_new_weights_at_the_same_path_are_asked_everything(
    driver: ModuleType, tiny_checkpoint: Path, tasks: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder, panel = tmp_path / "same-path", driver.PANEL.select(["Choice"])
    shutil.copytree(tiny_checkpoint, folder)
    first = collect(folder, panel, tmp_path / "store", tasks).results[0]
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: value * 1.5 for name, value in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    second = collect(folder, panel, tmp_path / "store", tasks).results[0]
    for result in (first, second):
        assert result.provenance["requests"]["n_known"] == 0
        assert result.provenance["requests"]["n_asked"] == 160
    assert first.revision != second.revision
    with Store(tmp_path / "store") as opened:
        opened.remove([second.key])
    notes = Notes()
    again = collect(folder, panel, tmp_path / "store", tasks, progress=notes).results[0]
    assert again.score == second.score
    assert notes.lines == ["Choice: 160 of 160 responses were known"]
