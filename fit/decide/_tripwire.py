"""A tripwire warns of scores that the other scores of the same model contradict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._json import json_dict
from ..completion.scales import score_to_z, z_to_score
from ..errors import FitError, TooFewModelsError
from ..reference.left_out import has_copied_files
from ._causes import CAUSES, Pattern, pattern_of
from ._siblings import LeftOut, SiblingModel, fit_siblings
from ._stored_siblings import SIBLINGS, read_siblings

if TYPE_CHECKING:
    from ..reference import Reference
    from ..table import ScoreTable

__all__ = [
    "ALARM_RATE",
    "ScoreAlarm",
    "alarms_of_arrays",
    "alarms_of_table",
    "check_scores",
    "check_together",
    "fit_reference_siblings",
    "is_generated",
    "sibling_model",
]

Array = NDArray[np.float64]

ALARM_RATE = 0.05
"""Share of models without a fault that get an alarm, at most."""
_MOST_ALARMS = 3
_SHOWN_CAUSES = 3


@dataclass(frozen=True)
class ScoreAlarm:
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
            f"{' in the mean' if several else ''}, where its other scores say "
            f"{self.expected:.3f} ({self.lower:.3f} to {self.upper:.3f}; p {self.p_value:.2g}); "
            f"usual causes: {'; '.join(self.causes[:_SHOWN_CAUSES])}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping."""
        return json_dict(vars(self))

    def __repr__(self) -> str:
        return f"ScoreAlarm({self.line})"


def check_scores(
    table: ScoreTable, reference: Reference, *, alarm_rate: float = ALARM_RATE
) -> tuple[ScoreAlarm, ...]:
    """Return the scores that the other scores of the same model contradict.

    Parameters
    ----------
    table : ScoreTable
        Fractions; standard errors, or numbers of items, widen what is expected.
    reference : Reference
        Whose models show how scores go together. Its benchmarks alone are checked.
    alarm_rate : float, default 0.05
        Share of models without any fault that get an alarm, over all their benchmarks together.

    Returns
    -------
    tuple of ScoreAlarm
        Up to three per model, the strongest first; none for a model with fewer than three scores,
        and none where the reference has too few models to say.

    Raises
    ------
    FitError
        ``alarm_rate`` is not between 0 and 1.

    Notes
    -----
    Each score is predicted from the others by the factor model of ``BayesianFactorModel``, and all
    generated ones together from those by likelihood. Distances are calibrated on models of families
    (or providers) that were left out, over all tests of a model together. After an alarm the
    benchmark counts as not measured, and the rest is tested again.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import ScoreTable, load_reference
    >>> from capspace.fit.decide import check_scores
    >>> scores = {"MMLU": 0.64, "ARC-C": 0.6, "HellaSwag": 0.83, "Winogrande": 0.79, "GSM8K": 0.0}
    >>> table = ScoreTable.from_wide(pd.DataFrame(scores, index=["mine"]))
    >>> [alarm.benchmarks for alarm in check_scores(table, load_reference())]
    [('GSM8K',)]

    """
    if not 0 < alarm_rate < 1:
        raise FitError(f"alarm_rate is {alarm_rate:g}; it must lie between 0 and 1, as in 0.05")
    model = sibling_model(reference)
    known = [] if model is None else [b for b in model.benchmarks if b in set(table.benchmarks)]
    if model is None or len(known) < 3:
        return ()
    return alarms_of_table(model, table, chance=reference.chance_levels, alarm_rate=alarm_rate)


def alarms_of_table(
    model: SiblingModel,
    table: ScoreTable,
    *,
    chance: Mapping[str, float],
    alarm_rate: float = ALARM_RATE,
) -> tuple[ScoreAlarm, ...]:
    """Return the alarms of a table's models by a sibling model; see ``check_scores``."""
    present = set(table.benchmarks)
    names = [b for b in model.benchmarks if b in present]
    place = [model.benchmarks.index(b) for b in names]
    models = list(map(str, table.facts["model"]))
    scores, stderr, n_items = (
        np.full((len(models), len(model.benchmarks)), np.nan) for _ in range(3)
    )
    for cells, value in ((scores, "score"), (stderr, "stderr"), (n_items, "n_items")):
        cells[:, place] = table.array(names, value)
    errors = _standard_errors(scores, stderr, n_items)
    levels = np.array([chance.get(b, 0.0) for b in model.benchmarks])
    return alarms_of_arrays(model, models, scores, errors, levels, alarm_rate=alarm_rate)


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


def check_together(
    table: ScoreTable, chance: Mapping[str, float], *, alarm_rate: float = ALARM_RATE
) -> tuple[ScoreAlarm, ...]:
    """Return the scores of a table that contradict those of the same model, by its other models.

    Parameters
    ----------
    table : ScoreTable
        Of many models, such as a zoo; each is checked by a fit without a tenth of them, itself
        included. None of fewer than 19 models is checked.
    chance : mapping of benchmark to score
        Score of guessing; a benchmark that nobody can guess counts as answered in generated text.
    alarm_rate : float, default 0.05
        As of ``check_scores``.

    """
    scores = table.array()
    names, models = table.benchmarks, list(map(str, table.facts["model"]))
    if ((scores < 0) | (scores > 1)).any():
        return ()
    errors = _standard_errors(scores, table.array(None, "stderr"), table.array(None, "n_items"))
    try:
        whole, left_out = fit_siblings(
            scores, names, models, generated={b: chance.get(b, 0.0) == 0 for b in names}
        )
    except TooFewModelsError:
        return ()
    own = [names.index(b) for b in whole.benchmarks]
    levels = np.array([chance.get(b, 0.0) for b in whole.benchmarks])
    fold_models = {k: left_out.without(k, whole) for k in left_out.posteriors}
    alarms: list[ScoreAlarm] = []
    for row, fold in zip(left_out.rows.tolist(), left_out.fold.tolist(), strict=True):
        cells, noise = scores[row : row + 1, own], errors[row : row + 1, own]
        alarms += alarms_of_arrays(
            fold_models[fold], [models[row]], cells, noise, levels, alarm_rate=alarm_rate
        )
    return tuple(alarms)


def sibling_model(reference: Reference) -> SiblingModel | None:
    """Return how a reference's scores go together: stored in its folder, or fitted now.

    None where the reference has too few models.
    """
    if reference.folder is not None and (reference.folder / SIBLINGS).is_file():
        stored = None if has_copied_files(reference) else _stored(reference.folder)
        if stored is not None and stored.label == label_of(reference):
            return stored
    try:
        return fit_reference_siblings(reference)[0]
    except TooFewModelsError:
        return None


def label_of(reference: Reference) -> str:
    """Return what tells a state of a reference's tables from others."""
    return f"{reference.name} {reference.version}, {len(reference.table)} scores"


@cache
def _stored(folder: Path) -> SiblingModel | None:
    return read_siblings(folder / SIBLINGS)


def fit_reference_siblings(reference: Reference) -> tuple[SiblingModel, LeftOut]:
    """Fit how a reference's benchmarks go together over its models of all populations.

    Raises
    ------
    TooFewModelsError
        See ``fit_siblings``.

    """
    scores = reference.scores()
    facts = reference.table.models.reindex(scores.index)
    family = facts["family"].where(facts["family"] != "", scores.index.to_series())
    own = facts["provider"] if reference.kind != "study" else family
    groups = own.where(own != "", family)
    return fit_siblings(
        scores.to_numpy(dtype=float),
        list(map(str, scores.columns)),
        groups.tolist(),
        generated=is_generated(list(map(str, scores.columns)), reference),
        weight=reference.weights.reindex(scores.index).to_numpy(dtype=float),
        student=reference.kind == "vendor-reported",
        label=label_of(reference),
    )


def is_generated(benchmarks: Sequence[str], reference: Reference) -> dict[str, bool]:
    """Return which benchmarks are answered in generated text.

    Where a reference does not state it, those are that nobody can guess.
    """
    about = reference.benchmarks
    return {
        str(b): about[b].protocol.startswith("generated")
        if about[b].protocol
        else about[b].chance == 0
        for b in benchmarks
    }


def _standard_errors(scores: Array, stderr: Array, n_items: Array) -> Array:
    """Return standard errors; from the number of items where they are not given or are 0."""
    n = np.where(n_items > 0, n_items, np.nan)
    share = (scores * n + 1) / (n + 2)
    counted = np.sqrt(share * (1 - share) / n)
    return np.where(stderr > 0, stderr, counted)
