"""Revisions of a repository on the Hub are listed by a pattern, and planned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest
from hub_server import HubServer, serving_here
from zoo_parts import small_panel

pytest.importorskip(
    "huggingface_hub", "1", reason="before, it reads the Hub's address once; zoo/work/test_hub runs"
)

from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.checkpoints.download import checkpoint_folder, missing_bytes
from capspace.collect.errors import ZooError
from capspace.collect.storage.store import Store
from capspace.collect.zoo.config.config import ZooFile, read_zoo
from capspace.collect.zoo.devices.device import DeviceKind
from capspace.collect.zoo.planning.plan import Plan
from capspace.collect.zoo.planning.planner import make_plan

WEIGHTS = "model.safetensors"


@pytest.fixture
def server(tmp_path: Path, tiny_checkpoint: Path) -> Iterator[HubServer]:
    """A Hub with two steps of a training run, and its last as the branch main."""
    with serving_here(tmp_path / "cache") as server:
        repository = server.repository("org/ladder")
        for step in (1000, 512):
            folder = copytree(tiny_checkpoint, tmp_path / f"step{step}")
            (folder / "README.md").write_text(f"after {step} steps")
            repository.add(folder, branch=f"step{step}")
        repository.branches["main"] = repository.branches["step1000"]
        yield server


def zoo(folder: Path, ref: str) -> ZooFile:
    small_panel(folder / "small.yaml", ["Copying"])
    (folder / "zoo.yaml").write_text(f"checkpoints: ['{ref}']\npanels: small.yaml\n")
    return read_zoo(folder / "zoo.yaml")


def planned(folder: Path, ref: str = "org/ladder@step*") -> Plan:
    with Store(folder / "store") as store:
        return make_plan(zoo(folder, ref), store, device=DeviceKind("cpu"))


def test_steps_are_planned_in_their_order_by_commit_and_with_what_is_to_download(
    server: HubServer, tmp_path: Path
) -> None:
    branches = server.repository("org/ladder").branches
    refs = [f"org/ladder@{branches[step]}" for step in ("step512", "step1000")]
    plan = planned(tmp_path)
    assert [model.ref for model in plan.models] == refs
    first, second = map(resolve, refs)
    sizes = [model.n_download_bytes for model in plan.models]
    assert sizes == [missing_bytes(first), missing_bytes(second)]
    assert all(sizes)
    assert not server.fetched(WEIGHTS)
    checkpoint_folder(second)
    assert [model.n_download_bytes for model in planned(tmp_path).models] == [sizes[0], 0]


@pytest.mark.parametrize(
    ("ref", "line"),
    [
        ("org/ladder@v*", r"no revision of org/ladder matches 'v\*'; it has 3"),
        ("org/none@v*", r"cannot list the revisions of org/none: .*; name them in braces instead"),
    ],
)
def test_revisions_that_are_not_there_or_not_listed_are_one_line(
    server: HubServer, tmp_path: Path, ref: str, line: str
) -> None:
    with pytest.raises(ZooError, match=rf"zoo\.yaml:1: {line}") as caught:
        planned(tmp_path, ref)
    assert "\n" not in str(caught.value)
