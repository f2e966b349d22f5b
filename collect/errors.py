"""Every error of ``capspace.collect`` that a user can meet stands in one tree.

CollectError                bad input, or a measurement that could not be made; says what to do
├── CheckpointError         a checkpoint that cannot be resolved, or must not be loaded as asked
├── DataRootError           a data set that is not in the data root, or is there twice
├── HarnessError            a task or metric that lm-eval does not know, or gave no number for
├── BackendError            a backend that is not there
├── SettingsError           a setting that there is not, or a value that it does not take
├── StoreError              a store that cannot be read or written
│   └── JournalError        a journal that cannot be read or written
│       └── NoRoomError     its disk is full, or read-only
├── ResponseError           requests without a response that may be stored
│   └── UnscorableRequestsError  some that cannot be scored, with the responses to the others
├── SandboxError            a sandbox that cannot be set up, or is not installed
├── ImportFileError         a result file of others that cannot be read
├── NothingMeasuredError    not one cell of a run could be measured
├── ZooError                a zoo.yaml that is wrong, or a zoo that cannot be run as asked
└── MissingExtraError       lm-eval or torch is not installed
"""

from collections.abc import Mapping, Sequence
from typing import Any

from capspace.tasks.errors import LineByLineError

__all__ = [
    "BackendError",
    "CheckpointError",
    "CollectError",
    "DataRootError",
    "HarnessError",
    "ImportFileError",
    "JournalError",
    "MissingExtraError",
    "NoCheckpointError",
    "NoRoomError",
    "NothingMeasuredError",
    "ResponseError",
    "SandboxError",
    "SettingsError",
    "StoreError",
    "ZooError",
]


class CollectError(Exception):
    """Bad input, or a measurement that could not be made; the message says what to do."""


class CheckpointError(CollectError):
    """A checkpoint that cannot be resolved, or that must not be loaded as asked."""


class NoCheckpointError(CheckpointError):
    """A name stands for no checkpoint at all: a slip of the pen."""


class DataRootError(CollectError):
    """A data set that is not in the data root, or that is there twice."""


class HarnessError(CollectError):
    """A task or metric that lm-eval does not know, or gave no number for."""


class BackendError(CollectError):
    """A backend that is not there."""


class SettingsError(CollectError):
    """A setting that there is not, or a value that a setting does not take."""


class StoreError(CollectError):
    """A store that cannot be read or written."""


class JournalError(StoreError):
    """A journal that cannot be read or written."""


class NoRoomError(JournalError):
    """A journal that cannot be written: its disk is full, or read-only."""


class ResponseError(CollectError):
    """Requests without a response that may be stored: not finite, or too long for the memory."""


class UnscorableRequestsError(ResponseError):
    """Some requests of a call cannot be scored; what the model responded to the others is here.

    Parameters
    ----------
    responses : sequence
        Of all requests of the call, None for those without.
    reasons : mapping of int to str
        Why, by the index of the request.

    """

    def __init__(self, responses: Sequence[Any], reasons: Mapping[int, str]) -> None:
        self.responses, self.reasons = responses, dict(reasons)
        first = next(iter(self.reasons.values()))
        super().__init__(
            first
            if len(responses) == 1
            else f"{len(self.reasons)} of {len(responses)} requests cannot be scored: {first}"
        )


class SandboxError(CollectError):
    """A sandbox that cannot be set up, or that is not installed."""


class ImportFileError(CollectError):
    """A result file that others wrote and that cannot be read."""


class NothingMeasuredError(CollectError):
    """Not one cell of a run could be measured."""


class ZooError(LineByLineError, CollectError):
    """A ``zoo.yaml`` that is wrong, or a zoo that cannot be run as asked."""


class MissingExtraError(CollectError):
    """lm-eval or torch is not installed."""
