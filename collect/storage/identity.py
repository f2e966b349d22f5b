"""A measurement's identity holds everything that can change its number, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from .digests import canonical_json, digest, sha256

__all__ = [
    "HARNESS_SEEDS",
    "Measurement",
    "ModelIdentity",
    "Seeds",
    "TaskIdentity",
]

_SCHEMA = 1


@dataclass(frozen=True)
class Seeds:
    """The four seeds of lm-eval: Python's, NumPy's, torch's and that of the few-shot sampler."""

    python: int
    numpy: int
    torch: int
    fewshot: int

    @classmethod
    def of(cls, seed: int | None) -> Seeds:
        """Return one seed for all four, or lm-eval's own defaults for None."""
        return HARNESS_SEEDS if seed is None else cls(seed, seed, seed, seed)


HARNESS_SEEDS = Seeds(0, 1234, 1234, 1234)


@dataclass(frozen=True)
class ModelIdentity:
    """Which model responds, as far as that can change a response; batch size and device cannot."""

    checkpoint: str
    """``hub:<repo>@<commit>`` or ``sha256:<content hash>`` of a local folder."""

    dtype: str
    """The dtype the weights are loaded in, e.g. ``"bfloat16"``."""

    backend: str
    """Registered name of the lm-eval model class."""

    backend_settings: tuple[tuple[str, str], ...] = ()
    """Settings of the backend that can move a score, sorted by name."""

    adapter: str | None = None
    """Identity of an adapter on top of the checkpoint, in the form of ``checkpoint``."""

    chat_template: bool = False
    """Whether prompts go through the checkpoint's own chat template."""

    custom_code: bool = False
    """Whether the checkpoint's own code was run."""

    def with_settings(self, more: Mapping[str, str]) -> ModelIdentity:
        """Return the identity with further settings of the backend."""
        settings = dict(self.backend_settings) | dict(more)
        return replace(self, backend_settings=tuple(sorted(settings.items())))

    @property
    def key(self) -> str:
        """Hex SHA-256 of the model's identity: what a cache of its responses is keyed by."""
        return digest({"schema": _SCHEMA, **asdict(self)})


@dataclass(frozen=True)
class TaskIdentity:
    """One leaf task: its prompts, responses and metric are a function of these."""

    name: str
    version: str
    definition: str
    """Hash of the task's configuration and of the Python files it takes functions from."""

    data: str
    """``"hub"``, or the content hash of the split files read from a data root."""


@dataclass(frozen=True)
class Measurement:
    """One cell: a model on a benchmark by a protocol."""

    model: ModelIdentity
    tasks: tuple[TaskIdentity, ...]
    n_shot: int
    metric: str
    filter: str
    aggregate: str
    seeds: Seeds
    limit: int | None
    harness: str
    """``"lm-eval <version>"``."""

    repeat: int = 0

    @property
    def canonical(self) -> str:
        """The identity as canonical JSON, the text that ``key`` is the hash of."""
        return canonical_json({"schema": _SCHEMA, **asdict(self)})

    @property
    def key(self) -> str:
        """Hex SHA-256 of the identity: the name of the result and of its samples."""
        return sha256(self.canonical)
