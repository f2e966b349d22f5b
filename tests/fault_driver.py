"""What the fault tests run in processes of their own: a real model, collected and killed.

The libraries and the model are loaded once; every run is a fork of that process, so that fifty
kills do not cost fifty imports. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np

from capspace.collect import runner
from capspace.collect.backends import LoadOptions, load_model
from capspace.collect.checkpoint import resolve
from capspace.collect.harness import Harness
from capspace.collect.store import Store
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
        options = LoadOptions(device="cpu", batch_size=8)
        self._lm = load_model(resolve(str(checkpoint)), options)
        Harness(PANEL.benchmarks, include_path=tasks).workload(PANEL["Choice"])  # imports all

    @contextmanager
    def _logged(self, log: Path) -> Iterator[None]:
        """Note each request at the moment that the model answers it."""

        def noting(answer: Callable[..., Any]) -> Callable[..., Any]:
            def noted(requests: list[Any], **settings: Any) -> Any:
                answers = answer(requests, **settings)
                asked = "".join(f"{json.dumps([r.args[0], str(r.args[1])])}\n" for r in requests)
                descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                os.write(descriptor, asked.encode())
                os.close(descriptor)
                return answers

            return noted

        originals = {n: getattr(self._lm, n) for n in ("loglikelihood", "generate_until")}
        for name, original in originals.items():
            setattr(self._lm, name, noting(original))
        yield

    def start(self, store: Path, log: Path) -> int:
        """Fork a run and return its process number."""
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            runner.load_model = lambda checkpoint, options: self._lm
            with self._logged(log), Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                self.collect(store)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def collect(self, store: Path) -> None:
        """Collect in this process."""
        runner.collect_scores(
            str(self._checkpoint),
            panel=PANEL,
            store=store,
            include_path=self._tasks,
            device="cpu",
            batch_size=8,
        )


def outcome(store: Path) -> Any:
    """Return everything of a store that has to be the same after whatever happened."""
    with Store(store) as kept:
        return sorted(
            (r.benchmark, r.score.hex(), r.stderr.hex(), r.n_items, list(kept.samples(r.key)))
            for r in kept.results()
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


def main(what: str, checkpoint: str, folder: str, count: str) -> None:
    """Run one of the two experiments and print what came of it."""
    here = Path(folder)
    write_tasks(here / "tasks")
    nursery = Nursery(Path(checkpoint), here / "tasks")
    done = (
        kills(nursery, here, int(count), seed=0)
        if what == "kills"
        else pairs(nursery, here, int(count))
    )
    print(json.dumps(done))


if __name__ == "__main__":
    main(*sys.argv[1:])
