"""The time a cell takes is estimated from its requests, the model's size and earlier runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import nnls

from ...harness.harness import Workload

__all__ = ["Estimate", "Observation", "Throughput", "fit_throughput", "total"]

Floats = NDArray[np.float64]
_CHARACTERS_PER_TOKEN = 4.0
# A generated token reads all weights for one position; a token of a prompt shares that reading.
_GENERATED_WEIGHT = 20.0
_LEAST_OBSERVATIONS = 4
_LEAST_SPREAD = 0.05
_Z90 = 1.6448536269514722


@dataclass(frozen=True)
class Estimate:
    """A time in seconds, log-normal: its median and the standard deviation of its logarithm.

    Notes
    -----
    ``shared`` is the part of the deviation that all estimates of one ``Throughput`` have in common:
    it does not average out over many cells.

    """

    seconds: float
    spread: float
    shared: float

    @property
    def lower(self) -> float:
        """5% quantile, seconds."""
        return self.seconds * math.exp(-_Z90 * math.hypot(self.spread, self.shared))

    @property
    def upper(self) -> float:
        """95% quantile, seconds."""
        return self.seconds * math.exp(_Z90 * math.hypot(self.spread, self.shared))


@dataclass(frozen=True)
class Observation:
    """A cell that was measured: its requests, its FLOPs, and how long it took."""

    n_requests: int
    flops: float
    seconds: float


@dataclass(frozen=True)
class Throughput:
    """Speed of one kind of device.

    Attributes
    ----------
    seconds_per_request : float
        Time that does not depend on the model's size.
    flops_per_second : float
        Forward-pass FLOPs a second; infinite where the size made no difference.
    load_bytes_per_second, load_seconds : float
        Reading weights, and starting whatever the size.
    spread, shared : float
        Standard deviations of the logarithm of a time: of one cell, and common to all.
    n_observations : int
        Measured cells it rests on; 0 is a guess.

    """

    seconds_per_request: float
    flops_per_second: float
    load_bytes_per_second: float
    load_seconds: float
    spread: float
    shared: float
    n_observations: int

    @classmethod
    def guess(cls, device: Literal["cpu", "cuda", "mps"], *, n_devices: int = 1) -> Throughput:
        """Return what is assumed where nothing was measured yet: right within a factor of five."""
        speed = {"cpu": 5e10, "mps": 2e12, "cuda": 4e13}[device]
        return cls(2e-3, speed * n_devices, 1e9, 5.0, 0.7, 0.7, 0)

    def cell(self, work: Workload, n_parameters: float) -> Estimate:
        """Return the time of one cell on a loaded model of ``n_parameters``."""
        seconds = (
            work.n_requests * self.seconds_per_request
            + forward_flops(work, n_parameters) / self.flops_per_second
        )
        return Estimate(seconds, self.spread, self.shared)

    def load(self, n_bytes: float) -> Estimate:
        """Return the time to load weights of ``n_bytes``."""
        seconds = self.load_seconds + n_bytes / self.load_bytes_per_second
        return Estimate(seconds, self.spread, self.shared)


def forward_flops(work: Workload, n_parameters: float) -> float:
    """Return the FLOPs of a workload's forward passes, 2 per parameter and token."""
    prompt = work.n_characters / _CHARACTERS_PER_TOKEN
    return 2.0 * n_parameters * (prompt + _GENERATED_WEIGHT * work.n_generated)


def fit_throughput(seen: Sequence[Observation], prior: Throughput) -> Throughput:
    """Return the speed that measured cells show; the prior where they are fewer than four.

    Notes
    -----
    Least squares of relative errors, ``seconds = a * n_requests + flops / b`` with a, b >= 0; the
    deviation of one cell is that of the log residuals, the common one its standard error, neither
    below 5%.

    """
    if len(seen) < _LEAST_OBSERVATIONS:
        return prior
    seconds = np.array([s.seconds for s in seen])
    design = np.array([[s.n_requests, s.flops] for s in seen], dtype=float)
    scale = np.maximum(design.max(axis=0), 1e-300)
    coefficients, _ = nnls(design / scale / seconds[:, None], np.ones(len(seen)))
    coefficients = coefficients / scale
    fitted = design @ coefficients
    if not (fitted > 0).all():
        return prior
    residuals = np.log(seconds / fitted)
    spread = float(np.sqrt(np.sum(residuals**2) / (len(seen) - 2)))
    return Throughput(
        seconds_per_request=float(coefficients[0]),
        flops_per_second=1.0 / coefficients[1] if coefficients[1] > 0 else math.inf,
        load_bytes_per_second=prior.load_bytes_per_second,
        load_seconds=prior.load_seconds,
        spread=max(spread, _LEAST_SPREAD),
        shared=max(spread / math.sqrt(len(seen)), _LEAST_SPREAD),
        n_observations=len(seen),
    )


def total(parts: Sequence[Estimate], *, n_draws: int = 4000, seed: int = 0) -> Estimate:
    """Return the time of several parts one after another.

    The sum of log-normals is described by its median and log deviation over seeded draws; the
    common part of the deviation moves all parts together.
    """
    if not parts:
        return Estimate(0.0, 0.0, 0.0)
    rng = np.random.default_rng(seed)
    medians: Floats = np.array([p.seconds for p in parts])
    spreads: Floats = np.array([p.spread for p in parts])
    shared = max(p.shared for p in parts)
    sums = _draws(medians, spreads, rng, n_draws)
    logs = np.log(np.maximum(sums, 1e-12))
    return Estimate(float(np.exp(np.median(logs))), float(logs.std()), shared)


def _draws(medians: ArrayLike, spreads: Floats, rng: np.random.Generator, n: int) -> Floats:
    """Return ``n`` draws of the sum; many parts are summed by their mean and variance."""
    m = np.asarray(medians, dtype=float)
    if len(m) > 64:
        mean = np.sum(m * np.exp(spreads**2 / 2))
        variance = np.sum(m**2 * np.exp(spreads**2) * np.expm1(spreads**2))
        return np.maximum(rng.normal(mean, math.sqrt(variance), n), 0.0)
    out: Floats = np.exp(rng.standard_normal((n, len(m))) * spreads) @ m
    return out
