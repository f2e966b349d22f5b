"""Python processes that start in milliseconds, as forks of one that has imported it all.

Importing torch, transformers and lm-eval takes five seconds of a core, and a run of all tests
starts some seventy processes that need them. Within `forked_interpreters`, ``subprocess`` serves
``[sys.executable, "-c" | "-m" | script, ...]`` by a fork of a `fork_server`, which has imported
them and done nothing else, in one thread: such a fork is a whole interpreter.

What comes of it is a process as any other: a child of the process that asked, with the exit status,
signals, session, working directory, environment and standard streams that were asked for. Whatever
a fork cannot give (other ``PYTHON*`` variables, options of the interpreter but ``-u``, open files
to pass on) is started as ever.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = [
    "GARBAGE",
    "Server",
    "Servers",
    "forked_interpreters",
    "inherit",
    "inherited",
    "start_interpreters",
]

# Read as the interpreter or its first libraries start; these are beginnings of names.
_FIXED = ("ARROW_", "CUDA_HOME", "LD_", "MKL_", "OMP_", "OPENBLAS_", "PYTHON", "TORCH")
# Read when they are needed, or set by the libraries themselves: processes with different values
# share a server.
_FREE = (
    "ACCELERATE_", "CAPSPACE_", "COLUMNS", "CUDA_VISIBLE_DEVICES", "GROUP_", "HF_XET_",
    "JPY_PARENT_PID", "KMP_", "LINES", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_", "NO_COLOR",
    "OMP_NUM_THREADS", "PYTEST_", "RANK", "ROLE_", "TORCHELASTIC_", "TORCHINDUCTOR_", "TORCH_NCCL_",
    "WORLD_SIZE",
)  # fmt: skip
_MOST_SERVERS = 4
GARBAGE = (100_000, 50, 50)
"""Looking for garbage as often as Python does by itself takes a tenth of the time."""
_REAPER = 36  # PR_SET_CHILD_SUBREAPER of <linux/prctl.h>
_LENGTH = 8


class Server:
    """The asking side of a server.

    Parameters
    ----------
    pid : int
        Its process, a child of this one.
    ours : socket
        Takes what to fork.

    """

    def __init__(self, pid: int, ours: socket.socket) -> None:
        self._pid, self._socket = pid, ours
        self._lock = threading.Lock()

    def fork(self, request: Mapping[str, Any], streams: list[int]) -> int:
        """Return the process number of a new child of this process."""
        data = json.dumps(request).encode()
        with self._lock:
            # Linux gives an orphan to the nearest ancestor that has declared itself its reaper.
            # Only while a process is handed over: other orphans go where they always go.
            _declare_reaper(True)
            try:
                length = len(data).to_bytes(_LENGTH, "big")
                socket.send_fds(self._socket, [length], streams)
                self._socket.sendall(data)
                answer = self._socket.recv(_LENGTH)
            finally:
                _declare_reaper(False)
        if len(answer) != _LENGTH:
            raise RuntimeError("the fork server has ended; what it said is on standard error")
        return int.from_bytes(answer, "big")

    def close(self) -> None:
        """End the server; what it has forked goes on."""
        self._socket.close()
        os.waitpid(self._pid, 0)

    def leave(self) -> None:
        """Forget the server of another process, of which this one is a fork."""
        self._socket.close()


def _declare_reaper(on: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_REAPER, int(on), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


class Servers:
    """The servers of a process, one for each environment that its children ask for.

    Parameters
    ----------
    own : Server, optional
        The server of a process that was forked itself, for its own environment.
    first : Server, optional
        One that has imported only what reads no environment.
    may_start : bool, default True
        Whether there may be others.
    for_workers : bool, default False
        Whether what is started will have servers for other environments of its own: it is forked
        of ``first``, and so begins later.

    """

    def __init__(
        self,
        own: Server | None = None,
        *,
        first: Server | None = None,
        may_start: bool = True,
        for_workers: bool = False,
    ) -> None:
        self.may_start = may_start
        self._for_workers = for_workers
        self._lock = threading.Lock()
        self._environment = dict(os.environ)
        self._first = first
        self._ready = {} if own is None else {_key(self._environment): own}

    def of(self, environment: Mapping[str, str]) -> Server | None:
        """Return the server for an environment, or None where no fork can have it."""
        if _fixed(environment) != _fixed(self._environment):
            return None
        key = _key(environment)
        with self._lock:
            if self._for_workers:
                self._first = self._first or _start(self._environment)
                return self._first
            server = self._ready.pop(key, None)
            if server is None and self.may_start:
                self._first = self._first or _start(self._environment)
                while len(self._ready) >= _MOST_SERVERS:
                    self._ready.pop(next(iter(self._ready))).close()
                ours, theirs = socket.socketpair()
                with theirs:
                    serve = {"environment": dict(environment), "serve": True}
                    server = Server(self._first.fork(serve, [theirs.fileno()]), ours)
            if server is not None:
                self._ready[key] = server  # the newest is last
            return server

    def close(self) -> None:
        """End all servers."""
        for server in (*self._ready.values(), self._first):
            if server is not None:
                server.close()


_own: list[Servers] = []


def inherit(servers: Servers) -> None:
    """Let this process, which was forked itself, have servers."""
    _own[:] = [servers]


def inherited() -> Servers | None:
    """Return the servers that this process has as a fork, or None if it is none."""
    return _own[0] if _own else None


def _start(environment: Mapping[str, str]) -> Server:
    ours, theirs = socket.socketpair()
    script = Path(__file__).with_name("fork_server.py")
    null = os.open(os.devnull, os.O_RDWR)
    streams = [(os.POSIX_SPAWN_DUP2, fd, n) for n, fd in ((0, theirs.fileno()), (1, null))]
    pid = os.posix_spawn(
        sys.executable, [sys.executable, str(script)], environment, file_actions=streams
    )
    os.close(null)
    theirs.close()
    return Server(pid, ours)


def _fixed(environment: Mapping[str, str]) -> dict[str, str]:
    # A fork is given its threads as torch's own setting.
    return {
        k: v for k, v in environment.items() if k.startswith(_FIXED) and not k.startswith(_FREE)
    }


def _key(environment: Mapping[str, str]) -> str:
    shared = {name: value for name, value in environment.items() if not name.startswith(_FREE)}
    return json.dumps(shared, sort_keys=True)


def _fork(servers: Servers, popen: Any, given: tuple[Any, ...]) -> bool:
    """Fork what a ``subprocess.Popen`` is to run, where that gives the same, or return False."""
    (
        args, executable, preexec_fn, close_fds, pass_fds, cwd, env, _, _, shell,
        p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, _,
        gid, gids, uid, umask, start_new_session, process_group,
    ) = given  # fmt: skip
    environment = {os.fsdecode(k): os.fsdecode(v) for k, v in (env or os.environ).items()}
    words = [os.fsdecode(w) for w in args] if isinstance(args, list | tuple) else []
    unbuffered = words[1:2] == ["-u"]
    if unbuffered:
        del words[1]
    plain = close_fds and (umask, process_group) == (-1, -1)
    plain &= not any((executable, preexec_fn, pass_fds, shell, gid, gids, uid))
    plain &= _is_program(words) and (cwd is None or Path(cwd).is_dir())
    server = servers.of(environment) if plain else None
    if server is None:
        return False
    request = {
        "environment": environment,
        "words": words[1:],
        "folder": os.fsdecode(cwd or Path.cwd()),
        "session": bool(start_new_session),
        "unbuffered": unbuffered,
    }
    streams = (p2cread, c2pwrite, errwrite)
    popen.pid = server.fork(request, [i if fd == -1 else fd for i, fd in enumerate(streams)])
    popen._child_created = True
    popen._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)
    return True


def _is_program(words: list[str]) -> bool:
    """Return whether a command is this interpreter with a program and without options."""
    if len(words) < 2 or words[0] != sys.executable:
        return False
    return words[1] in ("-c", "-m") or not words[1].startswith("-")


_POPEN: Any = subprocess.Popen  # there is no public way to what it does
_START = _POPEN._execute_child


def start_interpreters() -> None:
    """Let ``subprocess`` start interpreters as ever, in this process for good.

    For a process that has become what no fork of its server would be.
    """
    _POPEN._execute_child = _START


@contextmanager
def forked_interpreters(servers: Servers) -> Iterator[None]:
    """Let ``subprocess`` fork interpreters."""

    def execute(popen: Any, *given: Any) -> None:
        if not _fork(servers, popen, given):
            _START(popen, *given)

    before = _POPEN._execute_child
    _POPEN._execute_child = execute
    try:
        yield
    finally:
        _POPEN._execute_child = before
