"""Reference pages that are generated from the code: commands, panels, targets, public names."""

from __future__ import annotations

import pkgutil
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import typer.main
from typer.core import TyperGroup, TyperOption

__all__ = ["generated", "room_of"]

ROOT = Path(__file__).resolve().parents[2]


def generated(kind: str, argument: str | None = None) -> str:
    """Return the Markdown that stands for ``<!-- generated: kind argument -->``."""
    makers = {
        "changes": changes,
        "commands": commands,
        "names": names,
        "panels": panels,
        "picture": picture,
        "targets": targets,
    }
    return "\n".join(makers[kind](*([argument] if argument else [])))


def commands() -> Iterator[str]:
    """Yield a section per command of the command line."""
    from capspace.collect.cli import app

    yield from _group(typer.main.get_command(app), "capspace")  # type: ignore[arg-type]


def _group(group: TyperGroup, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if command.hidden:
            continue
        full = f"{path} {name}"
        yield f"{'##' if path == 'capspace' else '###'} `{full}`\n"
        yield _text(command.help) + "\n"
        if isinstance(command, TyperGroup):
            yield from _group(command, full)
            continue
        shown = [p for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]
        arguments = [p for p in shown if not isinstance(p, TyperOption)]
        options = [p for p in shown if isinstance(p, TyperOption)]
        words = " ".join(map(_placeholder, arguments))
        yield f"```text\n{full}{' [OPTIONS]' if options else ''} {words}".rstrip() + "\n```\n"
        yield from _parameters("Argument", arguments)
        yield from _parameters("Option", options)


def _placeholder(argument: Any) -> str:
    """Return what stands for an argument in a command's usage."""
    name = (argument.metavar or argument.name.upper()).strip("[]")
    many = "..." if argument.nargs == -1 and not name.endswith("...") else ""
    return f"{name}{many}" if argument.required else f"[{name}{many}]"


def _parameters(title: str, parameters: Sequence[Any]) -> Iterator[str]:
    """Yield a table of a command's arguments or options."""
    rows = []
    for parameter in parameters:
        name = ", ".join(f"`{o}`" for o in (*parameter.opts, *parameter.secondary_opts))
        if title == "Argument":
            name = f"`{_placeholder(parameter)}`"
        rows.append((name, _text(parameter.help), _default(parameter)))
    if rows:
        yield from _table((title, "What it does", "Default"), rows)


def _default(parameter: Any) -> str:
    """Return a parameter's default as `--help` shows it, or nothing."""
    shown = getattr(parameter, "show_default", None)
    if isinstance(shown, str):
        return shown
    value = parameter.default
    if value is None or callable(value) or isinstance(value, bool) or value in ((), []):
        return ""
    return f"`{getattr(value, 'value', value)}`"


def _text(text: str | None) -> str:
    """Return a help text as Markdown: what looks like a tag is code."""
    return "\n\n".join(
        " ".join(part.split()).replace("<", "&lt;")
        for part in textwrap.dedent(text or "").replace("\b", "").split("\n\n")
    )


def panels() -> Iterator[str]:
    """Yield a section per panel."""
    from capspace.tasks.panel import load_panel, panel_names

    for name in panel_names():
        panel = load_panel(name)
        yield f"## {panel.name}\n\n{panel.description} Version {panel.version}.\n"
        rows = [
            (
                b.name,
                ", ".join(f"`{task}`" for task in b.tasks),
                b.n_shot,
                b.metric + ("" if b.filter == "none" else f" ({b.filter})"),
                "–" if b.chance is None else f"{b.chance:g}",
                b.source,
            )
            for b in panel.benchmarks
        ]
        head = ("Benchmark", "lm-eval tasks", "Shots", "Metric", "Chance", "Source of the protocol")
        yield from _table(head, rows)
        if panel.differences:
            yield "What matches the board, and what does not:\n"
            head = ("", "The board", "lm-eval", "This panel", "Why")
            yield from _table(
                head,
                [(d.subject, d.board, d.lm_eval, d.panel, d.reason) for d in panel.differences],
            )


def targets() -> Iterator[str]:
    """Yield a section per reference, with its sources, benchmarks and targets."""
    from capspace.fit import load_reference, reference_names

    for name in reference_names():
        reference = load_reference(name)
        about = reference.about
        assert about is not None  # noqa: S101 - packaged ones all state it
        yield f"## {name}\n\n{about.title}. {about.note}\n"
        yield f"To {about.date}; {len(reference.table.models)} models; licence {about.licence}."
        yield f"Predicted from {', '.join(reference.benchmarks)}.\n"
        if about.sources:
            rows = [(_link(s.title, s.url), s.commit, s.date, s.licence) for s in about.sources]
            yield from _table(("Source", "Commit", "Date", "Licence"), rows)
        counts = reference.training_counts()
        rows = [
            (f"`{t.name}`", t.description, counts[t.name][0], *_tested(reference, t.name), t.source)
            for t in reference.targets.values()
        ]
        head = ["Target", "What it is", "Models", "Status", "Error", "Best naive", "Inside"]
        if any(row[-1] for row in rows):
            head.append("Source")
        yield from _table(head, [row[: len(head)] for row in rows])


def _link(title: str, url: str) -> str:
    return f"[{title}]({url})" if url else title


def _tested(reference: Any, target: str) -> tuple[str, str, str, str]:
    """Return how a target did in back-tests, in words."""
    evaluation = reference.evaluations.get(target)
    if evaluation is None:
        return "–", "–", "–", "–"

    def points(value: float | None) -> str:
        return "–" if value is None else f"{100 * value:.1f}"

    inside = "–" if evaluation.coverage is None else f"{evaluation.coverage:.0%}"
    return evaluation.status, points(evaluation.mae), points(evaluation.baseline_mae), inside


def names(room: str) -> Iterator[str]:
    """Yield what mkdocstrings shows of each public name of a room of fit, or of collect."""
    package = import_module("capspace.collect" if room == "collect" else "capspace.fit")
    for name in package.__all__:
        if name.startswith("__") or (room != "collect" and room != room_of(name)):
            continue
        module = getattr(getattr(package, name), "__module__", "")
        if not module.startswith("capspace."):  # a constant, or an alias of types
            module = f"capspace.fit.{room}"
        yield f"::: {module}.{name}\n"


def room_of(name: str) -> str:
    """Return the room of fit that a public name comes from."""
    for room in pkgutil.iter_modules(import_module("capspace.fit").__path__):
        listed = getattr(import_module(f"capspace.fit.{room.name}"), "__all__", ())
        if not room.name.startswith("_") and name in listed:
            return room.name
    raise LookupError(f"no room of capspace.fit lists {name}")


def changes() -> Iterator[str]:
    """Yield the changelog without its title."""
    yield (ROOT / "CHANGELOG.md").read_text().removeprefix("# Changelog\n")


def picture(name: str) -> Iterator[str]:
    """Yield a picture of the README with its text."""
    readme = (ROOT / "README.md").read_text()
    (text,) = re.findall(rf"!\[([^\]]*)\]\([^)]*/{name}\.png\)", readme)
    yield f"![{text}](pictures/{name}.png)"


def _table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield "| " + " | ".join(map(str, head)) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield (
            "| "
            + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row)
            + " |"
        )
    yield ""
