"""An alarm names scores that the other scores of the same model contradict, and usual causes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._display import SingleRow
from .._json import json_dict
from ..completion.scales import score_to_z, z_to_score
from ._causes import CAUSES, Pattern, pattern_of
from ._siblings import SiblingModel

__all__ = ["ALARM_RATE", "ScoreAlarm", "alarms_of_arrays"]

Array = NDArray[np.float64]

ALARM_RATE = 0.05
"""Share of models without a fault that get an alarm, at most."""

_MOST_ALARMS = 3

_SHOWN_CAUSES = 3


@dataclass(frozen=True)
class ScoreAlarm(SingleRow):
    """A score, or all generated ones together, that the model's other scores contradict.

    Attributes
    ----------
    model : str
    benchmarks : tuple of str
        One, or all that are answered in generated text.
    score : float
        Measured; of several benchmarks their mean on the scale of the fit.
    expected, lower, upper : float
        What the others say, and the interval outside of which is an alarm.
    p_value : float
        Share of models without a fault with an alarm as strong, over all benchmarks of the model.
    pattern : str
        What it looks like, such as "text low".
    causes : tuple of str
        What usually leaves the pattern, the likeliest first.

    See Also
    --------
    check_scores, check_together : Raise alarms.

    """

    model: str
    benchmarks: tuple[str, ...]
    score: float
    expected: float
    lower: float
    upper: float
    p_value: float
    pattern: Pattern
    causes: tuple[str, ...]

    @property
    def line(self) -> str:
        """The alarm in a line."""
        several = len(self.benchmarks) > 1
        names = ", ".join(self.benchmarks)
        return (
            f"{self.model}: {names} {'are' if several else 'is'} {self.score:.3f}"
            f"{' on average' if several else ''}, but its other scores predict "
            f"{self.expected:.3f} ({self.lower:.3f} to {self.upper:.3f}; p {self.p_value:.2g}); "
            f"usual causes: {'; '.join(self.causes[:_SHOWN_CAUSES])}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping."""
        return json_dict(vars(self))

    def __repr__(self) -> str:
        return f"ScoreAlarm({self.line})"


def alarms_of_arrays(
    model: SiblingModel,
    models: Sequence[str],
    scores: Array,
    stderr: Array | None,
    chance: Array,
    *,
    alarm_rate: float = ALARM_RATE,
) -> tuple[ScoreAlarm, ...]:
    """Return the alarms of scores (n, p) on the benchmarks of a sibling model.

    Parameters
    ----------
    model : SiblingModel
        What says how the scores go together.
    models : sequence of n str
        Their names.
    scores : (n, p) array
        NaN where not measured. A model with a score that is no fraction is passed over: whoever
        predicts from it refuses it.
    stderr : (n, p) array, optional
        NaN counts as 0.
    chance : (p,) array
        Scores of guessing.
    alarm_rate : float
        As of ``check_scores``.

    """
    errors = np.full_like(scores, np.nan) if stderr is None else stderr
    rows = np.flatnonzero(~((scores < 0) | (scores > 1)).any(axis=1))
    if not len(rows):
        return ()
    ratio = model.ratio(model.surprise(scores[rows], errors[rows]))
    alarms: list[ScoreAlarm] = []
    for i in rows[model.p_value(ratio) <= alarm_rate].tolist():
        row, error = scores[i : i + 1], errors[i : i + 1]
        alarms += _alarms_of_row(model, models[i], row, error, chance, alarm_rate)
    return tuple(alarms)


def _alarms_of_row(
    model: SiblingModel, name: str, row: Array, stderr: Array, chance: Array, rate: float
) -> Iterable[ScoreAlarm]:
    row = row.copy()
    for _ in range(_MOST_ALARMS):
        surprise = model.surprise(row, stderr)
        ratio = model.ratio(surprise)
        if np.isnan(ratio).all():
            return
        p_value = float(model.p_value(ratio)[0])
        if p_value > rate:
            return
        worst = int(np.nanargmax(ratio[0]))
        together = worst == len(model.benchmarks)
        hit = model.generated & ~np.isnan(row[0]) if together else _only(worst, row.shape[1])
        far = model.threshold(rate, int((~np.isnan(ratio)).sum()))
        mean = surprise.mean[0, worst]
        half = far * model.units.at(surprise.mean)[0, worst] * surprise.deviation[0, worst]
        lower, expected, upper = map(float, z_to_score([mean - half, mean, mean + half]))
        score = float(z_to_score(score_to_z(row[0, hit]).mean()))
        pattern = pattern_of(
            score,
            (lower, upper),
            generated=bool(model.generated[hit].all()),
            together=together,
            chance=float(chance[hit].mean()),
        )
        names = tuple(b for b, is_hit in zip(model.benchmarks, hit, strict=True) if is_hit)
        causes = CAUSES[pattern]
        yield ScoreAlarm(name, names, score, expected, lower, upper, p_value, pattern, causes)
        row[:, hit] = np.nan


def _only(column: int, n: int) -> NDArray[np.bool_]:
    return np.equal(np.arange(n), column)
