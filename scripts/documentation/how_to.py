"""Run the commands of the README and of every page that is no tutorial.

    python scripts/documentation/how_to.py [PAGE ...]

Tutorials run as they stand. The commands of other pages name what is the reader's own, a checkpoint
on the Hub or a folder of data sets: ``how_to.yaml`` says what is run in its place, and which
commands cannot run here. A block of commands on a page that has no entry there ends the run, as a
command that fails does.
"""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from tutorials import BLOCK, ROOT, run_page

__all__ = ["Page", "pages", "run_how_to"]

RUN = ("sh", "python")


@dataclass(frozen=True)
class Page:
    """How the blocks of a page are run.

    Parameters
    ----------
    path : Path
        The page.
    before : list of str, default []
        Commands that make what the page takes for granted.
    instead : dict of str to str, default {}
        Words of its blocks, and what stands for them here, in this order.
    not_run : dict of str to str, default {}
        How commands begin that cannot run here, and why.

    """

    path: Path
    before: list[str] = field(default_factory=list)
    instead: dict[str, str] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the page with the commands that are run here."""
        return BLOCK.sub(self._block, self.path.read_text())

    def _block(self, block: re.Match[str]) -> str:
        text = block["text"].replace("\\\n", " ") if block["language"] == "sh" else block["text"]
        lines = [line for line in text.splitlines() if not line.startswith(tuple(self.not_run))]
        text = "\n".join(lines)
        for words, here in self.instead.items():
            text = text.replace(words, here)
        return f"```{block['language']} {block['options'] or ''}".rstrip() + f"\n{text}\n```"

    def unused(self) -> list[str]:
        """Return the words of the entry that no block has."""
        text = "\n".join(block["text"] for block in BLOCK.finditer(self.path.read_text()))
        return [words for words in (*self.instead, *self.not_run) if words not in text]


def pages() -> list[Page]:
    """Return the pages with blocks that are run.

    Raises
    ------
    ValueError
        If a page with such a block has no entry, or an entry has words that its page lacks.

    """
    entries = yaml.safe_load((ROOT / "scripts" / "documentation" / "how_to.yaml").read_text())
    there = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    run = []
    for path in there:
        name = str(path.relative_to(ROOT))
        if path.parent.name == "tutorials" or not any(
            block["language"] in RUN for block in BLOCK.finditer(path.read_text())
        ):
            continue
        if name not in entries:
            raise ValueError(f"{name} has commands, and no entry in how_to.yaml")
        page = Page(path, **(entries.pop(name) or {}))
        if unused := page.unused():
            raise ValueError(f"how_to.yaml: {name} has no {', '.join(map(repr, unused))}")
        run.append(page)
    if entries:
        raise ValueError(f"how_to.yaml has pages without commands: {', '.join(entries)}")
    return run


def run_how_to(page: Page, folder: Path) -> None:
    """Run a page's blocks in an empty folder, with embedded data sets, after what it needs."""
    before = "".join(f"```sh\n{command}\n```\n" for command in page.before)
    run_page(before + page.text(), page.path, folder, CAPSPACE_DATA_ROOT="embedded")


if __name__ == "__main__":
    for page in pages():
        name = str(page.path.relative_to(ROOT))
        if not sys.argv[1:] or name in sys.argv[1:]:
            with tempfile.TemporaryDirectory() as folder:
                run_how_to(page, Path(folder).resolve() / "desk")
            print(f"{name}: runs", flush=True)
