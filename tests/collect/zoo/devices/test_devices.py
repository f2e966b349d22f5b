"""Accelerators: their names, who gets which, and that a unit's process sees what it was lent."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from zoo_parts import small_panel, untrained, with_code

from capspace.collect.storage.store import Store
from capspace.collect.zoo.config.config import read_zoo
from capspace.collect.zoo.devices.allotment import (
    Allocator,
    Device,
    Need,
    allot,
    choose,
    devices_needed,
)
from capspace.collect.zoo.devices.device import DeviceKind, visible_devices, visible_names
from capspace.collect.zoo.driver import import_outcomes, prepare
from capspace.collect.zoo.executors.local import run_local
from capspace.collect.zoo.planning.planner import make_plan
from capspace.collect.zoo.work.downloads import Downloads
from capspace.collect.zoo.work.folder import ZooFolder

pytestmark = pytest.mark.usefixtures("forked")

GB = 10**9


@pytest.mark.parametrize(
    ("visible", "n_visible", "names"),
    [
        (None, 3, ["0", "1", "2"]),
        (None, 0, []),
        ("", 0, []),
        ("2,0", 2, ["2", "0"]),
        (" 2, 0 ", 2, ["2", "0"]),
        ("0,1,-1,2", 2, ["0", "1"]),  # CUDA stops at what is no device
        ("0,0", 0, []),  # and shows none where one is there twice
        ("GPU-8932f937,GPU-46e3", 2, ["GPU-8932f937", "GPU-46e3"]),
        # Of the parts of a divided GPU a process sees one, but each process may see another.
        ("MIG-a,MIG-b,MIG-a", 1, ["MIG-a", "MIG-b"]),
        ("MIG-GPU-8932f937/1/0", 1, ["MIG-GPU-8932f937/1/0"]),
        ("MIG-a,MIG-b", 0, []),
    ],
)
def test_devices_are_named_as_cuda_would(
    visible: str | None, n_visible: int, names: list[str]
) -> None:
    assert visible_names(visible, n_visible) == names


def test_memory_goes_with_the_name_and_parts_of_a_device_have_an_unknown_one() -> None:
    devices, variable = visible_devices([80, 24], {"CUDA_VISIBLE_DEVICES": "3,1"}, is_rocm=False)
    assert (devices, variable) == ((Device("3", 80), Device("1", 24)), "CUDA_VISIBLE_DEVICES")
    devices, _ = visible_devices([10], {"CUDA_VISIBLE_DEVICES": "MIG-a,MIG-b"}, is_rocm=False)
    assert devices == (Device("MIG-a"), Device("MIG-b"))


@pytest.mark.parametrize(
    ("environment", "ids"),
    [
        ({}, ["0", "1"]),
        ({"HIP_VISIBLE_DEVICES": "4,5", "CUDA_VISIBLE_DEVICES": "0,1"}, ["4", "5"]),
        ({"CUDA_VISIBLE_DEVICES": "2,3"}, ["2", "3"]),
        # What ROCm's own variable leaves is counted from 0 again.
        ({"ROCR_VISIBLE_DEVICES": "6,7"}, ["0", "1"]),
    ],
)
def test_amd_s_devices_have_a_variable_of_their_own(
    environment: dict[str, str], ids: list[str]
) -> None:
    devices, variable = visible_devices([64, 64], environment, is_rocm=True)
    assert ([d.id for d in devices], variable) == (ids, "HIP_VISIBLE_DEVICES")


def test_a_model_takes_the_fewest_devices_that_hold_it() -> None:
    small, large = Device("0", 24 * GB), Device("1", 80 * GB)
    assert devices_needed(20 * GB, [small, large]) == 1
    assert devices_needed(60 * GB, [small, large]) == 1
    assert devices_needed(90 * GB, [small, large]) == 2
    assert devices_needed(95 * GB, [small, large]) is None  # a tenth is left to the runtime
    assert devices_needed(95 * GB, [Device("0")]) == 1
    # The small one is left to what has room in it, the large one for what needs it.
    assert choose(Need(1, 20 * GB), [large, small]) == (small,)
    assert choose(Need(1, 60 * GB), [small, large]) == (large,)
    assert choose(Need(1, 60 * GB), [small]) is None


def test_a_model_that_needs_two_of_three_waits_and_is_not_overtaken() -> None:
    a, b, c = devices = [Device(i, 24 * GB) for i in "abc"]
    double, single = Need(2, 40 * GB), Need(1, 20 * GB)
    assert allot({"first": double, "second": double}, devices, {}) == {"first": (a, b)}
    # One is free and the first in line wants two: whoever comes later does not get it.
    assert allot({"second": double, "third": single}, devices, {a, b}) == {}
    assert allot({"second": double, "third": single}, devices, {b}) == {"second": (a, c)}
    # What the first in line cannot use is no use to hold back.
    large = Device("d", 80 * GB)
    waiting = {"first": Need(1, 60 * GB), "second": single}
    assert allot(waiting, [*devices, large], {large}) == {"second": (a,)}


def test_a_need_for_all_memory_is_met_in_whatever_order_it_is_summed() -> None:
    devices = [Device(str(i), m) for i, m in enumerate((20, 27, 30, 41, 48, 54))]
    assert choose(Need(6, 400).within(devices), devices) == tuple(devices)


MEMORIES = st.lists(st.integers(8, 100), min_size=1, max_size=6)
NEEDS = st.lists(st.tuples(st.integers(1, 7), st.integers(1, 400)), min_size=1, max_size=12)


@given(MEMORIES, NEEDS, st.randoms(use_true_random=False))
def test_no_device_is_lent_twice_and_all_are_served(
    memories: list[int], asked: list[tuple[int, int]], chance: object
) -> None:
    devices = [Device(str(i), m) for i, m in enumerate(memories)]
    waiting = {i: Need(n, m).within(devices) for i, (n, m) in enumerate(asked)}
    lent: dict[int, tuple[Device, ...]] = {}
    overtaken = dict.fromkeys(waiting, 0)
    held = 0  # free devices that the first in line could use
    while waiting:
        taken = {d for mine in lent.values() for d in mine}
        free = [d for d in devices if d not in taken]
        granted = allot(waiting, devices, taken)
        given_out = [d for mine in granted.values() for d in mine]
        assert len(given_out) == len(set(given_out))
        assert taken.isdisjoint(given_out)
        for number, mine in granted.items():
            need = waiting[number]
            assert len(mine) == need.n_devices
            assert sum(d.room for d in mine) >= need.n_bytes
        first = next(iter(waiting))
        if choose(waiting[first], free) is not None:
            assert first in granted  # who is first and can be served is
        else:
            assert first not in granted
            rest = [d for d in devices if d not in given_out]
            ready = _most_free(waiting[first], rest, taken)
            assert ready >= held  # what the first in line has to wait for only gets less
            held = ready
        if first in granted:
            held = 0
        for number in granted:
            for earlier in waiting:
                overtaken[earlier] += earlier < number and earlier not in granted
            lent[number] = granted[number]
        waiting = {k: v for k, v in waiting.items() if k not in granted}
        assert lent  # while anyone waits, someone runs
        del lent[chance.choice(sorted(lent))]  # type: ignore[attr-defined]  # a random.Random


def _most_free(need: Need, devices: list[Device], taken: set[Device]) -> int:
    """Return how many of a set of devices that meets a need are free at best."""
    by_room = sorted(devices, key=lambda d: -d.room)
    free = [d for d in by_room if d not in taken]
    busy = [d for d in by_room if d in taken]
    for n in range(min(need.n_devices, len(free)), -1, -1):
        chosen = [*free[:n], *busy[: need.n_devices - n]]
        if len(chosen) == need.n_devices and sum(d.room for d in chosen) >= need.n_bytes:
            return n
    raise AssertionError("the first in line can never be served")


@given(MEMORIES, st.integers(1, 500))
def test_what_fits_at_all_is_placed_on_free_devices(memories: list[int], n_bytes: int) -> None:
    devices = [Device(str(i), m) for i, m in enumerate(memories)]
    n = devices_needed(n_bytes, devices)
    assert (n is None) == (sum(d.room for d in devices) < n_bytes)
    if n is not None:
        assert len(allot({"m": Need(n, n_bytes)}, devices, {})["m"]) == n
        assert choose(Need(n - 1, n_bytes), devices) is None


@pytest.mark.slow
def test_a_lender_serves_in_turn_and_gives_up_when_it_is_to_stop() -> None:
    allocator = Allocator([Device("a"), Device("b")], variable="HIP_VISIBLE_DEVICES")
    stop = threading.Event()
    seen: list[str] = []
    waits = threading.Event()

    def borrow(n: int) -> None:
        with allocator.allocate(Need(n), stop=stop, waiting=waits.set) as variables:
            seen.append(variables["HIP_VISIBLE_DEVICES"])

    with allocator.allocate(Need(1), stop=stop) as mine:
        assert mine == {"HIP_VISIBLE_DEVICES": "a"}
        both = threading.Thread(target=borrow, args=(2,))
        both.start()
        assert waits.wait(30)
        assert seen == []
    both.join(30)
    assert seen == ["a,b"]
    with allocator.allocate(Need(5), stop=stop) as mine:  # as many as there are
        assert mine == {"HIP_VISIBLE_DEVICES": "a,b"}
        waits.clear()
        never = threading.Thread(target=borrow, args=(1,))
        never.start()
        assert waits.wait(30)
        stop.set()
        never.join(30)
    assert seen == ["a,b", ""]


TELLING = """\
import json, os

from transformers import LlamaForCausalLM


class Model(LlamaForCausalLM):
    def forward(self, *args, **kwargs):
        name = os.path.basename(self.config._name_or_path)
        with open(os.path.join(os.environ["TOLD"], name + ".json"), "w") as file:
            json.dump(os.environ["CUDA_VISIBLE_DEVICES"], file)
        return super().forward(*args, **kwargs)
"""


@pytest.mark.slow
def test_each_unit_s_process_sees_the_devices_it_was_lent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    (tmp_path / "told").mkdir()
    good = with_code(untrained(tmp_path / "good", "wren", 16), tmp_path / "m0", TELLING)
    for i in (1, 2):
        shutil.copytree(good, tmp_path / f"m{i}")
        config = json.loads((good / "config.json").read_text()) | {"name": f"m{i}"}
        (tmp_path / f"m{i}" / "config.json").write_text(json.dumps(config))
    small_panel(tmp_path / "small.yaml", ["Copying"])
    content = {
        "checkpoints": [{"ref": "m0", "devices": 2}, "m1", {"ref": "m2", "devices": 9}],
        "panels": "small.yaml",
        "backend": "hf",
        "trust_remote_code": True,
        "limit": 4,
    }
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump(content))
    file = read_zoo(tmp_path / "zoo.yaml")
    # Named devices where there are none: the variable is as real, and torch stays on the CPU.
    machine = DeviceKind("cpu", tuple(Device(f"GPU-{i}", 80 * GB) for i in range(3)))
    with Store(tmp_path / "store") as store:
        plan = make_plan(file, store, device=machine)
        assert {m.name: m.devices for m in plan.models} == {"m0": 2, "m1": 1, "m2": 9}
        (refused,) = plan.unmeasurable
        assert refused.reason == "its settings give it 9 GPUs, and one process can have 3 here"
        folder = ZooFolder.of(store, file.name)
        prepare(file, plan, folder)
        downloads = Downloads(folder)
        run_local(folder, machine, n_workers=2, stop=threading.Event(), downloads=downloads)
        import_outcomes(folder, store)
        assert len(store.results()) == 2
    seen = {p.stem: json.loads(p.read_text()) for p in (tmp_path / "told").glob("*.json")}
    lent = {name: set(ids.split(",")) for name, ids in seen.items()}
    assert {name: len(ids) for name, ids in lent.items()} == {"m0": 2, "m1": 1}
    assert set().union(*lent.values()) == {"GPU-0", "GPU-1", "GPU-2"}  # both ran at a time


def test_a_model_larger_than_the_machine_is_told_when_planning(tmp_path: Path) -> None:
    untrained(tmp_path / "m", "wren", 16)
    small_panel(tmp_path / "small.yaml", ["Copying", "Depth"])
    (tmp_path / "zoo.yaml").write_text("checkpoints: [m]\npanels: small.yaml\n")
    machine = DeviceKind("cuda", (Device("0", GB // 2), Device("1", GB // 2)))
    with Store(tmp_path / "store") as store:
        plan = make_plan(read_zoo(tmp_path / "zoo.yaml"), store, device=machine)
    assert (plan.units, plan.n_missing) == ((), 0)
    assert [c.benchmark for c in plan.unmeasurable] == ["Copying", "Depth"]
    assert all(
        "needs about 1 GB of memory, more than the 2 GPUs" in c.reason for c in plan.unmeasurable
    )
