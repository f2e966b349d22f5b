"""A run of Every Eval Ever: a model, and its scores.

Written by scripts/generate_eee_models, not by hand: datamodel-code-generator 0.89.0, from
every_eval_ever/schemas/eval.schema.json of every-eval-ever 0.3.0 on PyPI, which is version
0.3.0 of the schema. The schema is by EvalEval (github.com/evaleval/every_eval_ever), under the
MIT License, Copyright (c) 2026 EvalEval.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from ._eee_base import ConditionalRecord, Record


class SourceMetadata(Record):
    source_name: str | None = None
    source_type: Literal["documentation", "evaluation_run"]
    source_organization_name: str
    source_organization_url: str | None = None
    source_organization_logo_url: str | None = None
    evaluator_relationship: Literal["first_party", "third_party", "collaborative", "other"]
    additional_details: dict[str, str] | None = None


class EvalLibrary(Record):
    name: str
    version: str
    additional_details: dict[str, str] | None = None


class StandardError(Record):
    value: float
    method: str | None = None


class ConfidenceInterval(Record):
    lower: float
    upper: float
    confidence_level: Annotated[float | None, Field(ge=0.0, le=1.0)] = None
    method: str | None = None


class Uncertainty(Record):
    standard_error: StandardError | None = None
    confidence_interval: ConfidenceInterval | None = None
    standard_deviation: float | None = None
    num_samples: int | None = None
    num_bootstrap_samples: int | None = None


class ScoreDetails(Record):
    score: float
    details: dict[str, str] | None = None
    uncertainty: Uncertainty | None = None


class AvailableTool(Record):
    name: str | None = None
    description: str | None = None
    parameters: dict[str, str] | None = None


class AgenticEvalConfig(Record):
    available_tools: list[AvailableTool] | None = None
    additional_details: dict[str, str] | None = None


class EvalPlan(Record):
    name: str | None = None
    steps: list[str] | None = None
    config: dict[str, str] | None = None


class EvalLimits(Record):
    time_limit: int | None = None
    message_limit: int | None = None
    token_limit: int | None = None


class Sandbox(Record):
    type: str | None = None
    config: str | None = None


class GenerationArgs(Record):
    model_config = ConfigDict(
        extra="forbid",
    )
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    execution_command: str | None = None
    reasoning: bool | None = None
    prompt_template: str | None = None
    agentic_eval_config: AgenticEvalConfig | None = None
    eval_plan: EvalPlan | None = None
    eval_limits: EvalLimits | None = None
    sandbox: Sandbox | None = None
    max_attempts: int | None = None
    incorrect_attempt_feedback: str | None = None


class GenerationConfig(Record):
    generation_args: GenerationArgs | None = None
    additional_details: dict[str, str] | None = None


class DetailedEvaluationResults(Record):
    format: Literal["jsonl"] = "jsonl"
    file_path: Annotated[
        str,
        Field(
            pattern="^data/[^/]+/[^/]+/[^/]+/[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-4[0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}_samples\\.jsonl$"
        ),
    ]
    hash_algorithm: Literal["sha256", "md5"] | None = None
    checksum: str | None = None
    total_rows: int | None = None
    additional_details: dict[str, str] | None = None


class InferenceEngine(Record):
    name: str | None = None
    version: str | None = None


class AdditionalDetails(Record):
    model_config = ConfigDict(
        extra="allow",
    )
    __pydantic_extra__: dict[str, str]
    deployment_type: Literal["self_deployed", "externally_managed", "unknown"]
    model_availability: Literal["open_weights", "closed_weights", "unknown"]


class ModelInfo(Record):
    name: str
    id: str
    developer: str | None = None
    inference_platform: str | None = None
    inference_engine: InferenceEngine | None = None
    additional_details: AdditionalDetails


class SourceDataUrl(Record):
    dataset_name: str
    source_type: Literal["url"] = "url"
    url: Annotated[list[str], Field(min_length=1)]
    additional_details: dict[str, str] | None = None


class SourceDataHf(Record):
    dataset_name: str
    source_type: Literal["hf_dataset"] = "hf_dataset"
    hf_repo: str | None = None
    hf_split: str | None = None
    samples_number: int | None = None
    sample_ids: list[str] | None = None
    additional_details: dict[str, str] | None = None


class SourceDataPrivate(Record):
    dataset_name: str
    source_type: Literal["other"] = "other"
    additional_details: dict[str, str] | None = None


class JudgeConfig(Record):
    model_info: ModelInfo
    temperature: float | None = None
    weight: float | None = None
    additional_details: dict[str, str] | None = None


class LlmScoring(Record):
    judges: Annotated[list[JudgeConfig], Field(min_length=1)]
    input_prompt: str
    aggregation_method: Literal["majority_vote", "average", "weighted_average", "median"] | None = (
        None
    )
    expert_baseline: float | None = None
    additional_details: dict[str, str] | None = None


class MetricConfig(ConditionalRecord):
    evaluation_description: str | None = None
    metric_id: str | None = None
    metric_name: str | None = None
    metric_kind: str | None = None
    metric_unit: str | None = None
    metric_parameters: dict[str, str | float | bool | None] | None = None
    lower_is_better: bool
    score_type: Literal["binary", "continuous", "levels"] | None = None
    level_names: list[str] | None = None
    level_metadata: list[str] | None = None
    has_unknown_level: bool | None = None
    min_score: float | Literal["Infinity", "-Infinity"] | None = None
    max_score: float | Literal["Infinity", "-Infinity"] | None = None
    llm_scoring: LlmScoring | None = None
    additional_details: dict[str, str] | None = None


class EvaluationResult(Record):
    evaluation_result_id: str | None = None
    evaluation_name: str
    source_data: SourceDataUrl | SourceDataHf | SourceDataPrivate
    evaluation_timestamp: str | None = None
    metric_config: MetricConfig
    score_details: ScoreDetails
    generation_config: GenerationConfig | None = None


class EvaluationLog(Record):
    model_config = ConfigDict(
        extra="forbid",
    )
    schema_version: Literal["0.3.0"] = "0.3.0"
    evaluation_id: str
    evaluation_timestamp: str | None = None
    retrieved_timestamp: str
    source_metadata: SourceMetadata
    eval_library: EvalLibrary
    model_info: ModelInfo
    evaluation_results: list[EvaluationResult]
    detailed_evaluation_results: DetailedEvaluationResults | None = None
