"""A tripwire warns of scores that the other scores of the same model contradict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import FitError, TooFewModelsError
from ._alarms import ALARM_RATE, ScoreAlarm, alarms_of_arrays
from ._fitted_siblings import fit_siblings
from ._reference_siblings import sibling_model
from ._siblings import SiblingModel

if TYPE_CHECKING:
    from ..reference import Reference
    from ..table import ScoreTable

__all__ = ["alarms_of_table", "check_scores", "check_together"]

Array = NDArray[np.float64]


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

    See Also
    --------
    check_together : Checks the models of a table by each other.
    ScoreAlarm : What is returned.

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

    See Also
    --------
    check_scores : Checks models by those of a reference.
    ScoreAlarm : What is returned.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from capspace.fit import ScoreTable, check_together
    >>> rng = np.random.default_rng(0)
    >>> skill = rng.normal(size=(30, 1))
    >>> scores = 1 / (1 + np.exp(-skill - rng.normal(0, 0.1, (30, 4))))
    >>> wide = pd.DataFrame(scores, [f"m{i}" for i in range(30)], list("ABCD"))
    >>> wide.loc["m5", "C"] = 0.01
    >>> alarms = check_together(ScoreTable.from_wide(wide), dict.fromkeys("ABCD", 0.25))
    >>> ("m5", ("C",)) in [(alarm.model, alarm.benchmarks) for alarm in alarms]
    True

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


def _standard_errors(scores: Array, stderr: Array, n_items: Array) -> Array:
    """Return standard errors; from the number of items where they are not given or are 0."""
    n = np.where(n_items > 0, n_items, np.nan)
    share = (scores * n + 1) / (n + 2)
    counted = np.sqrt(share * (1 - share) / n)
    return np.where(stderr > 0, stderr, counted)
