"""An item of Every Eval Ever: what was asked, answered and scored.

Written by scripts/generate_eee_models, not by hand: datamodel-code-generator 0.89.0, from
every_eval_ever/schemas/instance_level_eval.schema.json of every-eval-ever 0.3.0 on PyPI, which is version
0.3.0 of the schema. The schema is by EvalEval (github.com/evaleval/every_eval_ever), under the
MIT License, Copyright (c) 2026 EvalEval.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from ._eee_base import ConditionalRecord, Record


class Input(Record):
    raw: str
    formatted: str | None = None
    reference: list[str]
    choices: list[str] | None = None


class Output(Record):
    raw: list[str]
    reasoning_trace: list[str] | None = None


class ToolCall(Record):
    id: str
    name: str
    arguments: dict[str, Any] | None = None


class Message(Record):
    turn_idx: Annotated[int, Field(ge=0)]
    role: str
    content: str | None = None
    reasoning_trace: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: list[str] | None = None


class AnswerAttributionItem(Record):
    turn_idx: Annotated[int, Field(ge=0)]
    source: str
    extracted_value: str
    extraction_method: str
    is_terminal: bool


class Evaluation(Record):
    score: float
    is_correct: bool
    num_turns: Annotated[int | None, Field(ge=1)] = None
    tool_calls_count: Annotated[int | None, Field(ge=0)] = None


class TokenUsage(Record):
    input_tokens: Annotated[int, Field(ge=0)]
    output_tokens: Annotated[int, Field(ge=0)]
    total_tokens: Annotated[int, Field(ge=0)]
    input_tokens_cache_write: Annotated[int | None, Field(ge=0)] = None
    input_tokens_cache_read: Annotated[int | None, Field(ge=0)] = None
    reasoning_tokens: Annotated[int | None, Field(ge=0)] = None


class Performance(Record):
    latency_ms: Annotated[float | None, Field(ge=0.0)] = None
    time_to_first_token_ms: Annotated[float | None, Field(ge=0.0)] = None
    generation_time_ms: Annotated[float | None, Field(ge=0.0)] = None
    additional_details: dict[str, Any] | None = None


class InstanceLog(ConditionalRecord):
    model_config = ConfigDict(
        extra="forbid",
    )
    schema_version: Literal["0.3.0"] = "0.3.0"
    evaluation_id: str
    model_id: str
    evaluation_name: str
    evaluation_result_id: str | None = None
    sample_id: str
    sample_hash: str | None = None
    interaction_type: Literal["single_turn", "multi_turn", "agentic"]
    input: Input
    output: Output | None = None
    messages: list[Message] | None = None
    answer_attribution: list[AnswerAttributionItem]
    evaluation: Evaluation
    token_usage: TokenUsage | None = None
    performance: Performance | None = None
    error: str | None = None
    metadata: dict[str, Any] | None = None
