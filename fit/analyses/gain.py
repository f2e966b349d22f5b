"""Predict the gain of an intervention from capability, with intervals, and compare with scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._display import frame_html
from .._json import json_dict
from ..errors import DegenerateError
from ..law._law import LinkName
from ..law._refit import fewer_components_note
from ..law.path import Curve, linear_predictor, typical_path
from ..law.problem import Problem
from ..table._table import ScoreTable
from .paired_laws import GainFit, check_treated, fit_gain
from .problems import gain_problem
from .splits import check_mask

__all__ = ["GainAnalysis", "GainCurves", "analyse_gain", "predict_gain"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GainCurves:
    """Base score, treated score and gain along the typical models of the treated law.

    Attributes
    ----------
    base, treated, gain : Curve
        Against the treated law's linear predictor; the gain has its interval.

    See Also
    --------
    GainAnalysis : Has them along its models.
    draw_gain : Draws such curves.

    Examples
    --------
    >>> import numpy as np
    >>> from capspace.fit import Curve, GainCurves
    >>> curve = Curve(np.array([-1.0, 1.0]), np.array([0.3, 0.7]))
    >>> GainCurves(base=curve, treated=curve, gain=curve).gain
    Curve(2 points from -1 to 1)

    """

    base: Curve
    treated: Curve
    gain: Curve


@dataclass(frozen=True, eq=False)
class GainAnalysis:
    """The gain of an intervention, predicted and measured.

    Attributes
    ----------
    base, treated : str
        Names of the two scores.
    fit : GainFit
        The two laws.
    models : DataFrame by model
        ``family``; ``is_test``, whether it was held out of the fits; ``capability``, the treated
        law's linear predictor; measured ``base``, ``treated`` and ``gain``; and of the models
        looked at (those held out, or all where none is) the predicted scores
        ``predicted_base`` and ``predicted_treated``, the predicted gain ``mean`` and its interval
        ``lower`` and ``upper``, and ``correlation`` between the errors of the two predictions;
        NaN of the others.
    level : float
        Nominal coverage of the intervals.
    notes : tuple of str
        What was assumed or left out.

    See Also
    --------
    analyse_gain : Makes one.
    draw_gain_analysis : Draws it.

    """

    base: str
    treated: str
    fit: GainFit
    models: pd.DataFrame
    level: float
    notes: tuple[str, ...] = ()

    @property
    def side(self) -> str:
        """Which models are looked at: "test" or "fitted"."""
        return "test" if self.models["is_test"].any() else "fitted"

    @property
    def mse(self) -> float:
        """Mean squared error of the predicted gain."""
        rows = self._looked_at()
        return float(np.mean((rows["mean"] - rows["gain"]).to_numpy() ** 2))

    @property
    def coverage(self) -> float:
        """Share of the models looked at whose gain is inside its interval."""
        rows = self._looked_at()
        return float(np.mean((rows["lower"] <= rows["gain"]) & (rows["gain"] <= rows["upper"])))

    @property
    def width(self) -> float:
        """Mean width of the gain's intervals."""
        rows = self._looked_at()
        return float(np.mean((rows["upper"] - rows["lower"]).to_numpy()))

    @property
    def correlation(self) -> float:
        """Mean correlation between the errors of the two predictions."""
        return float(np.mean(self._looked_at()["correlation"].to_numpy()))

    def curves(self, *, n_points: int = 60) -> GainCurves:
        """Predict both scores and the gain at typical models over the range of capability."""
        capability = self.models["capability"]
        path = typical_path(
            self.fit.treated, float(capability.min()), float(capability.max()), n_points
        )
        at = self.fit.predict(path.scores, level=self.level)
        return GainCurves(
            Curve(path.predictor, at.base),
            Curve(path.predictor, at.treated),
            Curve(path.predictor, at.mean, at.lower, at.upper, self.level),
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the models looked at: predicted scores, gain, its interval, the measured gain."""
        columns = {
            "predicted_base": "base",
            "predicted_treated": "treated",
            "mean": "gain",
            "lower": "lower",
            "upper": "upper",
            "gain": "measured_gain",
        }
        return self._looked_at()[list(columns)].set_axis(list(columns.values()), axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values; what is unknown is null."""
        return json_dict(
            {
                "n_train": self.fit.n_models,
                "side": self.side,
                "level": self.level,
                "coverage": self.coverage,
                "weights": self.fit.weights.to_dict("index"),
                "models": self.to_frame().reset_index(names="model").to_dict("records"),
                "notes": self.notes,
            }
        )

    def _looked_at(self) -> pd.DataFrame:
        test = self.models["is_test"]
        return self.models[test] if test.any() else self.models

    def __repr__(self) -> str:
        rows = self._looked_at()
        return (
            f"GainAnalysis({self.treated} over {self.base}, {len(rows)} {self.side} models: mean "
            f"{rows['mean'].mean():+.3f}, measured {rows['gain'].mean():+.3f}; {self.coverage:.0%} "
            f"inside {self.level:.0%} intervals)"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)


def analyse_gain(
    table: ScoreTable,
    before: pd.Series,
    after: pd.Series,
    *,
    n_components: int = 3,
    link: LinkName = "sigmoid-floor",
    cutoff_flops: float | None = None,
    level: float = 0.9,
    keep: bool = False,
) -> GainAnalysis:
    """Predict what an intervention gains, such as chain of thought or self-consistency.

    Parameters
    ----------
    table : ScoreTable
        Benchmarks of the space, fractions in [0, 1], and facts.
    before, after : Series by model
        Scores without and with the intervention, fractions; their names are the scores'.
    n_components : int
        Coordinates of the space; fewer where it has fewer benchmarks, which the notes say.
    link : {"sigmoid", "sigmoid-floor", "linear", "exp"}
        Form of both laws.
    cutoff_flops : float, optional
        Fit on models of at most so many training FLOPs and predict the others; by default all
        models are fitted on and predicted.
    level : float
        Nominal coverage of the gain's intervals.
    keep : bool
        See ``target_problem``.

    Raises
    ------
    DegenerateError
        No model, or none on one side of the cutoff, has both scores.
    FitError
        As the fits that it makes.

    See Also
    --------
    draw_gain : Draws it, with ``GainAnalysis.curves``.

    References
    ----------
    Ruan et al. 2024, arXiv 2405.10938, section 4.3.

    Examples
    --------
    >>> from capspace.fit import analyse_gain, load_reference
    >>> reference = load_reference()
    >>> targets = reference.table.wide(["gsm8k", "gsm8k-cot"])
    >>> table = reference.table.select(benchmarks=["MMLU", "ARC-C", "HellaSwag", "HumanEval"])
    >>> result = analyse_gain(table, targets["gsm8k"], targets["gsm8k-cot"])
    >>> result.side
    'fitted'

    """
    problem, treated = gain_problem(table, before, after, link=link, keep=keep)
    flops = problem.facts["training_flops"]
    train = np.ones(len(flops), bool)
    if cutoff_flops is not None:
        train = (flops <= cutoff_flops).to_numpy()
        if train.all() or not train.any():
            side = "above the cutoff has" if train.any() else "to fit on has"
            raise DegenerateError(
                f"no model {side} both {before.name!r} and {after.name!r}; the training FLOPs go "
                f"from {flops.min():.3g} to {flops.max():.3g}"
            )
    return predict_gain(
        problem,
        treated,
        train,
        treated_name=str(after.name),
        n_components=n_components,
        level=level,
    )


def predict_gain(
    problem: Problem,
    treated: Floats,
    train: NDArray[np.bool_],
    *,
    treated_name: str,
    n_components: int = 3,
    level: float = 0.9,
) -> GainAnalysis:
    """Fit the laws of a pair of scores on some models and predict the gain of the others.

    Parameters
    ----------
    problem : Problem
        The base score as its target.
    treated : (n,) array
        Treated scores of the same models.
    train : (n,) bool array
        Models to fit on; where these are all, the same models are predicted.
    treated_name : str
        What the treated score is called.
    n_components : int
        Coordinates of the space; fewer where it has fewer benchmarks, which the notes say.
    level : float
        Nominal coverage of the gain's intervals.

    Raises
    ------
    FitError
        ``treated`` is not one fraction in [0, 1] per model, or ``train`` not one bool per model; or
        as ``fit_gain``.
    DegenerateError
        There is no model to fit on.

    See Also
    --------
    analyse_gain : Does it from a table of scores.
    GainPrediction : What is returned.

    Examples
    --------
    >>> import numpy as np
    >>> from capspace.fit import gain_problem, load_reference, predict_gain
    >>> reference = load_reference()
    >>> families = ["Llama-2", "Llama-3", "Qwen1.5"]
    >>> table = reference.table.select(benchmarks=["MMLU", "ARC-C"], families=families)
    >>> targets = reference.table.wide(["gsm8k", "gsm8k-cot"])
    >>> problem, treated = gain_problem(table, targets["gsm8k"], targets["gsm8k-cot"])
    >>> train = np.ones(len(treated), dtype=bool)
    >>> predict_gain(problem, treated, train, treated_name="gsm8k-cot", n_components=1).fit
    GainFit(13 models, 2 benchmarks)

    """
    treated = check_treated(treated, problem.truth.index, treated_name)
    train = check_mask(train, len(treated))
    if not train.any():
        raise DegenerateError(f"no model to fit the gain of {treated_name} on")
    training = problem.select(train).training(problem.settings(n_components))
    fit = fit_gain(training, treated[train])
    scores = problem.scores.to_numpy(dtype=float)
    base = problem.truth.to_numpy(dtype=float)
    models = pd.DataFrame(
        {
            "family": problem.families,
            "is_test": ~train,
            "capability": linear_predictor(fit.treated, scores),
            "base": base,
            "treated": treated,
            "gain": treated - base,
        },
        index=problem.truth.index,
    )
    looked_at = train if train.all() else ~train
    predicted = fit.predict(scores[looked_at], level=level)
    columns = {
        "predicted_base": predicted.base,
        "predicted_treated": predicted.treated,
        "mean": predicted.mean,
        "lower": predicted.lower,
        "upper": predicted.upper,
        "correlation": predicted.correlation,
    }
    for name, values in columns.items():
        models.loc[looked_at, name] = values
    notes = (*problem.notes, *fewer_components_note(n_components, fit.base))
    return GainAnalysis(problem.name, treated_name, fit, models, level, notes)
