"""Fit space and law together, once and then many times under other weights of the models."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .._display import counted
from ..errors import (
    DegenerateError,
    NotConvergedError,
    TooFewModelsError,
    check_count,
    check_positive,
)
from ..space._imputation import Spaces, fit_spaces
from ._form import Form, link_function
from ._multistart import Best, fit_best, fit_many, inverse_link

__all__ = [
    "Fitted",
    "LawSettings",
    "Training",
    "fewer_components_note",
    "fit_once",
    "predict_with",
    "refit",
]

Array = NDArray[np.float64]

_BATCH = 256


@dataclass(frozen=True)
class LawSettings:
    """How a law is fitted to capabilities, the same in every refit.

    Attributes
    ----------
    n_components : coordinates of the capability space
    form : link and asymptotes
    delta : Huber's δ, infinite for least squares
    n_starts, random_state : of the first fit; refits start from it

    Raises
    ------
    FitError
        ``n_components`` is no whole number of at least 1, or ``delta`` is not above 0.

    See Also
    --------
    Training : Holds them beside the data.
    TargetLaw : Takes them from its parameters.

    """

    n_components: int = 3
    form: Form = field(default_factory=lambda: Form("sigmoid"))
    delta: float = np.inf
    n_starts: int = 300
    random_state: int = 0

    def __post_init__(self) -> None:
        check_count(self.n_components, "n_components")
        check_positive(self.delta, "delta")


@dataclass(frozen=True, repr=False, eq=False)
class Training:
    """What a law is fitted on.

    Attributes
    ----------
    scores : (n, p) benchmark scores, NaN where not measured
    target : (n,) target scores, in [0, 1] but for sampling noise
    families : (n,) family of each model
    chance : (p,) score of guessing on each benchmark
    benchmarks : p names, for messages
    settings : LawSettings
    clip : bounds of imputed scores
    order : (n,) what models are compared by to say that others are beyond them, such as training
        FLOPs; NaN where unknown, None for capability

    See Also
    --------
    Fitted : What is fitted on it.
    LawSettings : How.

    Examples
    --------
    >>> import numpy as np
    >>> from capspace.fit import Training
    >>> Training(
    ...     np.array([[0.2, 0.3], [0.4, 0.6]]),
    ...     np.array([0.1, 0.5]),
    ...     np.array(["a", "b"]),
    ...     chance=np.zeros(2),
    ...     benchmarks=("A", "B"),
    ... )
    Training(2 models × 2 benchmarks)

    """

    scores: Array
    target: Array
    families: NDArray[np.str_]
    chance: Array
    benchmarks: tuple[str, ...]
    settings: LawSettings = field(default_factory=LawSettings)
    clip: tuple[float, float] = (0.0, 1.0)
    order: Array | None = None

    def __repr__(self) -> str:
        models, benchmarks = len(self.target), len(self.benchmarks)
        return f"Training({counted(models, 'model')} × {counted(benchmarks, 'benchmark')})"

    @property
    def n_parameters(self) -> int:
        """Parameters of the law."""
        return self.settings.n_components + 1 + self.settings.form.n_free

    def part(self, keep: NDArray[np.bool_]) -> Training:
        """Return the models of ``keep`` (n,) only."""
        return replace(
            self,
            scores=self.scores[keep],
            target=self.target[keep],
            families=self.families[keep],
            order=None if self.order is None else self.order[keep],
        )


@dataclass(frozen=True, eq=False)
class Fitted:
    """A space and a law on it.

    Attributes
    ----------
    training : what they were fitted on
    spaces : Spaces of one weighting
    best : parameters and loss of the law

    See Also
    --------
    TargetLaw : Learns one as ``fitted_``.
    Training : What it is fitted on.

    """

    training: Training
    spaces: Spaces
    best: Best

    def __repr__(self) -> str:
        n, p = self.training.scores.shape
        return f"Fitted({n} models × {p} benchmarks, loss {self.best.loss:.3g})"

    @property
    def theta(self) -> Array:
        """Parameters (q,) of the law: β₀, β, free levels."""
        return self.best.theta

    @property
    def capabilities(self) -> Array:
        """Coordinates (n, k) of the training models."""
        k = self.training.settings.n_components
        return np.asarray(self.spaces.transform(self.training.scores, k)[0])


def fit_once(training: Training) -> Fitted:
    """Fit space and law with equal weights, from many starts.

    A space of p benchmarks has at most p components; a law of more is fitted to these.

    Raises
    ------
    TooFewModelsError, DegenerateError, NotConvergedError
        See ``ScalingLaw`` and ``fit_spaces``.

    """
    training = _with_components_of_the_space(training)
    settings = training.settings
    n = len(training.target)
    if n < training.n_parameters:
        raise TooFewModelsError(
            f"{n} training models for the {training.n_parameters} parameters of the law; "
            "add models or use fewer components"
        )
    target = training.target
    if np.ptp(target) <= 1e-12:
        raise DegenerateError(
            f"the target is {target[0]:g} for all {n} training models; a law needs scores that vary"
        )
    spaces = fit_spaces(
        training.scores, np.ones((1, n)), clip=training.clip, names=training.benchmarks
    )
    x = spaces.transform(training.scores, settings.n_components)[0]
    best = fit_best(
        x,
        target,
        np.ones(n),
        settings.form,
        delta=settings.delta,
        n_starts=settings.n_starts,
        random_state=settings.random_state,
    )
    return Fitted(training, spaces, best)


def fewer_components_note(n_components: int, fitted: Fitted) -> tuple[str, ...]:
    """Return the line which says that a law has fewer components than it was to have, if so."""
    n = fitted.training.settings.n_components
    if n == n_components:
        return ()
    size = counted(len(fitted.training.benchmarks), "benchmark")
    return (f"{counted(n, 'component')}, not {n_components}: {size} have no more",)


def _with_components_of_the_space(training: Training) -> Training:
    settings = training.settings
    n = min(settings.n_components, training.scores.shape[1])
    return replace(training, settings=replace(settings, n_components=n))


def predict_with(fitted: Fitted, scores: Array) -> Array:
    """Return the target (m,) of models with benchmark scores (m, p)."""
    settings = fitted.training.settings
    x = fitted.spaces.transform(scores, settings.n_components)[0]
    return np.asarray(_curve(fitted.theta[None], x[None], settings.form)[0])


def refit(fitted: Fitted, weight: Array, scores: Array, *, strict: bool = True) -> Array:
    """Refit under B weightings (B, n) and predict models with ``scores`` (m, p).

    Returns
    -------
    (B, m) predictions; NaN of a refit that did not converge, unless ``strict``

    Raises
    ------
    TooFewModelsError
        A weighting leaves fewer models than the law has parameters.
    NotConvergedError
        A refit did not converge, and ``strict``.

    Notes
    -----
    The weights are those of the law; the space is fitted on the models of positive weight, each
    counting once. Each refit starts from the law of ``fitted``, carried into its own space by way
    of benchmark space, and from the regression of the inverse link; the lower loss wins. Refits end
    once a step gains less than 10⁻⁹ of the loss, far below what they are used to measure.

    """
    if len(weight) > _BATCH:
        parts = np.array_split(weight, -(-len(weight) // _BATCH))
        return np.concatenate([refit(fitted, part, scores, strict=strict) for part in parts])
    training = fitted.training
    settings = training.settings
    k = settings.n_components
    models = (weight > 0).sum(axis=1)
    if (models < training.n_parameters).any():
        raise TooFewModelsError(
            f"a refit without one family leaves {models.min()} training models for the "
            f"{training.n_parameters} parameters of the law; add models or use fewer components"
        )
    present, of = np.unique(weight > 0, axis=0, return_inverse=True)
    spaces = fit_spaces(
        training.scores,
        present.astype(float),
        clip=training.clip,
        tol=1e-6,
        names=training.benchmarks,
    )
    x = spaces.transform(training.scores, k)[of]
    warm = _carry(fitted, spaces)[of]
    cold = _regressed(x, training.target, weight, settings.form, warm)
    n_refits, n = weight.shape
    both = fit_many(
        np.concatenate([x, x]),
        np.broadcast_to(training.target, (2 * n_refits, n)),
        np.concatenate([weight, weight]),
        np.concatenate([warm, cold]),
        settings.form,
        delta=settings.delta,
        tol=1e-6,
        negligible=1e-9,
    )
    loss = np.where(both.converged, both.loss, np.inf).reshape(2, n_refits)
    best = loss.argmin(axis=0)
    failed = np.isinf(loss.min(axis=0))
    if strict and failed.any():
        raise NotConvergedError(
            f"{int(failed.sum())} of {n_refits} refits did not converge; use fewer components"
        )
    theta = both.theta.reshape(2, n_refits, -1)[best, np.arange(n_refits)]
    predicted = _curve(theta, spaces.transform(scores, k)[of], settings.form)
    return np.where(failed[:, None], np.nan, predicted)


def _carry(fitted: Fitted, spaces: Spaces) -> Array:
    k = fitted.training.settings.n_components
    theta, home = fitted.theta, fitted.spaces
    in_scores = theta[1 : k + 1] @ home.components[0, :k]
    out = np.tile(theta, (len(spaces.mean), 1))
    out[:, 1 : k + 1] = spaces.components[:, :k] @ in_scores
    out[:, 0] += (spaces.mean - home.mean[0]) @ in_scores
    return out


def _regressed(x: Array, y: Array, weight: Array, form: Form, like: Array) -> Array:
    out = like.copy()
    k = x.shape[2]
    goal = inverse_link(y, form, 0.05)
    design = np.concatenate([np.ones((*x.shape[:2], 1)), x], axis=2)
    weighted = (design * weight[..., None]).swapaxes(1, 2)
    gram = weighted @ design
    gram += 1e-9 * np.einsum("bqq->b", gram)[:, None, None] * np.eye(k + 1)
    out[:, : k + 1] = np.linalg.solve(gram, (weighted @ goal)[..., None])[..., 0]
    return out


def _curve(theta: Array, x: Array, form: Form) -> Array:
    k = x.shape[2]
    c = theta[:, :1] + (x @ theta[:, 1 : k + 1, None])[..., 0]
    return link_function(form)(c, theta[:, k + 1 :])[0]
