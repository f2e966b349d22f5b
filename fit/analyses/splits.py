"""Split models into those that a law is fitted on and those that it is tested on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DegenerateError, FitError, TableError
from ..law._seeds import random_generator
from ..table.facts import last_day, read_date

__all__ = [
    "Split",
    "by_date",
    "by_family",
    "by_flops",
    "by_rank",
    "by_size",
    "by_value",
    "check_mask",
    "randomly",
]


@dataclass(frozen=True)
class Split:
    """A training and a test side, or leave-one-family-out.

    Attributes
    ----------
    train : (n,) bool array, or None for leave-one-family-out
    rule : str
        The split in words.
    unknown : tuple of str
        Models without the value that the rule asks for; they are tested on.

    Raises
    ------
    FitError
        ``train`` is no array of bools.
    DegenerateError
        One side is empty.

    See Also
    --------
    by_date, by_family, by_flops, by_rank, by_size, randomly : Make one.
    backtest : Fits on one side and scores on the other.

    Examples
    --------
    >>> import numpy as np
    >>> from capspace.fit import Split
    >>> Split(np.array([True, True, False]), "by hand").rule
    'by hand'

    """

    train: NDArray[np.bool_] | None
    rule: str
    unknown: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.train is None:
            return
        train = check_mask(self.train)
        if train.all() or not train.any():
            side = "test" if train.all() else "training"
            raise DegenerateError(f"the split '{self.rule}' leaves no {side} model")
        object.__setattr__(self, "train", train)

    def __repr__(self) -> str:
        if self.train is None:
            return f"Split({self.rule})"
        n_train = int(self.train.sum())
        return f"Split({self.rule}: {n_train} to fit on, {len(self.train) - n_train} to test on)"


def check_mask(train: object, n: int | None = None) -> NDArray[np.bool_]:
    """Return which models to fit on as an array of one bool per model, of ``n`` where given.

    Raises
    ------
    FitError
        It is anything else; a Series too, since its order need not be that of the models.

    """
    is_array = isinstance(train, np.ndarray) and train.dtype == bool and train.ndim == 1
    is_list = isinstance(train, list | tuple) and all(isinstance(v, bool | np.bool_) for v in train)
    if not (is_array or is_list):
        raise FitError(
            f"the models to fit on are given by a {type(train).__name__}, not by an array of one "
            "bool per model in the problem's order"
        )
    mask = np.asarray(train, dtype=bool)
    if n is not None and len(mask) != n:
        raise FitError(f"the models to fit on are {len(mask)} bools for {n} models")
    return mask


def by_value(values: pd.Series, cutoff: float, what: str) -> Split:
    """Train on models with a value up to ``cutoff``; the others, unknown ones too, are tested on.

    Raises
    ------
    DegenerateError
        One side is empty.

    See Also
    --------
    by_size, by_flops, by_date : Such splits by the facts of a model.

    Examples
    --------
    >>> import pandas as pd
    >>> by_value(pd.Series([0.2, 0.5, None], index=["a", "b", "c"]), 0.3, "MMLU")
    Split(MMLU <= 0.3: 1 to fit on, 2 to test on)

    """
    numbers = values.astype(float)
    train = (numbers <= cutoff).to_numpy()
    unknown = tuple(map(str, values.index[numbers.isna()]))
    low, high = numbers.min(), numbers.max()
    return _checked(
        train, f"{what} <= {cutoff:g}", f"{what} goes from {low:g} to {high:g}", unknown
    )


def by_flops(facts: pd.DataFrame, cutoff: float) -> Split:
    """Train on models of at most ``cutoff`` training FLOPs.

    Raises
    ------
    DegenerateError
        One side is empty.

    See Also
    --------
    by_size, by_date : Hold out by parameters, or by release.
    backtest : Takes the split.

    Examples
    --------
    >>> import pandas as pd
    >>> facts = pd.DataFrame({"training_flops": [1e21, 1e22, 1e23]}, index=["a", "b", "c"])
    >>> by_flops(facts, 2e22)
    Split(training FLOPs <= 2e+22: 2 to fit on, 1 to test on)

    """
    return by_value(facts["training_flops"], cutoff, "training FLOPs")


def by_size(facts: pd.DataFrame, cutoff: float) -> Split:
    """Train on models of at most ``cutoff`` parameters.

    Raises
    ------
    DegenerateError
        One side is empty.

    See Also
    --------
    by_flops, by_date : Hold out by training compute, or by release.
    backtest : Takes the split.

    Examples
    --------
    >>> import pandas as pd
    >>> facts = pd.DataFrame({"parameters": [1e9, 7e9, 7e10]}, index=["a", "b", "c"])
    >>> by_size(facts, 1e10)
    Split(parameters <= 1e+10: 2 to fit on, 1 to test on)

    """
    return by_value(facts["parameters"], cutoff, "parameters")


def by_date(facts: pd.DataFrame, cutoff: str) -> Split:
    """Train on models released up to an ISO date; models without a date are tested on.

    A month or a year counts as its last day, for a model and for the cutoff: a model whose day is
    not known is trained on only where it was surely released by then.

    Raises
    ------
    FitError
        The cutoff is not a date.
    TableError
        A model's date is not ISO.
    DegenerateError
        No model has a date, or one side is empty.

    See Also
    --------
    by_size, by_flops : Hold out the larger models.
    backtest : Takes the split.

    Examples
    --------
    >>> import pandas as pd
    >>> dates = {"a": "2023-07", "b": "2024-04", "c": "2025-01"}
    >>> facts = pd.DataFrame({"release_date": dates})
    >>> by_date(facts, "2024-06-30")
    Split(released by 2024-06-30: 2 to fit on, 1 to test on)

    """
    known = [read_date(d, f"{m!s}: release_date") for m, d in facts["release_date"].items()]
    try:
        limit = last_day(read_date(cutoff, "the cutoff"))
    except (TableError, ValueError):
        raise FitError(f"{cutoff!r} is not a date; give one like 2024-05-01") from None
    days = [last_day(d) if d else None for d in known]
    dates = pd.Series(pd.to_datetime(pd.Series(days, dtype=object)).to_numpy(), facts.index)
    if dates.isna().all():
        raise DegenerateError("no model has a release date; split by compute, size or family")
    unknown = tuple(map(str, facts.index[dates.isna()]))
    hint = f"release dates go from {dates.min():%Y-%m-%d} to {dates.max():%Y-%m-%d}"
    return _checked(
        (dates <= pd.Timestamp(limit)).to_numpy(), f"released by {cutoff}", hint, unknown
    )


def by_rank(truth: pd.Series, top: float) -> Split:
    """Test on the best models by the target's score: a share below 1, or a number of them.

    Ties are broken by the order of the models.

    Raises
    ------
    DegenerateError
        One side is empty.

    See Also
    --------
    error_curve : Holds out ever more of the best models.
    backtest : Takes the split.

    Examples
    --------
    >>> import pandas as pd
    >>> by_rank(pd.Series([0.1, 0.5, 0.3, 0.9]), top=1).train
    array([ True,  True,  True, False])

    """
    n = len(truth)
    if not 0 < top < n:
        raise DegenerateError(f"top {top:g} of {n} models leaves a side empty")
    count = int(top * n) if top < 1 else int(top)
    order = np.argsort(-truth.to_numpy(dtype=float), kind="stable")
    train = np.ones(n, dtype=bool)
    train[order[:count]] = False
    return _checked(train, f"all but the best {count} of {n} by the target", f"top is {top:g}")


def randomly(n: int, test_share: float, *, random_state: int = 0) -> Split:
    """Test on a random share of n models.

    Raises
    ------
    FitError
        The share does not lie between 0 and 1, or ``random_state`` is no seed.

    See Also
    --------
    by_family : Holds out whole families, as models that are akin help each other.
    backtest : Takes the split.

    Examples
    --------
    >>> int(randomly(10, 0.3).train.sum())
    7

    """
    if not 0 < test_share < 1:
        raise FitError(f"the share to test on is {test_share:g}; it must lie between 0 and 1")
    chosen = random_generator(random_state).permutation(n)[: round(test_share * n)]
    train = np.ones(n, dtype=bool)
    train[chosen] = False
    return _checked(train, f"random {1 - test_share:.0%} (seed {random_state})", f"{n} models")


def by_family() -> Split:
    """Leave one family out at a time; every model is tested on once.

    See Also
    --------
    randomly : Holds out models whatever their family.
    backtest : Takes the split.

    Examples
    --------
    >>> by_family()
    Split(leave one family out)

    """
    return Split(None, "leave one family out")


def _checked(
    train: NDArray[np.bool_], rule: str, hint: str, unknown: tuple[str, ...] = ()
) -> Split:
    try:
        return Split(train, rule, unknown)
    except DegenerateError as error:
        raise DegenerateError(f"{error}; {hint}") from None
