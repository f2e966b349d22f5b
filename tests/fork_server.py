"""The process that `forked_popen` forks: it imports, and then forks whatever it is asked for.

Its standard input is a socket that takes a request with the three standard streams of the new
process, and gives its number. It forks twice, and the process between ends at once, so that the new
one becomes the child of whoever asked. Each new process has a server of its own, forked before its
program begins, for the interpreters that this starts in its turn; one that is forked of the first
server, which has imported only what reads no environment, has another of that kind beside it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib.util
import json
import os
import runpy
import signal
import socket
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from bytecode import own_bytecode
from forked_popen import GARBAGE, Server, Servers, forked_interpreters, inherit
from lm_eval_parts import TASKS, looked_up_once, read_index

_LENGTH = 8
# The environment moves nothing in these while they are imported, but for what a server is fixed to.
_FIRST = (
    "hypothesis",
    "matplotlib.figure",
    "numpy",
    "pandas",
    "pyarrow.dataset",
    "pytest",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.utils.estimator_checks",
    "torch._dynamo",
    "torch.distributed.fsdp",
)
# These read the environment, and are imported in the server of each.
_THEN = (
    "accelerate",
    "datasets",
    "lm_eval.api.metrics",
    "lm_eval.evaluator",
    "lm_eval.models.huggingface",
    "lm_eval.tasks",
    "transformers.models.auto.modeling_auto",
    "transformers.models.llama.modeling_llama",
    "transformers.tokenization_utils_tokenizers",
)
_LAST = (
    "capspace.collect.cli.show",
    "capspace.collect.engine.lm",
    "capspace.collect.run.collect",
)


def _import(names: tuple[str, ...]) -> None:
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue  # in this version, or with these extras, it is not there to be needed


def _import_first() -> None:
    gc.disable()  # what is imported stays
    _import(_FIRST)
    _end_import()


def _import_rest() -> None:
    gc.disable()
    _import(_THEN)
    with own_bytecode():
        _import(_LAST)
    if TASKS in os.environ and (index := Path(os.environ[TASKS])).is_file():
        read_index(index)
    _end_import()


def _end_import() -> None:
    gc.freeze()
    gc.enable()
    gc.set_threshold(*GARBAGE)
    tasks = Path("/proc/self/task").iterdir()
    threads = [task.joinpath("comm").read_text().strip() for task in tasks]
    # Arrow's allocator has a thread of its own, and starts it anew in a fork.
    others = [name for name in threads if not name.startswith("jemalloc")]
    if len(others) != 1:
        raise RuntimeError(f"a fork would lose all but one of the threads {others}")


def _forked(client: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork whatever is asked for; return in each fork, with its request and its streams."""
    on_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is for the program
    while True:
        length, streams, _, _ = socket.recv_fds(client, _LENGTH, 3)
        if not length:
            os._exit(0)  # whoever asked has ended
        data = client.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)
        number, pipe = os.pipe()
        between = os.fork()
        if between == 0:
            os.close(number)
            waiting, held = os.pipe()
            if os.fork():
                os._exit(0)
            client.close()
            os.close(held)
            os.read(waiting, 1)  # until the process between has ended, and this has its parent
            os.close(waiting)
            signal.signal(signal.SIGINT, on_interrupt)
            request = json.loads(data)
            if request.get("session"):
                os.setsid()  # before whoever asked has the number, and may ask for its group
            os.write(pipe, os.getpid().to_bytes(_LENGTH, "big"))
            os.close(pipe)
            return request, streams
        os.close(pipe)
        os.waitpid(between, 0)
        client.sendall(os.read(number, _LENGTH))
        os.close(number)
        for stream in streams:
            os.close(stream)


def _run(words: list[str]) -> None:
    """Run a program as the interpreter does that has these arguments."""
    how, *rest = words
    if how == "-m":
        sys.argv, sys.path[0] = rest, str(Path.cwd())
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        return
    main = sys.modules["__main__"] = ModuleType("__main__")
    if how == "-c":
        sys.argv, sys.path[0] = ["-c", *rest[1:]], ""
        code = compile(rest[0], "<string>", "exec")
    else:
        sys.argv, sys.path[0] = words, str(Path(how).resolve().parent)
        main.__file__ = how
        code = compile(Path(how).read_bytes(), how, "exec")
    exec(code, main.__dict__)  # noqa: S102 - the program that the tests start


def _serve() -> tuple[dict[str, Any], Servers]:
    """Be a server, and in each fork return what it is to run."""
    client = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    _import_first()
    is_first = True
    while True:
        request, streams = _forked(client)
        os.environ.clear()
        os.environ.update(request["environment"])
        if "serve" in request:
            client, is_first = socket.socket(fileno=streams[0]), False
            _import_rest()
            continue
        first: Server | None = None
        if is_first:
            spare = _spare(streams)
            if isinstance(spare, socket.socket):
                client = spare
                continue
            first = spare
            _import_rest()
        own = _spare(streams)
        if isinstance(own, socket.socket):
            client, is_first = own, False
            if first is not None:
                first.leave()  # it is to end with the process that it was made for
            continue
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(request["folder"])
        return request, Servers(own, first=first, may_start=False)


def _spare(streams: list[int]) -> Server | socket.socket:
    """Fork a server for this process, and return it; in the fork, return the socket to serve."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        return Server(pid, ours)
    ours.close()
    for stream in streams:
        os.close(stream)
    return theirs


def _ended(error: BaseException | None) -> int:
    """Say how a program has ended, as the interpreter does, and return its exit status."""
    if error is None or (isinstance(error, SystemExit) and error.code is None):
        return 0
    if isinstance(error, SystemExit):
        if isinstance(error.code, int):
            return error.code & 0xFF
        print(error.code, file=sys.stderr)
        return 1
    sys.excepthook(type(error), error, error.__traceback__)
    return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1


def _exit(status: int) -> NoReturn:
    """End this process without taking apart all its modules, which takes a second of a core."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError):  # nobody reads any more
            stream.flush()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    its_request, its_servers = _serve()
    sys.modules["numpy"].random.seed()  # a fork has its parent's state; Python's own has not
    threads = os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1
    sys.modules["torch"].set_num_threads(int(threads))
    if its_request["unbuffered"]:
        # Typed as any text stream; an interpreter's own is a TextIOWrapper.
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    inherit(its_servers)
    how_it_ended: BaseException | None = None
    with forked_interpreters(its_servers), contextlib.ExitStack() as stack:
        if TASKS in os.environ:
            stack.enter_context(looked_up_once(Path(os.environ[TASKS])))
        try:
            _run(its_request["words"])
        except BaseException as its_error:
            how_it_ended = its_error
        _exit(_ended(how_it_ended))
