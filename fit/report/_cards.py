"""The cards at the top of the page show at a glance where a model lies."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from ..prediction import Placement
from .words import equivalent_flops, reference_words

__all__ = ["cards_of", "columns_of"]

_MOST_COLUMNS = 5
_REFERENCE = "Reference"

Card = dict[str, str]


def cards_of(placements: Sequence[Placement]) -> list[Card]:
    """Return the cards of all placements; of several, each names its reference instead."""
    if len(placements) == 1:
        return _cards(placements[0])
    named: list[Card] = []
    for placement in placements:
        name = placement.reference.name or placement.reference.title
        for card in _cards(placement):
            label = card["label"]
            if label == _REFERENCE:
                continue
            named.append({**card, "label": f"{name}: {label[0].lower()}{label[1:]}"})
    return named


def columns_of(cards: Sequence[Card]) -> int:
    """Return how many cards stand in a row of a wide page, so that none is left alone."""
    rows = ceil(len(cards) / _MOST_COLUMNS)
    return ceil(len(cards) / max(rows, 1))


def _cards(placement: Placement) -> list[Card]:
    n, of = int(placement.scores.notna().sum()), len(placement.scores)
    cards = [
        {"label": "Benchmarks measured", "value": f"{n} of {of}", "note": _missing_note(placement)},
        {
            "label": "Nearest reference model",
            "value": placement.nearest[0].split("/")[-1],
            "note": "then " + ", ".join(m.split("/")[-1] for m in placement.nearest[1:]),
        },
    ]
    if placement.equivalent is not None:
        value, note = equivalent_flops(placement.equivalent)
        label = f"Equivalent training compute in {placement.equivalent.family} terms"
        cards.append({"label": label, "value": value, "note": note})
    if placement.reference.date is not None:
        reference = placement.reference
        cards.append(
            {
                "label": _REFERENCE,
                "value": reference.name,
                "note": f"{reference_words(reference).partition(', ')[2]}; {reference.licence}",
            }
        )
    inside = sum(p.support.inside for p in placement.predictions)
    if placement.predictions:
        cards.append(
            {
                "label": "Predictions with support",
                "value": f"{inside} of {len(placement.predictions)}",
                "note": "inside the range of capabilities that the law was fitted on",
            }
        )
    return cards


def _missing_note(placement: Placement) -> str:
    return "missing: " + ", ".join(placement.missing) if placement.missing else "none missing"
