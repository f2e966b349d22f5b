"""The selections of items that lm-eval has, metabench and tinyBenchmarks, are tasks of a panel.

Their data sets and the package that estimates scores for tinyBenchmarks are not at hand: the tasks
are lm-eval's own, the items are made up, and a module that has the package's one function stands in
for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml
from commands import Command

from capspace.collect.storage.result import Result
from capspace.collect.storage.score_table import to_table
from capspace.collect.storage.store import Store
from capspace.fit.table.sampling import binomial_stderr, with_sampling_errors

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of lm-eval's libraries

N = 6
LETTERS = ["A", "B", "C", "D"]


def write(root: Path, name: str, split: str, rows: Sequence[Mapping[str, object]]) -> None:
    path = root / name / f"{split}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def arc(number: int) -> dict[str, object]:
    texts = [f"answer {number + k}" for k in range(4)]
    choices = {"label": LETTERS, "text": texts}
    return {"question": f"What is {number}?", "choices": choices, "answerKey": LETTERS[number % 4]}


def arc_of_metabench(number: int) -> dict[str, object]:
    row = {**arc(number), "alltwentyfiveshot_longprompt": ""}
    for shot in range(1, 26):
        example = arc(100 * number + shot)
        row |= {f"arc_{key}_shot_{shot}": value for key, value in example.items()}
        row[f"arc_idx_shot_{shot}"] = shot
    return row


def mmlu_of_metabench(number: int) -> dict[str, object]:
    choices = [f"{number + k}" for k in range(4)]
    row: dict[str, object] = {
        "question": f"Count {number}.", "choices": choices, "answer": number % 4,
        "subject": "college_physics", "allfiveshot_longprompt": "",
    }  # fmt: skip
    for shot in range(1, 6):
        row |= {
            f"mmlu_question_shot_{shot}": f"Count {shot}.", f"mmlu_choices_shot_{shot}": choices,
            f"mmlu_answers_shot_{shot}": shot % 4, f"mmlu_ind_shot_{shot}": shot,
        }  # fmt: skip
    return row


def measured(
    capspace: Command, checkpoint: Path, at: Path, benchmark: dict[str, object]
) -> tuple[Result, list[float]]:
    """Measure a benchmark of a panel of its own; return the result and each item's metric."""
    common = {"n_shot": 0, "chance": 0.25, "source": "lm-eval", "comparable": False}
    panel = {"name": "own", "version": 1, "description": "Items.", "benchmarks": [
        {"name": "Few", **common, **benchmark}
    ]}  # fmt: skip
    (at / "panel.yaml").write_text(yaml.safe_dump(panel))
    words = ("--panel", at / "panel.yaml", "--data-root", at / "root", "--device", "cpu")
    run = capspace("collect", checkpoint, *words, "--store", at / "store")
    assert run.code == 0, run.err
    with Store(at / "store") as opened:
        (result,) = opened.results()
        samples = list(opened.samples(result.key))
    return result, [sample[str(benchmark["metric"])] for sample in samples]


@pytest.mark.parametrize(
    ("task", "folder", "make", "metric", "prompt"),
    [
        ("metabench_arc", "ARC", arc_of_metabench, "acc_norm", "Question: What is 101?"),
        ("metabench_mmlu", "MMLU", mmlu_of_metabench, "acc", "about college physics."),
    ],
)
def test_metabench_is_the_mean_of_its_items_with_its_own_examples(
    capspace: Command, tiny_checkpoint: Path, tmp_path: Path, task: str, folder: str,
    make: object, metric: str, prompt: str,
) -> None:  # fmt: skip
    assert callable(make)
    write(tmp_path / "root", f"HCAI/metabench/{folder}", "primary", [make(i) for i in range(1, 7)])
    own: dict[str, object] = {"tasks": [task], "metric": metric}
    result, values = measured(capspace, tiny_checkpoint, tmp_path, own)
    assert len(values) == result.n_items == N
    assert result.score == pytest.approx(np.mean(values))
    assert task in result.protocol
    assert not result.comparable
    with Store(tmp_path / "store") as opened:
        first = next(iter(opened.samples(result.key)))
    assert prompt in json.dumps(first)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module that estimates as the package's ``evaluate`` does: from the items of a benchmark."""
    module = ModuleType("tinyBenchmarks")

    def evaluate(items: np.ndarray, benchmark: str) -> dict[str, dict[str, float]]:
        weights = np.arange(1, len(items) + 1) / np.arange(1, len(items) + 1).sum()
        estimate = {"mmlu": 0.02, "arc": 0.01}[benchmark] + 0.9 * float(weights @ items)
        return {benchmark: {"irt": estimate, "pirt": estimate, "gpirt": estimate}}

    module.evaluate = evaluate  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tinyBenchmarks", module)
    yield module
    for name, user in list(sys.modules.items()):  # lm-eval's, which it reads once
        if getattr(user, "tb", None) is module:
            del sys.modules[name]


@pytest.mark.parametrize(
    ("task", "benchmark", "n_shot"), [("tinyMMLU", "mmlu", 0), ("tinyArc", "arc", 25)]
)
def test_tiny_benchmarks_report_the_estimate_of_their_package(
    capspace: Command, tiny_checkpoint: Path, tmp_path: Path, package: ModuleType,
    task: str, benchmark: str, n_shot: int,
) -> None:  # fmt: skip
    root = tmp_path / "root"
    if task == "tinyArc":
        for split, first in (("train", 100), ("validation", 200), ("test", 1)):
            n = N if split == "test" else 30
            rows = [arc(first + i) for i in range(n)]
            write(root, "tinyBenchmarks/tinyAI2_arc/ARC-Challenge", split, rows)
    else:
        rows = [{"input_formatted": f"Count {i}.\nAnswer:", "answer": i % 4} for i in range(N)]
        for split in ("dev", "test"):
            write(root, "tinyBenchmarks/tinyMMLU/all", split, rows)
    own: dict[str, object] = {"tasks": [task], "metric": "acc_norm", "n_shot": n_shot}
    result, values = measured(capspace, tiny_checkpoint, tmp_path, own)
    assert len(values) == result.n_items == N
    assert result.score == pytest.approx(
        package.evaluate(np.array(values), benchmark)[benchmark]["gpirt"]
    )
    assert np.isnan(result.stderr)  # the estimate has none: it is predicted with that of its items
    (stderr,) = with_sampling_errors(to_table([result])).rows["stderr"]
    assert stderr == pytest.approx(binomial_stderr(result.score, N))


def test_without_its_package_a_task_of_tiny_benchmarks_is_refused_in_a_line(
    capspace: Command, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    for split in ("dev", "test"):
        row = {"input_formatted": "Count 1.\nAnswer:", "answer": 1}
        write(tmp_path / "root", "tinyBenchmarks/tinyMMLU/all", split, [row])
    panel = {"name": "own", "version": 1, "description": "Items.", "benchmarks": [
        {"name": "Few", "tasks": ["tinyMMLU"], "n_shot": 0, "metric": "acc_norm",
         "chance": 0.25, "source": "lm-eval"}
    ]}  # fmt: skip
    (tmp_path / "panel.yaml").write_text(yaml.safe_dump(panel))
    run = capspace(
        "collect", tiny_checkpoint, "--panel", tmp_path / "panel.yaml", "--data-root",
        tmp_path / "root", "--device", "cpu", "--store", tmp_path / "store",
    )  # fmt: skip
    assert run.code == 2
    assert "pip install git+https://github.com/felipemaiapolo/tinyBenchmarks" in run.err
    assert "Traceback" not in run.err
