"""What a run says and keeps of the engine: nothing is slower in silence."""

from __future__ import annotations

import io
import json
import re
from importlib.metadata import version
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from checkout import ROOT

pytest.importorskip("torch", reason="the engine needs the collect extra")
pytest.importorskip("datasets", reason="a whole run reads data sets, whose package is not here")

from commands import Command, Notes
from fault_driver import PANEL

from capspace.collect.cli.zoo.live import Watcher
from capspace.collect.engine import served
from capspace.collect.engine.served import (
    CHECKED_WITH,
    SLOWER_SCORES,
    SLOWER_TEXTS,
    engine_lines,
    newer_than_checked,
)
from capspace.collect.run._place import place_collection
from capspace.collect.run.collect import collect_scores
from capspace.collect.settings import RunSettings
from capspace.collect.storage.store import Store
from capspace.collect.zoo.work.folder import ZooFolder
from capspace.collect.zoo.work.measure import Messenger
from capspace.collect.zoo.work.records import WorkUnit
from capspace.tasks.panel import load_panel

pytestmark = [
    pytest.mark.cpu_only("its checkpoints are measured by whole runs, which choose the device"),
    pytest.mark.usefixtures("libraries_as_checked", "lm_eval_looks_up_once"),
    pytest.mark.filterwarnings("ignore"),  # of lm-eval and its libraries
]

REASON = "its attention works in chunks of positions"
LINE = (
    f"the engine does not serve this model ({REASON}): lm-eval's own path is used, about 5 times "
    "slower on multiple choice and about 2 times on generated texts"
)


@pytest.fixture(scope="module")
def unserved(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint with attention that the engine leaves to lm-eval's own path."""
    folder = tmp_path_factory.mktemp("models") / "tiny-chunked"
    folder.mkdir()
    for file in tiny_checkpoint.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    config |= {"attention_chunk_size": 64}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


class EngineNotes(Notes):
    """Remembers notices beside notes, in their order."""

    def benchmark(self, name: str, index: int, total: int) -> None:
        self.lines.append(f"began {name}")

    def notices(self, model: str, lines: Any) -> None:
        self.lines += [f"{model}: {line}" for line in lines]


@pytest.fixture(scope="module")
def measured(unserved: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    store, notes = tmp_path_factory.mktemp("store"), EngineNotes()
    collection = collect_scores(
        str(unserved),
        panel=load_panel("smoke").select(["ARC-C", "HellaSwag", "Winogrande"]),
        store=store,
        limit=2,
        data_root="embedded",
        progress=notes,
    )
    return store, collection, notes.lines


@pytest.mark.slow
def test_a_model_that_is_not_served_says_so_before_its_first_benchmark(measured: Any) -> None:
    _, _, lines = measured
    assert lines[0] == f"tiny-chunked: {LINE}"
    assert lines[1].startswith("began ")
    assert sum(REASON in line for line in lines) == 1


@pytest.mark.slow
def test_results_scores_receipt_and_report_keep_the_reason(
    measured: Any, capspace: Command, tmp_path: Path
) -> None:
    store, collection, _ = measured
    record = {
        "served": False,
        "unsupported_reason": REASON,
        "slower_reason": None,
        "newer": None,
    }
    assert all(result.provenance["engine"] == record for result in collection.results)
    with Store(store) as opened:
        assert all(result.provenance["engine"] == record for result in opened.results())
    shown = json.loads(capspace("scores", "--json", "--store", str(store)).out)["results"]
    assert [each["provenance"]["engine"] for each in shown] == [record] * len(collection.results)
    name = collection.results[0].benchmark
    asked = ("scores", "--receipt", "tiny-chunked", name, "--store", str(store))
    assert re.search(rf"engine\.unsupported_reason\s+{re.escape(REASON)}", capspace(*asked).out)
    receipt = json.loads(capspace(*asked, "--json").out)[0]
    assert receipt["result"]["provenance"]["engine"] == record
    placed = place_collection(collection, targets=["gsm8k-cot"], out=tmp_path / "report")
    assert placed.report is not None
    n_scores = len(collection.results)
    assert repr(placed) == (
        f"PlacedModel(tiny-chunked: {n_scores} scores, 1 prediction, report {placed.report})"
    )
    assert len(placed.to_frame()) == 1
    results = json.loads((tmp_path / "report" / "result.json").read_text())["results"]
    assert [each["engine"] for each in results] == [record] * len(collection.results)
    foot = placed.report.read_text().partition("<footer>")[2]
    assert "Measured on lm-eval&#39;s own path, without the scoring engine: " in foot
    assert REASON in foot


@pytest.mark.slow
def test_a_result_of_before_keeps_nothing_and_says_nothing(measured: Any, tmp_path: Path) -> None:
    _, collection, _ = measured
    for result in collection.results:
        del result.provenance["engine"]
    placed = place_collection(collection, targets=["gsm8k-cot"], out=tmp_path / "report")
    assert placed.report is not None
    results = json.loads((tmp_path / "report" / "result.json").read_text())["results"]
    assert {each["engine"] for each in results} == {None}
    assert "scoring engine" not in placed.report.read_text()


@pytest.mark.slow
def test_a_task_whose_settings_are_not_served_says_so_and_keeps_it(
    tiny_checkpoint: Path, fault_tasks: Path, tmp_path: Path
) -> None:
    tasks = tmp_path / "tasks"
    copytree(fault_tasks, tasks)
    text = (tasks / "fault_answer.yaml").read_text()
    assert "temperature: 1.0" in text
    other = text.replace("temperature: 1.0", "temperature: 1.0, num_beams: 2")
    (tasks / "fault_answer.yaml").write_text(other)
    notes = EngineNotes()
    collection = collect_scores(
        str(tiny_checkpoint),
        panel=PANEL,
        store=tmp_path / "store",
        include_path=tasks,
        limit=3,
        progress=notes,
    )
    opened = {r.benchmark: r.provenance["engine"] for r in collection.results}
    assert (opened["Answer"]["served"], opened["Answer"]["unsupported_reason"]) == (
        False,
        "num_beams=2",
    )
    assert opened["Choice"] == {
        "served": True,
        "unsupported_reason": None,
        "slower_reason": None,
        "newer": None,
    }
    assert notes.lines[0] == "began Choice"  # of the model itself there is nothing to say
    line = "what the engine does not serve (num_beams=2)"
    assert [lines.startswith("Answer: ") for lines in notes.lines if line in lines] == [True]


@pytest.mark.slow
def test_lm_eval_s_own_command_says_it_once(
    unserved: Path,
    fault_tasks: Path,
    capspace: Command,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    done = capspace(
        "lm-eval", "run", "--model", "capspace", "--model_args", f"pretrained={unserved}",
        "--include_path", fault_tasks, "--tasks", "fault_choice", "--limit", "2",
        "--store", tmp_path / "store",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert f"{caplog.text}{done.err}".count(f"capspace: {LINE}") == 1


def test_a_zoo_keeps_the_line_and_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    folder = ZooFolder(tmp_path)
    unit = WorkUnit("u", "org/m", "ref", "rev", RunSettings(), "panel", {}, 1.0, 1.0, 1, 1, 0)
    messenger = Messenger(folder, unit, io.StringIO())
    messenger.notices("m", [LINE])
    assert folder.notices() == [f"org/m: {LINE}"]
    with Watcher() as watcher:
        watcher.note_new(folder.notices())
        watcher.note_new(folder.notices())
    assert capsys.readouterr().err.count(LINE) == 1
    messenger.notices("m", [])  # loaded again, after an upgrade that serves it
    assert folder.notices() == []


def test_the_line_names_libraries_newer_than_those_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unserved:
        unsupported_reason = "why"

    newer = {"transformers": "5.30.0", "torch": "2.13.0+cpu", "lm_eval": "0.4.12"}
    monkeypatch.setattr(served, "version", newer.__getitem__)
    assert newer_than_checked() == (
        f"transformers 5.30.0 is newer than {CHECKED_WITH['transformers']}, with which capspace "
        "was checked"
    )
    (line,) = engine_lines(Unserved())
    assert line.endswith(f"on generated texts; {newer_than_checked()}")
    monkeypatch.setattr(served, "version", CHECKED_WITH.__getitem__)
    assert newer_than_checked() == ""
    assert engine_lines(object()) == []


def test_the_versions_checked_are_those_of_the_lock() -> None:
    locked = dict(
        re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "scripts/constraints.txt").read_text(), re.M)
    )
    torch = re.search(r"^locked=(\S+)", (ROOT / "scripts/torch_versions").read_text(), re.M)
    assert torch is not None
    locked["torch"] = torch[1]
    assert {name.replace("_", "-"): known for name, known in CHECKED_WITH.items()} == {
        name.replace("_", "-"): locked[name.replace("_", "-")] for name in CHECKED_WITH
    }
    assert all(version(name) for name in CHECKED_WITH)


def measured_ratio(case: str) -> float:
    """Return the ratio of a row of the benchmarks' table, or the middle of the range it gives."""
    rows = (ROOT / "scripts/BENCHMARKS.md").read_text().splitlines()
    (row,) = [row for row in rows if row.startswith(f"| {case}")]
    return float(np.mean([float(n) for n in re.findall(r"[\d.]+", row.split("|")[5])]))


def test_how_much_slower_is_what_was_measured() -> None:
    assert round(measured_ratio("these six, equal items")) == SLOWER_SCORES
    assert round(measured_ratio("GSM8K 5-shot greedy")) == SLOWER_TEXTS
