"""HumanEval: the program that an answer makes, and the share of programs that pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["from_answers", "pass_at_1"]


def from_answers(
    resps: Sequence[Sequence[str]], docs: Sequence[dict[str, Any]]
) -> list[list[dict[str, Any]]]:
    """Return per item and answer the program with its test, for the sandbox to judge."""
    return [
        [
            {
                "program": doc["prompt"] + answer,
                "test": f"{doc['test']}\ncheck({doc['entry_point']})",
                "names": [doc["entry_point"]],
                "preamble": doc["prompt"],
            }
            for answer in answers
        ]
        for answers, doc in zip(resps, docs, strict=True)
    ]


def pass_at_1(doc: dict[str, Any], results: Sequence[Sequence[dict[str, Any]]]) -> dict[str, float]:
    """Return the share of an item's programs that passed."""
    (verdicts,) = results
    return {"pass@1": sum(verdict["passed"] for verdict in verdicts) / len(verdicts)}
