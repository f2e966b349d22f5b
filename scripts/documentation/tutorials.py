"""Run the tutorials of ``docs/tutorials`` as they stand, and record what each block prints.

    python scripts/documentation/tutorials.py OUT [NAME ...]

A tutorial is Markdown whose fenced blocks are run from top to bottom in an empty folder:

- ``sh``, ``bash``: each command, ``capspace``, ``export`` and ``python FILE`` in this process, all
  others by bash;
- ``python``: run with the names of the blocks before it;
- any block with a title such as ``title="zoo.yaml"``: written to that file;
- a block with ``figures="a.png b.png"``: these, which it draws, are shown below it;
- ``sh`` with the title "on a Slurm cluster": run only where one answers.

It is run as a Jupyter notebook, in a kernel. OUT gets two files per tutorial: the notebook with its
outputs, and JSON, a list of what each block printed and drew, from the same run. A command or block
that fails ends the run.
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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

__all__ = [
    "BLOCK",
    "ON_SLURM",
    "RUN",
    "SHELL",
    "TUTORIALS",
    "Output",
    "TutorialError",
    "figure_name",
    "figures_of",
    "run_commands",
    "run_page",
    "run_tutorial",
    "settings",
    "shown",
    "title_of",
]

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
BLOCK = re.compile(
    r"^```(?P<language>\w+)(?: +(?P<options>[^\n]*))?\n(?P<text>.*?)^```$", re.M | re.S
)
SHELL = ("sh", "bash")
RUN = (*SHELL, "python")
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


def run_tutorial(page: Path, folder: Path) -> tuple[dict[str, Any], list[Output]]:
    """Run a tutorial in a folder, which should be empty; return its notebook and the outputs."""
    from notebooks import notebook, outputs_of, run_notebook

    text = page.read_text()
    try:
        done = run_notebook(notebook(text, cluster_answers()), folder, _desk(folder))
    except TutorialError as error:
        raise TutorialError(f"{page}: {error}") from error
    outputs = outputs_of(text, done)
    for block in BLOCK.finditer(text):
        _check_figures(block, page, folder)
    return done, outputs


def run_page(text: str, page: Path, folder: Path, **environment: str) -> list[Output]:
    """Run the blocks of a text in this process; its page is named where one fails."""
    with _at(folder, _desk(folder) | environment):
        names: dict[str, object] = {"__name__": "__main__"}
        return [_run_block(block, names, page) for block in BLOCK.finditer(text)]


def settings() -> dict[str, str]:
    """Return what every page's environment has: this Python's commands, a width, no network.

    Terminal and pager are those that a kernel sets, so that what a cell starts differs in nothing.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}"
    return {
        "COLUMNS": WIDTH,
        "GIT_PAGER": "cat",
        "HF_HUB_OFFLINE": "1",
        "MPLBACKEND": "agg",
        "NO_COLOR": "1",
        "PAGER": "cat",
        "PATH": path + os.environ["PATH"].removeprefix(path),
        "TERM": "xterm-color",
    }


def _desk(folder: Path) -> dict[str, str]:
    """Give a folder the checkout's scripts; return an environment with no settings of the user."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scripts").symlink_to(ROOT / "scripts")
    environment = dict(os.environ) | settings() | {"CAPSPACE_STORE": str(folder / "store")}
    environment.pop("CAPSPACE_DATA_ROOT", None)
    return environment


@contextmanager
def _at(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Work in a folder, with an environment."""
    before, environment_before = Path.cwd(), dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment_before)


def title_of(block: re.Match[str]) -> str:
    """Return the title of a block, "" where it has none."""
    title = re.search(r'title="([^"]+)"', block["options"] or "")
    return title[1] if title else ""


def figures_of(block: re.Match[str]) -> list[str]:
    """Return the figures that a block draws."""
    figures = re.search(r'figures="([^"]+)"', block["options"] or "")
    return figures[1].split() if figures else []


def _check_figures(block: re.Match[str], page: Path, folder: Path) -> None:
    if missing := [name for name in figures_of(block) if not (folder / name).is_file()]:
        raise TutorialError(f"{page}: a block drew no {', '.join(missing)}\n\n{block[0]}")


def _run_block(block: re.Match[str], names: dict[str, object], page: Path) -> Output:
    title = title_of(block)
    if title and title != ON_SLURM:
        Path(title).write_text(block["text"])
        return Output()
    if block["language"] not in RUN or (title and not cluster_answers()):
        return Output(ran=False)
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(printed), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries; ours are printed lines
            if block["language"] == "python":
                exec(compile(block["text"], page.name, "exec"), names)  # noqa: S102 - our own page
            else:
                run_commands(block["text"], printed)
    except Exception as error:
        if not isinstance(error, TutorialError):
            traceback.print_exc(file=printed)
        raise TutorialError(
            f"{page}: a block failed\n\n{block[0]}\n\n{printed.getvalue()}"
        ) from error
    _check_figures(block, page, Path())
    return Output(shown(printed.getvalue(), Path.cwd()), figures_of(block))


def cluster_answers() -> bool:
    """Return whether a Slurm cluster is there and answers."""
    sinfo = shutil.which("sinfo")
    return sinfo is not None and subprocess.run([sinfo], capture_output=True).returncode == 0


def run_commands(text: str, printed: TextIO) -> None:
    """Run the commands of a block; what they print outside this process goes to a stream.

    Raises
    ------
    TutorialError
        If a command fails.

    """
    for command in text.replace("\\\n", " ").splitlines():
        if command.strip() and not command.lstrip().startswith("#"):
            _run_command(command, printed)


def _run_command(command: str, printed: TextIO) -> None:
    words = shlex.split(command, comments=True)
    if set(words) & {"|", ">"}:
        words = ["bash"]
    if words[0] == "capspace":
        from capspace.collect.cli import main

        code = _exit_code(lambda: main(words[1:]))
    elif words[0] == "python":
        code = _exit_code(lambda: _run_script(words[1:]))
    elif words[0] == "export":
        os.environ |= dict(word.split("=", 1) for word in words[1:])
        code = 0
    else:
        bash = ["/bin/bash", "-o", "pipefail", "-c", command]
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


def shown(text: str, folder: Path) -> str:
    """Return what was printed without the folder's path and trailing blanks."""
    text = text.replace(f"{folder}{os.sep}", "").replace(str(folder), ".")
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def figure_name(tutorial: str, figure: str) -> str:
    """Return the name by which a figure of a tutorial is recorded."""
    return f"{tutorial}-{figure.replace('/', '-')}"


def main(out: Path, wanted: list[str]) -> None:
    """Run the tutorials, and write what they print and draw to a folder."""
    from notebooks import as_json

    out.mkdir(parents=True, exist_ok=True)
    for page in TUTORIALS:
        if wanted and page.stem not in wanted:
            continue
        with tempfile.TemporaryDirectory() as name:
            done, outputs = run_tutorial(page, Path(name).resolve())
            for output in outputs:
                for figure in output.figures:
                    shutil.copy(Path(name, figure), out / figure_name(page.stem, figure))
        (out / f"{page.stem}.ipynb").write_text(as_json(done))
        recorded = json.dumps([asdict(output) for output in outputs], indent=1)
        (out / f"{page.stem}.json").write_text(recorded + "\n")
        print(f"{page.stem}: {len(outputs)} blocks", flush=True)


if __name__ == "__main__":
    sys.modules["tutorials"] = sys.modules["__main__"]  # one copy of it, for notebooks, too
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
