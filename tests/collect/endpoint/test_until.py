"""Measuring behind a server ends early, too, by the tokens that the server counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import Notes
from endpoint_parts import ANSWERS, measured
from scripted_server import Answered, completion, scripted_server

from capspace.collect.endpoint.length import ContextLength
from capspace.collect.run.token_counts import TokenCount, count_tokens
from capspace.collect.runtime.log_capture import logged_to
from capspace.fit import load_reference
from capspace.fit.decide._noise_effect import PredictedWidths

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once")

# The reference knows a benchmark of this name.
KNOWN = ANSWERS.model_copy(
    update={"benchmarks": (ANSWERS.benchmarks[0].model_copy(update={"name": "GSM8K"}),)}
)


@pytest.mark.slow
def test_until_and_budget_ask_a_server_for_some_items_alone(
    fault_tasks: Path, tmp_path: Path
) -> None:
    def reply(route: str, asked: dict[str, Any]) -> Answered:
        return completion(str(len(asked["prompt"]) % 4))

    notes, widths = Notes(), PredictedWidths(load_reference(), targets=["bbh"])
    until: dict[str, Any] = {"limit": None, "panel": KNOWN, "notes": notes, "widths": widths}
    with logged_to(tmp_path / "log"), scripted_server(reply) as server:
        done = measured(server, fault_tasks, tmp_path / "a", until="20%", **until)
        (plan,), (result,) = done.stopping.values(), done.results
        items = [asked for _, asked in server.answered if "What is" in str(asked)]
        assert len(items) == result.n_items == plan.n_items["GSM8K"] < 1000
        assert result.provenance["tokens"] == 7 * result.n_items  # 5 of the prompt, 2 of the answer
        assert any("that is enough" in note for note in notes.lines)
        n_answered = len(server.answered)
        again = measured(server, fault_tasks, tmp_path / "a", until="20%", **until)
        assert again.results == done.results
        assert len(server.answered) == n_answered  # not even a probe
        budget = {"until": "0.01%", "budget": "0.001s"}
        measured(server, fault_tasks, tmp_path / "b", **budget, **until)
        assert any("the budget ends here" in note for note in notes.lines)


def test_where_a_server_counts_no_tokens_the_length_of_the_texts_does() -> None:
    sample = {"task": "t", "doc_id": 0, "arguments": [("x" * 40, {})], "resps": [["y" * 9]]}
    encode = ContextLength(None, None, {}).tokens
    assert count_tokens([sample], encode) == TokenCount(10 + 3)
    counted = {**sample, "answers": [{"n_prompt": 5, "n_tokens": 20}] * 2}
    assert count_tokens([counted], encode) == TokenCount(50)
    half = {**sample, "answers": [{"n_prompt": 5, "n_tokens": None}]}
    assert count_tokens([half], encode) == TokenCount(13)
    other_filter = {**sample, "filter": "other"}
    twice = [sample, other_filter, {**sample, "doc_id": 1}]
    assert count_tokens(twice, encode) == TokenCount(2 * 13)
