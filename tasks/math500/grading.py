"""MATH-500 graded by Math-Verify, which finds an answer in prose, in a box and in LaTeX."""

from __future__ import annotations

from typing import Any

from math_verify import LatexExtractionConfig, parse, verify

__all__ = ["process_results"]


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Return whether the answer in a response is the item's."""
    gold = parse(f"${doc['answer']}$", extraction_config=[LatexExtractionConfig()])
    return {"exact_match": float(verify(gold, parse(results[0])))}
