"""Plans: units, their order, their cost, the budget, and room for downloads."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT
from hypothesis import given
from hypothesis import strategies as st
from store_parts import RESULT
from zoo_parts import small_panel, untrained

from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.checkpoints.size import weigh
from capspace.collect.errors import CheckpointError, ZooError
from capspace.collect.harness.harness import Workload
from capspace.collect.settings import RunSettings
from capspace.collect.storage.result import Missing
from capspace.collect.storage.store import Store
from capspace.collect.zoo.config.config import read_zoo
from capspace.collect.zoo.devices.device import DeviceKind
from capspace.collect.zoo.planning.budget import parse_budget, within_budget
from capspace.collect.zoo.planning.cost import (
    Estimate,
    Observation,
    Throughput,
    fit_throughput,
    forward_flops,
    total,
)
from capspace.collect.zoo.planning.plan import Cell, Model, Plan, cut_into_units, longest_first
from capspace.collect.zoo.planning.planner import make_plan
from capspace.collect.zoo.work.downloads import check_disk
from capspace.collect.zoo.work.folder import ZooFolder
from capspace.collect.zoo.work.supervisor import smaller_batch
from capspace.collect.zoo.work.worker import leased_units, patiently, work

SECONDS = st.lists(st.floats(1.0, 1e4), min_size=1, max_size=12)
GUESS = Throughput.guess("cpu")


def model(name: str, *, flops: float | None = None, download: int = 0) -> Model:
    facts = {"training_flops": flops, "parameters": 1e6}
    return Model(name, name, name, "0", (), RunSettings(), facts, (), 10**6, 4 * 10**6, download, 1)


def cells(name: str, seconds: list[float], done: set[int] = frozenset()) -> tuple[Cell, ...]:  # type: ignore[assignment]
    return tuple(
        Cell(f"{name}x{i}", "panel", f"b{i}", i in done, Estimate(s, 0.1, 0.1))
        for i, s in enumerate(seconds)
    )


def plan_of(**seconds: list[float]) -> Plan:
    models, all_cells, units = [], {}, []
    for i, (name, each) in enumerate(seconds.items()):
        candidate = model(name, flops=10.0 ** (18 + i))
        models.append(candidate)
        all_cells[name] = cells(name, each)
        units += cut_into_units(
            candidate, "panel", all_cells[name], load=Estimate(1, 0.1, 0.1), unit_seconds=100
        )
    return Plan("zoo", tuple(models), all_cells, longest_first(units))


@given(SECONDS, st.floats(2.0, 1e4))
def test_units_hold_every_missing_cell_once_and_keep_to_the_time(
    seconds: list[float], unit_seconds: float
) -> None:
    missing = cells("m", seconds, done={0})
    units = cut_into_units(
        model("m"), "panel", missing, load=Estimate(1, 0, 0), unit_seconds=unit_seconds
    )
    held = [c.key for u in units for c in u.cells]
    assert sorted(held) == sorted(c.key for c in missing if not c.is_done)
    for unit in units:
        if len(unit.cells) > 1:  # longest first into the emptiest: at most a cell above the mean
            work = sum(c.estimate.seconds for u in units for c in u.cells) / len(units)
            assert unit.estimate.seconds <= 1 + work + max(c.estimate.seconds for c in unit.cells)


def test_units_are_taken_longest_first() -> None:
    planned = plan_of(a=[10.0], b=[50.0], c=[30.0])
    assert [u.model.name for u in planned.units] == ["b", "c", "a"]


def test_the_same_cells_are_the_same_unit() -> None:
    first, other = plan_of(a=[10.0, 20.0]), plan_of(a=[20.0, 10.0])
    assert [u.id for u in first.units] == [u.id for u in other.units]


def test_replanning_leaves_cells_in_the_units_that_have_them(tmp_path: Path) -> None:
    folder = ZooFolder(tmp_path)
    folder.write_work(plan_of(a=[60.0, 60.0, 60.0]), [], None)
    before = {o.id: set(o.cells.values()) for o in folder.read_work().units}
    assert len(before) == 2
    # Faster than thought: one unit would do now, and a checkpoint was added.
    folder.write_work(plan_of(a=[6.0, 6.0, 6.0], b=[5.0]), [], None)
    after = {o.id: set(o.cells.values()) for o in folder.read_work().units}
    assert before.items() <= after.items()
    every = [k for keys in after.values() for k in keys]
    assert len(every) == len(set(every)) == 4


def test_failed_cells_are_ordered_again_only_once_they_are_forgotten(tmp_path: Path) -> None:
    folder = ZooFolder(tmp_path)
    planned = plan_of(a=[10.0], b=[10.0])
    folder.write_failure(Missing("a", "b0", "because", revision="0", key="ax0"))
    for failed, models in (({"ax0"}, {"b"}), (set(), {"a", "b"})):
        folder.write_work(planned, [], None, failed=failed)
        assert {o.model for o in folder.read_work().units} == models


@pytest.mark.slow
def test_a_unit_whose_worker_died_is_taken_up_in_its_place(tmp_path: Path) -> None:
    folder = ZooFolder(tmp_path)
    folder.write_work(plan_of(a=[10.0], b=[50.0], c=[30.0]), [], None)
    code = (
        "import sys; from pathlib import Path;"
        "from capspace.collect.zoo.work.folder import ZooFolder;"
        "from capspace.collect.zoo.work.worker import leased_units; import os;"
        "f = ZooFolder(Path(sys.argv[1])); o = next(leased_units(f));"
        "f.write_attempts(o.id, [], finished=False); print(o.model, flush=True); os._exit(9)"
    )
    died = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert died.stdout.strip() == "b"
    units = leased_units(folder)
    first = next(units)
    assert first is not None
    assert first.model == "b"
    other = leased_units(folder)
    second, third = next(other), next(leased_units(folder))
    assert second is not None
    assert third is not None
    # The generator that was dropped has given its unit back.
    assert [second.model, third.model] == ["c", "a"]
    units.close()
    other.close()


def test_where_others_have_all_that_is_left_a_worker_waits(tmp_path: Path) -> None:
    folder = ZooFolder(tmp_path)
    folder.write_work(plan_of(a=[10.0]), [], None)
    mine, theirs = leased_units(folder), leased_units(folder)
    order = next(mine)
    assert order is not None
    folder.write_attempts(order.id, [], finished=False)
    assert next(theirs) is None
    folder.write_attempts(order.id, [], finished=True)
    assert list(theirs) == []


def test_throughput_is_found_from_what_was_measured() -> None:
    rng = np.random.default_rng(0)
    seen = [
        Observation(n, n * f, (n * 2e-3 + n * f / 3e10) * math.exp(0.1 * rng.standard_normal()))
        for n, f in zip(rng.integers(100, 5000, 60), 10 ** rng.uniform(6, 9, 60), strict=True)
    ]
    fitted = fit_throughput(seen, GUESS)
    assert fitted.seconds_per_request == pytest.approx(2e-3, rel=0.1)
    assert fitted.flops_per_second == pytest.approx(3e10, rel=0.1)
    assert fitted.spread == pytest.approx(0.1, rel=0.3)
    assert fit_throughput(seen[:3], GUESS) is GUESS


@pytest.mark.slow
def test_intervals_of_times_cover_what_they_say() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        works = [Workload(int(n), int(n * 800), 0) for n in rng.integers(100, 3000, 40)]
        sizes = 10 ** rng.uniform(6, 8, 40)
        flops = [forward_flops(w, s) for w, s in zip(works, sizes, strict=True)]
        times = [
            (w.n_requests * 1e-3 + f / 2e10) * math.exp(0.3 * rng.standard_normal())
            for w, f in zip(works, flops, strict=True)
        ]
        seen = [
            Observation(w.n_requests, f, t)
            for w, f, t in zip(works[:20], flops[:20], times[:20], strict=True)
        ]
        speed = fit_throughput(seen, GUESS)
        whole = total([speed.cell(w, s) for w, s in zip(works[20:], sizes[20:], strict=True)])
        inside += whole.lower <= sum(times[20:]) <= whole.upper
    assert 0.8 <= inside / 200 <= 1.0


def test_generated_tokens_and_parameters_cost() -> None:
    short, long = Workload(10, 4000, 0), Workload(10, 4000, 100)
    assert forward_flops(short, 1e6) == 2e6 * 1000
    assert forward_flops(long, 1e6) > 2 * forward_flops(short, 1e6)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("40gpu-hours", 144000), ("90m", 5400), ("2 h", 7200), ("1.5hours", 5400), ("3d", 259200)],
)
def test_budgets_are_read(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "much", "0h", "-1h", "3", "1.2.3h"])
def test_other_budgets_are_refused(text: str) -> None:
    with pytest.raises(ZooError, match="expected a time such as"):
        parse_budget(text)


def test_a_budget_keeps_the_ends_of_the_range() -> None:
    planned = plan_of(a=[10.0], b=[10.0], c=[10.0], d=[10.0], e=[10.0])
    within = within_budget(planned, 24.0)
    assert [m.name for m in within.models] == ["a", "e"]  # two points fix a line best far apart
    assert {u.model.name for u in within.units} == {"a", "e"}
    assert "V-optimal in log training compute (the best of all)" in within.notices[-1]
    with pytest.raises(ZooError, match="the cheapest checkpoint takes"):
        within_budget(planned, 5.0)


def test_a_checkpoint_that_is_measured_costs_nothing() -> None:
    planned = plan_of(a=[10.0], b=[10.0], c=[10.0])
    done = {c.key: c for c in cells("b", [10.0], done={0})}
    planned = Plan(
        "zoo",
        planned.models,
        planned.cells | {"b": tuple(done.values())},
        tuple(u for u in planned.units if u.model.name != "b"),
    )
    assert [m.name for m in within_budget(planned, 12.0).models] != ["a", "c"]
    assert "b" in {m.name for m in within_budget(planned, 12.0).models}


def test_a_zoo_larger_than_the_disk_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def downloading(*sizes: int) -> Plan:
        models = [model(f"m{i}", download=s) for i, s in enumerate(sizes)]
        units = [
            u
            for m in models
            for u in cut_into_units(
                m, "panel", cells(m.name, [1.0]), load=Estimate(1, 0, 0), unit_seconds=10
            )
        ]
        return Plan("zoo", tuple(models), {}, tuple(units))

    check_disk(downloading(0, 0), max_bytes=1)
    check_disk(downloading(10, 10), max_bytes=15)
    with pytest.raises(ZooError, match=r"m1 is .* GB to download, and there is room for"):
        check_disk(downloading(10, 10**18), max_bytes=None)
    with pytest.raises(ZooError, match=r"m0 is .* and --max-disk is .*raise it"):
        check_disk(downloading(20), max_bytes=15)
    free = os.statvfs("/").f_bavail * os.statvfs("/").f_frsize
    with pytest.raises(ZooError, match=r"bound it with --max-disk"):
        check_disk(downloading(*[free // 2] * 20), max_bytes=None)


def test_weights_are_counted_from_their_headers(tmp_path: Path) -> None:
    folder = untrained(tmp_path / "m", "wren", 16)
    checkpoint = resolve(str(folder))
    weights = weigh(checkpoint)
    assert weights.counted_from == "weights"
    assert (weights.n_parameters, weights.n_bytes) == (5168, 4 * 5168)
    assert weights.bytes_as("bfloat16") == 2 * 5168
    blob = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(b"\xff" * 8 + blob[8:])
    with pytest.raises(CheckpointError, match="no readable safetensors header"):
        weigh(checkpoint)


def test_a_checkpoint_with_a_damaged_header_is_left_out_alone(tmp_path: Path) -> None:
    good, bad = (untrained(tmp_path / name, "wren", 16) for name in ("good", "bad"))
    blob = (good / "model.safetensors").read_bytes()
    (bad / "model.safetensors").write_bytes(b"\xff" * 8 + blob[8:])
    small_panel(tmp_path / "small.yaml", ["Copying"])
    (tmp_path / "zoo.yaml").write_text("checkpoints: [good, bad]\npanels: small.yaml\n")
    with Store(tmp_path / "store") as store:
        plan = make_plan(read_zoo(tmp_path / "zoo.yaml"), store, device=DeviceKind("cpu"))
    assert [m.name for m in plan.models] == ["good"]
    (left_out,) = plan.unmeasurable
    assert left_out.model == "bad"
    assert "no readable safetensors header" in left_out.reason


def test_weights_that_are_not_there_are_counted_from_the_configuration(tmp_path: Path) -> None:
    folder = untrained(tmp_path / "m", "wren", 16)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    weights = weigh(resolve(str(folder), allow_pickle=True))
    assert (weights.counted_from, weights.n_parameters) == ("config", 5168)


def test_packed_weights_count_as_those_of_the_model_that_was_quantised(tmp_path: Path) -> None:
    """As GPTQ and AWQ name them: eight weights of four bits in a number."""
    from safetensors.numpy import load_file, save_file

    folder = untrained(tmp_path / "m", "wren", 16)
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("up_proj.weight"))
    packed = np.zeros((tensors[name].shape[0] // 8, tensors[name].shape[1]), dtype=np.int32)
    n_bytes = 4 * 5168 - tensors.pop(name).nbytes + packed.nbytes
    tensors[f"{name.removesuffix('weight')}qweight"] = packed
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    weights = weigh(resolve(str(folder)))
    assert (weights.n_parameters, weights.n_bytes) == (5168, n_bytes)
    assert weights.bytes_as("float32") == n_bytes  # they stay packed once loaded


@pytest.mark.parametrize(("before", "after"), [("auto", 1), (16, 4), (2, 1), (1, 1)])
def test_a_retry_asks_less_at_once(before: int | str, after: int) -> None:
    assert smaller_batch(before) == after


@pytest.mark.slow
@pytest.mark.usefixtures("forked")
def test_the_scale_simulation_loses_and_repeats_nothing() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "bench_zoo"), "--checkpoints", "20",
         "--workers", "6", "--deaths", "0.2"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "cells measured twice: 0; missing in the store: 0" in done.stdout


def test_of_many_parts_the_sum_is_that_of_its_draws() -> None:
    few, many = ([Estimate(10.0, 0.2, 0.1)] * n for n in (64, 65))
    assert total(many).seconds == pytest.approx(65 / 64 * total(few).seconds, rel=0.01)
    assert total(many).spread == pytest.approx(total(few).spread, rel=0.1)
    assert total(many).shared == 0.1


def test_cells_without_requests_say_nothing_of_the_speed() -> None:
    seen = [Observation(n, 0.0, 1.0) for n in (0, 1, 2, 3)]
    assert fit_throughput(seen, GUESS) is GUESS


def test_a_budget_without_training_compute_goes_by_parameters() -> None:
    def known_by(**parameters: int) -> Plan:
        whole = plan_of(**{name: [10.0] for name in parameters})
        sized = {
            name: replace(model(name), n_parameters=n, facts={"training_flops": None})
            for name, n in parameters.items()
        }
        units = tuple(replace(u, model=sized[u.model.name]) for u in whole.units)
        return replace(whole, models=tuple(sized.values()), units=units)

    within = within_budget(known_by(a=10, b=100, c=1000), 24.0)
    assert [m.name for m in within.models] == ["a", "c"]
    assert "V-optimal in log parameters" in within.notices[-1]
    alike = within_budget(known_by(a=10, b=10, c=10), 24.0)
    assert len(alike.models) == 2
    with pytest.raises(ZooError, match=r"neither is known of b, c; give `facts`"):
        within_budget(known_by(a=10, b=0, c=0), 24.0)
    done = replace(alike, units=())
    assert within_budget(done, 1.0) is done


def test_a_cell_that_joins_an_earlier_plan_has_a_unit_of_its_own(tmp_path: Path) -> None:
    folder = ZooFolder(tmp_path)
    folder.write_work(plan_of(a=[6.0]), [], None)
    folder.write_work(plan_of(a=[6.0, 6.0]), [], None)
    held = [(o.id, [*o.cells.values()]) for o in folder.read_work().units]
    assert sorted(keys for _, keys in held) == [["ax0"], ["ax1"]]
    assert len({identifier for identifier, _ in held}) == 2


def test_a_zoo_s_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ZooError, match=r"cannot write the zoo's folder .*/file/z: Not a directory"):
        ZooFolder(tmp_path / "file" / "z")
    folder = ZooFolder(tmp_path / "z")
    for content in ('{"version": 99}', "[]", "{"):
        (folder.path / "orders.json").write_text(content)
        with pytest.raises(ZooError, match=r"orders\.json: no readable work units .*; `capspace"):
            ZooFolder(folder.path).read_work()


def test_a_failure_that_was_forgotten_is_forgotten_by_those_who_read_it(tmp_path: Path) -> None:
    folder = ZooFolder(tmp_path)
    for key in ("x", "y"):
        folder.write_failure(Missing("a", "b", "because", revision="0", key=key))
    assert [f.key for f in folder.failures()] == ["x", "y"]
    (tmp_path / "cells" / "x.json").unlink()
    assert [f.key for f in folder.failures()] == ["y"]


def test_a_worker_that_is_stopped_takes_no_further_unit(tmp_path: Path) -> None:
    folder = ZooFolder(tmp_path)
    folder.write_work(plan_of(a=[10.0], b=[50.0]), [], None)
    stop = threading.Event()
    units = patiently(leased_units(folder), stop)
    assert next(units).model == "b"
    stop.set()
    assert list(units) == []
    n = work(folder, "w", environment={}, stop=threading.Event(), seconds_left=lambda: 1.0)
    assert n == 0  # no unit fits into the time left
    assert folder.workers() == []


@pytest.mark.slow
def test_a_score_of_partly_known_responses_says_nothing_of_the_speed(tmp_path: Path) -> None:
    for width in (16, 24, 32, 48):
        untrained(tmp_path / "models" / f"m{width}", "wren", width)
    small_panel(tmp_path / "small.yaml", ["Copying"])
    (tmp_path / "zoo.yaml").write_text("checkpoints: [models/*]\npanels: small.yaml\n")
    file = read_zoo(tmp_path / "zoo.yaml")
    with Store(tmp_path / "store") as store:
        all_cells = make_plan(file, store, device=DeviceKind("cpu")).cells.values()

        def notice(n_known: int) -> str:
            provenance = {"device": "cpu", "seconds": 2.0, "requests": {"n_known": n_known}}
            for (cell,) in all_cells:
                store.put(replace(RESULT, key=cell.key, provenance=provenance))
            plan = make_plan(file, store, device=DeviceKind("cpu"))
            assert plan.n_missing == 0
            return plan.notices[-1]

        assert notice(100).startswith("no earlier run on cpu: times are a guess")
        assert "no earlier run" not in notice(0)
