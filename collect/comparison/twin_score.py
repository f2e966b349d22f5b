"""A score under two paths: how far the two lie apart, and the likely causes of a drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from capspace.fit._display import SingleRow
from capspace.fit._json import json_dict
from capspace.fit.decide._paired import Drift

from .twin_items import PairedItems

__all__ = ["TwinScore"]

SIGNIFICANT = 0.05

_FEW_RESPONSES = 0.02

_FEW_TEXTS = 0.2


@dataclass(frozen=True, repr=False)
class TwinScore(SingleRow):
    """One score of a model under two paths: here, and published, imported or measured again.

    Attributes
    ----------
    model, benchmark : str
    against : str
        The other path.
    drift : Drift
        Its p-value holds for all benchmarks together.
    items : PairedItems or None
        None where only scores are known.
    fields : mapping of field to (own, other)
        What the two protocols state differently, the likeliest cause first.

    See Also
    --------
    place : Returns those that drift as ``drifts``.
    capspace.fit.Drift : How far the two scores lie apart.

    Examples
    --------
    >>> from capspace.collect import TwinScore
    >>> from capspace.fit import Drift
    >>> drift = Drift(0.61, 0.55, -0.06, -0.09, -0.03, 0.001, "two scores")
    >>> twin = TwinScore("mine", "MMLU", "published", drift, None, {"shots": ("5", "0")})
    >>> twin.drifting, twin.causes[0]
    ('score', 'shots: 5, there 0')

    """

    model: str
    benchmark: str
    against: str
    drift: Drift
    items: PairedItems | None
    fields: Mapping[str, tuple[str, str]]

    def __repr__(self) -> str:
        return f"TwinScore({self.line})"

    @property
    def drifting(self) -> str:
        """What drifts: "score", "prompts", "responses", or "" for nothing."""
        if self.drift.p_value <= SIGNIFICANT:
            return "score"
        if self.items is None:
            return ""
        n = len(self.items.own)
        if self.items.n_prompts:
            return "prompts"
        few = _FEW_TEXTS if self.items.generated else _FEW_RESPONSES
        return "responses" if self.items.n_responses > few * n else ""

    @property
    def causes(self) -> tuple[str, ...]:
        """The likely causes of a drift, the likeliest first; none without a drift."""
        if not self.drifting:
            return ()
        stated = [f"{name}: {own}, there {other}" for name, (own, other) in self.fields.items()]
        if self.items is None or not (self.items.n_prompts or self.items.n_responses):
            hidden = ["shots, template, filter or version that a side does not state"]
        elif self.items.n_prompts:
            hidden = ["other prompts: few-shot examples, template or task version"]
        else:
            hidden = ["the same prompts: BOS token, dtype, attention, or other weights"]
        return (*stated, *hidden)

    @property
    def line(self) -> str:
        """The comparison in a line."""
        d, items = self.drift, self.items
        sizes = f"{d.own:.3f}, {self.against} {d.other:.3f}"
        of = "" if d.n_items is None else f" on {d.n_items} items"
        test = (
            f"{d.difference:+.3f} ({d.lower:+.3f} to {d.upper:+.3f}; {d.test}, p {d.p_value:.2g})"
        )
        more = ""
        if items is not None and (items.n_prompts or items.n_responses):
            more = f"; {items.n_prompts} prompts and {items.n_responses} further responses differ"
        why = f"; likely {'; '.join(self.causes)}" if self.drifting else ""
        return f"{self.model}: {self.benchmark} {sizes}{of}: {test}{more}{why}"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping."""
        items = self.items
        return json_dict(
            {
                "model": self.model,
                "benchmark": self.benchmark,
                "against": self.against,
                **vars(self.drift),
                "n_prompts_differ": None if items is None else items.n_prompts,
                "n_responses_differ": None if items is None else items.n_responses,
                "drift": self.drifting,
                "fields": {name: list(pair) for name, pair in self.fields.items()},
                "causes": self.causes,
            }
        )
