"""A command whose benchmarks could not all be measured says so in its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Command


@pytest.mark.slow
def test_a_benchmark_that_cannot_be_measured_is_listed_and_ends_with_1(
    capspace: Command, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    ran = capspace(
        "collect", tiny_checkpoint, "--panel", "classic-8", "--benchmark", "HellaSwag",
        "--benchmark", "TruthfulQA", "--limit", 2,
        "--data-root", "embedded", "--store", tmp_path / "store",
    )  # fmt: skip
    assert ran.code == 1
    assert "TruthfulQA" in ran.out
    assert "n_shot: 10 wants more examples than task hellaswag has" in " ".join(ran.out.split())
