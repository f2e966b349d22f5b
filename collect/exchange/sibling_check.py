"""Imported scores are checked against each other before anything is predicted from them."""

from __future__ import annotations

from collections.abc import Iterable

from capspace.fit.decide import ScoreAlarm, check_scores
from capspace.fit.reference import choose_reference, load_reference
from capspace.tasks.panel import Panel

from ..storage.result import Result
from ..storage.score_table import to_table

__all__ = ["contradictions"]

_FEWEST = 3


def contradictions(results: Iterable[Result], panel: Panel) -> tuple[ScoreAlarm, ...]:
    """Return the scores that the other scores of the same model contradict.

    Parameters
    ----------
    results : iterable of Result
        Of a model's results on one benchmark of the panel the last counts; what is no fraction, or
        not measured by the panel's protocol, is left out.
    panel : Panel
        Says which packaged reference shows how its scores go together.

    """
    names = [b.name for b in panel.benchmarks]
    models: dict[tuple[str, str], dict[str, Result]] = {}
    for result in results:
        if result.benchmark in names and result.comparable and 0 <= result.score <= 1:
            models.setdefault((result.model, result.revision), {})[result.benchmark] = result
    enough = [own for own in models.values() if len(own) >= _FEWEST]
    if not enough:
        return ()
    reference = load_reference(choose_reference(names).name)
    return tuple(
        alarm for own in enough for alarm in check_scores(to_table(list(own.values())), reference)
    )
