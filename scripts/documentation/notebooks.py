"""A tutorial becomes a Jupyter notebook, which is run: its outputs are those that the page shows.

    python scripts/documentation/notebooks.py

writes those of ``docs/tutorials``, without outputs. A block is a cell, ``sh`` with ``%%bash`` and a
block with a title with ``%%writefile``; the figures that it draws are shown by a cell of their own
below it.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from tutorials import (
    BLOCK,
    ON_SLURM,
    RUN,
    TUTORIALS,
    Output,
    TutorialError,
    figures_of,
    shown,
    title_of,
)

__all__ = ["as_json", "notebook", "outputs_of", "run_notebook"]

SECONDS = 1800
# Jupyter works in the notebook's folder; the pages, in the checkout.
TO_CHECKOUT = """\
import os
from pathlib import Path

if Path("../../scripts/make_checkpoint.py").is_file():  # this is docs/tutorials
    os.chdir("../..")"""


def notebook(page: str, on_slurm: bool = False) -> dict[str, Any]:
    """Return a tutorial as a notebook in Jupyter's format 4.5, without outputs.

    The cell of a block has the block's number in its metadata. What wants a Slurm cluster is a cell
    only where one is there.
    """
    cells, end = [], 0
    for number, block in enumerate(BLOCK.finditer(page)):
        cells += _text(page[end : block.start()])
        code = _code(block, on_slurm)
        cells += _text(block[0]) if code is None else [_cell(code, block=number)]
        if figures := figures_of(block):
            images = ", ".join(f'Image("{name}")' for name in figures)
            cells.append(_cell(f"from IPython.display import Image, display\n\ndisplay({images})"))
        end = block.end()
    cells += _text(page[end:])
    if any("scripts/" in cell["source"] for cell in cells if cell["cell_type"] == "code"):
        cells.insert(1, _cell(TO_CHECKOUT))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def run_notebook(cells: dict[str, Any], folder: Path, environment: dict[str, str]) -> Any:
    """Run a notebook in a folder, in a kernel of its own, and return it with its outputs.

    Raises
    ------
    TutorialError
        If a cell fails; it ends with what the cell printed.

    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    from traitlets.config import Config

    done = nbformat.from_dict(cells)  # type: ignore[no-untyped-call]
    nbformat.validate(done)
    # Not by PYTHONPATH: the processes that the cells start are not to have it.
    here = str(Path(__file__).parent)
    extension = (
        f"import sys; sys.path.append({here!r}); get_ipython().run_line_magic('load_ext', 'shell')"
    )
    kernel = ["--IPKernelApp.capture_fd_output=False", f"--IPKernelApp.exec_lines={extension}"]
    with tempfile.TemporaryDirectory() as sockets:  # instead of ports
        client = NotebookClient(
            done,
            timeout=SECONDS,
            resources={"metadata": {"path": str(folder)}},
            extra_arguments=kernel,
            config=Config(KernelManager={"transport": "ipc", "ip": f"{sockets}/kernel"}),
        )
        try:
            client.execute(env=environment)
        except CellExecutionError as error:
            raise TutorialError(f"a cell failed\n\n{error}") from error
    for cell in done["cells"]:
        cell["metadata"].pop("execution", None)  # the time at which it ran
        for output in cell.get("outputs", ()):
            if output["output_type"] == "stream":
                output["text"] = shown(output["text"], folder) + "\n"
    return done


def outputs_of(page: str, done: Any) -> list[Output]:
    """Return what each block of a page printed in its notebook, and the figures that it drew."""
    printed = {
        cell["metadata"]["block"]: "".join(
            output["text"] for output in cell["outputs"] if output["output_type"] == "stream"
        )
        for cell in done["cells"]
        if "block" in cell["metadata"]
    }
    return [
        Output(
            "" if _is_file(block) else printed.get(number, "").rstrip("\n"),
            figures_of(block),
            number in printed,
        )
        for number, block in enumerate(BLOCK.finditer(page))
    ]


def _is_file(block: re.Match[str]) -> bool:
    return title_of(block) not in ("", ON_SLURM)


def _text(text: str) -> list[dict[str, Any]]:
    """Return a cell of Markdown, whose links between pages are plain words; none for blanks."""
    text = re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]+\)", r"\1", text.strip())
    return [{"cell_type": "markdown", "metadata": {}, "source": text}] if text else []


def _code(block: re.Match[str], on_slurm: bool) -> str | None:
    """Return what a cell runs for a block, None for one that is only read."""
    if _is_file(block):
        return f"%%writefile {title_of(block)}\n{block['text']}".rstrip()
    if block["language"] not in RUN or (title_of(block) and not on_slurm):
        return None
    magic = "" if block["language"] == "python" else "%%bash\n"
    return f"{magic}{block['text']}".rstrip()


def _cell(code: str, **metadata: object) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": metadata,
        "outputs": [],
        "source": code,
    }


def as_json(notebook: dict[str, Any]) -> str:
    """Return what a notebook's file holds."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for page in TUTORIALS:
        page.with_suffix(".ipynb").write_text(as_json(notebook(page.read_text())))
