"""The ledger holds laws that are frozen now and scored on models that come later."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from .._display import frame_html
from .._files import append_line
from ..errors import UnknownNameError, near_matches
from ..prediction import TargetLaw
from .frozen import FrozenLaw, LedgerError, entry_digest, freeze
from .scoring import Scoring, score

__all__ = ["FrozenLaw", "Ledger", "LedgerError", "Scoring"]


class Ledger:
    """A file of frozen laws and their later scorings, one JSON object a line, only ever appended.

    Each line holds the SHA-256 of the line before it, so that an entry cannot be changed, removed
    or back-dated between others without the chain breaking. One process may write at a time.

    Parameters
    ----------
    path : path
        Created with the first entry.

    See Also
    --------
    fit_unseen : Fits a law without the models that it is to predict.

    Examples
    --------
    >>> import tempfile
    >>> from capspace.fit import Ledger, TargetLaw, load_reference
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ledger = Ledger(f"{folder}/ledger.jsonl")
    ...     law = ledger.add(TargetLaw("bbh").fit(load_reference()), name="mine")
    ...     list(ledger.to_frame().index)
    ['mine']

    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per frozen law: its target, when, on how many models, and predictions."""
        rows = [
            {
                "name": law.name,
                "target": law.target.name,
                "frozen_at": law.frozen_at,
                "n_models": len(law.training["models"]),
                "n_predictions": len(law.predictions),
            }
            for law in self.laws()
        ]
        columns = ["name", "target", "frozen_at", "n_models", "n_predictions"]
        return pd.DataFrame(rows, columns=columns).set_index("name")

    def __repr__(self) -> str:
        return f"Ledger({str(self.path)!r})"

    def _repr_html_(self) -> str:
        return frame_html(self)

    def laws(self) -> list[FrozenLaw]:
        """Return all frozen laws, oldest first.

        Raises
        ------
        LedgerError
            The file cannot be read, or was changed after it was written.

        """
        return [FrozenLaw.from_dict(e["law"]) for e in self._entries() if "law" in e]

    def scorings(self, name: str | None = None) -> list[Scoring]:
        """Return all scorings, or those of one law, oldest first."""
        every = [Scoring.from_dict(e["scoring"]) for e in self._entries() if "scoring" in e]
        return [s for s in every if name in (None, s.name)]

    def law(self, name: str) -> FrozenLaw:
        """Return a frozen law by name.

        Raises
        ------
        UnknownNameError
            There is none; near matches are named.

        """
        known = {law.name: law for law in self.laws()}
        if name not in known:
            raise UnknownNameError(
                f"no law {name!r} in {self.path}{near_matches(name, known)}; it holds "
                f"{', '.join(known) or 'none'}"
            )
        return known[name]

    def add(
        self,
        fit: TargetLaw,
        *,
        name: str = "",
        scores: pd.DataFrame | None = None,
        level: float = 0.9,
        now: datetime | None = None,
    ) -> FrozenLaw:
        """Freeze a law and keep it; the parameters are those of `freeze`.

        Raises
        ------
        LedgerError
            The name is taken, or the ledger is broken or cannot be written.

        """
        law = freeze(fit, name=name, scores=scores, level=level, now=now)
        if any(other.name == law.name for other in self.laws()):
            raise LedgerError(f"{self.path} already holds a law {law.name!r}; give another name")
        self._append({"law": law.to_dict()})
        return law

    def score(
        self, name: str, scores: pd.DataFrame, truth: pd.Series, *, now: datetime | None = None
    ) -> Scoring:
        """Score a frozen law on new models and keep the result.

        The parameters but ``name`` are those of ``capspace.fit.analyses.scoring.score``.
        """
        scoring = score(self.law(name), scores, truth, now=now)
        self._append({"scoring": scoring.to_dict()})
        return scoring

    def _entries(self) -> list[dict[str, Any]]:
        """Return all entries, their chain of hashes checked."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise LedgerError(f"{self.path}: cannot be read ({error})") from None
        entries: list[dict[str, Any]] = []
        previous = ""
        for number, line in enumerate(text.splitlines(), start=1):
            try:
                entry = json.loads(line)
                stated = entry.pop("sha256")
                intact = stated == entry_digest(entry) and entry["previous"] == previous
            except (ValueError, KeyError, TypeError, AttributeError):
                raise LedgerError(
                    f"{self.path}: line {number} is not a ledger entry; restore the file from a "
                    "copy"
                ) from None
            if not intact:
                raise LedgerError(
                    f"{self.path}: line {number} was changed after it was written, or a line "
                    "before it was removed; restore the file from a copy"
                )
            previous = stated
            entries.append(entry)
        return entries

    def _append(self, entry: dict[str, Any]) -> None:
        entries = self._entries()
        entry = {**entry, "previous": entry_digest(entries[-1]) if entries else ""}
        line = json.dumps({**entry, "sha256": entry_digest(entry)}, allow_nan=False)
        try:
            append_line(self.path, line)
        except OSError as error:
            reason = error.strerror or error
            raise LedgerError(
                f"{self.path}: cannot be written ({reason}); it is as it was"
            ) from None
