"""What is measured: tasks of lm-eval, how many of their items, and the ratio asked for."""

from __future__ import annotations

from dataclasses import dataclass

STOP = "z"
"""A letter that random weights come upon now and then: answers of varied length."""


@dataclass(frozen=True)
class Case:
    """A part of the table: tasks of lm-eval, shots, items of each task, the ratio asked for."""

    tasks: tuple[str, ...]
    n_shot: int | None
    items: int
    at_least: float | None
    kind: str = "loglikelihood"
    samples: int = 1
    model: str = "45M"
    new_tokens: int = 160
    stop: str = STOP
    repeats: int = 3


MMLU = (
    "mmlu_high_school_geography",
    "mmlu_elementary_mathematics",
    "mmlu_computer_security",
    "mmlu_philosophy",
)
CASES = {
    "mmlu": Case(MMLU, 5, 32, 6.0),
    "hellaswag": Case(("hellaswag",), 10, 4, 4.0),
    "arc_challenge": Case(("arc_challenge",), 25, 4, 4.0),
    "winogrande": Case(("winogrande",), 5, 32, 1.3),
    "truthfulqa_mc2": Case(("truthfulqa_mc2",), 0, 10, 3.0),
    "xwinograd": Case(("xwinograd_en",), 0, 60, None),
    "gsm8k": Case(("gsm8k",), 5, 16, 3.0, "generate_until"),
    "self_consistency": Case(("gsm8k_cot",), None, 2, 5.0, "generate_until", samples=8),
    "hybrid": Case(MMLU[:2], 5, 16, 4.0, model="hybrid"),
    "mamba_hybrid": Case(MMLU[:2], 5, 16, 4.0, model="mamba_hybrid"),
    "conv_hybrid": Case(MMLU[:2], 5, 16, 4.0, model="conv_hybrid"),
    "mla": Case(MMLU[:2], 5, 16, 4.2, model="mla"),
    "mla_gsm8k": Case(("gsm8k",), 5, 8, 1.5, "generate_until", model="mla", repeats=2),
    "long_texts": Case(
        *(("hendrycks_math500",), 0, 8, 2.0, "generate_until"), new_tokens=512, stop="", repeats=2
    ),
}
"""Cases of other models than the Llama of 45 M are for a CPU."""
CLASSIC = ("mmlu", "hellaswag", "arc_challenge", "winogrande", "truthfulqa_mc2", "xwinograd")
