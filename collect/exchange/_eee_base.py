"""Every Eval Ever records can only be built with values that the schema accepts."""

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

__all__ = ["ConditionalRecord", "Record"]

_NEEDED = {
    "continuous": ("min_score", "max_score"),
    "levels": ("level_names", "has_unknown_level"),
    "single_turn": ("output",),
    "multi_turn": ("messages",),
    "agentic": ("messages",),
}
"""What the schema requires where ``score_type`` or ``interaction_type`` has this value."""


class Record(BaseModel):
    """What the models share that are generated from the schema.

    They are stricter than the schema: no field beyond those named is let through, and no number
    that JSON has no form for.
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=()
    )

    def to_json(self, indent: int | None = None) -> str:
        """Return the JSON text; what is unknown is left out, as the schema has no null for it."""
        return self.model_dump_json(indent=indent, exclude_none=True)


class ConditionalRecord(Record):
    """A record with fields that are required if another has a value: a generator leaves it out."""

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> Self:
        given = self.model_dump(exclude_none=True)
        for name in ("score_type", "interaction_type"):
            missing = set(_NEEDED.get(given.get(name, ""), ())) - given.keys()
            if missing:
                raise ValueError(f"{given[name]!r} needs {', '.join(sorted(missing))}")
        return self
