"""The law of a target is fitted on a reference and predicts new models with intervals."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from ..errors import (
    FitError,
    TooFewModelsError,
    UnknownNameError,
    check_count,
    check_level,
    near_matches,
)
from ..law._form import Form
from ..law._law import ScalingLaw
from ..law._refit import LawSettings, Training, fewer_components_note, fit_once
from ..law.conformal import Conformal
from ..law.intervals import IntervalMethod, TwoView
from ..reference import Reference, Target, target_training_table
from ..reference.left_out import LEVEL, left_out_of
from ..reference.overlap import find_overlap
from ..space._space import space_of
from ..table.doubtful import rows_without_doubtful
from ..table.numbers import check_standard_errors, check_unique, float_frame
from ._attainable import attainable_score
from ._completion import complete
from ._law_baselines import baselines_of_rows
from ._prediction import Prediction, Predictions
from ._support import support_of

__all__ = ["TargetLaw", "default_method"]

Array = NDArray[np.float64]


class TargetLaw(BaseEstimator):  # type: ignore[misc] # scikit-learn is untyped
    """Predict the scores of new models on one target, from their scores on cheap benchmarks.

    Parameters
    ----------
    target : str or Target
        A target of the reference, or its name or label.
    n_components : int, default 3
        Coordinates of the capability space; fewer where it has fewer benchmarks, which the notes
        of the predictions say.
    method : IntervalMethod or None, default None
        How intervals are made; None is ``Conformal`` with the scale that the reference states, and
        ``TwoView()`` where it states none.

    Attributes
    ----------
    target_ : Target
    space_ : CapabilitySpace
        Of the training models' benchmarks, by the study's estimator ("pca").
    law_ : ScalingLaw
        The target as a function of the space's coordinates.
    scores_ : (n × p) DataFrame
        Training models' benchmark scores.
    truth_ : (n,) Series
        Their scores on the target, fractions of the perfect score.
    families_ : (n,) Series
    capabilities_ : (n, k) array
        Their coordinates.
    linear_predictor_ : (n,) Series
        C of each training model, in logits; the curve is ``law_.curve(C)``.
    fitted_ : Fitted
        The joint fit of space and law, which interval methods refit.
    reference_ : Reference
    excluded_ : frozenset of str
        Models of the reference that were left out.
    feature_names_in_ : (p,) array
        Benchmarks of the space.
    n_features_in_ : int

    See Also
    --------
    place_model : All targets of one model, and its place in the capability space.
    CapabilitySpace, ScalingLaw : The two parts.

    Notes
    -----
    The target never helps to build its own space, and benchmarks that measure the same thing are
    left out of it. Each model is predicted by a law fitted without the reference models that it is,
    or likely is, so that its prediction does not depend on its company.

    References
    ----------
    Ruan, Maddison & Hashimoto (2024), Observational Scaling Laws, arXiv 2405.10938, section 3.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import TargetLaw, TwoView, load_reference
    >>> law = TargetLaw("bbh", method=TwoView(n_refits=4)).fit(load_reference())
    >>> scores = pd.DataFrame({"MMLU": 0.62, "HellaSwag": 0.81, "GSM8K": 0.4}, index=["mine"])
    >>> law.predict(scores)[0]
    Prediction(bbh: 0.44 [0.34, 0.53] at 90%, inside)

    """

    def __init__(
        self,
        target: str | Target,
        *,
        n_components: int = 3,
        method: IntervalMethod | None = None,
    ) -> None:
        self.target = target
        self.n_components = n_components
        self.method = method

    def fit(self, reference: Reference, *, exclude: Collection[str] = ()) -> Self:
        """Fit space and law on the models of a reference.

        Parameters
        ----------
        reference : Reference
            Models to fit on: those of the target's population with a score on it.
        exclude : collection of str, default ()
            Models to leave out.

        Raises
        ------
        UnknownNameError
            No such target.
        FitError
            ``n_components`` is no whole number of at least 1.
        TooFewModelsError, DegenerateError, NotConvergedError
            The models left do not determine the law.

        """
        check_count(self.n_components, "n_components")
        target = reference.target(self.target) if isinstance(self.target, str) else self.target
        scores, truth, families = target_training_table(reference, target, exclude=exclude)
        training = Training(
            scores=scores.to_numpy(dtype=float),
            target=truth.to_numpy(dtype=float),
            families=families.to_numpy(dtype=str),
            chance=reference.chance(scores.columns),
            benchmarks=tuple(scores.columns),
            settings=LawSettings(
                n_components=min(self.n_components, scores.shape[1]),
                form=Form(target.link, target.chance, target.perfect),
            ),
            order=reference.table.models["training_flops"].reindex(scores.index).to_numpy(float),
        )
        if len(truth) < training.n_parameters:
            raise TooFewModelsError(
                f"{target.name}: {len(truth)} models in the reference for the "
                f"{training.n_parameters} parameters of its law; use a reference with more models"
            )
        self.reference_, self.excluded_ = reference, frozenset(exclude)
        self.target_, self.scores_, self.truth_, self.families_ = target, scores, truth, families
        self.feature_names_in_ = np.asarray(training.benchmarks, dtype=object)
        self.n_features_in_ = len(training.benchmarks)
        self.fitted_ = fit_once(training)
        self.space_ = space_of(
            self.fitted_.spaces, training.benchmarks, n_components=self.n_components
        )
        self.law_ = ScalingLaw.of(self.fitted_)
        self.capabilities_ = self.space_.transform(scores)
        self.linear_predictor_ = pd.Series(
            self.law_.linear_predictor(self.capabilities_), index=scores.index
        )
        return self

    def predict(
        self,
        scores: pd.DataFrame,
        *,
        level: float = 0.9,
        stderr: pd.DataFrame | None = None,
        keep: bool = False,
        release_dates: Mapping[str, str] | None = None,
    ) -> Predictions:
        """Predict the target of models, from their benchmark scores.

        Parameters
        ----------
        scores : (models × benchmarks) DataFrame
            Fractions, NaN where not measured; benchmarks outside the space are ignored.
        level : float, default 0.9
            Nominal coverage of the intervals.
        stderr : DataFrame like ``scores``, optional
            Standard errors. Where given, they widen the interval, and the noisier a score is, the
            more it is drawn towards what the model's other scores say of it.
        keep : bool, default False
            Predict from scores far below chance, too, which otherwise count as not measured.
        release_dates : mapping of model to str, optional
            ISO dates or months, where known. They do not touch the prediction: the baseline
            "trend" is the trend over the release date, and NaN for a model without one.

        Returns
        -------
        Predictions
            One per row, in order; all NaN for a model without any benchmark of the space.

        Raises
        ------
        UnknownNameError
            No benchmark of the space is among the columns.
        FitError
            A score outside [0, 1] or not a number, a benchmark given twice, a standard error that
            is negative or infinite, no date, or a level outside (0, 1).
        TooFewModelsError, DegenerateError, NotConvergedError
            Without the reference models that one of these is, the rest do not determine the law,
            or ``Conformal`` refuses the target.

        """
        check_is_fitted(self)
        check_level(level)
        self._check_columns(scores.columns)
        published = self.reference_.scores()
        scores = self._numbers(scores, published)
        known = self._known(scores)
        if stderr is not None:
            check_unique(stderr.index, "models of the stderr")
            stderr = self._numbers(stderr, published)
            check_standard_errors(stderr)
        doubts: list[tuple[str, ...]] = [()] * len(scores)
        if not keep:
            levels = self.reference_.chance_levels
            scores, doubts = rows_without_doubtful(
                scores, {b: levels.get(b, 0.0) for b in known.columns}
            )
        overlaps = [find_overlap(str(model), row, published) for model, row in scores.iterrows()]
        groups: dict[frozenset[str], list[int]] = {}
        for i, overlap in enumerate(overlaps):
            same = frozenset(self.scores_.index).intersection(overlap.reasons)
            groups.setdefault(same, []).append(i)
        fewer = fewer_components_note(self.n_components, self.fitted_)
        predictions: dict[int, Prediction] = {}
        for same, members in groups.items():
            law = self if not same else self._without(same)
            errors = None if stderr is None else stderr.reindex(index=scores.index).iloc[members]
            rows = law._predict(
                scores.iloc[members], level=level, stderr=errors, dates=release_dates or {}
            )
            for i, prediction in zip(members, rows, strict=True):
                lines = (*doubts[i], overlaps[i].note(same), *fewer)
                predictions[i] = replace(prediction, notes=tuple(line for line in lines if line))
        return Predictions(predictions[i] for i in range(len(scores)))

    def _check_columns(self, columns: pd.Index) -> None:
        benchmarks = list(self.feature_names_in_)
        if not set(benchmarks) & set(columns):
            first = str(columns[0]) if len(columns) else ""
            raise UnknownNameError(
                f"{self.target_.name}: none of its benchmarks ({', '.join(benchmarks)}) is among "
                f"the columns{near_matches(first, benchmarks)}"
            )

    def _numbers(self, frame: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
        """Return the columns of the space's benchmarks and of published ones, as floats."""
        used = frame.loc[:, frame.columns.isin([*self.feature_names_in_, *published.columns])]
        check_unique(used.columns, "columns")
        return float_frame(used)

    def _known(self, scores: pd.DataFrame) -> pd.DataFrame:
        """Return the columns of the space's benchmarks, all within [0, 1]."""
        known = scores[[b for b in self.feature_names_in_ if b in scores.columns]]
        rows, columns = np.nonzero(((known < 0) | (known > 1) | np.isinf(known)).to_numpy())
        if len(rows):
            value = known.iloc[rows[0], columns[0]]
            raise FitError(
                f"{known.index[rows[0]]!s}: {known.columns[columns[0]]!s} is {value!s}, "
                "outside [0, 1]; give fractions"
            )
        return known

    def _without(self, models: Collection[str]) -> Self:
        law: Self = clone(self)
        return law.fit(self.reference_, exclude=self.excluded_.union(models))

    def _predict(
        self,
        scores: pd.DataFrame,
        *,
        level: float,
        stderr: pd.DataFrame | None,
        dates: Mapping[str, str],
    ) -> list[Prediction]:
        """Predict models by this law, whatever it was fitted on."""
        method = default_method(self.reference_) if self.method is None else self.method
        benchmarks = list(self.feature_names_in_)
        x = scores.reindex(columns=benchmarks).to_numpy(dtype=float)
        placed = ~np.isnan(x).all(axis=1)
        mean, lower, upper, c = (np.full(len(x), np.nan) for _ in range(4))
        capabilities = np.full((len(x), self.space_.n_components_), np.nan)
        if placed.any():
            errors = np.zeros_like(x[placed])
            if stderr is not None:
                aligned = stderr.reindex(index=scores.index, columns=benchmarks)
                errors = np.nan_to_num(aligned.to_numpy(dtype=float)[placed])
            filled, spread = complete(self.fitted_.training, x[placed], errors)
            interval = method.predict(self.fitted_, filled, level=level, spread=spread)
            mean[placed], lower[placed], upper[placed] = (
                interval.mean,
                interval.lower,
                interval.upper,
            )
            capabilities[placed] = self.space_.transform(pd.DataFrame(filled, columns=benchmarks))
            c[placed] = self.law_.linear_predictor(capabilities[placed])
        left_out = left_out_of(self.reference_) if level == LEVEL else None
        beside = baselines_of_rows(
            self.scores_,
            self.truth_,
            self.reference_.table.models["release_date"],
            x,
            [(str(model), dates.get(str(model), "")) for model in scores.index],
        )
        return [
            Prediction(
                target=self.target_.name,
                label=self.target_.label,
                model=str(model),
                mean=float(mean[i]),
                lower=float(lower[i]),
                upper=float(upper[i]),
                level=level,
                support=support_of(capabilities[i], self.capabilities_, self.scores_.index),
                linear_predictor=float(c[i]),
                missing=tuple(b for b, v in zip(benchmarks, x[i], strict=True) if np.isnan(v)),
                models=tuple(map(str, self.scores_.index)),
                families=tuple(map(str, dict.fromkeys(self.families_))),
                method=method.name,
                attainable=attainable_score(left_out, mean=float(mean[i]), upper=float(upper[i])),
                baselines=beside[i].values,
                nearest_model=beside[i].nearest_model,
                single_benchmark=beside[i].single_benchmark,
            )
            for i, model in enumerate(scores.index)
        ]


def default_method(reference: Reference) -> IntervalMethod:
    """Return how intervals of laws that are fitted to a reference are made by default."""
    scale = None if reference.about is None else reference.about.interval_scale
    return TwoView() if scale is None else Conformal(scale=scale)
