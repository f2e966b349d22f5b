"""A zoo on a real Slurm cluster of two nodes, with workers killed and a node that fails."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml
from checkout import ROOT
from documentation import documentation_module
from zoo_parts import small_panel, untrained, with_code

from capspace.collect.cli import main
from capspace.collect.errors import MissingExtraError, ZooError
from capspace.collect.run.collect import collect_scores
from capspace.collect.storage.journal import Journal
from capspace.collect.storage.result import Result
from capspace.collect.storage.score_table import to_table
from capspace.collect.storage.store import Store
from capspace.collect.zoo.config.config import ZooFile, read_zoo
from capspace.collect.zoo.devices.device import DeviceKind
from capspace.collect.zoo.driver import import_outcomes, prepare
from capspace.collect.zoo.executors import slurm
from capspace.collect.zoo.executors.slurm import SlurmZoo, cancel_jobs, submitted_jobs
from capspace.collect.zoo.executors.slurm_job import WorkerJob, check_token
from capspace.collect.zoo.executors.slurm_options import WARNING_SECONDS, SlurmOptions
from capspace.collect.zoo.planning.planner import make_plan
from capspace.collect.zoo.work.folder import ZooFolder

pytest.importorskip("submitit", reason="submitit is not installed: pip install 'capspace[slurm]'")

CLUSTER = ROOT.parent / "shared" / "slurm" / "cluster"
WAIT = 300.0
NAPPING = """\
import os, time

from transformers import LlamaForCausalLM


class Model(LlamaForCausalLM):
    def forward(self, *args, **kwargs):
        time.sleep(float(os.environ["NAP"]))
        return super().forward(*args, **kwargs)
"""


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
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], None]]:
    """The cluster of two nodes, as a function of its script's commands."""
    if not CLUSTER.is_file():
        pytest.skip("no ../shared/slurm/cluster: the script that starts a cluster is not here")
    at = tmp_path_factory.mktemp("slurm")

    def command(words: str) -> None:
        done = run_cluster(at, *words.split())
        assert done.returncode == 0, done.stderr

    ours = not sinfo()
    if ours:
        start_cluster(at)
    yield command
    if ours:
        end_cluster(at)
        assert processes_of(at) == []


def run_cluster(at: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the script of the cluster whose state and logs are in a folder."""
    return subprocess.run(
        ["bash", str(CLUSTER), *words], env=os.environ | {"SLURM_TEST_DIR": str(at)},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def sinfo(*words: str) -> str:
    """Return what Slurm says of its nodes, nothing where it is not there or does not answer."""
    if shutil.which("sinfo") is None:
        return ""
    return subprocess.run(["sinfo", "-h", *words], capture_output=True, text=True).stdout.strip()


def start_cluster(at: Path) -> None:
    """Start Slurm's daemons; a busy machine may need longer, or another try."""
    for _ in range(3):
        output = run_cluster(at, "start")
        deadline = time.monotonic() + 30.0
        while (up := sinfo("-t", "idle", "-o", "%D")) != "2" and time.monotonic() < deadline:
            time.sleep(0.5)  # the cluster is another program: nothing tells us
        if up == "2":
            return
        nodes = sinfo("-o", "%n %T %E")
        run_cluster(at, "stop")
        time.sleep(5.0)  # until its ports are free
    logs = [(log.name, log.read_text(errors="replace")) for log in sorted(at.glob("*.log"))]
    ends = [f"{name}: ...{text[-2000:]}" for name, text in logs]
    pytest.fail("\n".join(["Slurm does not come up on this machine", output.stderr, nodes, *ends]))


def end_cluster(at: Path) -> None:
    """End the jobs, then Slurm's daemons, then what they have left."""
    subprocess.run(["scancel", "--user", getpass.getuser()], check=True)
    deadline = time.monotonic() + 60.0
    queue = ["squeue", "-h", "--user", getpass.getuser()]
    while subprocess.run(queue, capture_output=True).stdout and time.monotonic() < deadline:
        time.sleep(0.5)  # the cluster is another program: nothing tells us
    stopped = run_cluster(at, "stop")
    assert stopped.returncode == 0, stopped.stderr
    _, left = psutil.wait_procs(processes_of(at), timeout=10.0)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10.0)


def processes_of(at: Path) -> list[psutil.Process]:
    """Return a cluster's daemons and the keepers of its jobs, with all that they have started."""
    processes = []
    for process in psutil.process_iter(["cwd"]):
        if process.info["cwd"] == str(at) and process.pid != os.getpid():
            with contextlib.suppress(psutil.NoSuchProcess):
                processes += [*process.children(recursive=True), process]
    return processes


@dataclass
class Zoo:
    file: ZooFile
    store: Store
    folder: ZooFolder

    def cluster_zoo(self, **changes: object) -> SlurmZoo:
        return SlurmZoo(self.folder, options(**changes))

    def until(self, jobs: SlurmZoo, enough: Callable[[int], bool], *, within: float = WAIT) -> None:
        """Do what the driver does until enough cells are done."""
        deadline = time.monotonic() + within
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
                "limit": 40,
                "limits": {"unit_time": "5s"},
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


@pytest.mark.slow
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
    # Slurm may still wait for the node that failed to say that its part of a job has ended.
    assert {j["state"] for j in submitted_jobs(zoo.folder)} <= {"COMPLETING"}
    assert not list((zoo.folder.path / "slurm").glob("*.pkl"))
    again = zoo.cluster_zoo()  # a driver that was closed and is opened anew
    again.submit()
    zoo.until(again, lambda n: n == 16)
    cancel_jobs(zoo.folder)
    assert not list((zoo.folder.path / "slurm").glob("*.pkl"))

    import_outcomes(zoo.folder, zoo.store)
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
    assert journal.check().n_responses == sum(
        r["n_asked"] for r in once
    )  # no answer is there twice
    assert sum(r["n_requests"] for r in requests) == sum(r["n_requests"] for r in once)


@pytest.mark.slow
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
    deadline = time.monotonic() + WAIT
    while [(j["state"], j["reason"]) for j in submitted_jobs(zoo.folder)] != [
        ("PENDING", "BeginTime")
    ]:
        assert time.monotonic() < deadline
        time.sleep(0.5)  # the cluster is another program: nothing tells us
    # Slurm would let it wait for two minutes.
    subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], check=True)
    zoo.until(jobs, lambda n: n == 16)
    cancel_jobs(zoo.folder)
    import_outcomes(zoo.folder, zoo.store)
    assert len(zoo.store.results()) == 16
    report = Journal(zoo.store.path / "journal").check()
    assert report.problems == []
    asked = [r.provenance["requests"]["n_requests"] for r in zoo.store.results()]
    assert report.n_responses == sum(asked)  # no answer is there twice, and none is missing


@pytest.mark.slow
@pytest.mark.skipif("CAPSPACE_SOAK" not in os.environ, reason="takes minutes: scripts/soak")
def test_a_unit_longer_than_a_job_s_time_goes_on_in_the_next(
    zoo: Zoo, tmp_path: Path, cluster: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A model far slower than was thought: planned for seconds, it takes more than one job.
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setenv("NAP", "5")
    with_code(tmp_path / "models" / "wren-16", tmp_path / "slow", NAPPING)
    small_panel(tmp_path / "one.yaml", ["Copying"])
    (tmp_path / "slow.yaml").write_text(
        yaml.safe_dump(
            {
                "checkpoints": [{"ref": "slow", "trust_remote_code": True, "backend": "hf"}],
                "panels": "one.yaml",
                "limit": 200,
            }
        )
    )
    file = read_zoo(tmp_path / "slow.yaml")
    folder = ZooFolder.of(zoo.store, file.name)
    prepare(file, make_plan(file, zoo.store, device=DeviceKind("cpu")), folder)
    (order,) = folder.read_work().units
    slow = Zoo(file, zoo.store, folder)
    jobs = slow.cluster_zoo(time="3m")
    (job,) = jobs.submit()
    began = time.monotonic()
    slow.until(jobs, lambda n: folder.is_finished(order.id), within=1200.0)
    print(f"{time.monotonic() - began:.0f} s in all")
    shown = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True)
    print(*(line for line in shown.stdout.splitlines() if "Restarts" in line or "Time" in line))
    attempts = folder.attempts(order.id)
    print(*attempts, sep="\n")
    outcomes = [a.outcome for a in attempts]
    assert outcomes[-1] == "done"
    assert set(outcomes[:-1]) == {"stopped"}
    assert f"Restarts={len(outcomes) - 1} " in shown.stdout  # one job, requeued, and no other
    cancel_jobs(folder)

    import_outcomes(folder, zoo.store)
    monkeypatch.setenv("NAP", "0")
    plain = collect_scores(
        str(tmp_path / "slow"),
        panel=tmp_path / "one.yaml",
        store=tmp_path / "plain",
        backend="hf",
        limit=200,
        trust_remote_code=True,
    )
    assert csv(zoo.store.results()) == csv(list(plain.results))
    report = Journal(zoo.store.path / "journal").check()
    assert report.problems == []
    requests = plain.results[0].provenance["requests"]["n_requests"]
    assert report.n_responses == requests  # no answer is there twice
    # The last job asked only for what the others had left.
    asked = zoo.store.results()[0].provenance["requests"]
    assert 0 < asked["n_known"] < asked["n_requests"] == requests


@pytest.mark.slow
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


@pytest.mark.slow
def test_an_unknown_partition_is_slurm_s_own_word(zoo: Zoo, cluster: Callable[[str], None]) -> None:
    with pytest.raises(ZooError, match=r"Slurm refuses the jobs: .*[Ii]nvalid partition") as caught:
        zoo.cluster_zoo(partition="nowhere").submit()
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message", "is_planned"),
    [
        (("--partition", "nowhere"), "nvalid partition", True),
        (("--time", "60s"), "leaves 0 min of work: raise --time", False),
    ],
)
def test_a_zoo_whose_first_jobs_are_refused_has_no_folder(
    zoo: Zoo, cluster: Callable[[str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...], message: str, is_planned: bool,
) -> None:  # fmt: skip
    run = ["zoo", "run", str(tmp_path / "zoo.yaml"), "--executor", "slurm", *words]
    for at, was_there in ((tmp_path / "new", False), (tmp_path / "store", True)):
        with pytest.raises(SystemExit) as ended:
            main([*run, "--store", str(at)])
        assert ended.value.code == 2
        assert message in " ".join(capsys.readouterr().err.split())
        assert (at / "zoo" / "zoo" / "orders.json").is_file() is was_there
        assert (at / "zoo" / "zoo").exists() is was_there
    assert (tmp_path / "new").exists() is is_planned  # with what its benchmarks request


@pytest.mark.slow
def test_what_is_asked_of_slurm_reaches_it(zoo: Zoo, cluster: Callable[[str], None]) -> None:
    extra = ["--comment=a zoo", "nice=7", "begin=now+1hour", "cpus-per-task=1", "exclusive"]
    jobs = zoo.cluster_zoo(partition="main", account="lab", time="90s", extra=extra)
    with pytest.raises(ZooError, match=r"Slurm refuses the jobs: .*[Gg]eneric resource"):
        zoo.cluster_zoo(gres="gpu:1").submit()  # the cluster has none, and says so itself
    ids = jobs.submit()
    shown = subprocess.run(
        ["scontrol", "show", "job", ids[0]], check=True, capture_output=True, text=True
    ).stdout
    assert cancel_jobs(zoo.folder) == ids
    for word in (
        "Partition=main",
        "Account=lab",
        "Comment=a zoo",
        "Nice=7",
        "TimeLimit=00:02:00",  # Slurm counts minutes
        "CPUs/Task=1",
        "OverSubscribe=NO",
        "Requeue=1",
    ):
        assert word in shown, shown
    times = dict(re.findall(r"(SubmitTime|EligibleTime)=(\S+)", shown))
    assert times["SubmitTime"] < times["EligibleTime"]


@pytest.mark.slow
def test_the_commands_of_the_tutorial_run(cluster: Callable[[str], None], tmp_path: Path) -> None:
    """Its checkpoints, its zoo.yaml, and what it says to do on a cluster, here one without GPUs."""
    tutorials = documentation_module("tutorials")
    page = ROOT / "docs" / "tutorials" / "zoo.md"
    blocks = [*tutorials.BLOCK.finditer(page.read_text())]
    (on_slurm,) = [block for block in blocks if tutorials.title_of(block) == tutorials.ON_SLURM]
    (with_gpus,) = [block["text"] for block in blocks if "--gres" in block["text"]]
    of_gpus = " --partition gpu --gres gpu:1 \\\n "
    assert of_gpus in with_gpus
    detached = f"```sh\nsed -i s/20/10/ zoo.yaml\n{with_gpus.replace(of_gpus, '')}```"
    text = "\n".join([*(block[0] for block in (*blocks[:2], on_slurm)), detached])
    *_, output, resumed = tutorials.run_page(text, page, tmp_path / "desk")
    assert output.ran
    for printed in (output.text, resumed.text):
        assert "64 of 64 cells done" in printed, printed
    assert "of 64 cells done, 64 queued" in resumed.text  # the driver went before its jobs ended
    assert re.search(r"^(cancelled|no job of this zoo is queued)", resumed.text, re.M)


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_job_takes_no_unit_for_which_its_time_does_not_suffice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untrained(tmp_path / "one", "wren", 16)
    small_panel(tmp_path / "small.yaml", ["Copying"])
    (tmp_path / "zoo.yaml").write_text("checkpoints: [one]\npanels: small.yaml\n")
    file = read_zoo(tmp_path / "zoo.yaml")
    with Store(tmp_path / "store") as store:
        folder = ZooFolder.of(store, file.name)
        assert prepare(file, make_plan(file, store, device=DeviceKind("cpu")), folder) == 1
    (folder.path / "slurm").mkdir()
    (folder.path / "slurm" / "token").write_text("a token")
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    job = WorkerJob(str(folder.path), "a token", WARNING_SECONDS)
    before = signal.getsignal(signal.SIGTERM)
    assert job() == 0
    assert signal.getsignal(signal.SIGTERM) is before
    (seen,) = (folder.path / "slurm").glob("seen-*")  # the node sees the folder
    assert "-slurm-71-" in seen.name
    assert folder.finished() == set()
    assert job.checkpoint().function is job  # what submitit queues again when the time is over


def test_a_cluster_without_slurm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ZooError, match=r"no Slurm here .missing sbatch, squeue"):
        SlurmZoo(ZooFolder(tmp_path / "zoo"), options())


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'scancel: error: Invalid job id' >&2; exit 1", "scancel: .*Invalid job id"),
        ("exec sleep 60", "scancel does not answer; is Slurm's controller up"),
    ],
)
def test_a_command_of_slurm_that_fails_is_one_line(
    script: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scancel").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "scancel").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(slurm, "_COMMAND_SECONDS", 0.05 if "sleep" in script else 60.0)
    with pytest.raises(ZooError, match=message) as caught:
        slurm._run(["scancel", "1"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time": "soon"}, "--time 'soon'"),
        ({"extra": ["=x"]}, "expected key=value"),
        ({"extra": ["time=5"]}, "--sbatch 'time=5': use --time"),
        ({"extra": ["--signal=USR1@9"]}, "the zoo's jobs need their own; leave it out"),
    ],
)
def test_wrong_options_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ZooError, match=message):
        options(**changes)


def test_options_reach_sbatch_as_they_are() -> None:
    assert options().device.kind == "cpu"
    assert options(extra=["qos=gpu-low"]).device.kind == "cpu"
    for gres, extra, n in [
        ("gpu:2", [], 2),
        ("gpu", [], 1),
        ("gpu:a100:4", [], 4),
        ("shard:3,gpu:h100:2", [], 2),
        (None, ["gpus-per-node=8"], 8),
        (None, ["gpus=a100:2"], 2),
        (None, ["gpus-per-task=1"], 1),
    ]:
        device = options(gres=gres, extra=extra).device
        assert (device.kind, len(device.devices)) == ("cuda", n)
    made = options(time="1-02:00:00", extra=["--qos=low", "exclusive"])
    assert made.seconds == 26 * 3600
    assert made.extra == {"qos": "low", "exclusive": True}


def test_without_submitit_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'capspace\[slurm\]'"):
        slurm.require_slurm()
