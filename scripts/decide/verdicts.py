"""How often a verdict would have been right, and how many runs it would have saved."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np

from capspace.fit.decide._track_record import skips_and_rights
from capspace.fit.prediction._attainable import FEWEST, upward_quantile, upward_ratios
from capspace.fit.reference import load_reference, reference_names
from capspace.fit.reference.left_out import LeftOut, left_out_of, write_left_out

from .left_out import predictions_left_out

TOLERANCES = (0.02, 0.05, 0.1)
RANKS = (0.25, 0.5, 0.75)


def print_table(arguments: Namespace) -> None:
    """Print a row per reference and question."""
    print("Verdicts: models left out with their provider (study: family), intervals at 90%")
    print(f"{'reference':14} {'question':22} {'runs':>6} {'saved':>6} {'right':>6}  baseline right")
    for name in arguments.reference or reference_names():
        reference = load_reference(name)
        if arguments.write:
            parts = predictions_left_out(reference)
            write_left_out(parts, Path("fit/reference") / name)
            left_out = _joined(parts)
        else:
            left_out = left_out_of(reference)
        if left_out is None:
            print(f"{name:14} no predictions of models left out; --write makes them")
            continue
        for tolerance in TOLERANCES:
            _row(name, f"within {tolerance:g}", left_out, tolerance=tolerance)
        for rank in RANKS:
            _row(name, f"above the {rank:.0%} rank", left_out, rank=rank)
        _print_attainable(name, left_out)


def _row(
    reference: str,
    question: str,
    left_out: LeftOut,
    *,
    tolerance: float | None = None,
    rank: float | None = None,
) -> None:
    """Print the share of runs saved, and of these the share that was right.

    The baseline saves the same runs by the mean of the target's other scores.
    """
    skipped, right, naive = [], [], []
    for name in left_out.names:
        part = left_out.of(name)
        threshold = None if rank is None else float(np.quantile(part.score, rank))
        skips, rights = skips_and_rights(part, threshold=threshold, tolerance=tolerance)
        n = len(part)
        mean = (part.score.sum() - part.score) / max(n - 1, 1)
        if threshold is None:
            naive.append(np.abs(mean - part.score) <= tolerance)
        else:
            naive.append((mean >= threshold) == (part.score >= threshold))
        skipped.append(skips)
        right.append(rights)
    s, r, b = (np.concatenate(v) for v in (skipped, right, naive))
    of = f"{(s & r).sum() / s.sum():6.1%}" if s.any() else f"{'-':>6}"
    base = f"{(s & b).sum() / s.sum():6.1%}" if s.any() else f"{'-':>6}"
    print(f"{reference:14} {question:22} {len(s):6d} {s.mean():6.1%} {of}  {base}")


def _print_attainable(reference: str, left_out: LeftOut) -> None:
    """Print how many models exceed what the best tenth reach, the quantile of other targets'."""
    above, total, room = 0, 0, []
    for name in left_out.names:
        part, others = left_out.of(name), left_out.rows(left_out.target != name)
        ratios = upward_ratios(others)
        if len(ratios) < FEWEST:
            continue
        reach = part.predicted + upward_quantile(ratios, 0.1) * (part.upper - part.predicted)
        above += int((part.score > np.minimum(reach, 1.0)).sum())
        total += len(part)
        room += (reach - part.predicted).tolist()
    if total:
        print(
            f"{reference:14} attainable: {above / total:.1%} of {total} models exceed what a tenth "
            f"should (quantile of the other targets); median room {np.median(room):.3f}"
        )


def _joined(parts: list[LeftOut]) -> LeftOut:
    names = ("target", "predicted", "lower", "upper", "score")
    return LeftOut(*(np.concatenate([getattr(part, n) for part in parts]) for n in names))
