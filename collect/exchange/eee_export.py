"""Every Eval Ever files are written: one record per run, with its items in a file beside it."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from capspace.fit._json import json_safe

from ..storage._receipt import Item, items
from ..storage.digests import sha256
from ..storage.files import write_atomically
from ..storage.result import Result, metric_and_filter
from ..storage.store import Store
from ._eee_instance import (
    AnswerAttributionItem,
    Evaluation,
    Input,
    InstanceLog,
    Output,
)
from ._eee_log import (
    AdditionalDetails,
    DetailedEvaluationResults,
    EvalLibrary,
    EvaluationLog,
    EvaluationResult,
    MetricConfig,
    ModelInfo,
    ScoreDetails,
    SourceDataPrivate,
    SourceMetadata,
    StandardError,
    Uncertainty,
)
from .exported_runs import Run, file_name, runs

__all__ = ["write_every_eval_ever"]

_SHARES = ("acc", "em", "exact_match", "f1", "mc1", "mc2", "pass@")
_PERPLEXITIES = ("perplexity", "ppl", "byte_perplexity", "word_perplexity")
_LOWER_IS_BETTER = (*_PERPLEXITIES, "bits_per_byte", "brier_score", "ter", "wer", "mae", "mse")


def write_every_eval_ever(results: Sequence[Result], store: Store, out: Path) -> list[Path]:
    """Write one record per run, laid out as the project's data store is.

    Raises
    ------
    OSError
        A file cannot be written.
    StoreError
        Samples are damaged.

    """
    now = f"{datetime.now(UTC).timestamp():.3f}"
    return [path for run in runs(results) for path in _write_run(run, store, out, now)]


def _write_run(run: Run, store: Store, out: Path, now: str) -> Iterator[Path]:
    organisation, _, plain = run.name.rpartition("/")
    folder = Path("data", "capspace", _part(organisation or "unknown"), _part(plain))
    # The same run is written to the same file again: a UUID of random bits would pile them up.
    stem = str(uuid.UUID(bytes=run.digest[:16], version=4))
    parts = (file_name(run.name), run.revision[:12], run.digest.hex()[:8])
    evaluation_id = f"capspace/{'-'.join(filter(None, parts))}/{now}"
    (out / folder).mkdir(parents=True, exist_ok=True)

    lines = [
        log.to_json()
        for result in run.results
        for log in _instance_logs(result, run.name, store, evaluation_id)
    ]
    samples = None
    if lines:
        place = folder / f"{stem}_samples.jsonl"
        raw = "".join(f"{line}\n" for line in lines).encode()
        write_atomically(out / place, raw, sync=False)
        samples = DetailedEvaluationResults(
            file_path=place.as_posix(),
            hash_algorithm="sha256",
            checksum=sha256(raw),
            total_rows=len(lines),
        )
        yield out / place
    log = _evaluation_log(run, evaluation_id, now, samples)
    path = out / folder / f"{stem}.json"
    write_atomically(path, log.to_json(indent=2) + "\n", sync=False)
    yield path


def _evaluation_log(
    run: Run, evaluation_id: str, now: str, samples: DetailedEvaluationResults | None
) -> EvaluationLog:
    measured, first = run.is_measured, run.results[0]
    library, _, version = run.harness.partition(" ")
    known: dict[str, Any] = {
        "revision": run.revision,
        **{name: str(value) for name, value in sorted(run.model_identity.items())},
    }
    if run.conditions or run.protocol:
        known["conditions"] = "; ".join(filter(None, (*run.conditions, run.protocol)))
    return EvaluationLog(
        evaluation_id=evaluation_id,
        evaluation_timestamp=first.measured_at,
        retrieved_timestamp=now,
        source_metadata=SourceMetadata(
            source_name="capspace" if measured else "scores imported into capspace",
            source_type="evaluation_run" if measured else "documentation",
            source_organization_name="unknown",
            evaluator_relationship="other",
        ),
        eval_library=EvalLibrary(
            name=library.replace("-", "_") or "unknown", version=version or "unknown"
        ),
        model_info=ModelInfo(
            name=run.name,
            id=run.name,
            additional_details=AdditionalDetails(
                deployment_type="self_deployed" if measured else "unknown",
                model_availability="unknown",
                **known,
            ),
        ),
        evaluation_results=[_evaluation_result(result, run) for result in run.results],
        detailed_evaluation_results=samples,
    )


def _evaluation_result(result: Result, run: Run) -> EvaluationResult:
    stderr = StandardError(value=result.stderr) if math.isfinite(result.stderr) else None
    unsure = stderr is not None or result.n_items is not None
    return EvaluationResult(
        evaluation_result_id=result.key,
        evaluation_name=result.benchmark,
        evaluation_timestamp=result.measured_at,
        source_data=SourceDataPrivate(
            dataset_name=result.benchmark,
            additional_details={"tasks": ", ".join(str(t["task"]) for t in result.tasks)},
        ),
        metric_config=_metric_config(result),
        score_details=ScoreDetails(
            score=float(result.score),
            details={
                "protocol": result.protocol,
                "source": result.source,
                "capspace_key": result.key,
                "comparable_with_published_scores": str(result.comparable).lower(),
                "dated": str(run.is_dated).lower(),
            },
            uncertainty=Uncertainty(standard_error=stderr, num_samples=result.n_items)
            if unsure
            else None,
        ),
    )


def _metric_config(result: Result) -> MetricConfig:
    metric, chosen = metric_and_filter(result)
    details = {"filter": chosen}
    if result.n_shot is not None:
        details["n_shot"] = str(result.n_shot)
    bounds: tuple[float | None, Any] = (None, None)  # of a metric that is not known
    if metric in _PERPLEXITIES:
        bounds = (1.0, "Infinity")
    elif metric.startswith(_SHARES) and 0 <= result.score <= 1:
        bounds = (0.0, 1.0)
    return MetricConfig(
        metric_name=metric or "score",
        lower_is_better=metric in _LOWER_IS_BETTER,
        score_type=None if bounds[0] is None else "continuous",
        min_score=bounds[0],
        max_score=bounds[1],
        additional_details=details,
    )


def _instance_logs(
    result: Result, name: str, store: Store, evaluation_id: str
) -> Iterator[InstanceLog]:
    """Yield a record per item, where samples state its answers and the metric item by item."""
    metric, chosen = metric_and_filter(result)
    if not store.samples_file(result.key).exists():
        return
    for item in items(store, result):
        score = item.metrics.get(metric, math.nan)
        if not math.isfinite(score) or not item.answers:
            continue
        answer, how = _answer(item, metric, chosen)
        shown = f"{item.prompt}{item.expected}".encode("utf-8", "surrogatepass")
        yield InstanceLog(
            evaluation_id=evaluation_id,
            model_id=name,
            evaluation_name=result.benchmark,
            evaluation_result_id=result.key,
            sample_id=f"{item.task}/{item.item}",
            sample_hash=sha256(shown),
            interaction_type="single_turn",
            input=Input(
                raw=_text(item.prompt),
                reference=[_text(item.expected)],
                choices=None
                if item.log_likelihoods is None
                else [_text(answer) for answer in item.answers],
            ),
            output=Output(
                raw=[_text(a) for a in item.answers] if item.log_likelihoods is None else [answer]
            ),
            answer_attribution=[
                AnswerAttributionItem(
                    turn_idx=0,
                    source="output.raw",
                    extracted_value=answer,
                    extraction_method=how,
                    is_terminal=True,
                )
            ],
            # Between right and wrong lie scores that share probability between answers.
            evaluation=Evaluation(score=score, is_correct=score > 0.5),
            metadata={
                "metric": metric,
                "log_likelihoods": json.dumps(json_safe(list(item.log_likelihoods))),
            }
            if item.log_likelihoods is not None
            else {"metric": metric},
        )


def _answer(item: Item, metric: str, chosen: str) -> tuple[str, str]:
    """Return the answer that counts, and how it was found."""
    if item.log_likelihoods is None:
        return _text(item.extracted), chosen
    per_character = metric == "acc_norm"
    values = [
        value / max(len(answer.strip()), 1) if per_character else value
        for value, answer in zip(item.log_likelihoods, item.answers, strict=True)
    ]
    best = _text(item.answers[values.index(max(values))])
    return best, f"largest log-likelihood{' per character' if per_character else ''}"


def _part(name: str) -> str:
    """Return a name as a folder of the project's data store, where some names are reserved."""
    plain = file_name(name).rstrip(".") or "unknown"
    reserved = re.match(r"(data|con|prn|aux|nul|com\d|lpt\d)(\.|$)", plain, re.IGNORECASE)
    return f"_{plain}" if reserved else plain


def _text(text: str) -> str:
    """Return text that is valid Unicode: a lone surrogate has no form in UTF-8."""
    return text.encode("utf-8", "replace").decode()
