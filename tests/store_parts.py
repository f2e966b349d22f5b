"""A result and its samples, to be kept and found again."""

from dataclasses import replace
from pathlib import Path

from capspace.collect.storage.result import Result
from capspace.collect.storage.store import Store

RESULT = Result(
    key="a" * 64,
    model="org/model",
    revision="0123456789abcdef" * 4,
    benchmark="ARC-C",
    score=1 / 3,
    stderr=0.0137,
    n_items=1172,
    n_shot=25,
    protocol="lm-eval 0.4.13 arc_challenge v1.0 acc_norm; hf bfloat16",
    source="measured",
    comparable=True,
    identity='{"schema":1}',
    tasks=({"task": "arc_challenge", "score": 1 / 3, "stderr": 0.0137, "n_items": 1172},),
    provenance={"device": "cpu", "seconds": 12.5},
    measured_at="2026-01-02T03:04:05.678+00:00",
)
SAMPLES = [{"doc_id": 0, "target": "ü", "acc": 1.0}, {"doc_id": 1, "target": "b", "acc": 0.0}]

PUBLISHED = replace(
    RESULT, model="meta-llama/Llama-2-7b-hf", benchmark="MMLU", score=0.44, stderr=0.004,
    n_items=14042, n_shot=5,
)  # fmt: skip
"""Close to what the study's reference has of this model."""


def put_published(folder: str) -> None:
    """Store a score of a model whose scores are published."""
    with Store(Path(folder)) as store:
        store.put(PUBLISHED, None)
