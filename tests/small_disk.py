"""A real disk of 300 kB, in a mount namespace of its own, to be filled and mounted read-only."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_SETTING = """
import os, subprocess, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
disk = Path({disk!r})
filler = disk / "filler"

def mount(*words):
    subprocess.run(["mount", *map(str, words)], check=True)

def fill():
    with filler.open("ab", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass

mount("-t", "tmpfs", "-o", "size=300k", "none", disk)
"""


def on_a_small_disk(folder: Path, program: str) -> str:
    """Run a program that finds ``disk``, ``filler``, ``fill`` and ``mount``; return what it prints.

    Where the machine gives no user namespaces the test is skipped.
    """
    inside = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*inside, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine gives no user namespaces to mount a small disk in")
    disk, script = folder / "disk", folder / "program.py"
    disk.mkdir()
    setting = _SETTING.format(tests=str(Path(__file__).parent), disk=str(disk))
    script.write_text(setting + textwrap.dedent(program))
    done = subprocess.run(
        [*inside, sys.executable, script], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
