"""Within a budget, a zoo measures the checkpoints from which a law is estimated best."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from capspace.fit.analyses.design import Candidates, choose_models

from ...errors import ZooError
from .plan import Model, Plan

__all__ = ["parse_budget", "within_budget"]

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "hour": 3600.0, "d": 86400.0}
# A checkpoint that is measured already costs nothing; the design wants a positive number.
_FREE = 1e-6


def parse_budget(text: str) -> float:
    """Return the device-seconds of ``40gpu-hours``, ``90m`` or ``2h``.

    Raises
    ------
    ZooError
        The text is none of these.

    """
    match = re.fullmatch(
        r"([0-9.]+)\s*(?:(?:gpu|cpu|device)-?)?(s|min|m|hour|h|d)(?:s|ours?)?", text.strip().lower()
    )
    try:
        seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise ZooError(f"--compute-budget {text!r}: expected a time such as 40gpu-hours, 90m or 2h")
    return seconds


def within_budget(plan: Plan, device_seconds: float) -> Plan:
    r"""Return the plan of the V-optimal checkpoints that fit a budget; measured ones stay.

    Parameters
    ----------
    plan : Plan
        The whole zoo.
    device_seconds : float
        Time of one device for what is missing.

    Raises
    ------
    ZooError
        Nothing missing fits, or a model has neither training compute nor parameters.
    FitError
        As ``choose_models``.

    Notes
    -----
    What is not measured has no place in the capability space yet. Capability is log-linear in
    training compute, so each checkpoint stands for the point (1, log10 FLOPs); parameters stand in
    for all where the training tokens of one are unknown. V-optimal: the summed variance of the
    law's predictions over the whole zoo is least.

    References
    ----------
    Ruan et al. 2024, arXiv 2405.10938, sections 3.2 and 5.

    """
    cost = {m.row: _FREE * device_seconds / len(plan.models) for m in plan.models}
    missing: set[str] = set()
    for unit in plan.units:
        row = unit.model.row
        seconds = unit.estimate.seconds * unit.model.devices
        cost[row] = seconds + (cost[row] if row in missing else 0.0)
        missing.add(row)
    if not missing:
        return plan
    measured = [m.row for m in plan.models if m.row not in missing]
    cheapest = min(cost[i] for i in missing)
    if cheapest > device_seconds:
        raise ZooError(
            f"the cheapest checkpoint takes about {cheapest / 3600:.2g} device-hours, more than "
            f"the budget of {device_seconds / 3600:.2g}"
        )
    scale, known_by = _log_scale(plan.models)
    points = np.column_stack([np.ones(len(scale)), scale - scale.mean()])
    if np.ptp(scale) == 0:
        points = points[:, :1]
    choice = choose_models(
        Candidates(
            points,
            units=[m.row for m in plan.models],
            cost=[cost[m.row] for m in plan.models],
        ),
        budget=device_seconds,
        include=measured,
    )
    within = plan.of(choice.units)
    words = "the best of all" if choice.method == "exhaustive" else "by exchange"
    return replace(
        within,
        notices=(
            *within.notices,
            f"{len(set(choice.units) & missing)} of {len(missing)} checkpoints kept within "
            f"{device_seconds / 3600:.3g} device-hours, V-optimal in {known_by} ({words})",
        ),
    )


def _log_scale(models: tuple[Model, ...]) -> tuple[np.ndarray, str]:
    flops = [m.facts["training_flops"] for m in models]
    if all(f is not None for f in flops):
        return np.log10(np.array(flops, dtype=float)), "log training compute"
    if unknown := [m.name for m in models if not m.n_parameters]:  # behind a server
        raise ZooError(
            f"--compute-budget chooses by training compute or parameters, and neither is known of "
            f"{', '.join(unknown)}; give `facts`"
        )
    return np.log10(np.array([m.n_parameters for m in models], dtype=float)), "log parameters"
