"""Small files in the formats in which others publish scores; every number is made up here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BFCL_COLUMNS = (
    *("Rank", "Overall Acc", "Model", "Model Link", "Total Cost ($)", "Latency Mean (s)"),
    *("Non-Live AST Acc", "Live Acc", "Multi Turn Acc", "Web Search Acc", "Memory Acc"),
    *("Relevance Detection", "Irrelevance Detection", "Organization", "License"),
)


def write_bfcl(
    path: Path,
    overall: Mapping[str, float],
    *,
    columns: Sequence[str] = BFCL_COLUMNS,
    organisation: str = "Lab",
    **cells: str,
) -> Path:
    """Write BFCL's table: the overall accuracy of each model, percent; the rest follows from it."""
    lines = [",".join(columns)]
    for rank, (model, percent) in enumerate(overall.items(), start=1):
        row = dict.fromkeys(BFCL_COLUMNS, f"{percent * 0.9:.2f}%") | {
            "Rank": str(rank),
            "Overall Acc": f"{percent:.2f}%",
            "Model": model,
            "Model Link": "https://example.org",
            "Total Cost ($)": "1.5",
            "Latency Mean (s)": "2.0",
            "Organization": organisation,
            "License": "MIT",
        }
        row |= cells
        lines.append(",".join(row[c] for c in columns))
    path.write_text("\n".join(lines) + "\n")
    return path


def aa_model(name: str, creator: str = "Lab", **evaluations: Any) -> dict[str, Any]:
    """Return a model as Artificial Analysis lists it."""
    slug = name.lower().replace(" ", "-")
    return {
        "id": f"id-{slug}",
        "name": name,
        "slug": slug,
        "release_date": "2026-03-01",
        "model_creator": {"id": "x", "name": creator, "slug": creator.lower()},
        "evaluations": {"artificial_analysis_intelligence_index": 41.5, **evaluations},
        "pricing": {"price_1m_input_tokens": 1.0},
    }


def aa_page(*models: dict[str, Any], page: int = 1, total: int = 1) -> dict[str, Any]:
    """Return a page of Artificial Analysis' answer, of the version of 2026."""
    pagination = {"page": page, "page_size": 200, "total_pages": total, "has_more": page < total}
    return {
        "tier": "pro",
        "intelligence_index_version": "4.1",
        "pagination": pagination,
        "data": list(models),
    }


def leaderboard_row(
    name: str, scores: Mapping[str, float | None], *, flagged: bool = False, **metadata: Any
) -> dict[str, Any]:
    """Return a row of the Open LLM Leaderboard's JSON; ``scores`` are raw."""
    return {
        "id": f"{name}_bfloat16_sha_True",
        "model": {
            "name": name,
            "sha": "abc",
            "precision": "bfloat16",
            "type": metadata.pop("type", "chat"),
            "average_score": 30.0,
            "has_chat_template": True,
        },
        "evaluations": {
            key: {"name": key, "value": value, "normalized_score": 12.5}
            for key, value in scores.items()
        },
        "features": {"is_flagged": flagged, "is_merged": False},
        "metadata": {
            "upload_date": "2024-06-01",
            "submission_date": "2024-07-01",
            "base_model": name,
            "params_billions": 7.5,
            **metadata,
        },
    }


def helm_tables(
    columns: Sequence[str], rows: Mapping[str, Sequence[float | None]]
) -> list[dict[str, Any]]:
    """Return the tables of a HELM group, the accuracy of ``rows`` among them."""

    def cells(model: str, values: Sequence[float | None]) -> list[dict[str, Any]]:
        run = f"mmlu_pro:subset=all,model={model.replace('/', '_', 1)}"
        scores = [{"value": v, "run_spec_names": [run]} for v in values]
        return [{"value": model.rpartition("/")[2]}, {"value": 0.5}, *scores]

    header = [{"value": "Model"}, {"value": "Mean score"}, *({"value": c} for c in columns)]
    accuracy = {
        "title": "Accuracy",
        "header": header,
        "rows": [cells(model, values) for model, values in rows.items()],
        "links": [],
        "name": "accuracy",
    }
    return [accuracy, {"title": "Efficiency", "header": header[:2], "rows": []}]


def eee_record(
    model: str,
    scores: Mapping[str, float],
    *,
    publisher: str = "Board",
    version: str = "0.3.0",
    top: float = 1.0,
    **fields: Any,
) -> dict[str, Any]:
    """Return a record of Every Eval Ever; ``scores`` lie between 0 and ``top``."""
    return {
        "schema_version": version,
        "evaluation_id": f"{publisher}/{model}/1",
        "evaluation_timestamp": "2026-05-04T10:00:00+00:00",
        "retrieved_timestamp": "1777900000",
        "source_metadata": {
            "source_name": publisher,
            "source_type": "documentation",
            "source_organization_name": publisher,
            "evaluator_relationship": "third_party",
        },
        "eval_library": {"name": "own", "version": "1"},
        "model_info": {"name": model, "id": model, "additional_details": {}},
        "evaluation_results": [
            {
                "evaluation_name": name,
                "source_data": {"dataset_name": name, "source_type": "other"},
                "metric_config": {
                    "lower_is_better": False,
                    "score_type": "continuous",
                    "min_score": 0,
                    "max_score": top,
                },
                "score_details": {"score": score},
            }
            for name, score in scores.items()
        ],
        **fields,
    }


def euroeval_line(model: str, dataset: str, **total: float) -> dict[str, Any]:
    """Return a result of EuroEval in its own format; scores and half-widths are percent."""
    return {
        "dataset": dataset,
        "task": "knowledge",
        "languages": ["da"],
        "model": model,
        "results": {"raw": [], "total": {"num_failed_instances": 0.0, **total}},
        "num_model_parameters": 7_000_000_000,
        "max_sequence_length": 8192,
        "vocabulary_size": 32000,
        "merge": False,
        "generative": True,
        "generative_type": "instruction_tuned",
        "few_shot": True,
        "validation_split": False,
        "euroeval_version": "16.2.0",
    }


def write_json(path: Path, value: Any) -> Path:
    """Write a value as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def write_lines(path: Path, values: Sequence[Any]) -> Path:
    """Write values as JSON, one a line."""
    path.write_text("".join(f"{json.dumps(value)}\n" for value in values))
    return path
