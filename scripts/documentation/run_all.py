"""Run all tutorials and the commands of all other pages, several at a time.

    python scripts/documentation/run_all.py OUT

Each is a process of its own: ``tutorials.py`` with OUT, or ``how_to.py``. On Linux, these processes
and those that they start are forks of an interpreter that has imported torch and lm-eval, as in the
tests; elsewhere each imports them anew. What a page prints is shown if it fails; the exit code is
then 1.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from how_to import pages
from tutorials import ROOT, TUTORIALS, settings

sys.path.append(str(ROOT / "tests"))
from forked_popen import Servers, forked_interpreters
from lm_eval_parts import TASKS, index_file

HERE = Path(__file__).parent
# These take longest, and begin first, so that the last ones end together.
LONGEST = (
    "docs/how-to/stop-early.md",
    "zoo",
    "README.md",
    "docs/how-to/thinking.md",
    "docs/how-to/air-gapped.md",
)


def jobs(out: Path) -> dict[str, list[str]]:
    """Return the arguments of Python that run each tutorial and each page, by its name."""
    by_name = {page.stem: [str(HERE / "tutorials.py"), str(out), page.stem] for page in TUTORIALS}
    for page in pages():
        by_name[page.name] = [str(HERE / "how_to.py"), page.name]
    order = [*LONGEST, *(name for name in by_name if name not in LONGEST)]
    return {name: by_name[name] for name in order}


@contextmanager
def imported_once() -> Iterator[None]:
    """Let interpreters be forks of one that has imported what they need, where that can be.

    lm-eval's index of its tasks is made by the first run that needs it.
    """
    if sys.platform != "linux":
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ[TASKS] = str(index_file(Path(folder)))
        servers = Servers()
        try:
            with forked_interpreters(servers):
                yield
        finally:
            servers.close()


def run(arguments: list[str]) -> tuple[str, bool, float]:
    """Return what a Python program printed, whether it succeeded, and its seconds."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout, done.returncode == 0, time.monotonic() - begun


def main(out: Path) -> int:
    """Run everything, and return the exit code."""
    os.environ |= settings()
    failed = []
    with imported_once(), ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = {pool.submit(run, words): name for name, words in jobs(out).items()}
        for job in as_completed(waiting):
            printed, succeeded, seconds = job.result()
            print(f"{waiting[job]}: {'ran' if succeeded else 'FAILED'}, {seconds:.0f} s")
            if not succeeded:
                print(printed)
                failed.append(waiting[job])
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
