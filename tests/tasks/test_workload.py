"""Workloads of benchmarks are there for all that a packaged reference predicts from."""

from __future__ import annotations

import pytest

from capspace.fit.reference import load_reference, reference_names
from capspace.tasks.workload import TypicalWorkload, typical_workloads


@pytest.mark.parametrize("name", reference_names())
def test_every_cheap_benchmark_of_a_reference_has_a_workload(name: str) -> None:
    reference = load_reference(name)
    known = typical_workloads("thinking")
    for benchmark in reference.benchmarks.values():
        workload = known[benchmark.name]
        assert benchmark.n_items in (None, workload.n_items)


def test_generated_tokens_weigh_twenty_times_those_of_a_prompt() -> None:
    assert TypicalWorkload(10, 100, 5).tokens == 10 * (100 + 20 * 5)


def test_a_thinking_model_takes_no_less_than_a_plain_one() -> None:
    plain, thinking = typical_workloads("plain"), typical_workloads("thinking")
    assert all(plain[name].tokens <= thinking[name].tokens for name in plain)
