"""A zoo from a Hub: revisions, downloads ahead of the work or failing, and a bounded disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hub_server import HubServer, Request, serving
from zoo_parts import small_panel

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked")]

WEIGHTS = "model.safetensors"


def variant(good: Path, folder: Path, scale: float) -> Path:
    """Copy a checkpoint with its weights scaled: another checkpoint of the same size."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(good, folder)
    tensors = {name: scale * tensor for name, tensor in load_file(good / WEIGHTS).items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


def total(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.iterdir())


@dataclass
class Hub:
    """A server, and the command line in fresh processes that have it for the Hub."""

    server: HubServer
    at: Path
    before: int = 0
    """Bytes of checkpoints in the cache before the zoo ran."""

    seen: list[int] = field(default_factory=list)

    @property
    def cache(self) -> Path:
        return self.at / "home" / "hub"

    def cached_bytes(self) -> int:
        """Return the bytes of all checkpoints' files, whole or not, in the cache."""
        n_bytes = 0
        for path in self.cache.glob("models--*/blobs/*"):
            try:
                n_bytes += path.stat().st_size
            except FileNotFoundError:
                continue  # moved to its name, or evicted, just now
        return n_bytes

    def watch_the_cache(self, request: Request) -> None:
        self.seen.append(self.cached_bytes())

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "HF_ENDPOINT": self.server.endpoint,
            "HF_HOME": str(self.at / "home"),
            "HF_TOKEN": "",
            "HF_HUB_OFFLINE": "0",
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }
        mine = {k: v for k, v in os.environ.items() if k != "CAPSPACE_STORE"}
        return subprocess.run(
            [sys.executable, *words], env=mine | environment, capture_output=True, text=True
        )

    def zoo(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``capspace zoo`` on this folder's zoo.yaml."""
        code = "import sys; from capspace.collect.cli import main; main(sys.argv[1:])"
        return self.python("-c", code, "zoo", command, str(self.at / "zoo.yaml"), *words)

    def write_zoo(self, checkpoints: list[object]) -> None:
        small_panel(self.at / "small.yaml", ["Copying"])
        content = {
            "checkpoints": checkpoints,
            "panels": "small.yaml",
            "store": "store",
            "backend": "hf",
            "limit": 6,
        }
        (self.at / "zoo.yaml").write_text(yaml.safe_dump(content))

    def orders(self) -> list[dict[str, Any]]:
        content = json.loads((self.at / "store" / "zoo" / "zoo" / "orders.json").read_text())
        return list(content["orders"])

    def attempts(self, order: dict[str, Any]) -> list[dict[str, Any]]:
        path = self.at / "store" / "zoo" / "zoo" / "units" / f"{order['id']}.done"
        return list(json.loads(path.read_text()))


@pytest.fixture(scope="module")
def sizes(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Checkpoints of one size and tokenizer, with weights of their own."""
    at = tmp_path_factory.mktemp("variants")
    return [variant(tiny_checkpoint, at / f"step{i}", 1 + i / 10) for i in range(8)]


@pytest.fixture(scope="module")
def ladder(sizes: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A zoo of the revisions of one repository, run with room for two of its checkpoints."""
    at = tmp_path_factory.mktemp("ladder")
    with serving() as server:
        repository = server.repository("org/ladder")
        for i, folder in enumerate(sizes[:5]):
            repository.add(folder, branch=f"step{1000 * i}")
        repository.branches["main"] = repository.branches["step4000"]
        server.repository("org/other").add(variant(sizes[0], at / "other", 3.0), branch="main")
        hub = Hub(server, at)
        # What someone else keeps on this machine: a model, and a checkpoint that the zoo wants.
        code = "import sys; from huggingface_hub import snapshot_download as get; "
        code += "get(sys.argv[1], revision=sys.argv[2])"
        for name, revision in (("org/other", "main"), ("org/ladder", "step0")):
            assert hub.python("-c", code, name, revision).returncode == 0
        hub.write_zoo(
            [
                "org/ladder@step{1000,0,7}",
                "org/ladder@step?000",
                {"ref": "org/ladder@main", "facts": {"family": "ladder"}},
            ]
        )
        yield hub


def bound(sizes: list[Path]) -> int:
    # Planning reads the tokenizers of all, which take room until their checkpoints are fetched.
    tokenizers = sum((folder / "tokenizer.json").stat().st_size for folder in sizes[1:5])
    return int(2.3 * total(sizes[0])) + tokenizers


@pytest.fixture(scope="module")
def plan(ladder: Hub) -> dict[str, Any]:
    done = ladder.zoo("plan", "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def ran(ladder: Hub, plan: dict[str, Any], sizes: list[Path]) -> subprocess.CompletedProcess[str]:
    ladder.before = ladder.cached_bytes()
    ladder.server.log.clear()
    ladder.server.look = ladder.watch_the_cache
    done = ladder.zoo("run", "--json", "--max-disk", str(bound(sizes)))
    assert done.stdout, done.stderr
    return done


def test_each_revision_is_a_checkpoint_and_each_commit_is_measured_once(
    ladder: Hub, plan: dict[str, Any], ran: subprocess.CompletedProcess[str]
) -> None:
    branches = ladder.server.repository("org/ladder").branches
    names = [f"org/ladder@step{1000 * i}" for i in (1, 0, 2, 3, 4)]
    assert [m["name"] for m in plan["models"]] == names
    assert [m["revision"] for m in plan["models"]] == [branches[n.partition("@")[2]] for n in names]
    assert plan["models"][-1]["aliases"] == ["org/ladder@main"]
    assert sum("org/ladder@main" in n and "measured once" in n for n in plan["notices"]) == 1
    shown = json.loads(ran.stdout)
    assert (shown["n_done"], shown["n_cells"], shown["n_failed"]) == (5, 5, 0)
    assert [m["model"] for m in shown["models"]] == names


def test_a_revision_that_is_not_there_is_one_line(
    plan: dict[str, Any], ran: subprocess.CompletedProcess[str]
) -> None:
    message = "org/ladder on the Hub has no revision 'step7'"
    (missing,) = plan["unmeasurable"]
    assert (missing["model"], missing["reason"]) == ("org/ladder@step7", message)
    assert sum(message in line for line in ran.stderr.splitlines()) == 1
    assert ran.returncode == 1


def test_scores_are_kept_under_the_names_of_the_zoo(
    ladder: Hub, ran: subprocess.CompletedProcess[str]
) -> None:
    code = (
        "import sys; from pathlib import Path; from capspace.collect.storage.store import Store; "
        "print(*sorted(r.model for r in Store(Path(sys.argv[1])).results()))"
    )
    names = ladder.python("-c", code, str(ladder.at / "store")).stdout.split()
    assert names == [f"org/ladder@step{1000 * i}" for i in range(5)]


def test_the_next_checkpoint_comes_while_one_is_measured(
    ladder: Hub, ran: subprocess.CompletedProcess[str]
) -> None:
    asked = {r.commit: r.time for r in reversed(ladder.server.fetched(WEIGHTS)) if r.time}
    spans = []
    for order in ladder.orders():
        (attempt,) = ladder.attempts(order)
        spans.append((attempt["started"], order["revision"], attempt["seconds"]))
    spans.sort()
    checked = 0
    for (start, _, seconds), (_, after, _) in pairwise(spans):
        if after in asked:  # one was on the machine before
            # With a tick of the clock's: the download is begun just before the measurement.
            assert start - 1.0 < asked[after] < start + seconds
            checked += 1
    assert checked >= 3


def test_the_bound_holds_and_only_finished_downloads_make_way(
    ladder: Hub, sizes: list[Path], ran: subprocess.CompletedProcess[str]
) -> None:
    assert max(ladder.seen) - ladder.before <= bound(sizes)
    assert max(ladder.seen) - ladder.before > 1.5 * total(sizes[0])  # two were there at once
    weights = ladder.server.fetched(WEIGHTS)
    # Each came once: nothing was evicted that was needed, and what was here was not fetched.
    branches = ladder.server.repository("org/ladder").branches
    assert sorted(r.commit for r in weights) == sorted(branches[f"step{i}000"] for i in range(1, 5))
    assert ran.stderr.count("evicted org/ladder@") >= 2
    snapshot = ladder.cache / "models--org--ladder" / "snapshots" / branches["step0"]
    other = ladder.server.repository("org/other").branches["main"]
    for folder in (snapshot, ladder.cache / "models--org--other" / "snapshots" / other):
        assert all(p.is_file() for p in folder.iterdir())
        assert (folder / WEIGHTS).stat().st_size > 0


def test_a_second_run_measures_what_is_new_within_the_same_bound(
    ladder: Hub, sizes: list[Path], ran: subprocess.CompletedProcess[str]
) -> None:
    ladder.server.log.clear()
    shown = json.loads(ladder.zoo("status", "--json").stdout)
    assert (shown["n_done"], shown["is_finished"]) == (5, True)
    assert ladder.server.log == []
    # What a killed run left half is removed once it is nobody's.
    blobs = ladder.cache / "models--org--ladder" / "blobs"
    for name, age in (("old.incomplete", 7200), ("young.incomplete", 60)):
        (blobs / name).write_bytes(b"half")
        os.utime(blobs / name, (time.time() - age,) * 2)
    # Three more, two at a time: what the first run left makes way, and the third has no room yet.
    for i in (5, 6, 7):
        ladder.server.repository("org/ladder").add(sizes[i], branch=f"step{i}000")
    ladder.seen.clear()
    again = ladder.zoo("run", "--json", "--workers", "2", "--max-disk", str(bound(sizes)))
    assert json.loads(again.stdout)["n_done"] == 8
    assert len(ladder.server.fetched(WEIGHTS)) == 3
    assert [p.name for p in blobs.glob("*.incomplete")] == ["young.incomplete"]
    assert max(ladder.seen) - ladder.before <= bound(sizes)


def test_a_pattern_without_a_match_and_a_checkpoint_larger_than_the_bound_are_one_line(
    sizes: list[Path], tmp_path: Path
) -> None:
    with serving() as server:
        server.repository("org/ladder").add(sizes[0], branch="step0")
        hub = Hub(server, tmp_path)
        for checkpoints, words, message in [
            (["org/ladder@v*"], (), "zoo.yaml:3: no revision of org/ladder matches 'v*'; it has 1"),
            (["org/nothing@v*"], (), "zoo.yaml:3: cannot list the revisions of org/nothing: "),
            (
                ["org/ladder@step0"],
                ("--max-disk", "50kB"),
                "to download, and --max-disk is 5e-05 GB; raise it",
            ),
        ]:
            hub.write_zoo(checkpoints)
            done = hub.zoo("run", *words)
            assert done.returncode == 2
            lines = [line for line in done.stderr.splitlines() if line.startswith("capspace: ")]
            assert len(lines) == 1
            assert message in lines[0]
            assert "Traceback" not in done.stderr
            assert not (tmp_path / "store").exists()
        assert not server.fetched(WEIGHTS)
    hub.write_zoo(["org/ladder@v*"])  # and now nothing answers at all
    done = hub.zoo("plan")
    assert done.returncode == 2
    assert "zoo.yaml:3: cannot list the revisions of org/ladder: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_download_that_fails_is_that_checkpoint_s_failure_alone(
    sizes: list[Path], tmp_path: Path
) -> None:
    with serving() as server:
        repository = server.repository("org/ladder")
        broken, cut, _ = (
            repository.add(folder, branch=name)
            for folder, name in zip(sizes[:3], ("broken", "cut", "good"), strict=True)
        )
        half = (sizes[1] / WEIGHTS).stat().st_size // 2

        def spoil(request: Request) -> int | None:
            if not request.gets(WEIGHTS):
                return None
            if request.commit == broken:
                return 500
            times = sum(r.commit == cut for r in server.fetched(WEIGHTS))
            return -half if request.commit == cut and times == 1 else None

        hub = Hub(server, tmp_path)
        hub.write_zoo(["org/ladder@{broken,cut,good}"])
        server.spoil = spoil
        done = hub.zoo("run", "--json")
        by_model = {m["model"]: m for m in json.loads(done.stdout)["models"]}
        assert done.returncode == 1
        assert [by_model[f"org/ladder@{n}"]["n_done"] for n in ("broken", "cut", "good")] == [
            0,
            1,
            1,
        ]
        (reason,) = by_model["org/ladder@broken"]["reasons"]
        assert "500" in reason
        order = next(o for o in hub.orders() if o["revision"] == broken)
        assert len(hub.attempts(order)) == 2
        # What is left of it is no checkpoint to anyone, and no half a file is in the cache.
        # An empty one may be: huggingface_hub before 1.0 opens it before it asks.
        snapshot = hub.cache / "models--org--ladder" / "snapshots" / broken
        assert not (snapshot / WEIGHTS).exists()
        assert not any(p.stat().st_size for p in hub.cache.rglob("*.incomplete"))
