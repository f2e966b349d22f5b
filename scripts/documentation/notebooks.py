"""A tutorial becomes a Jupyter notebook, with the outputs that its run has recorded."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from tutorials import BLOCK, ON_SLURM, Output, title_of

__all__ = ["notebook"]


def notebook(page: str, outputs: list[Output], folder: Path) -> dict[str, Any]:
    """Return a notebook in Jupyter's format 4.5.

    Parameters
    ----------
    page : str
        The tutorial, Markdown.
    outputs : list of Output
        What each of its blocks printed and drew.
    folder : Path
        Where the figures lie.

    """
    cells, end = [], 0
    for block, output in zip(BLOCK.finditer(page), outputs, strict=True):
        cells += _text(page[end : block.start()])
        code = _code(block)
        cells += _text(block[0]) if code is None else [_cell(code, output, folder)]
        end = block.end()
    cells += _text(page[end:])
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _text(text: str) -> list[dict[str, Any]]:
    """Return a cell of Markdown, whose links between pages are plain words; none for blanks."""
    text = re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]+\)", r"\1", text.strip())
    return [{"cell_type": "markdown", "metadata": {}, "source": text}] if text else []


def _code(block: re.Match[str]) -> str | None:
    """Return what a cell runs for a block, None for one that is only read."""
    title = title_of(block)
    if title == ON_SLURM or block["language"] == "text":
        return None
    if title:
        return f"%%writefile {title}\n{block['text']}".rstrip()
    magic = "" if block["language"] == "python" else "%%bash\n"
    return f"{magic}{block['text']}".rstrip()


def _cell(code: str, output: Output, folder: Path) -> dict[str, Any]:
    shown: list[dict[str, Any]] = []
    if output.text:
        shown.append({"output_type": "stream", "name": "stdout", "text": output.text + "\n"})
    for figure in output.figures:
        data = base64.b64encode((folder / figure).read_bytes()).decode()
        shown.append({"output_type": "display_data", "metadata": {}, "data": {"image/png": data}})
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": shown,
        "source": code,
    }
