"""``references NAME`` shows a reference: its sources, and how far they differ."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from . import options as o
from .references_build import offset_rows

__all__ = ["NamedReferences", "show_reference"]


class NamedReferences(TyperGroup):
    """Commands of references, of which ``show`` is meant where a name of none of them stands."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first argument names, or ``show``."""
        named = bool(args) and self.get_command(ctx, args[0]) is None
        return super().resolve_command(ctx, ["show", *args] if named else args)


def show_reference(
    reference: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A packaged reference, or the folder of a reference."),
    ],
    as_json: o.Json = False,
) -> None:
    """Show a reference: its sources and licences, and how the sources differ on shared models."""
    from capspace.fit._json import json_safe
    from capspace.fit.reference import load_reference

    from .chosen_reference import reference_dict

    known = load_reference(reference)
    sources = () if known.about is None else known.about.sources
    pairs = known.offsets.pairs
    if as_json:
        o.print_json(
            {
                **reference_dict(known),
                "sources": [source.model_dump(mode="json") for source in sources],
                "offsets": json_safe(known.offsets.to_frame().to_dict("records")),
            }
        )
        return
    title = f"{known.name or reference}: {known.title}"
    if sources:
        o.print_table(
            title,
            ("Source", "Date", "Licence", "Where"),
            [(s.title, s.date.isoformat(), s.licence, s.url) for s in sources],
        )
    else:
        o.console().print(f"{title}; it states no sources", markup=False, soft_wrap=True)
    if pairs:
        offset_table = "Where two sources measured the same models, points"
        o.print_table(offset_table, *offset_rows(pairs), numbers=("Shared", "Apart", "Spread", "r"))
    else:
        o.console().print("how far its sources differ is not known", markup=False)
    if known.attribution:
        o.console().print(known.attribution, style="dim", markup=False)
