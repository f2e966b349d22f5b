"""Run the tutorials of ``docs/tutorials`` as they stand, and record what each block prints.

    python scripts/documentation/tutorials.py OUT [NAME ...]

A tutorial is Markdown whose fenced blocks are run from top to bottom in an empty folder:

- ``sh``: each command, ``capspace`` and ``python FILE`` in this process, all others by bash;
- ``python``: run with the names of the blocks before it;
- any block with a title such as ``title="zoo.yaml"``: written to that file;
- a block with ``figures="a.png b.png"``: these, which it draws, are shown below it;
- ``sh`` with the title "on a Slurm cluster": run only where one answers.

OUT gets two files per tutorial: JSON, a list of what each block printed and drew, and a notebook
with the same outputs. A command or block that fails ends the run.
"""

from __future__ import annotations

import io
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = [
    "BLOCK",
    "ON_SLURM",
    "TUTORIALS",
    "Output",
    "TutorialError",
    "figure_name",
    "run_page",
    "run_tutorial",
    "title_of",
]

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
BLOCK = re.compile(
    r"^```(?P<language>\w+)(?: +(?P<options>[^\n]*))?\n(?P<text>.*?)^```$", re.M | re.S
)
ON_SLURM = "on a Slurm cluster"
WIDTH = "110"


class TutorialError(Exception):
    """A block failed; the message names it and ends with what it printed."""


@dataclass
class Output:
    """What a block printed, and the figures that it wrote; whether it ran at all."""

    text: str = ""
    figures: list[str] = field(default_factory=list)
    ran: bool = True


def run_tutorial(page: Path, folder: Path) -> list[Output]:
    """Run the blocks of a page in a folder, which should be empty, and return their outputs."""
    return run_page(page.read_text(), page, folder)


def run_page(text: str, page: Path, folder: Path, **environment: str) -> list[Output]:
    """Run the blocks of a text, whose page is named where one fails."""
    with _desk(folder):
        os.environ.update(environment)
        names: dict[str, object] = {"__name__": "__main__"}
        return [_run_block(block, names, page) for block in BLOCK.finditer(text)]


@contextmanager
def _desk(folder: Path) -> Iterator[None]:
    """Work in a folder that has the checkout's scripts, with no settings of the user."""
    before, environment = Path.cwd(), dict(os.environ)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scripts").symlink_to(ROOT / "scripts")
    os.environ.update(COLUMNS=WIDTH, NO_COLOR="1", HF_HUB_OFFLINE="1", MPLBACKEND="agg")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ["CAPSPACE_STORE"] = str(folder / "store")
    os.environ.pop("CAPSPACE_DATA_ROOT", None)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)


def title_of(block: re.Match[str]) -> str:
    """Return the title of a block, "" where it has none."""
    title = re.search(r'title="([^"]+)"', block["options"] or "")
    return title[1] if title else ""


def _run_block(block: re.Match[str], names: dict[str, object], page: Path) -> Output:
    title = title_of(block)
    if title and title != ON_SLURM:
        Path(title).write_text(block["text"])
        return Output()
    if block["language"] not in ("sh", "python") or (title and not _cluster_answers()):
        return Output(ran=False)
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(printed), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries; ours are printed lines
            if block["language"] == "python":
                exec(compile(block["text"], page.name, "exec"), names)  # noqa: S102 - our own page
            else:
                for command in _commands(block["text"]):
                    _run_command(command, printed)
    except Exception as error:
        if not isinstance(error, TutorialError):
            traceback.print_exc(file=printed)
        raise TutorialError(
            f"{page}: a block failed\n\n{block[0]}\n\n{printed.getvalue()}"
        ) from error
    figures = re.search(r'figures="([^"]+)"', block["options"] or "")
    drawn = figures[1].split() if figures else []
    if missing := [name for name in drawn if not Path(name).is_file()]:
        raise TutorialError(f"{page}: a block drew no {', '.join(missing)}\n\n{block[0]}")
    return Output(_clean(printed.getvalue()), drawn)


def _cluster_answers() -> bool:
    """Return whether a Slurm cluster is there and answers."""
    sinfo = shutil.which("sinfo")
    return sinfo is not None and subprocess.run([sinfo], capture_output=True).returncode == 0


def _commands(text: str) -> list[str]:
    """Return the commands of a block, each on one line, without those that are only a remark."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _run_command(command: str, printed: io.StringIO) -> None:
    words = shlex.split(command, comments=True)
    if set(words) & {"|", ">"}:
        words = ["bash"]
    if words[0] == "capspace":
        from capspace.collect.cli import main

        code = _exit_code(lambda: main(words[1:]))
    elif words[0] == "python":
        code = _exit_code(lambda: _run_script(words[1:]))
    else:
        bash = ["/bin/bash", "-c", command]
        done = subprocess.run(bash, capture_output=True, text=True, check=False)
        printed.write(done.stdout + done.stderr)
        code = done.returncode
    if code:
        raise TutorialError(f"{command}: exit code {code}")


def _run_script(words: list[str]) -> None:
    before, sys.argv = sys.argv, words
    try:
        runpy.run_path(words[0], run_name="__main__")
    finally:
        sys.argv = before


def _exit_code(call: object) -> int:
    try:
        call()  # type: ignore[operator]
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def _clean(text: str) -> str:
    """Return the text without the folder's path and trailing blanks."""
    text = text.replace(f"{Path.cwd()}{os.sep}", "").replace(str(Path.cwd()), ".")
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def figure_name(tutorial: str, figure: str) -> str:
    """Return the name by which a figure of a tutorial is recorded."""
    return f"{tutorial}-{figure.replace('/', '-')}"


def main(out: Path, wanted: list[str]) -> None:
    """Run the tutorials, and write what they print and draw to a folder."""
    from notebooks import notebook

    out.mkdir(parents=True, exist_ok=True)
    for page in TUTORIALS:
        if wanted and page.stem not in wanted:
            continue
        with tempfile.TemporaryDirectory() as name:
            outputs = run_tutorial(page, Path(name).resolve())
            for output in outputs:
                for figure in output.figures:
                    shutil.copy(Path(name, figure), out / figure_name(page.stem, figure))
            cells = notebook(page.read_text(), outputs, Path(name))
        (out / f"{page.stem}.ipynb").write_text(json.dumps(cells, indent=1) + "\n")
        recorded = json.dumps([asdict(output) for output in outputs], indent=1)
        (out / f"{page.stem}.json").write_text(recorded + "\n")
        print(f"{page.stem}: {len(outputs)} blocks", flush=True)


if __name__ == "__main__":
    sys.modules["tutorials"] = sys.modules["__main__"]  # one copy of it, for notebooks, too
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
