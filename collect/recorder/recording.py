"""A model is put behind a recorder, under the identity of its responses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..storage.digests import digest
from ..storage.identity import Measurement, ModelIdentity
from ..storage.journal import Journal
from ..storage.response_identity import identity_of_responses
from .thoughts import Thoughts

if TYPE_CHECKING:
    from lm_eval.api.model import LM

    from .recorder import Recorder

__all__ = ["recorded", "recorded_responses"]


def recorded(
    lm: LM,
    measurement: Measurement,
    *,
    journal: Journal,
    label: str,
    thoughts: Thoughts | None = None,
) -> Recorder:
    """Return the model behind a recorder, which cuts thoughts where it is told how."""
    return recorded_responses(
        lm,
        measurement.model,
        seed=measurement.seeds.torch,
        harness=measurement.harness,
        journal=journal,
        label=label,
        thoughts=thoughts,
    )


def recorded_responses(
    lm: LM,
    model: ModelIdentity,
    *,
    seed: int,
    harness: str,
    journal: Journal,
    label: str,
    on_progress: Callable[[int, int], None] | None = None,
    thoughts: Thoughts | None = None,
) -> Recorder:
    """Return a model of this identity behind a recorder, whatever is requested of it."""
    from .recorder import Recorder

    decisive = identity_of_responses(model, harness, seed)
    return Recorder(
        lm,
        journal=journal,
        identity=digest(decisive),
        label=label,
        description=decisive,
        on_progress=on_progress,
        thoughts=thoughts,
    )
