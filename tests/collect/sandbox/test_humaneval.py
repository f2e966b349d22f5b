"""HumanEval end to end: lm-eval's task of ours, judged in the sandbox."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lm_eval", reason="collecting needs the collect extra")

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from capspace.collect.errors import HarnessError
from capspace.collect.harness.data_root import embedded_data_root
from capspace.collect.harness.harness import Harness
from capspace.collect.runtime.log_capture import logged_to
from capspace.collect.storage.identity import HARNESS_SEEDS
from capspace.tasks.panel import Benchmark, load_panel

pytestmark = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap is not installed (apt install bubblewrap)"
)


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path) -> Iterator[None]:
    with logged_to(tmp_path / "log"):
        yield


def items() -> list[dict[str, str]]:
    folder = Path(str(files("capspace.tasks"))) / "data" / "hub" / "openai" / "openai_humaneval"
    (path,) = [p for p in folder.rglob("test.jsonl*")]
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    return [json.loads(line) for line in text.splitlines()]


class Author(LM):  # type: ignore[misc]  # lm-eval is untyped
    """Answers HumanEval's prompts with given bodies."""

    def __init__(self, bodies: dict[str, str]) -> None:
        super().__init__()
        self._bodies = bodies

    def loglikelihood(self, requests: list[Instance]) -> list[Any]:
        raise NotImplementedError

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[Any]:
        raise NotImplementedError

    def generate_until(self, requests: list[Instance]) -> list[str]:
        assert all(r.args[1]["until"][0] == "\nclass" for r in requests)
        assert not any(r.args[1]["do_sample"] for r in requests)
        return [self._bodies[r.args[0]] for r in requests]


def measured(bodies: dict[str, str]) -> Any:
    benchmark = load_panel("smoke")["HumanEval"]
    harness = Harness([benchmark], data_root=embedded_data_root())
    return harness.evaluate(
        Author(bodies), benchmark, seeds=HARNESS_SEEDS, allow_code_execution=True
    )


@pytest.mark.slow
def test_right_answers_pass_and_wrong_ones_say_why() -> None:
    known = items()
    right = measured({item["prompt"]: item["canonical_solution"] for item in known})
    assert (right.score, right.n_items) == (1.0, len(known))
    first = known[0]["prompt"]
    bodies = {item["prompt"]: item["canonical_solution"] for item in known}
    mixed = measured(bodies | {first: "    import os\n    os._exit(0)\n"})
    assert mixed.score == pytest.approx(1 - 1 / len(known))
    (verdict,) = mixed.samples[0]["filtered_resps"][0]
    assert verdict["program"].endswith("os._exit(0)\n")
    assert not verdict["passed"]
    assert "status 0" in verdict["reason"]


def test_task_that_would_run_code_outside_the_sandbox_is_refused() -> None:
    bare = Benchmark(
        name="HumanEval",
        tasks=("humaneval",),
        folder="humaneval",
        n_shot=0,
        metric="pass@1",
        filter="create_test",
        chance=0.0,
        executes_code=True,
        source="lm-eval's own",
    )
    with pytest.raises(HarnessError, match=r"outside a sandbox.*humaneval_sandboxed"):
        Harness([bare]).tasks(bare)
