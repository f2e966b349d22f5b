"""A zoo on this machine: what is healthy is measured as ever, what is not is recorded."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from zoo_parts import CRASH, HANG, small_panel, untrained, with_code, with_nan

from capspace.collect.errors import ZooError
from capspace.collect.run.collect import collect_scores
from capspace.collect.storage.score_table import to_table
from capspace.collect.storage.store import Store
from capspace.collect.zoo.config.config import read_zoo
from capspace.collect.zoo.devices.device import DeviceKind
from capspace.collect.zoo.driver import forget_failures, import_outcomes, prepare
from capspace.collect.zoo.executors import local
from capspace.collect.zoo.executors.local import run_local
from capspace.collect.zoo.planning.plan import Plan
from capspace.collect.zoo.planning.planner import make_plan
from capspace.collect.zoo.status import ZooStatus, zoo_status
from capspace.collect.zoo.table import export_reference, zoo_table
from capspace.collect.zoo.work.downloads import Downloads
from capspace.collect.zoo.work.folder import ZooFolder
from capspace.collect.zoo.work.records import Attempt
from capspace.collect.zoo.work.supervisor import Supervisor
from capspace.fit.reference import load_reference

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked")]

HEALTHY = ("good-a", "good-b")
CPU = DeviceKind("cpu")


@dataclass
class Ran:
    path: Path
    store: Store
    folder: ZooFolder
    plan: Plan
    status: ZooStatus


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with two healthy checkpoints and a panel."""
    at = tmp_path_factory.mktemp("zoo")
    untrained(at / "good-a", "wren", 16)
    untrained(at / "good-b", "finch", 16, seed=1)
    small_panel(at / "small.yaml", ["Copying", "Depth"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_MODULES_CACHE", str(at / "modules"))
        yield at


@contextmanager
def run_zoo(
    at: Path, name: str, checkpoints: list[object], *, stopped: float = 0.0, **limits: object
) -> Iterator[Ran]:
    """Run a zoo with two workers, its units stopped before after so many seconds each."""
    (at / f"{name}.yaml").write_text(
        yaml.safe_dump(
            {
                "checkpoints": checkpoints,
                "panels": "small.yaml",
                "backend": "hf",
                "limit": 12,
                "limits": limits,
            }
        )
    )
    file = read_zoo(at / f"{name}.yaml")
    with Store(at / f"{name}-store") as store:
        plan = make_plan(file, store, device=CPU)
        folder = ZooFolder.of(store, file.name)
        prepare(file, plan, folder)
        if stopped:
            before = Attempt("another", 0.0, "stopped", seconds=stopped)
            for order in folder.read_work().units:
                folder.write_attempts(order.id, [before], finished=False)
        downloads = Downloads(folder)
        run_local(folder, CPU, n_workers=2, stop=threading.Event(), downloads=downloads)
        import_outcomes(folder, store)
        yield Ran(at, store, folder, plan, zoo_status(file.name, folder, store))


@pytest.fixture(scope="module")
def ran(places: Path) -> Iterator[Ran]:
    """One zoo with all but a hang, run once."""
    shutil.copytree(places / "good-a", places / "good-a-again")
    with_code(places / "good-a", places / "crash", CRASH)
    with_nan(places / "good-a", places / "nan")
    torn = shutil.copytree(places / "good-a", places / "torn")
    weights = (torn / "model.safetensors").read_bytes()
    (torn / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    checkpoints = [
        {"ref": "good-*", "facts": {"family": "good"}},
        {"ref": "crash", "trust_remote_code": True},
        "nan",
        "torn",
        "missing-one",
    ]
    with run_zoo(places, "zoo", checkpoints) as done:
        yield done


def reasons(ran: Ran, model: str) -> str:
    return " ".join(next(m for m in ran.status.models if m.model == model).reasons)


def outcomes(ran: Ran, model: str) -> list[str]:
    order = next(o for o in ran.folder.read_work().units if o.model == model)
    return [a.outcome for a in ran.folder.attempts(order.id)]


def test_healthy_checkpoints_have_the_scores_of_a_plain_run(ran: Ran, tmp_path: Path) -> None:
    plain = collect_scores(
        [str(ran.path / name) for name in HEALTHY],
        panel=ran.path / "small.yaml",
        store=tmp_path / "plain",
        backend="hf",
        limit=12,
    )
    ours = [r for r in ran.store.results() if r.model in HEALTHY]

    def csv(results: list[object]) -> str:
        ordered = sorted(results, key=lambda r: (r.model, r.benchmark))  # type: ignore[attr-defined]
        return to_table(ordered).scores.drop(columns="source").to_csv()  # type: ignore[arg-type]

    assert csv(ours) == csv(list(plain.results))
    for result in plain.results:
        mine = list(ran.store.samples(result.key))
        assert [s["doc_id"] for s in mine] == list(range(12))


def test_the_rest_never_notices(ran: Ran) -> None:
    assert ran.status.is_finished
    assert (ran.status.n_done, ran.status.n_failed) == (4, 6)
    assert ran.status.n_running == 0


def test_a_segfault_is_tried_twice_and_recorded(ran: Ran) -> None:
    assert "SIGSEGV" in reasons(ran, "crash")
    assert outcomes(ran, "crash") == ["crashed", "crashed"]


def test_a_hang_ends_at_its_timeout_and_what_was_stopped_before_counts(places: Path) -> None:
    with_code(places / "good-a", places / "hang", HANG)
    checkpoints = [{"ref": "hang", "trust_remote_code": True}]
    # Nothing healthy is in this zoo: on a busy machine so short a time would end that too.
    with run_zoo(places, "hanging", checkpoints, stopped=6.0, timeout="5s") as done:
        assert "took longer than 5 s" in reasons(done, "hang")
        # It had its time before it was stopped: else it could hang in one job after another.
        assert outcomes(done, "hang") == ["stopped", "timeout", "timeout"]


def test_a_unit_that_was_stopped_has_both_its_tries(places: Path) -> None:
    with_nan(places / "good-a", places / "not-finite")
    with run_zoo(places, "stopped-too", [{"ref": "not-finite"}], stopped=1.0) as done:
        assert outcomes(done, "not-finite") == ["stopped", "done", "done"]
        assert done.status.n_failed == 2


def test_a_unit_that_is_stopped_at_once_is_left_to_another(ran: Ran) -> None:
    unit = ran.folder.read_work().units[0]
    before = ran.folder.attempts(unit.id)
    stop = threading.Event()
    stop.set()
    with Supervisor(ran.folder, "w", stop=stop) as supervisor:
        again = replace(unit, id="again", cells={"Copying": "no such cell yet"})
        assert not supervisor.run(again, timeout=None)
    assert [a.outcome for a in ran.folder.attempts("again")] == ["stopped"]
    (ran.folder.path / "units" / "again.running").unlink()
    assert ran.folder.attempts(unit.id) == before


def test_an_error_of_the_zoo_itself_ends_the_run(tmp_path: Path) -> None:
    folder = ZooFolder(tmp_path)
    with pytest.raises(ZooError, match="this zoo was never run with the store"):
        run_local(folder, CPU, stop=threading.Event(), downloads=Downloads(folder))
    (tmp_path / "orders.json").write_text("{")
    stop = threading.Event()
    with pytest.raises(ZooError, match=r"orders\.json: no readable work units"):
        run_local(folder, CPU, n_workers=2, stop=stop, downloads=Downloads(folder))
    assert stop.is_set()


def test_an_error_that_is_none_of_the_zoo_s_is_raised_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(local, "Supervisor", full)
    folder = ZooFolder(tmp_path)
    with pytest.raises(OSError, match="No space left on device"):
        run_local(folder, CPU, stop=threading.Event(), downloads=Downloads(folder))


def test_nan_weights_give_a_reason_and_no_score(ran: Ran) -> None:
    reasons = next(m for m in ran.status.models if m.model == "nan").reasons
    # Each benchmark's own reason, and the checkpoint is named once.
    assert sorted(r.split(" ")[0] for r in reasons) == ["Copying:", "Depth:"]
    assert all("(nan, " in r for r in reasons)
    assert not [r for r in ran.store.results() if r.model == "nan"]


def test_a_checkpoint_that_cannot_load_says_why(ran: Ran) -> None:
    assert "does not load" in reasons(ran, "torn")


def test_what_is_not_there_is_named(ran: Ran) -> None:
    assert {c.model for c in ran.plan.unmeasurable if "missing-one" in c.reason} == {"missing-one"}
    # Whoever asks later where the zoo stands is told, too.
    assert list(ran.status.to_dict()["unmeasurable"]) == [
        {"model": "missing-one", "benchmark": b, "reason": c.reason, "skipped": False}
        for b, c in zip(("Copying", "Depth"), ran.plan.unmeasurable, strict=True)
    ]


def test_the_same_bytes_are_measured_once(ran: Ran) -> None:
    assert any("good-a-again" in n and "measured once" in n for n in ran.plan.notices)
    assert next(m for m in ran.plan.models if m.name == "good-a").aliases == ("good-a-again",)


def test_a_second_run_has_nothing_to_do(ran: Ran) -> None:
    file = read_zoo(ran.path / "zoo.yaml")
    plan = make_plan(file, ran.store, device=CPU)
    assert plan.n_done == 4
    before = {p.name: p.stat().st_mtime_ns for p in (ran.folder.path / "cells").iterdir()}
    assert prepare(file, plan, ran.folder) == 0
    after = {p.name: p.stat().st_mtime_ns for p in (ran.folder.path / "cells").iterdir()}
    assert before == after


def test_retry_takes_up_failed_cells_and_only_those(ran: Ran, tmp_path: Path) -> None:
    copy = tmp_path / "store"
    shutil.copytree(ran.store.path, copy)
    file = read_zoo(ran.path / "zoo.yaml")
    with Store(copy) as store:
        folder = ZooFolder.of(store, file.name)
        failed = {f.key for f in forget_failures(folder)}
        prepare(file, make_plan(file, store, device=CPU), folder)
        orders = folder.read_work().units
        assert {k for o in orders for k in o.cells.values()} == failed
        assert not folder.finished() & {o.id for o in orders}


def test_facts_are_counted_where_not_given_and_say_so(ran: Ran) -> None:
    model = next(m for m in ran.plan.models if m.name == "good-a")
    assert model.facts["family"] == "good"
    assert model.facts["parameters"] == model.n_parameters > 0
    assert model.counted == ("parameters",)
    assert json.loads(json.dumps(ran.plan.to_dict()))["n_missing"] == 10


def test_an_exported_zoo_is_a_reference_that_loads(ran: Ran, tmp_path: Path) -> None:
    table, chance = zoo_table(ran.folder, ran.store)
    assert set(table.scores["model"]) == set(HEALTHY)
    export_reference(table, chance, tmp_path / "reference")
    reference = load_reference(tmp_path / "reference")
    assert set(reference.benchmarks) == {"Copying", "Depth"}
    assert reference.target("depth").chance == 0.25
    assert reference.space_benchmarks(reference.target("depth")) == ["Copying"]
