"""A zoo on a real Slurm cluster of two nodes, with workers killed and a node that fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from zoo_parts import ROOT, small_panel, untrained

from capspace.collect.errors import ZooError
from capspace.collect.journal import Journal
from capspace.collect.runner import collect_scores
from capspace.collect.store import Result, Store, to_table
from capspace.collect.zoo.config import ZooFile, read_zoo
from capspace.collect.zoo.device import DeviceKind
from capspace.collect.zoo.driver import absorb, prepare
from capspace.collect.zoo.folder import ZooFolder
from capspace.collect.zoo.planner import make_plan
from capspace.collect.zoo.slurm import (
    SlurmOptions,
    SlurmZoo,
    WorkerJob,
    cancel_jobs,
    check_token,
    submitted_jobs,
)

pytest.importorskip("submitit", reason="submitit is not installed: pip install 'capspace[slurm]'")

CLUSTER = ROOT.parent / "shared" / "slurm" / "cluster"
WAIT = 300.0


def options(**changes: object) -> SlurmOptions:
    given = {
        "partition": None,
        "account": None,
        "gres": None,
        "time": "10m",
        "array_parallelism": 2,
        "extra": [],
    }
    return SlurmOptions.of(**(given | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Callable[[str], None]]:
    """The cluster of two nodes, as a function of its script's commands."""
    if not CLUSTER.is_file():
        pytest.skip("no ../shared/slurm/cluster: the script that starts a cluster is not here")
    if os.geteuid() != 0:
        pytest.skip("starting Slurm's daemons needs root")

    def command(words: str) -> None:
        subprocess.run(["bash", str(CLUSTER), *words.split()], check=True, timeout=300)

    ours = (
        shutil.which("sinfo") is None or subprocess.run(["sinfo"], capture_output=True).returncode
    )
    if ours:
        command("start")
    yield command
    if ours:
        command("stop")


@dataclass
class Zoo:
    file: ZooFile
    store: Store
    folder: ZooFolder

    def cluster_zoo(self, **changes: object) -> SlurmZoo:
        return SlurmZoo(self.folder, options(**changes))

    def until(self, jobs: SlurmZoo, enough: Callable[[int], bool]) -> None:
        """Do what the driver does until enough cells are done."""
        deadline = time.monotonic() + WAIT
        while not enough(len(self.folder.results_done())):
            assert time.monotonic() < deadline, submitted_jobs(self.folder)
            jobs.check()
            time.sleep(0.5)  # the cluster is another program: nothing tells us

    def workers(self) -> list[int]:
        return [w.pid for w in self.folder.workers()]


@pytest.fixture
def zoo(tmp_path: Path) -> Iterator[Zoo]:
    """A zoo of four checkpoints, planned."""
    for i, (family, width) in enumerate([("wren", 16), ("wren", 24), ("finch", 16), ("finch", 24)]):
        untrained(tmp_path / "models" / f"{family}-{width}", family, width, seed=i)
    small_panel(tmp_path / "small.yaml", ["Copying", "Counting", "Closing", "Depth"])
    (tmp_path / "zoo.yaml").write_text(
        yaml.safe_dump(
            {
                "checkpoints": ["models/*"],
                "panels": "small.yaml",
                "limits": {"items": 40, "unit_time": "5s"},
            }
        )
    )
    file = read_zoo(tmp_path / "zoo.yaml")
    with Store(tmp_path / "store") as store:
        folder = ZooFolder.of(store, file.name)
        prepare(file, make_plan(file, store, device=DeviceKind("cpu")), folder)
        yield Zoo(file, store, folder)


def csv(results: list[Result]) -> str:
    ordered = sorted(results, key=lambda r: (r.model, r.benchmark))
    return to_table(ordered).scores.drop(columns="source").to_csv()


def test_killed_workers_a_failed_node_and_a_cancelled_run_lose_and_repeat_nothing(
    zoo: Zoo, tmp_path: Path, cluster: Callable[[str], None]
) -> None:
    jobs = zoo.cluster_zoo()
    jobs.submit()
    assert jobs.submit() == []  # reattaching to what runs submits nothing
    zoo.until(jobs, lambda n: n >= 3)
    os.kill(zoo.workers()[0], signal.SIGKILL)
    cluster("kill n2")
    zoo.until(jobs, lambda n: n >= 7)
    cluster("revive n2")
    assert cancel_jobs(zoo.folder)
    assert submitted_jobs(zoo.folder) == []
    assert not list((zoo.folder.path / "slurm").glob("*.pkl"))
    again = zoo.cluster_zoo()  # a driver that was closed and is opened anew
    again.submit()
    zoo.until(again, lambda n: n == 16)
    cancel_jobs(zoo.folder)
    assert not list((zoo.folder.path / "slurm").glob("*.pkl"))

    absorb(zoo.folder, zoo.store)
    plain = collect_scores(
        [str(p) for p in sorted((tmp_path / "models").iterdir())],
        panel=tmp_path / "small.yaml",
        store=tmp_path / "plain",
        limit=40,
    )
    assert csv(zoo.store.results()) == csv(list(plain.results))
    requests = [r.provenance["requests"] for r in zoo.store.results()]
    with Store(tmp_path / "plain") as store:
        once = [r.provenance["requests"] for r in store.results()]
    journal = Journal(zoo.store.path / "journal")
    assert journal.check().problems == []
    assert journal.check().n_answers == sum(r["n_asked"] for r in once)  # no answer is there twice
    assert sum(r["n_requests"] for r in requests) == sum(r["n_requests"] for r in once)


def test_a_preempted_job_goes_on_where_it_stopped(zoo: Zoo, cluster: Callable[[str], None]) -> None:
    jobs = zoo.cluster_zoo(array_parallelism=1)
    jobs.submit()
    zoo.until(jobs, lambda n: n >= 2)
    (job,) = [j["job"] for j in submitted_jobs(zoo.folder) if j["state"] == "RUNNING"]
    # What Slurm does to a job that it preempts: signal it, then put it back into the queue.
    subprocess.run(["scontrol", "requeue", job], check=True)
    shown = subprocess.run(
        ["scontrol", "show", "job", job], check=True, capture_output=True, text=True
    )
    assert "Restarts=1" in shown.stdout
    zoo.until(jobs, lambda n: n == 16)
    cancel_jobs(zoo.folder)
    absorb(zoo.folder, zoo.store)
    assert len(zoo.store.results()) == 16
    report = Journal(zoo.store.path / "journal").check()
    assert report.problems == []
    asked = [r.provenance["requests"]["n_requests"] for r in zoo.store.results()]
    assert report.n_answers == sum(asked)  # no answer is there twice, and none is missing


def test_a_node_that_sees_another_folder_is_told_of(
    zoo: Zoo, cluster: Callable[[str], None]
) -> None:
    jobs = zoo.cluster_zoo(array_parallelism=1)
    token = zoo.folder.path / "slurm" / "token"
    token.write_text("as the driver wrote it")
    jobs.submit()
    token.write_text("as a folder of the node's own would have it")
    deadline = time.monotonic() + WAIT
    while submitted_jobs(zoo.folder):
        assert time.monotonic() < deadline
        time.sleep(0.5)  # the cluster is another program: nothing tells us
    with pytest.raises(ZooError, match=r"none of them saw .*token.*all nodes share"):
        zoo.cluster_zoo().check()


def test_an_unknown_partition_is_slurm_s_own_word(zoo: Zoo, cluster: Callable[[str], None]) -> None:
    with pytest.raises(ZooError, match=r"Slurm refuses the jobs: .*[Ii]nvalid partition") as caught:
        zoo.cluster_zoo(partition="nowhere").submit()
    assert "\n" not in str(caught.value)


def test_a_time_limit_shorter_than_a_unit_is_refused(
    zoo: Zoo, cluster: Callable[[str], None]
) -> None:
    with pytest.raises(ZooError, match=r"takes about .* and --time leaves 0 min"):
        zoo.cluster_zoo(time="60s").submit()


def test_a_folder_that_a_node_does_not_share_is_noticed(tmp_path: Path) -> None:
    folder = ZooFolder(tmp_path / "zoo")
    (folder.path / "slurm").mkdir()
    with pytest.raises(ZooError, match="not the folder that the driver wrote"):
        WorkerJob(str(folder.path), "a token", 600.0)()
    (folder.path / "slurm" / "token").write_text("a token")
    check_token(folder.path, "a token")
    with pytest.raises(ZooError, match="file system that all nodes share"):
        check_token(folder.path, "another")


def test_a_cluster_without_slurm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ZooError, match=r"no Slurm here .missing sbatch, squeue"):
        SlurmZoo(ZooFolder(tmp_path / "zoo"), options())


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"time": "soon"}, "--time 'soon'"), ({"extra": ["=x"]}, "expected key=value")],
)
def test_wrong_options_are_named(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ZooError, match=told):
        options(**changes)


def test_options_reach_sbatch_as_they_are() -> None:
    assert options(gres="gpu:2").device.kind == "cuda"
    assert options().device.kind == "cpu"
    made = options(time="1-02:00:00", extra=["--qos=low", "exclusive"])
    assert made.seconds == 26 * 3600
    assert made.extra == {"qos": "low", "exclusive": True}
