"""A store states how its models were measured, so that they can be measured further."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import options as o
from .advised import checkpoint_of, mode_options

if TYPE_CHECKING:
    from capspace.fit.table import ScoreTable
    from capspace.tasks.panel import Panel

    from ..storage.result import Result

__all__ = ["MeasuredBefore", "how_measured"]


@dataclass(frozen=True)
class MeasuredBefore:
    """What a command needs that measures more of a model.

    Attributes
    ----------
    checkpoint : str
        As ``capspace collect`` takes it, or a placeholder in capitals.
    panels : tuple of (str, Panel)
        Those that its scores came from, the latest first, by the names that the command takes.
    options : tuple of str
        Further options.
    notes : tuple of str
        What placeholders stand for, and which panels cannot be named.

    """

    checkpoint: str
    panels: tuple[tuple[str, Panel], ...]
    options: tuple[str, ...]
    notes: tuple[str, ...] = ()


def how_measured(file: Path, table: ScoreTable, model: str) -> MeasuredBefore:
    """Return how a model of a table, or of a store, is measured further.

    Parameters
    ----------
    file : Path
        A table, or the folder of a store.
    table : ScoreTable
        What was read from it.
    model : str
        As the table names it.

    """
    options = mode_options(table, model)
    results = _measured_here(file, model) if file.is_dir() else []
    if not results:
        name = checkpoint_of(model)
        if name.count("/") == 1 or Path(name).expanduser().is_dir():
            return MeasuredBefore(name, (), options)
        stands = f"PATH-OF-{name} stands for the checkpoint, whose folder or Hub name {file} lacks"
        return MeasuredBefore(f"PATH-OF-{name}", (), options, (stands,))
    from .setting_options import value_words

    last = results[0]
    notes: list[str] = []
    checkpoint = _checkpoint(last, notes)
    panels = dict(_panels(results, notes))
    words = tuple(value_words(_settings(last, notes)))
    if "settings" not in last.provenance:  # of an older version: the table still knows the mode
        words = (*options, *words)
    return MeasuredBefore(checkpoint, tuple(panels.items()), words, tuple(dict.fromkeys(notes)))


def _measured_here(store: Path, model: str) -> list[Result]:
    """Return a model's results that were not imported, the latest first."""
    from ..storage.score_table import named_rows

    with o.open_store(store, must_write=False) as opened:
        named = named_rows(opened.results())
    own = [result for name, result in named if name == model and result.provenance.get("location")]
    return sorted(own, key=lambda result: result.measured_at, reverse=True)


def _checkpoint(result: Result, notes: list[str]) -> str:
    """Return the checkpoint as it is at hand now: its folder, its commit, its name on a server."""
    import json

    location = str(result.provenance["location"])
    model = json.loads(result.identity).get("model") or {}
    kind = str(model.get("checkpoint", "")).partition(":")[0]
    if kind == "hub":
        return f"{location}@{result.revision}"
    if kind == "endpoint":
        return location.partition("#")[2]
    if Path(location).is_dir():
        return location
    notes.append(
        f"PATH-OF-{result.model} stands for the checkpoint's folder, which is no longer {location}"
    )
    return f"PATH-OF-{result.model}"


def _panels(results: Sequence[Result], notes: list[str]) -> Iterator[tuple[str, Panel]]:
    """Yield the panels that results came from."""
    from capspace.tasks.panel import PanelError, load_panel, panel_names

    packaged = panel_names()
    stated = [(r.provenance.get("panel_file"), r.provenance.get("panel")) for r in results]
    for file, words in dict.fromkeys(stated):
        name = str(words or "").partition(" ")[0]
        if file is None and name in packaged:
            yield name, load_panel(name)
            continue
        if file is None:
            notes.append(f"scores came from the panel {name}, whose file the store does not state")
            continue
        try:
            yield file, load_panel(file)
        except PanelError as error:
            notes.append(f"scores came from a panel that cannot be read now: {error}")


def _settings(result: Result, notes: list[str]) -> dict[str, Any]:
    """Return the settings that a result states, or what an older one tells of them."""
    from ..harness.data_root import EMBEDDED, embedded_data_root
    from ..storage.protocol import Protocol

    settings = dict(result.provenance.get("settings") or {})
    if "device" in settings:  # which of its GPUs was free then says nothing of now, or of here
        settings["device"] = str(settings["device"]).partition(":")[0]
    protocol = Protocol.parse(result.protocol)
    if "settings" not in result.provenance and protocol is not None and protocol.data:
        is_embedded = protocol.data == embedded_data_root().label
        settings["data_root"] = EMBEDDED if is_embedded else ""
    for name in ("data_root", "include_path"):
        value = settings.get(name)
        if value in (None, EMBEDDED) or (value and Path(value).is_dir()):
            continue
        settings[name] = f"{name.upper().replace('_', '-')}-OF-{result.model}"
        gone = f"is no longer {value}" if value else "the store does not state"
        notes.append(f"{settings[name]} stands for a folder that {gone}")
    return settings
