"""Fit laws of a base and a treated score to the same models, and predict them as a pair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from .._display import counted, frame_html
from .._json import json_dict
from ..errors import DegenerateError, FitError, check_count, check_level
from ..law._calibration import Refits
from ..law._refit import Fitted, Training, fit_once, predict_with, refit
from ..law._seeds import random_generator
from ..law._views import SCORE_NOISE, angle, soft_logit, softened
from ..law.path import benchmark_weights, score_slope
from ..table.numbers import check_fractions, float_series

__all__ = ["GainFit", "GainPrediction", "check_treated", "error_covariance", "fit_gain"]

_NOISE = 0.05
"""By how much a score may lie outside [0, 1] and still be taken for one of a guessing model."""

Floats = NDArray[np.float64]

# Those of ``capspace.fit.law.intervals.TwoView``, so that the margins of both agree.
_KAPPA_90 = 1.56
_N_DRAWS = 8192


@dataclass(frozen=True, eq=False)
class GainPrediction:
    """Predicted base score, treated score and gain of models, with the gain's interval.

    Attributes
    ----------
    base, treated : (m,) arrays
        Predicted scores.
    mean, lower, upper : (m,) arrays
        Predicted gain, treated minus base, and its interval.
    level : float
        Nominal coverage.
    correlation : (m,) array
        Between the errors of the two predictions, on the scale the interval is made on. Intervals
        that ignored it would be too wide where it is positive, too narrow where negative.

    See Also
    --------
    predict_gain : Makes one.
    GainFit : The two laws behind it.

    """

    base: Floats
    treated: Floats
    mean: Floats
    lower: Floats
    upper: Floats
    level: float
    correlation: Floats

    def to_frame(self) -> pd.DataFrame:
        """Return one row per model: predicted scores, gain, its interval, the correlation."""
        columns = ("base", "treated", "mean", "lower", "upper", "correlation")
        return pd.DataFrame({name: getattr(self, name) for name in columns})

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists; what is not known is None."""
        return json_dict(vars(self))

    def __repr__(self) -> str:
        return (
            f"GainPrediction({counted(len(self.mean), 'model')}: "
            f"mean gain {self.mean.mean():+.3f}, "
            f"mean width {(self.upper - self.lower).mean():.3f} at {self.level:.0%})"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)


@dataclass(frozen=True, eq=False)
class GainFit:
    """Laws of the base and the treated score, fitted to the same models.

    Attributes
    ----------
    base, treated : Fitted
        Each with its own space and law, on the same scores and families.

    See Also
    --------
    fit_gain : Makes one.
    GainPrediction : What it predicts.

    """

    base: Fitted
    treated: Fitted

    def __repr__(self) -> str:
        return f"GainFit({self.n_models} models, {len(self.base.training.benchmarks)} benchmarks)"

    @property
    def n_models(self) -> int:
        """Models that both laws were fitted on."""
        return len(self.base.training.target)

    @property
    def weights(self) -> pd.DataFrame:
        """Benchmark weights (base, treated × benchmarks) of the two linear predictors."""
        rows = [benchmark_weights(self.base), benchmark_weights(self.treated)]
        columns = list(self.base.training.benchmarks)
        return pd.DataFrame(rows, index=["base", "treated"], columns=columns)

    def sensitivity(self, scores: Floats) -> Floats:
        """Return the change (m, p) of the gain per unit of each score, at ``scores`` (m, p)."""
        return score_slope(self.treated, scores) - score_slope(self.base, scores)

    def predict(
        self,
        scores: Floats,
        *,
        level: float = 0.9,
        n_refits: int = 40,
        random_state: int = 0,
        scale: float | None = None,
        spread: Floats | None = None,
    ) -> GainPrediction:
        """Predict the gain of models with benchmark ``scores`` (m, p), NaN where not measured.

        Parameters
        ----------
        scores : (m, p) array
            Benchmark scores.
        level : float, default 0.9
            Nominal coverage.
        n_refits, random_state : int, default 40 and 0
            Refits of each view with random weights of the families, and their seed.
        scale : float, optional
            Of a conformal interval (see ``conformal_scale``), in place of the two-view interval;
            refits then leave out whole families instead.
        spread : (m, s, p) array, optional
            Plausible completions of each model's scores, s of them; their disagreement widens the
            interval.

        Notes
        -----
        The two-view interval (``capspace.fit.law.intervals.TwoView``) for a pair: on the scale
        g(p) = asin √p the errors of the two predictions have the covariance Σ = T + S + 0.003 R.
        T is the mean outer product of the pair's leave-one-family-out errors and R its correlation
        matrix, S that of the pair's deviations under refits in which both laws get the *same*
        family weights; T and S are averaged over the two views of the scores. The interval
        holds the central ``level`` of g⁻¹(g(t̂) + u) - g⁻¹(g(b̂) + v) over (v, u) normal with
        covariance (1.56/1.645)² Σ, which makes either margin the two-view interval. With a
        ``scale``, Σ, the centre and the factor are those of ``Conformal`` for a pair. With a
        ``spread``, Σ also has the mean outer product of the pair's deviations over the completions.

        """
        check_level(level)
        check_count(n_refits, "n_refits")
        pair = (self.base, self.treated)
        mean = [predict_with(f, scores) for f in pair]
        rng = random_generator(random_state)
        if scale is None:
            centre, width = angle(np.array(mean)), _KAPPA_90
            covariance = error_covariance(pair, scores, n_refits, rng)
        else:
            refits = Refits(pair, scores, forward=False)
            centre, width = refits.centre()[refits.n :].T, scale
            covariance = refits.covariance()[refits.n :]
        if spread is not None:
            covariance = covariance + _input_covariance(pair, np.array(mean), spread)
        lower, upper = _quantiles(centre, covariance, width, level, rng)
        gain = mean[1] - mean[0]
        lower, upper = np.minimum(lower, gain), np.maximum(upper, gain)
        size = np.sqrt(covariance[:, 0, 0] * covariance[:, 1, 1])
        return GainPrediction(
            mean[0], mean[1], gain, lower, upper, level, covariance[:, 0, 1] / size
        )


def fit_gain(training: Training, treated: Floats) -> GainFit:
    """Fit the laws of a base and a treated score to the models that have both.

    Parameters
    ----------
    training : Training
        Scores, families and settings, with the base score as its target; NaN where not measured.
    treated : (n,) array
        The treated score of the same models, NaN where not measured.

    Raises
    ------
    FitError
        ``treated`` is not one value per model, or a base or treated score lies outside [0, 1] or
        is not a number.
    TooFewModelsError, DegenerateError, NotConvergedError
        See ``ScalingLaw``.

    See Also
    --------
    predict_gain : Predicts with the two laws.
    gain_problem : Joins the scores that they are fitted to.

    Examples
    --------
    >>> import numpy as np
    >>> from capspace.fit import Training, fit_gain
    >>> skill = np.linspace(-2, 2, 24)
    >>> scores = 1 / (1 + np.exp(-skill[:, None] - [0.0, 0.5, 1.0]))
    >>> training = Training(
    ...     scores,
    ...     1 / (1 + np.exp(-skill)),
    ...     np.repeat(["a", "b", "c", "d"], 6),
    ...     chance=np.zeros(3),
    ...     benchmarks=("A", "B", "C"),
    ... )
    >>> fit_gain(training, 1 / (1 + np.exp(-skill - 0.5)))
    GainFit(24 models, 3 benchmarks)

    """
    rows = pd.Index([f"row {i + 1}" for i in range(len(training.target))])
    check_fractions(_without_noise(pd.Series(training.target, rows)), "the base score")
    after = check_treated(treated, rows, "the treated score")
    both = ~(np.isnan(training.target) | np.isnan(after))
    paired = training.part(both)
    return GainFit(fit_once(paired), fit_once(replace(paired, target=after[both])))


def _without_noise(scores: pd.Series) -> pd.Series:
    """Return scores that lie outside [0, 1] by sampling noise alone as its ends.

    A score from which chance is subtracted lies below 0 where a model guesses.
    """
    return scores.where(~scores.between(-_NOISE, 1 + _NOISE), scores.clip(0, 1))


def check_treated(treated: ArrayLike, models: pd.Index, name: str) -> Floats:
    """Return the treated scores (n,) of models; NaN where not measured.

    Raises
    ------
    FitError
        They are not one fraction in [0, 1] per model.

    """
    values = np.asarray(treated)
    if values.shape != models.shape:
        raise FitError(f"{len(models)} base scores but treated has shape {values.shape}")
    scores = float_series(pd.Series(values, models), name)
    check_fractions(_without_noise(scores), name)
    return np.asarray(scores.to_numpy(dtype=float))


def error_covariance(
    pair: tuple[Fitted, Fitted], scores: Floats, n_refits: int, rng: np.random.Generator
) -> Floats:
    """Return the covariance (m, 2, 2) of the errors of a pair's predictions on the angle's scale.

    Its diagonal is the variance of the two-view interval of either prediction alone.
    """
    training = pair[0].training
    families, family = np.unique(training.families, return_inverse=True)
    if len(families) < 2:
        raise DegenerateError(
            f"all models are of the family {families[0]!r}; an interval needs at least two"
        )
    leave_out = (family != np.arange(len(families))[:, None]).astype(float)
    n, rows = len(family), np.arange(len(family))
    errors, deviations = [], []
    for soft in (False, True):
        draws = rng.exponential(size=(n_refits, len(families)))
        weights = np.vstack([leave_out, draws[:, family]])
        new = soft_logit(scores, training.chance) if soft else scores
        lofo, spread = [], []
        for fitted in pair:
            view = softened(fitted) if soft else fitted
            angles = angle(refit(view, weights, np.vstack([view.training.scores, new])))
            lofo.append(angles[family, rows] - angle(fitted.training.target))
            spread.append(angles[len(families) :, n:] - angle(predict_with(fitted, scores)))
        errors.append(np.einsum("an,bn->ab", lofo, lofo) / n)
        deviations.append(np.einsum("arm,brm->mab", spread, spread) / n_refits)
    left_out = np.mean(errors, axis=0)
    scale = np.sqrt(np.diag(left_out))
    noise = SCORE_NOISE * left_out / np.outer(scale, scale)
    return np.asarray(left_out + noise + np.mean(deviations, axis=0))


def _input_covariance(pair: tuple[Fitted, Fitted], mean: Floats, spread: Floats) -> Floats:
    """Return the covariance (m, 2, 2) that completions (m, s, p) of the scores leave open."""
    m, s, p = spread.shape
    completed = [angle(predict_with(f, spread.reshape(m * s, p))).reshape(m, s) for f in pair]
    apart = np.array(completed) - angle(mean)[:, :, None]
    return np.asarray(np.einsum("ams,bms->mab", apart, apart) / s)


def _quantiles(
    centre: Floats, covariance: Floats, width: float, level: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the central interval of the gain for pairs centred (2, m) on the angle's scale.

    ``width`` is the half-width of the 90% interval of either margin, in its standard deviations.
    """
    standard = rng.standard_normal((_N_DRAWS // 2, 2))
    standard = np.concatenate([standard, -standard]) * (width / norm.ppf(0.95))
    lower, upper = np.empty(centre.shape[1]), np.empty(centre.shape[1])
    # By eigenvectors, as the covariance is singular where both scores err as one.
    values, vectors = np.linalg.eigh(covariance)
    roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    for i, root in enumerate(roots):
        angle = np.clip(centre[:, i] + standard @ root.T, 0.0, np.pi / 2)
        gain = np.sin(angle[:, 1]) ** 2 - np.sin(angle[:, 0]) ** 2
        lower[i], upper[i] = np.quantile(gain, [(1 - level) / 2, (1 + level) / 2])
    return lower, upper
