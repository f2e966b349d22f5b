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
    """Bad input, or a measurement that could not be made; the message says what to do.

    See Also
    --------
    capspace.fit.FitError : What fits and predictions raise.

    """


class CheckpointError(CollectError):
    """A checkpoint that cannot be resolved, or that must not be loaded as asked.

    See Also
    --------
    Checkpoint : What could not be resolved or loaded.
    NoCheckpointError : A name that stands for none.

    """


class NoCheckpointError(CheckpointError):
    """A name stands for no checkpoint at all: a slip of the pen.

    See Also
    --------
    CheckpointError : A checkpoint that is there and cannot be used.

    """


class DataRootError(CollectError):
    """A data set that is not in the data root, or that is there twice.

    See Also
    --------
    RunSettings : Names the data root.

    """


class HarnessError(CollectError):
    """A task or metric that lm-eval does not know, or gave no number for.

    See Also
    --------
    collect_scores : Raises it.

    """


class BackendError(CollectError):
    """A backend that is not there.

    See Also
    --------
    RunSettings : Names the backend.

    """


class SettingsError(CollectError):
    """A setting that there is not, or a value that a setting does not take.

    See Also
    --------
    RunSettings, LoadSettings : Raise it.

    """


class StoreError(CollectError):
    """A store that cannot be read or written.

    See Also
    --------
    Store : Raises it.

    """


class JournalError(StoreError):
    """A journal that cannot be read or written.

    See Also
    --------
    collect_scores : Keeps a journal of each cell until it is scored.
    NoRoomError : A journal whose disk is full.

    """


class NoRoomError(JournalError):
    """A journal that cannot be written: its disk is full, or read-only.

    See Also
    --------
    JournalError : Another trouble with a journal.

    """


class ResponseError(CollectError):
    """Requests without a response that may be stored: not finite, or too long for the memory.

    See Also
    --------
    collect_scores : Lists such a cell as missing.

    """


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
    """A sandbox that cannot be set up, or that is not installed.

    See Also
    --------
    RunSettings : Allows code to be run, or not.

    """


class ImportFileError(CollectError):
    """A result file that others wrote and that cannot be read.

    See Also
    --------
    capspace.fit.read_published : Reads tables of scores that others published.

    """


class NothingMeasuredError(CollectError):
    """Not one cell of a run could be measured.

    See Also
    --------
    place : Raises it.
    Missing : Why a cell has no score.

    """


class ZooError(LineByLineError, CollectError):
    """A ``zoo.yaml`` that is wrong, or a zoo that cannot be run as asked.

    See Also
    --------
    capspace.fit.fit_zoo : Fits a zoo that was measured.

    """


class MissingExtraError(CollectError):
    """lm-eval or torch is not installed.

    See Also
    --------
    collect_scores, place : Raise it.

    """
