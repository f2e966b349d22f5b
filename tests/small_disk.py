"""A real disk of 300 kB, in a mount namespace of its own, to be filled and mounted read-only."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from forked_popen import start_interpreters

_NAMESPACES = 0x00020000 | 0x10000000  # CLONE_NEWNS, CLONE_NEWUSER of <linux/sched.h>
_SETTING = """
import os, subprocess, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from small_disk import enter_mounts_of_its_own
enter_mounts_of_its_own()
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


def skip_without_namespaces() -> None:
    """Skip a test where the machine gives no user namespaces to mount a disk in."""
    import pytest

    command = ["unshare", "--user", "--map-root-user", "--mount", "true"]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this machine gives no user namespaces to mount a small disk in")


def enter_mounts_of_its_own() -> None:
    """Let this process, which must have one thread, be root over mounts that no other sees."""
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NAMESPACES):
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    start_interpreters()  # a server that was forked before would fork outside
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


def on_a_small_disk(folder: Path, program: str) -> str:
    """Run a program that finds ``disk``, ``filler``, ``fill`` and ``mount``; return what it prints.

    Where the machine gives no user namespaces the test is skipped.
    """
    skip_without_namespaces()
    disk, script = folder / "disk", folder / "program.py"
    disk.mkdir()
    setting = _SETTING.format(tests=str(Path(__file__).parent), disk=str(disk))
    script.write_text(setting + textwrap.dedent(program))
    done = subprocess.run([sys.executable, script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
