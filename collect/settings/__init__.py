"""Settings say how a checkpoint is loaded, and what is measured of it."""

from ._endpoint import EndpointFields
from ._problems import problem_lines
from ._settings import DEFAULT_PANEL, OF_ONE_RUN, LoadSettings, RunSettings
from ._values import (
    TRANSFORMERS_BACKENDS,
    Backend,
    BatchSize,
    Count,
    Dtype,
    IsNumber,
    NamesPlace,
    RunChanges,
    Thinking,
)

__all__ = [
    "DEFAULT_PANEL",
    "OF_ONE_RUN",
    "TRANSFORMERS_BACKENDS",
    "Backend",
    "BatchSize",
    "Count",
    "Dtype",
    "EndpointFields",
    "IsNumber",
    "LoadSettings",
    "NamesPlace",
    "RunChanges",
    "RunSettings",
    "Thinking",
    "problem_lines",
]
