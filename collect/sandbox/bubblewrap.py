"""bubblewrap starts Python in an empty, read-only file system without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import SandboxError
from .guest import wire
from .seccomp import filter_program

__all__ = ["Guest", "require_bubblewrap"]

_GUEST = Path(__file__).parent / "guest"
_INSIDE = "/guest/capspace/collect/sandbox/guest"
_START = (
    "import sys; sys.path.insert(0, '/guest')\n"
    "from capspace.collect.sandbox.guest.{script} import main\n"
    "main(*{ends})"
)


class Guest:
    """A guest script under way in a sandbox of its own.

    Parameters
    ----------
    script : str
        Name of a module in ``guest/`` whose ``main`` is called with the descriptors.
    descriptors : (int, int)
        What it reads from and writes to, handed on under the same numbers.
    disk_bytes : int
        Size of its private ``/tmp``.

    """

    def __init__(self, script: str, descriptors: tuple[int, int], *, disk_bytes: int) -> None:
        read_filter, write_filter = os.pipe()
        with os.fdopen(write_filter, "wb") as file:
            file.write(filter_program())
        try:
            self.process = subprocess.Popen(  # noqa: S603 - no shell, every argument ours
                [
                    require_bubblewrap(),
                    *_world(disk_bytes),
                    "--seccomp",
                    str(read_filter),
                    "--",
                    _python_inside(),
                    "-I",
                    "-S",
                    "-B",
                    "-c",
                    _START.format(script=script, ends=descriptors),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={},
                pass_fds=(read_filter, *descriptors),
            )
        finally:
            os.close(read_filter)

    def tell(self, message: dict[str, Any]) -> None:
        """Send the guest its setup."""
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):  # it died at once, and its missing verdict says so
                wire.send(self.process.stdin.fileno(), message)

    def complaint(self) -> str:
        """Return what bubblewrap or the guest complained of, once it has ended."""
        return "" if self.process.stderr is None else self.process.stderr.read().decode().strip()

    def end(self) -> None:
        """Kill whatever is left of it; its name space goes with it."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def require_bubblewrap() -> str:
    """Return the path of ``bwrap``.

    Raises
    ------
    SandboxError
        It is not installed.

    """
    path = shutil.which("bwrap")
    if path is None:
        raise SandboxError(
            "running code that a model wrote needs bubblewrap, and bwrap is not installed: "
            "apt install bubblewrap (Debian, Ubuntu), dnf install bubblewrap (Fedora, RHEL)"
        )
    return path


def _world(disk_bytes: int) -> list[str]:
    """Return bwrap's arguments: nothing but Python, no network, nobody else."""
    arguments = [
        "--unshare-user",
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--uid=65534",
        "--gid=65534",
        "--hostname=sandbox",
        "--setenv=LD_LIBRARY_PATH=/python/lib",
        "--die-with-parent",
        "--new-session",
        "--cap-drop=ALL",
    ]
    arguments = [part for argument in arguments for part in argument.split("=")]
    for source, target in _files():
        arguments += ["--ro-bind", source, target]
    for device in ("null", "zero", "urandom"):
        arguments += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    arguments += ["--size", str(disk_bytes), "--tmpfs", "/tmp", "--chdir", "/tmp"]  # noqa: S108 - inside
    packages = Path(sysconfig.get_path("stdlib")) / "site-packages"
    if packages.is_dir():
        inside = f"/python/lib/{packages.parent.name}/site-packages"
        arguments += ["--size", "4096", "--tmpfs", inside, "--remount-ro", inside]
    return [*arguments, "--remount-ro", "/"]


def _python_inside() -> str:
    return f"/python/bin/python{sys.version_info[0]}.{sys.version_info[1]}"


@cache
def _files() -> tuple[tuple[str, str], ...]:
    """Return the files that Python needs, as (outside, inside)."""
    executable = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    inside = f"/python/lib/{library.name}"
    listing = subprocess.run(  # noqa: S603 - this interpreter, our program
        [executable, "-I", "-S", "-c", _LIST_LIBRARIES],
        check=True,
        capture_output=True,
        text=True,
        env={},
    )
    libraries = [line for line in listing.stdout.splitlines() if not line.startswith(str(library))]
    return (
        (str(executable), _python_inside()),
        (str(library), inside),
        (str(_GUEST), _INSIDE),
        *((path, _inside(name)) for path in libraries for name in _names(path)),
    )


def _names(path: str) -> list[str]:
    """Return a library's path and those of the links by whose names others ask for it."""
    library = Path(path)
    stem = library.name.partition(".so")[0]
    links = (p for p in library.parent.glob(f"{stem}.so*") if p.is_symlink())
    return [path, *(str(p) for p in links if p.resolve() == library.resolve())]


def _inside(path: str) -> str:
    # A library under somebody's home would show that there is one.
    return path if path.startswith(("/usr/", "/lib")) else f"/python/lib/{Path(path).name}"


# Every shared library that the interpreter or a module of the standard library maps.
_LIST_LIBRARIES = """
import importlib, os, sysconfig
folder = os.path.join(sysconfig.get_path("stdlib"), "lib-dynload")
for name in os.listdir(folder):
    module = name.partition(".")[0]
    if not module.startswith(("_test", "_xx", "xx", "_tkinter")):
        try:
            importlib.import_module(module)
        except ImportError:
            pass
with open("/proc/self/maps") as maps:
    paths = {line.split(maxsplit=5)[5].strip() for line in maps if len(line.split(maxsplit=5)) == 6}
with open("/proc/self/exe", "rb") as file:
    head = file.read(1 << 16)
at = head.find(b"/lib64/ld-linux")
at = at if at >= 0 else head.find(b"/lib/ld-linux")
if at >= 0:
    paths.add(head[at:head.index(bytes(1), at)].decode())
print(*sorted(path for path in paths if ".so" in path and os.path.exists(path)), sep=chr(10))
"""
