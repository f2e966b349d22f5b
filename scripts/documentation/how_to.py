"""Run the commands of the README and of every page that is no tutorial.

    python scripts/documentation/how_to.py [PAGE ...]

Tutorials run as they stand. The commands of other pages name what is the reader's own, a checkpoint
on the Hub or a folder of data sets: ``how_to.yaml`` says what is run in its place, and which
commands a test or a workflow runs instead. A block that is not accounted for ends the run, as a
command that fails does.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from tutorials import BLOCK, ON_SLURM, ROOT, RUN, SHELL, run_page, title_of

__all__ = ["Page", "all_pages", "pages", "run_how_to"]

# Folders with Markdown of ours; others hold packages, builds and results.
FOLDERS = (".github", "collect", "docs", "findings", "fit", "scripts", "tasks", "tests")
COMMAND = re.compile(r"^(\$ )?((bash|capspace|export|git|pip|python) |scripts/|\.venv/)", re.M)


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
    run_by : dict of str to str, default {}
        How commands begin that are run elsewhere, by a test, a workflow or ``.ci/run``, and where.
    served : dict of str to str, default {}
        The URL of a page's server, and the name of the model behind it: a small chat checkpoint in
        a folder of that name, which ``transformers serve`` answers with.

    """

    path: Path
    before: list[str] = field(default_factory=list)
    instead: dict[str, str] = field(default_factory=dict)
    run_by: dict[str, str] = field(default_factory=dict)
    served: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return its path in the checkout."""
        return str(self.path.relative_to(ROOT))

    @property
    def is_tutorial(self) -> bool:
        """Return whether it runs as it stands."""
        return self.path.parent.name == "tutorials"

    @property
    def left_out(self) -> tuple[str, ...]:
        """Return how the lines begin that are not run with the page."""
        return tuple(self.run_by)

    @property
    def runs(self) -> bool:
        """Return whether any of its commands is run with the page."""
        blocks = BLOCK.finditer(self.text())
        return any(b["language"] in RUN and b["text"].strip() for b in blocks)

    def text(self, **instead: str) -> str:
        """Return the page with the commands that are run here."""
        return BLOCK.sub(lambda block: self._block(block, instead), self.path.read_text())

    def _block(self, block: re.Match[str], instead: dict[str, str]) -> str:
        text = block["text"].replace("\\\n", " ") if block["language"] in SHELL else block["text"]
        lines = [line for line in text.splitlines() if not line.startswith(self.left_out)]
        text = "\n".join(lines)
        for words, here in {**self.instead, **instead}.items():
            text = text.replace(words, here)
        return f"```{block['language']} {block['options'] or ''}".rstrip() + f"\n{text}\n```"

    def unused(self) -> list[str]:
        """Return the words of the entry that no block has."""
        text = "\n".join(block["text"] for block in BLOCK.finditer(self.path.read_text()))
        return [
            words for words in (*self.instead, *self.served, *self.left_out) if words not in text
        ]

    def unaccounted(self) -> Iterator[str]:
        """Yield the blocks that are neither run nor named, each with the page's name."""
        text = self.path.read_text()
        for fence in re.findall(r"^ *(?:```|~~~).*", BLOCK.sub("", text), re.M):
            yield f"{self.name}: a fence that begins no block with a language: {fence}"
        used = "\n".join(b["text"] for b in BLOCK.finditer(self.text()) if b["language"] in RUN)
        for block in BLOCK.finditer(text):
            title = title_of(block)
            if block["language"] in RUN and title != ON_SLURM:
                continue
            if title and title != ON_SLURM:
                named = title in used
            elif block["language"] == "text" and not COMMAND.search(block["text"]):
                named = True  # an output, or a picture in letters
            else:
                named = block["text"].startswith(self.left_out)
            if not named:
                yield f"{self.name}: neither run nor named in how_to.yaml:\n{block[0]}"


def all_pages() -> list[Page]:
    """Return every page of the project, with its entry of ``how_to.yaml``.

    Raises
    ------
    ValueError
        If an entry has words that its page lacks, or is of no page with blocks.

    """
    entries = yaml.safe_load((ROOT / "scripts" / "documentation" / "how_to.yaml").read_text())
    below = (path for name in FOLDERS for path in (ROOT / name).rglob("*.md"))
    listed = []
    for path in [*sorted(ROOT.glob("*.md")), *sorted(below)]:
        name = str(path.relative_to(ROOT))
        has_blocks = BLOCK.search(path.read_text()) is not None
        entry = entries.pop(name, {}) if has_blocks else None
        page = Page(path, **(entry or {}))
        if entry == {} and page.runs and not page.is_tutorial:
            raise ValueError(f"{name} has commands, and no entry in how_to.yaml")
        if unused := page.unused():
            raise ValueError(f"how_to.yaml: {name} has no {', '.join(map(repr, unused))}")
        listed.append(page)
    if entries:
        raise ValueError(f"how_to.yaml has pages without commands: {', '.join(entries)}")
    return listed


def pages() -> list[Page]:
    """Return the pages that this program runs.

    Raises
    ------
    ValueError
        If a page with commands has no entry, an entry has words that its page lacks, or a block is
        neither run nor named.

    """
    listed = all_pages()
    if missed := [words for page in listed for words in page.unaccounted()]:
        raise ValueError("\n".join(missed))
    return [page for page in listed if page.runs and not page.is_tutorial]


def run_how_to(page: Page, folder: Path) -> None:
    """Run a page's blocks in an empty folder, with embedded data sets, after what it needs."""
    before = "".join(f"```sh\n{command}\n```\n" for command in page.before)
    with _served(page, folder) as instead:
        text = before + page.text(**instead)
        run_page(text, page.path, folder, CAPSPACE_DATA_ROOT="embedded")


@contextmanager
def _served(page: Page, folder: Path) -> Iterator[dict[str, str]]:
    """Serve the page's model from a folder; give what stands for its URL."""
    if not page.served:
        yield {}
        return
    sys.path.append(str(ROOT / "tests"))
    from chat_checkpoint import make_chat_checkpoint
    from transformers_server import transformers_server

    ((url, model),) = page.served.items()
    words = (ROOT / "tasks" / "data" / "hub" / "TIGER-Lab" / "MMLU-Pro").glob("*.jsonl")
    # Of a special token the server's text would show nothing.
    make_chat_checkpoint(folder / model, special=False, ends_turns=True, corpus=sorted(words))
    with chdir(folder), transformers_server(Path(model)) as server:
        yield {url: f"{server}/v1"}


if __name__ == "__main__":
    if unknown := set(sys.argv[1:]) - {page.name for page in pages()}:
        sys.exit(f"no page with commands of its own: {', '.join(sorted(unknown))}")
    for page in pages():
        if not sys.argv[1:] or page.name in sys.argv[1:]:
            with tempfile.TemporaryDirectory() as folder:
                run_how_to(page, Path(folder).resolve() / "desk")
            print(f"{page.name}: runs", flush=True)
