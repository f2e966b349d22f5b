"""What lm-eval's records of single items say, and when they say nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from capspace.collect.errors import HarnessError
from capspace.collect.harness.estimates import estimating_items
from capspace.collect.harness.evaluation import refuse_right_unfinished
from capspace.collect.harness.item_draws import item_values
from capspace.tasks.item_estimate import ItemEstimate, TaskItems
from capspace.tasks.panel import load_panel


def sample(**fields: Any) -> dict[str, Any]:
    return {"task": "t", "doc_id": 3, "resps": [["", ""]], "acc": 0.0, **fields}


def test_an_unfinished_answer_that_counts_as_right_is_refused() -> None:
    right = sample(acc=1.0)
    refuse_right_unfinished("acc", [right], set())
    refuse_right_unfinished("acc", [sample()], {("t", 3)})
    refuse_right_unfinished("acc", [sample(acc=1.0, resps=[["", "42"]])], {("t", 3)})
    with pytest.raises(HarnessError, match=r"^task t counts an empty answer as right \(item 3\)"):
        refuse_right_unfinished("loose+acc", [right], {("t", 3)})


@pytest.mark.parametrize("value", [None, {"tp": 1}, "right"])
def test_a_metric_without_a_value_for_an_item_is_one_line(value: object) -> None:
    arc = load_panel("smoke")["ARC-C"]
    whole = sample(filter=arc.filter, **{arc.metric: 1.0})
    assert item_values(arc, [whole, sample(filter="other")]) == [(whole, 1.0)]
    wrong = sample(filter=arc.filter) if value is None else {**whole, arc.metric: value}
    with pytest.raises(
        HarnessError, match=r"^ARC-C: its metric acc_norm has no value for a single"
    ):
        item_values(arc, [wrong])


def test_an_estimate_of_other_tasks_is_refused() -> None:
    items = TaskItems(of=3, positions=(0, 2), weights=(0.5, 0.5))
    estimate = ItemEstimate(tasks={"t": items}, intercept=0.0, error=0.1)
    tasks = [SimpleNamespace(eval_docs=range(3), config=SimpleNamespace(task=n)) for n in "tu"]
    assert estimating_items(tasks, estimate) == {"t": [0, 2]}
    with pytest.raises(HarnessError, match="its estimate has items of t, which is none of its tas"):
        estimating_items(tasks[1:], estimate)
