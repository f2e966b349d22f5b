"""The generated benchmarks: right answers, the same items everywhere, none of them trained on."""

from __future__ import annotations

import hashlib
from itertools import islice

import pytest
from zoo_parts import train_zoo

from capspace.collect.harness.harness import Harness
from capspace.tasks.panel import load_panel
from capspace.tasks.procedural.items import (
    BENCHMARKS,
    VERSION,
    Item,
    benchmark_items,
    dataset,
    item,
)

CLOSES = {"(": ")", "[": "]", "{": "}", "<": ">"}


def still_open(text: str) -> list[str]:
    stack: list[str] = []
    for bracket in text:
        if bracket in CLOSES:
            stack.append(bracket)
        else:
            assert CLOSES[stack.pop()] == bracket
    return stack


def right(name: str, question: str) -> str:
    """What completes a question, worked out from its text alone."""
    _, body = question.removesuffix("=").split(" ", 1)
    match name:
        case "copying":
            return body
        case "reversing":
            return body[::-1]
        case "counting":
            letter, word = body.split(" ")
            return str(word.count(letter))
        case "length":
            return str(len(body))
        case "addition":
            first, other = body.split("+")
            return str(int(first) + int(other))
        case "subtraction":
            first, other = body.split("-")
            return str(int(first) - int(other))
        case "closing":
            return "".join(CLOSES[b] for b in reversed(still_open(body)))
        case "depth":
            return str(len(still_open(body)))
    raise AssertionError(name)


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_every_answer_is_right_and_among_the_options(name: str) -> None:
    items: list[Item] = benchmark_items(name)
    assert len({i.prompt for i in items}) == len(items) == 400
    for entry in items:
        given = entry.prompt[len(entry.question) :]
        assert entry.line == entry.question + right(name, entry.question)
        assert given + entry.answer + entry.rest == right(name, entry.question)
        assert entry.options.count(entry.answer) == 1
        assert len(set(entry.options)) == len(entry.options)


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_no_constant_answer_does_well(name: str) -> None:
    items = benchmark_items(name)
    chance = next(b.chance for b in load_panel("procedural").benchmarks if b.name.lower() == name)
    most = max(sum(i.answer == c for i in items) for c in {i.answer for i in items})
    assert chance is not None
    assert most / len(items) <= chance + 0.16  # a sum's first digit is often 1


def test_items_are_the_same_bytes_for_ever() -> None:
    lines = "\n".join(i.line for name in BENCHMARKS for i in benchmark_items(name))
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] == "114744980b00bcf2"


@pytest.mark.slow
def test_no_question_of_the_test_is_in_the_training_text() -> None:
    asked = {i.question for name in BENCHMARKS for i in benchmark_items(name)}
    script = train_zoo()
    for family in script.SIZES:
        text = list(islice(script.lines(family), 20_000))
        assert not {line[: line.index("=") + 1] for line in text} & asked
        names = {line.split(" ")[0] for line in text}
        assert len(names) == len(BENCHMARKS)


def test_streams_differ() -> None:
    assert item("copying", "train", 0) != item("copying", "test", 0)


@pytest.mark.slow
def test_the_panel_s_tasks_load_and_hold_the_items() -> None:
    panel = load_panel("procedural")
    harness = Harness(panel.benchmarks)
    for benchmark in panel.benchmarks:
        assert harness.tasks(benchmark)[0].data == "generated"
        work = harness.workload(benchmark, limit=10)
        items = benchmark_items(benchmark.name.lower(), 10)
        assert work.n_requests == sum(len(i.options) for i in items)


def test_items_of_another_version_are_refused() -> None:
    for metadata in ({}, {"version": VERSION + 1}):
        with pytest.raises(ValueError, match=f"copying: these items are version {VERSION}, not"):
            dataset("copying", **metadata)
