"""Every Eval Ever's records, as models that cannot be built with anything its schema refuses.

They hold the part of the schema (version 0.3.0, evaleval on GitHub) that capspace has something to
say in, and are stricter: no field beyond those named is let through anywhere, and no number that
JSON has no form for.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

__all__ = [
    "SCHEMA_VERSION",
    "AnswerAttribution",
    "EvalLibrary",
    "EvaluationLog",
    "EvaluationResult",
    "InstanceEvaluation",
    "InstanceInput",
    "InstanceLog",
    "InstanceOutput",
    "MetricConfig",
    "ModelDetails",
    "ModelInfo",
    "SampleFile",
    "ScoreDetails",
    "SourceData",
    "SourceMetadata",
    "StandardError",
    "Uncertainty",
]

SCHEMA_VERSION: Literal["0.3.0"] = "0.3.0"

Details = dict[str, str]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())

    def to_json(self, indent: int | None = None) -> str:
        """Return the JSON text; what is unknown is left out, as the schema has no null for it."""
        return self.model_dump_json(indent=indent, exclude_none=True)


class SourceMetadata(_Record):
    """Where the scores come from."""

    source_name: str
    source_type: Literal["documentation", "evaluation_run"]
    source_organization_name: str
    evaluator_relationship: Literal["first_party", "third_party", "collaborative", "other"]


class EvalLibrary(_Record):
    """What ran the evaluation."""

    name: str
    version: str


class ModelDetails(_Record):
    """How the model was run, and whatever else is known of it, as text."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())
    __pydantic_extra__: Details

    deployment_type: Literal["self_deployed", "externally_managed", "unknown"]
    model_availability: Literal["open_weights", "closed_weights", "unknown"]


class ModelInfo(_Record):
    """The model."""

    name: str
    id: str
    additional_details: ModelDetails


class SourceData(_Record):
    """The data set."""

    dataset_name: str
    source_type: Literal["other"] = "other"
    additional_details: Details


class MetricConfig(_Record):
    """The metric; a continuous one states its bounds."""

    metric_name: str
    lower_is_better: bool
    score_type: Literal["continuous"] | None = None
    min_score: FiniteFloat | Literal["-Infinity"] | None = None
    max_score: FiniteFloat | Literal["Infinity"] | None = None
    additional_details: Details

    @model_validator(mode="after")
    def _states_bounds(self) -> Self:
        if self.score_type is not None and None in (self.min_score, self.max_score):
            raise ValueError("a continuous metric states both bounds")
        return self


class StandardError(_Record):
    """Standard error of a score."""

    value: FiniteFloat


class Uncertainty(_Record):
    """How sure a score is."""

    standard_error: StandardError | None = None
    num_samples: int | None = None


class ScoreDetails(_Record):
    """The score."""

    score: FiniteFloat
    details: Details
    uncertainty: Uncertainty | None = None


class EvaluationResult(_Record):
    """One score of a run."""

    evaluation_result_id: str
    evaluation_name: str
    evaluation_timestamp: str
    source_data: SourceData
    metric_config: MetricConfig
    score_details: ScoreDetails


class SampleFile(_Record):
    """The file with a record per item that lies beside."""

    format: Literal["jsonl"] = "jsonl"
    file_path: Annotated[
        str,
        Field(
            pattern=r"^data/[^/]+/[^/]+/[^/]+/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}"
            r"-[0-9a-f]{12}_samples\.jsonl$"
        ),
    ]
    hash_algorithm: Literal["sha256"] = "sha256"
    checksum: str
    total_rows: Annotated[int, Field(ge=1)]


class EvaluationLog(_Record):
    """One run: a model, and its scores."""

    schema_version: Literal["0.3.0"] = SCHEMA_VERSION
    evaluation_id: str
    evaluation_timestamp: str
    retrieved_timestamp: str
    source_metadata: SourceMetadata
    eval_library: EvalLibrary
    model_info: ModelInfo
    evaluation_results: list[EvaluationResult]
    detailed_evaluation_results: SampleFile | None = None


class InstanceInput(_Record):
    """What was asked."""

    raw: str
    reference: list[str]
    choices: list[str] | None = None


class InstanceOutput(_Record):
    """What was answered."""

    raw: list[str]


class AnswerAttribution(_Record):
    """Which part of the output counts as the answer, and how it was found."""

    turn_idx: Literal[0] = 0
    source: Literal["output.raw"] = "output.raw"
    extracted_value: str
    extraction_method: str
    is_terminal: Literal[True] = True


class InstanceEvaluation(_Record):
    """The score of one item."""

    score: FiniteFloat
    is_correct: bool


class InstanceLog(_Record):
    """One item behind a score; capspace's are all questions with one answer."""

    schema_version: Literal["0.3.0"] = SCHEMA_VERSION
    evaluation_id: str
    model_id: str
    evaluation_name: str
    evaluation_result_id: str
    sample_id: str
    sample_hash: str
    interaction_type: Literal["single_turn"] = "single_turn"
    input: InstanceInput
    output: InstanceOutput
    answer_attribution: list[AnswerAttribution]
    evaluation: InstanceEvaluation
    metadata: Details
