"""lm-eval's filter ``capspace_sandbox`` turns programs into verdicts.

A task names it after a filter that makes of each response a mapping with the fields of `Sample`.
This module imports lm-eval; import it inside functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lm_eval.api.filter import Filter
from lm_eval.api.registry import register_filter

from .judging import SANDBOX_FILTER, Sample, judge_all

__all__ = ["SandboxFilter"]


@register_filter(SANDBOX_FILTER)
class SandboxFilter(Filter):  # type: ignore[misc]  # as above
    """Judges each program in a sandbox of its own, side by side over the cores."""

    def apply(
        self, resps: Sequence[Iterable[dict[str, Any]]], docs: Sequence[dict[str, Any]]
    ) -> list[list[dict[str, Any]]]:
        """Return per document and response the program, whether it passed, and if not why."""
        samples = [
            [
                Sample(r["program"], r["test"], tuple(r["names"]), r.get("preamble", ""))
                for r in responses
            ]
            for responses in resps
        ]
        verdicts = iter(judge_all(sample for responses in samples for sample in responses))
        return [
            [
                {"program": sample.program, "passed": v.passed, "reason": v.reason}
                for sample, v in zip(responses, verdicts, strict=False)
            ]
            for responses in samples
        ]
