"""A reference becomes the training table of the laws that are fitted to all its targets at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ._entries import Benchmark
from ._reference import Reference

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["anchors_of", "facts_of", "has_anchor", "training_arguments"]

_ANCHORS = ("GPQA", "MMLU-Pro")


def training_arguments(
    reference: Reference, *, exclude: Collection[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Return scores (n × p), facts, and the other arguments of ``BlendedPredictor.fit``.

    Parameters
    ----------
    reference : Reference
        Published scores; benchmarks are cheap, targets are predicted.
    exclude : collection of str, default ()
        Models to leave out.

    """
    names = [*reference.benchmarks, *reference.targets]
    scored = set(reference.table.benchmarks)
    wide = reference.table.wide([n for n in names if n in scored]).reindex(columns=names)
    wide = wide[~wide.index.isin(list(exclude)) & wide.notna().any(axis=1)]
    arguments = {
        "cheap": list(reference.benchmarks),
        "targets": list(reference.targets),
        "anchors": anchors_of(reference),
        "sample_weight": reference.weights.reindex(wide.index),
    }
    return wide, facts_of(reference.table.models.reindex(wide.index)), arguments


def anchors_of(reference: Reference) -> list[str]:
    """Return the benchmarks of which a prediction needs one: GPQA and MMLU-Pro, where they are."""
    return _anchors(reference.benchmarks)


def has_anchor(measured: Collection[str], benchmarks: Mapping[str, Benchmark]) -> bool:
    """Return whether a benchmark is measured of which a prediction needs one, if it needs any."""
    anchors = _anchors(benchmarks)
    return not anchors or any(name in anchors for name in measured)


def _anchors(benchmarks: Mapping[str, Benchmark]) -> list[str]:
    return [name for name, b in benchmarks.items() if (b.measures or name).startswith(_ANCHORS)]


def facts_of(models: pd.DataFrame) -> pd.DataFrame:
    """Return release date, provider and reasoning of models, "" where they are not known."""
    import pandas as pd

    reasoning = models["mode"].map({"thinking": "true", "plain": "false", "chat": "false"})
    return pd.DataFrame(
        {
            "release_date": models["release_date"],
            "provider": models["provider"],
            "reasoning": reasoning.fillna(""),
        },
        index=models.index,
    )
