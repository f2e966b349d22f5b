"""What a panel and a mode change of lm-eval's tasks: settings, repeats, items."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.model import LM

from capspace.collect.errors import HarnessError
from capspace.collect.harness.data_root import embedded_data_root
from capspace.collect.harness.harness import Harness
from capspace.collect.harness.task_changes import TaskChanges, _averaged, chosen_items
from capspace.collect.runtime.log_capture import logged_to
from capspace.collect.storage.identity import HARNESS_SEEDS
from capspace.tasks.panel import Benchmark, load_panel

SAMPLED = {"temperature": 0.6, "do_sample": True}

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once")


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path) -> Iterator[None]:
    with logged_to(tmp_path / "log"):
        yield


class Sized:
    def __init__(self, name: str, n: int) -> None:
        self.eval_docs = range(n)
        self.config = type("Config", (), {"task": name})


def items_of(tasks: list[Sized], n: int, draw: str = "spread", seed: int = 0) -> dict[str, Any]:
    some = load_panel("smoke")["MMLU"].model_copy(update={"items": n, "draw": draw})
    return chosen_items(tasks, some, seed)


def test_items_are_spread_in_proportion_and_evenly() -> None:
    tasks = [Sized("a", 700), Sized("b", 250), Sized("c", 50)]
    chosen = items_of(tasks, 100)
    assert {name: len(items) for name, items in chosen.items()} == {"a": 70, "b": 25, "c": 5}
    assert chosen["c"] == [5, 15, 25, 35, 45]
    assert chosen == items_of(tasks, 100)
    assert items_of(tasks, 5000)["b"] == list(range(250))
    assert [len(v) for v in items_of([Sized("a", 1), Sized("b", 999)], 10).values()] == [1, 9]
    equal = items_of([Sized("a", 3), Sized("b", 3), Sized("c", 3)], 5)
    assert [len(v) for v in equal.values()] == [2, 2, 1]
    # the share of the smallest task is rounded up to one item: no remainder is left of it
    small = items_of([Sized("a", 1), Sized("b", 6), Sized("c", 6)], 12)
    assert small == {"a": [0], "b": [0, 1, 2, 3, 4, 5], "c": [0, 1, 3, 4, 5]}
    assert chosen_items(tasks, load_panel("smoke")["MMLU"], 0) == {}


def test_items_are_drawn_by_a_seed_as_many_of_each_task_and_more_hold_fewer() -> None:
    tasks = [Sized("a", 700), Sized("b", 250), Sized("c", 20)]
    few, more = (items_of(tasks, n, "random") for n in (30, 100))
    assert {name: len(items) for name, items in few.items()} == {"a": 10, "b": 10, "c": 10}
    assert {name: len(items) for name, items in more.items()} == {"a": 40, "b": 40, "c": 20}
    for name, items in few.items():
        assert items == sorted(items)
        assert {*items} <= {*more[name]}
        assert len({*more[name]}) == len(more[name])
    assert few["a"] == items_of(tasks[:1], 10, "random")["a"]
    assert few["a"] != items_of(tasks, 30, "random", seed=1)["a"]
    # the same for ever: a stored score is by these items
    assert {50, 653, 123} <= {*few["a"]}
    first = items_of(tasks, 1, "random")
    assert first["a"] == [50]
    assert all({*first[name]} <= {*items} for name, items in few.items())


class Scripted(LM):
    """Answers each repeat of a request with the next text of a list."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__()
        self.texts = texts
        self.requests: list[Any] = []

    def generate_until(self, requests: list[Any]) -> list[str]:
        self.requests = requests
        return [self.texts[i % len(self.texts)] for i, _ in enumerate(requests)]

    loglikelihood = loglikelihood_rolling = generate_until


def gsm8k(**changes: object) -> Benchmark:
    return load_panel("smoke")["GSM8K"].model_copy(update={"name": "G", **changes})


def evaluated(benchmark: Benchmark, lm: LM, changes: TaskChanges | None = None) -> Any:
    harness = Harness([benchmark], data_root=embedded_data_root())
    changes = changes or TaskChanges()
    return harness.evaluate(lm, benchmark, seeds=HARNESS_SEEDS, limit=2, changes=changes)


def test_every_sample_of_an_item_counts() -> None:
    first = evaluated(gsm8k(), Scripted(["#### 1"])).samples[0]["target"].split("#### ")[1]
    lm = Scripted([f"#### {first}", "#### 0.5", "none", f"#### {first}"])
    result = evaluated(gsm8k(repeats=4, generation=SAMPLED), lm)
    assert len(lm.requests) == 8
    sample = next(s for s in result.samples if s["doc_id"] == 0 and s["filter"] == "strict-match")
    assert sample["exact_match"] == 0.5
    # lm-eval's own repeats: the first counts, and three are computed for nothing
    assert sample["filtered_resps"] == [[first, "0.5", "[invalid]", first]]


FILTERS = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/items.jsonl}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{q}}}}"
doc_to_target: "{{{{a}}}}"
generation_kwargs: {{until: ["."]}}
filter_list: [{filters}]
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""


def test_a_task_that_takes_all_samples_grades_them_itself(tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_text('{"q": "1 + 1?", "a": "2"}\n')
    vote = "{name: all, filter: [{function: majority_vote}, {function: take_first_k, k: 1}]}"
    first = "{name: one, filter: [{function: take_first}]}"
    tasks = {}
    for name, filters in (("votes", vote), ("mixed", f"{first}, {vote}")):
        text = FILTERS.format(name=name, folder=tmp_path, filters=filters)
        (tmp_path / f"{name}.yaml").write_text(text)
        own = gsm8k(tasks=(name,), folder="none", n_shot=0)
        (tasks[name],) = Harness([own], include_path=tmp_path)._load(own)
    changes = TaskChanges(SAMPLED, repeats=3)
    before = tasks["votes"].process_results
    changes.make(own, tasks["votes"])
    assert tasks["votes"].process_results == before
    with pytest.raises(HarnessError, match="task mixed: some of its filters take one response and"):
        changes.make(own, tasks["mixed"])


def test_parts_of_a_grade_are_joined_over_samples() -> None:
    def grade(doc: int, responses: list[str]) -> dict[str, Any]:
        (text,) = responses
        return {"whole": text == "ab", "parts": [c in text for c in "ab"]}

    joined = _averaged(grade)(0, [["ab", "a", "b", "ab"]])
    assert joined["whole"] == 0.5
    assert joined["parts"] == [True, True, True, False, False, True, True, True]


def test_a_mode_wins_over_the_panel_and_the_panel_over_the_task() -> None:
    lm = Scripted(["#### 1"])
    benchmark = gsm8k(generation={"max_gen_toks": 7, "temperature": 0.5})
    evaluated(benchmark, lm, TaskChanges(SAMPLED, repeats=2))
    settings = lm.requests[0].args[1]
    assert (settings["max_gen_toks"], settings["temperature"]) == (7, 0.6)
    assert settings["until"]
    assert len(lm.requests) == 4


def test_what_is_changed_is_part_of_the_identity_and_nothing_else_is() -> None:
    def identity(benchmark: Benchmark, **changes: Any) -> str:
        harness = Harness([benchmark], data_root=embedded_data_root())
        return harness.tasks(benchmark, TaskChanges(**changes))[0].definition

    plain = identity(gsm8k())
    others = [
        identity(gsm8k(generation={"max_gen_toks": 7})),
        identity(gsm8k(repeats=2, generation=SAMPLED)),
        identity(gsm8k(items=3)),
        identity(gsm8k(), generation={"temperature": 0.6}),
    ]
    assert len({plain, *others}) == 5
    same = identity(gsm8k(), repeats=2, generation=SAMPLED)
    assert identity(gsm8k(repeats=2, generation=SAMPLED)) == same
    choice = load_panel("smoke")["Winogrande"]
    assert identity(choice) == identity(choice, generation={"temperature": 0.6}, repeats=3)


def test_a_workload_counts_repeats_and_chosen_items() -> None:
    def n_requests(benchmark: Benchmark) -> int:
        return Harness([benchmark], data_root=embedded_data_root()).workload(benchmark).n_requests

    assert (n_requests(gsm8k()), n_requests(gsm8k(repeats=3, items=5, generation=SAMPLED))) == (
        16,
        15,
    )


def test_samples_that_would_all_be_equal_are_refused() -> None:
    harness = Harness([gsm8k()], data_root=embedded_data_root())
    with pytest.raises(HarnessError, match="4 samples per item would be 4 times the same text"):
        harness.tasks(gsm8k(), TaskChanges(repeats=4))
    assert harness.tasks(gsm8k(), TaskChanges(SAMPLED, repeats=4))
