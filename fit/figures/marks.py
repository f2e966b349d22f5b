"""Each family has its own marker and colour, the same in every figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.path import Path as MarkerPath
from numpy.typing import NDArray

from .style import ACCENT, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY

__all__ = [
    "FAMILIES",
    "dot",
    "family_handle",
    "family_key",
    "family_style",
    "ordered_families",
    "scatter_families",
]

Floats = NDArray[np.float64]

_MOST_NAMED = 23

# Fourteen shapes told apart at small size and in one colour, each with the factor by which it must
# be drawn larger to look as large as a disc; then the same again, hollow.
_MARKERS: tuple[tuple[str | MarkerPath, float], ...] = (
    *((m, 1.0) for m in ("o", "s", "^", "D", "v")),
    *((m, 1.1) for m in ("P", "X", "p")),
    (MarkerPath.unit_regular_star(5, 0.5), 1.45),
    (MarkerPath.unit_regular_star(4, 0.42), 1.55),
    *((m, 1.0) for m in ("<", ">")),
    ("d", 1.15),
    (MarkerPath.unit_regular_star(3, 0.35), 1.6),
)
_COLOURS = (BLUE, ACCENT, GREEN, PURPLE, ORANGE, SKY, "#8c564b", "#444444")
# Families of the reference, so that each keeps its mark in every figure.
FAMILIES = (
    *("Llama-2", "Llama", "Llama-3", "Llama-3.1", "Qwen1.5", "Qwen", "Qwen2", "Mistral", "Mixtral"),
    *("Yi", "Yi-1.5", "Gemma", "Gemma-2", "Falcon", "Phi", "Pythia", "BLOOM", "GPT-Neo/J", "OPT"),
    *("MPT", "XGLM", "CodeLlama", "StarCoder", "StarCoder2", "DeepSeek-Coder", "DeepSeek-V2"),
    *("DeepSeek-Coder-V2", "Jamba"),
    *("GPT-4", "Claude-2", "Claude-1", "GPT-3.5-Turbo", "Claude-Instant", "Codellama-Instruct"),
    *("Vicuna", "Llama-2-Chat", "OpenChat", "WizardLM", "Guanaco", "Koala", "Dolly-v2"),
)


def family_style(family: str, among: Sequence[str] = (), size: float = 6.5) -> dict[str, Any]:
    """Return marker, size, colour and fill of a family, as keywords of ``Axes.plot``.

    A family of the reference looks the same in every figure; others take the marks that follow, in
    their order in ``among``.
    """
    others = [f for f in dict.fromkeys(among) if f not in FAMILIES]
    known = [*FAMILIES, *others]
    at = known.index(family) if family in known else len(known)
    open_mark = (at // len(_MARKERS)) % 2 == 1
    # The colour cycle is shorter than the markers' and drifts, so that no pair comes twice early.
    colour = _COLOURS[(at + at // len(_MARKERS) * 3) % len(_COLOURS)]
    marker, factor = _MARKERS[at % len(_MARKERS)]
    return {
        "marker": marker,
        "markersize": size * factor,
        "color": colour,
        "markerfacecolor": "white" if open_mark else colour,
        "markeredgecolor": colour if open_mark else "white",
        "markeredgewidth": 1.3 if open_mark else 0.6,
    }


def family_handle(family: str, label: str = "", among: Sequence[str] = ()) -> Line2D:
    """Return a legend entry for a family."""
    marks = family_style(family, among, size=7)
    return Line2D([], [], linestyle="none", label=label or family, **marks)


def ordered_families(families: Iterable[str]) -> list[str]:
    """Return the distinct families, those of the reference first and in its order."""
    there = list(dict.fromkeys(families))
    return [f for f in FAMILIES if f in there] + [f for f in there if f not in FAMILIES]


def scatter_families(
    axes: Axes, x: Floats, y: Floats, families: Sequence[str], rows: NDArray[np.bool_], colour: str
) -> None:
    """Draw ``rows``, each family with its own marker in one colour."""
    member = np.asarray(families, dtype=object)
    for family in ordered_families(families):
        own = rows & (member == family)
        style = family_style(family, families, size=6.2)
        hollow = style["markerfacecolor"] == "white"
        axes.plot(
            x[own],
            y[own],
            linestyle="none",
            marker=style["marker"],
            markersize=style["markersize"],
            alpha=0.85,
            markerfacecolor="white" if hollow else colour,
            markeredgecolor=colour if hollow else "white",
            markeredgewidth=1.2 if hollow else 0.6,
            zorder=4,
        )


def family_key(axes: Axes, first: Legend, families: Sequence[str]) -> None:
    """Add a key of the families' markers beside the axes, keeping the ``first`` legend.

    Of more families than fit, those of the most models are named.
    """
    axes.add_artist(first)
    every = ordered_families(families)
    named = sorted(every, key=list(families).count, reverse=True)[:_MOST_NAMED]
    shown = [f for f in every if f in named]
    handles = []
    for family in shown:
        style = family_style(family, families, size=5.5)
        hollow = style["markerfacecolor"] == "white"
        handles.append(
            Line2D(
                [],
                [],
                ls="none",
                marker=style["marker"],
                ms=style["markersize"],
                color=GREY,
                markerfacecolor="white" if hollow else GREY,
                markeredgecolor=GREY if hollow else "white",
                markeredgewidth=1.1 if hollow else 0.5,
                label=family,
            )
        )
    if len(every) > len(shown):
        label = f"and {len(every) - len(shown)} more"
        handles.append(Line2D([], [], ls="none", label=label))
    axes.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        fontsize=8.5,
        labelcolor=GREY,
        labelspacing=0.35,
    )


def dot(colour: str, label: str) -> Line2D:
    """Return a legend entry for models of one colour, whatever their family."""
    return Line2D([], [], marker="o", ms=7, ls="none", color=colour, mec="white", label=label)
