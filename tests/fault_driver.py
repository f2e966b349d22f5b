"""What the fault tests run in processes of their own: a real model, collected and killed.

The libraries and the model are loaded once; every run is a fork of that process, so that fifty
kills do not cost fifty imports. Prints one JSON object.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from small_disk import enter_mounts_of_its_own

if __name__ == "__main__" and sys.argv[1:2] == ["unwritable"]:
    enter_mounts_of_its_own()  # before a library starts threads

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np

from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.cli import main as capspace
from capspace.collect.cli import show as _show  # noqa: F401 - imported once, for all forks
from capspace.collect.harness.backends import load_model
from capspace.collect.harness.harness import Harness
from capspace.collect.run import collect as runner
from capspace.collect.run import panel_run as measuring
from capspace.collect.settings import LoadSettings
from capspace.collect.storage.journal import Journal
from capspace.collect.storage.store import Store
from capspace.tasks.panel import Panel

PANEL = Panel.model_validate(
    {
        "name": "faults",
        "version": 1,
        "description": "A choice and an answer.",
        "benchmarks": [
            {
                "name": "Choice",
                "tasks": ["fault_choice"],
                "n_shot": 0,
                "metric": "acc",
                "chance": 0.25,
                "source": "made up",
            },
            {
                "name": "Answer",
                "tasks": ["fault_answer"],
                "n_shot": 0,
                "metric": "exact_match",
                "chance": 0,
                "source": "made up",
            },
        ],
    }
)

TASKS = {
    "fault_choice": """
task: fault_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/choice.jsonl}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: ["one", "two", "three", "four"]
doc_to_target: answer
metric_list: [{{metric: acc}}]
""",
    "fault_answer": """
task: fault_answer
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/answer.jsonl}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["."], max_gen_toks: 4, do_sample: true, temperature: 1.0}}
metric_list: [{{metric: exact_match}}]
""",
}


def write_tasks(folder: Path, *, n: int = 150) -> None:
    """Write two lm-eval tasks with their data."""
    folder.mkdir(parents=True)
    for name, task in TASKS.items():
        (folder / f"{name}.yaml").write_text(task.format(folder=folder))
        lines = [
            json.dumps({"question": f"What is {i} and {'so ' * (i % 9)}on?", "answer": i % 4})
            for i in range(n)
        ]
        (folder / f"{name.removeprefix('fault_')}.jsonl").write_text("\n".join(lines))


class Nursery:
    """Loads a checkpoint once and forks runs that collect with it.

    Parameters
    ----------
    checkpoint : Path
        A local checkpoint.
    tasks : Path
        Folder that `write_tasks` has written.

    """

    def __init__(self, checkpoint: Path, tasks: Path) -> None:
        self._checkpoint, self._tasks = checkpoint, tasks
        options = LoadSettings(device="cpu", batch_size=8)
        self._lm = load_model(resolve(str(checkpoint)), options)
        Harness(PANEL.benchmarks, include_path=tasks).workload(PANEL["Choice"])  # imports all

    @contextmanager
    def _logged(self, log: Path, on_call: Callable[[int], None]) -> Iterator[None]:
        """Note each request at the moment that the model answers it."""
        n_calls = 0

        def noting(answer: Callable[..., Any]) -> Callable[..., Any]:
            def noted(requests: list[Any], *seeds: Any, **settings: Any) -> Any:
                nonlocal n_calls
                answers = answer(requests, *seeds, **settings)
                asked = "".join(f"{json.dumps([r.args[0], str(r.args[1])])}\n" for r in requests)
                descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                os.write(descriptor, asked.encode())
                os.close(descriptor)
                n_calls += 1
                on_call(n_calls)
                return answers

            return noted

        for name in ("loglikelihood", "generate_from_seeds"):
            setattr(self._lm, name, noting(getattr(self._lm, name)))
        yield

    def start(
        self,
        store: Path,
        log: Path,
        command: list[str] | None = None,
        on_call: Callable[[int], None] = lambda n: None,
        panel: Panel = PANEL,
    ) -> int:
        """Fork a run, or a command, and return its process number."""
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            assert callable(measuring.load_model)  # what is replaced is there
            measuring.load_model = lambda checkpoint, options, **rules: self._lm
            with self._logged(log, on_call), Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                if command is None:
                    self.collect(store, panel)
                else:
                    with log.with_suffix(".out").open("w") as out:
                        os.dup2(out.fileno(), 1)
                    with log.with_suffix(".err").open("w") as err:
                        os.dup2(err.fileno(), 2)
                    capspace(command)
            status = 0
        except SystemExit as stop:
            sys.stdout.flush()
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def collect(self, store: Path, panel: Panel) -> None:
        """Collect in this process."""
        runner.collect_scores(
            str(self._checkpoint),
            panel=panel,
            store=store,
            include_path=self._tasks,
            device="cpu",
            batch_size=8,
        )


def outcome(store: Path) -> Any:
    """Return everything of a store that has to be the same after whatever happened."""
    with Store(store) as opened:
        return sorted(
            (r.benchmark, r.score.hex(), r.stderr.hex(), r.n_items, list(opened.samples(r.key)))
            for r in opened.results()
        )


def asked(log: Path) -> Counter[str]:
    """Return how often the model answered each request."""
    return Counter(log.read_text().splitlines()) if log.exists() else Counter()


def kills(nursery: Nursery, folder: Path, n_kills: int, seed: int) -> dict[str, Any]:
    """Kill runs at random moments and resume them until they end; compare with a quiet run."""
    draw = np.random.default_rng(seed)
    started = time.monotonic()
    pid = nursery.start(folder / "quiet", folder / "quiet.log")
    assert os.waitpid(pid, 0)[1] == 0
    length = time.monotonic() - started
    quiet, once = outcome(folder / "quiet"), asked(folder / "quiet.log")
    killed = rounds = repeated = worst = 0
    while killed < n_kills:
        store, log = folder / f"round{rounds}", folder / f"round{rounds}.log"
        rounds += 1
        kills_here = 0
        while True:
            pid = nursery.start(store, log)
            if killed < n_kills:
                time.sleep(float(draw.uniform(0, length)))
                os.kill(pid, signal.SIGKILL)
            status = os.waitpid(pid, 0)[1]
            if not os.WIFSIGNALED(status):
                assert status == 0, status
                break
            killed += 1
            kills_here += 1
        assert outcome(store) == quiet, f"round {rounds}: other scores or samples"
        more = sum((asked(log) - once).values())
        repeated += more
        worst = max(worst, more / max(kills_here, 1))
    return {
        "kills": killed,
        "rounds": rounds,
        "requests": sum(once.values()),
        "repeated": repeated,
        "repeated_per_kill": worst,
        "quiet_seconds": length,
    }


def pairs(nursery: Nursery, folder: Path, n_pairs: int) -> dict[str, Any]:
    """Start two runs of the same cells at once; compare with a quiet run."""
    pid = nursery.start(folder / "quiet", folder / "quiet.log")
    assert os.waitpid(pid, 0)[1] == 0
    quiet, once = outcome(folder / "quiet"), asked(folder / "quiet.log")
    for i in range(n_pairs):
        store, log = folder / f"pair{i}", folder / f"pair{i}.log"
        two = [nursery.start(store, log) for _ in range(2)]
        assert [os.waitpid(pid, 0)[1] for pid in two] == [0, 0]
        assert outcome(store) == quiet
        assert asked(log) == once, "a request was asked twice or never"
    return {"pairs": n_pairs, "requests": sum(once.values())}


def _run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True)


def _fill(disk: Path) -> None:
    """Leave no byte of a disk free."""
    with (disk / "filler").open("ab", buffering=0) as filler:
        for size in (65536, 4096, 1):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017 - what was waited for


def unwritable(nursery: Nursery, checkpoint: Path, begun: Path, how: str) -> dict[str, Any]:
    """Take the room or the right to write from a run in its middle; read, then resume.

    Needs mounts of its own. ``begun`` is a store with the first score.
    ``how``: "full" fills the disk; "read-only" puts a read-only mount over the store; "remounted"
    kills the run and mounts its disk read-only.
    """
    folder = begun.parent / how
    disk, store = folder / "disk", folder / "disk" / "store"
    disk.mkdir(parents=True)
    _run("mount", "-t", "tmpfs", "-o", "size=2m", "none", disk)
    shutil.copytree(begun, store)
    panel = folder / "panel.json"
    panel.write_text(json.dumps(PANEL.model_dump(mode="json")))
    n_commands = 0

    def run(
        *command: str | Path, log: str = "", on_call: Callable[[int], None] = lambda n: None
    ) -> dict[str, Any]:
        nonlocal n_commands
        n_commands += 1
        file = folder / (log or f"command{n_commands}")
        words = [*map(str, command), "--store", str(store)]
        status = os.waitpid(nursery.start(store, file, words, on_call), 0)[1]
        out, err = (file.with_suffix(end).read_text() for end in (".out", ".err"))
        return {"code": os.waitstatus_to_exitcode(status), "out": out, "err": err}

    def collect(log: str, on_call: Callable[[int], None] = lambda n: None) -> dict[str, Any]:
        settings = ["--include-path", begun.parent / "tasks", "--device", "cpu"]
        return run(
            "collect", checkpoint, "--panel", panel, *settings, "--batch-size", "8",
            log=log, on_call=on_call,
        )  # fmt: skip

    def spoil(n_calls: int) -> None:
        if n_calls != 3:
            return
        if how == "full":
            _fill(disk)
        elif how == "read-only":
            _run("mount", "--bind", store, store)
            _run("mount", "-o", "remount,bind,ro", store)
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    shown: dict[str, Any] = {"stop": collect("log", spoil)}
    if how == "remounted":
        _run("mount", "-o", "remount,ro", disk)
    model = checkpoint.name
    shown["scores"] = run("scores")
    shown["receipt"] = run("scores", "--receipt", model, "Answer")
    shown["info"] = run("store", "info", "--json")
    shown["check"] = run("store", "check")
    shown["export"] = run("export", "--format", "every-eval-ever", "--out", folder / "exported")
    if how == "read-only":
        shown["again"] = collect("again")
    with Journal(store / "journal", must_write=False) as journal:
        (identity,) = journal.info().n_responses
        shown["known"] = len(journal.known(identity))
    if how == "full":
        (disk / "filler").unlink()
    elif how == "read-only":
        _run("umount", store)
    else:
        _run("mount", "-o", "remount,rw", disk)
    resumed = collect("log")
    assert resumed["code"] == 0, resumed
    shown["outcome"] = outcome(store)
    shown["repeated"] = (asked(folder / "log") - Counter(set(asked(folder / "log")))).total()
    return shown


def main(what: str, checkpoint: str, folder: str, count: str) -> None:
    """Run one of the experiments and print what came of it."""
    here = Path(folder)
    write_tasks(here / "tasks")
    nursery = Nursery(Path(checkpoint), here / "tasks")
    if what == "unwritable":
        for store, panel in (("quiet", PANEL), ("begun", PANEL.select(["Answer"]))):
            pid = nursery.start(here / store, here / f"{store}.log", panel=panel)
            assert os.waitpid(pid, 0)[1] == 0
        quiet = outcome(here / "quiet")
        outcomes = {}
        for how in ("full", "read-only", "remounted"):
            shown = unwritable(nursery, Path(checkpoint), here / "begun", how)
            assert shown.pop("outcome") == quiet, f"{how}: other scores or samples"
            outcomes[how] = shown
        print(json.dumps(outcomes))
        return
    done = (
        kills(nursery, here, int(count), seed=0)
        if what == "kills"
        else pairs(nursery, here, int(count))
    )
    print(json.dumps(done))


if __name__ == "__main__":
    main(*sys.argv[1:])
