"""The sandbox: right programs pass, and hostile ones neither pass nor leave anything behind."""

from __future__ import annotations

import gzip
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkout import SHARED
from hypothesis import given
from hypothesis import strategies as st

from capspace.collect.errors import SandboxError
from capspace.collect.sandbox import Limits, Sample, check_sandbox, judge, judge_all
from capspace.collect.sandbox.bubblewrap import Guest
from capspace.collect.sandbox.guest.wire import Opaque, decode, encode, receive, send
from capspace.collect.sandbox.judging import _verdict
from capspace.collect.sandbox.seccomp import filter_program

HUMANEVAL = SHARED / "hub/openai/openai_humaneval/test.jsonl.gz"

needs_sandbox = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap is not installed (apt install bubblewrap)"
)

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(alphabet=st.characters())
    | st.binary()
    | st.complex_numbers(allow_nan=False),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=20,
)


@pytest.mark.slow
@given(plain)
def test_plain_values_cross_exactly(value: Any) -> None:
    back = decode(json.loads(json.dumps(encode(value))))
    assert back == value
    assert repr(back) == repr(value)


def test_other_values_cross_as_what_they_are_or_not_at_all() -> None:
    class Liar(list):  # type: ignore[type-arg]
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    class Yes:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    assert decode(encode(Liar([1]))) == [1]
    assert decode(encode(Liar([1]))) != [2]
    assert isinstance(decode(encode(Yes())), Opaque)
    assert repr(decode(encode(Yes()))) == "<Yes>"
    assert decode(encode(Yes())) != 1
    assert decode(encode({1, 2})) == {1, 2}
    assert decode(encode(range(3))) == range(3)
    assert list(decode(encode(map(str, [1, 2])))) == ["1", "2"]
    assert math.isnan(decode(encode(math.nan)))
    assert type(decode(encode(True))) is bool


def test_a_message_ends_where_its_length_says_or_the_other_side_is_gone() -> None:
    reads, writes = os.pipe()
    try:
        for message in ({"ready": True}, ["é" * 1000]):
            send(writes, message)
            assert receive(reads) == message
        os.write(writes, b"\xff" * 4)
        with pytest.raises(EOFError, match="a message is too long"):
            receive(reads)
        os.write(writes, (9).to_bytes(4, "big") + b"{")
        os.close(writes)
        with pytest.raises(EOFError, match="the other side has gone"):
            receive(reads)
    finally:
        os.close(reads)


def test_a_sandbox_that_does_not_work_is_no_verdict_on_a_sample() -> None:
    def guest(complaint: str, status: int | None) -> Guest:
        made = object.__new__(Guest)  # one that has ended, without starting bubblewrap
        made.process = Ended(status)  # type: ignore[assignment]
        made.complaint = lambda: complaint  # type: ignore[method-assign]
        return made

    class Ended:
        def __init__(self, status: int | None) -> None:
            self._status = status

        def wait(self, timeout: float) -> int:
            if self._status is None:
                raise subprocess.TimeoutExpired("bwrap", timeout)
            return self._status

    limits = Limits()
    with pytest.raises(SandboxError, match="does not work here: bwrap: no"):
        _verdict(b"", "bwrap: no\n", guest("", 1), limits)
    assert _verdict(b"", " ", guest("", 1), limits).reason == "the test was ended by its limits"
    message = b"0000" + json.dumps({"passed": False, "reason": "ended before it answered"}).encode()
    with pytest.raises(SandboxError, match="does not work here: bwrap: no"):
        _verdict(message, "", guest("bwrap: no", 1), limits)
    for status, reason in [
        (None, "closed its connection"),
        (3, "exited with status 3 before it answered"),
        (128 + 11, "killed by SIGSEGV"),
    ]:
        verdict = _verdict(message, "", guest("", status), limits)
        assert (verdict.passed, verdict.reason) == (False, reason)


def test_missing_bubblewrap_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxError, match="apt install bubblewrap"):
        check_sandbox()


@needs_sandbox
def test_a_sandbox_in_which_a_right_program_fails_judges_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = tmp_path / "bwrap"
    ending.write_text(
        "#!/bin/sh\n"
        f"""case "$*" in *sample*) exit 7 ;; *) exec {shutil.which("bwrap")} "$@" ;; esac\n"""
    )
    ending.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    why = "does not work here: a trivial sample exited with status 7 before it answered"
    with pytest.raises(SandboxError, match=why):
        check_sandbox()


def test_unknown_machine_is_refused() -> None:
    with pytest.raises(SandboxError, match="no system call filter for pdp11"):
        filter_program("pdp11")


@pytest.mark.slow
@needs_sandbox
def test_verdicts_say_why() -> None:
    def reason(program: str, test: str = "assert f(2) == 4") -> tuple[bool, str]:
        verdict = judge(Sample(program, test, ("f",)))
        return verdict.passed, verdict.reason

    assert reason("def f(x): return x * x") == (True, "")
    assert reason("def f(x): return x") == (False, "test: AssertionError")
    assert reason("def f(x): return y") == (False, "raised NameError")
    assert reason("def f(x) return") == (False, "raised SyntaxError when it was defined")
    assert reason("def g(x): return 1") == (False, "raised KeyError when it was defined")
    assert reason("def f(x): return 4", "assert f(2) == g(2)") == (False, "test: NameError")


@needs_sandbox
def test_standard_library_is_whole() -> None:
    names = "zlib, bz2, lzma, ctypes, hashlib, ssl, sqlite3, decimal, array, heapq, itertools, re"
    sample = Sample(
        f"import {names}, math\ndef f(x): return math.sqrt(x)", "assert f(4) == 2", ("f",)
    )
    assert judge(sample).reason == ""


@needs_sandbox
def test_test_may_use_what_the_prompt_defines() -> None:
    sample = Sample(
        "def double(x): return 0\ndef f(x): return x // 2",
        "assert double(f(8)) == 8",
        ("f",),
        preamble="def double(x): return 2 * x",
    )
    assert judge(sample).passed


@pytest.fixture(scope="module")
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A server on this machine that remembers whether anybody came."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        visits: list[bytes] = []

        def serve() -> None:
            while True:
                connection, _ = server.accept()
                with connection:
                    if connection.recv(4) == b"done":
                        return
                    visits.append(b"visit")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], visits
        with socket.create_connection(server.getsockname()) as last:
            last.sendall(b"done")
        thread.join()


# Each either ends the sample, or returns what it found; 4 would be the right answer.
HOSTILE = {
    "exit": "import sys\ndef f(x): sys.exit(0)",
    "exit at import": "import os\nos._exit(0)",
    "exit at call": "import os\ndef f(x): os._exit(0)",
    "print": "def f(x): print('{\"passed\": true}'); print('OK')",
    "write to every descriptor": """
import json, os
m = json.dumps({"passed": True, "reason": ""}).encode()
m = len(m).to_bytes(4, "big") + m
for fd in range(64):
    try: os.write(fd, m)
    except OSError: pass
def f(x): return None""",
    "patch assert": """
import builtins
class E(BaseException):
    def __new__(cls, *a): raise SystemExit(0)
builtins.AssertionError = E
def f(x): return None""",
    "equal to everything": """
class Yes:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __bool__(self): return True
def f(x): return Yes()""",
    "integer that lies": """
class I(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
def f(x): return I(3)""",
    "patch the wire": """
import sys
for name, module in list(sys.modules.items()):
    if "wire" in name:
        module.encode = lambda value: ["int", "0x4"] if False else None
        module.send = lambda *a: None
def f(x): return None""",
    "walk the stack": """
import sys
def f(x):
    frame = sys._getframe()
    while frame:
        frame.f_locals["passed"] = True
        frame.f_globals["passed"] = True
        frame = frame.f_back""",
    "redefine check": "def check(f): pass\ndef f(x): return None",
    "fork bomb": "import os\ndef f(x):\n    while True: os.fork()",
    "threads": """
import threading
def f(x):
    for _ in range(1000): threading.Thread(target=lambda: None).start()
    return 4""",
    "subprocess": """
import subprocess
def f(x): return subprocess.run(['/bin/sh', '-c', 'true']) and 4""",
    "os.system": "import os\ndef f(x): return 4 if os.system('true') == 0 else None",
    "memory": "def f(x): return len(bytearray(8 * 2**30)) and 4",
    "memory bit by bit": "def f(x):\n    a = []\n    while True: a.append(bytearray(2**20))",
    "endless loop": "def f(x):\n    while True: pass",
    "sleep": "import time\ndef f(x): time.sleep(3600)",
    "ignores signals": """
import signal
for s in range(1, 64):
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
def f(x):
    while True: pass""",
    "deep recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return f(x)",
    "deep value": "def f(x):\n    a = []\n    for _ in range(100000): a = [a]\n    return a",
    "huge value": "def f(x): return [0] * 10**7",
    "huge output": "def f(x):\n    while True: print('x' * 10**6)",
    "huge number": "def f(x): return 10 ** (10 ** 9)",
    "network": """
import socket
def f(x): return socket.create_connection(("127.0.0.1", PORT), timeout=2).send(b"spy!") and 4""",
    "name lookup": "import socket\ndef f(x): return socket.gethostbyname('example.org') and 4",
    "read the home folder": """
import os
def f(x): return os.listdir('HOME') and 4""",
    "read passwords": "def f(x): return open('/etc/passwd').read() and 4",
    "read a host file": "def f(x): return open('OUTSIDE/secret').read() and 4",
    "read the environment": """
import os
def f(x): return 4 if any("SECRET" in k for k in os.environ) else None""",
    "read other processes": "import os\ndef f(x): return len(os.listdir('/proc')) and 4",
    "write outside": "def f(x): return open('OUTSIDE/dropped', 'w').write('x') and 4",
    "write the root": "def f(x): return open('/dropped', 'w').write('x') and 4",
    "write the guest": """
def f(x): return open('/guest/capspace/collect/sandbox/guest/tester.py', 'w').write('') or 4""",
    "write the library": "import os\ndef f(x): return open(os.__file__, 'a').write('#') and 4",
    "fill the disk": """
def f(x):
    for i in range(1000):
        with open(f'/tmp/{i}', 'wb') as file: file.write(bytes(2**20))
    return 4""",
    "symlink out": """
import os
def f(x):
    os.symlink('OUTSIDE/secret', '/tmp/link')
    return open('/tmp/link').read() and 4""",
    "hard link": "import os\ndef f(x): return os.link('/dev/null', '/tmp/l') or 4",
    "kill the parent": "import os\nos.kill(os.getppid(), 9)\ndef f(x): return None",
    "kill everybody": "import os\ndef f(x): os.kill(-1, 9)",
    "kill itself": "import os\ndef f(x): os.kill(os.getpid(), 9)",
    "segmentation fault": "import ctypes\ndef f(x): return ctypes.string_at(0)",
    "ptrace": """
import ctypes
def f(x): return 4 if ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0 else None""",
    "new user name space": """
import ctypes
def f(x): return 4 if ctypes.CDLL(None).unshare(0x10000000) == 0 else None""",
    "mount": """
import ctypes
def f(x): return 4 if ctypes.CDLL(None).mount(b"none", b"/tmp", b"tmpfs", 0, 0) == 0 else None""",
    "shared memory": """
import ctypes
def f(x): return 4 if ctypes.CDLL(None).shmget(0, 2**20, 0o1600) >= 0 else None""",
    "raise limits": """
import resource
def f(x): return resource.setrlimit(resource.RLIMIT_AS, (-1, -1)) or 4""",
    "set the clock": """
import time
def f(x): return time.clock_settime(time.CLOCK_REALTIME, 0) or 4""",
    "pickle that runs": """
class P:
    def __reduce__(self): return (exec, ("passed = True",))
def f(x): return P()""",
}
QUICK = Limits(cpu_seconds=1, wall_seconds=6.0, memory_bytes=256 * 2**20)


@pytest.mark.slow
@needs_sandbox
def test_hostile_samples_fail_and_leave_nothing(
    tmp_path: Path, listener: tuple[int, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "token")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    port, visits = listener
    before_tmp = set(Path("/tmp").iterdir())  # noqa: S108 - to see that nothing is added
    before = set(_descendants(os.getpid()))
    programs = [
        program.replace("PORT", str(port))
        .replace("OUTSIDE", str(tmp_path))
        .replace("HOME", str(Path.home()))
        for program in HOSTILE.values()
    ]
    samples = [Sample(program, "assert f(2) == 4", ("f",)) for program in programs]
    verdicts = judge_all(samples, limits=QUICK, n_workers=4)
    passed = [name for name, v in zip(HOSTILE, verdicts, strict=True) if v.passed]
    assert passed == []
    assert len(HOSTILE) >= 25
    assert visits == []
    assert list(tmp_path.iterdir()) == [secret]
    added = {p for p in set(Path("/tmp").iterdir()) - before_tmp if p.name.isdigit()}  # noqa: S108
    assert added == set()
    assert set(_descendants(os.getpid())) <= before
    assert judge(Sample("def f(x): return x * x", "assert f(2) == 4", ("f",))).passed


@needs_sandbox
def test_each_sample_has_a_world_of_its_own() -> None:
    leave = Sample("def f(x): return open('/tmp/note', 'w').write('x')", "f(1)", ("f",))
    find = Sample("def f(x): return open('/tmp/note').read()", "f(1)", ("f",))
    assert judge(leave).passed
    assert judge(find).reason == "raised FileNotFoundError"


@pytest.mark.slow
@needs_sandbox
def test_hostile_test_is_confined_too(tmp_path: Path) -> None:
    for test in (
        f"open({str(tmp_path / 'dropped')!r}, 'w')",
        "while True: pass",
        "import os\nos._exit(0)",
        "x = bytearray(8 * 2**30)",
    ):
        assert not judge(Sample("def f(x): return 4", test, ("f",)), QUICK).passed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@needs_sandbox
def test_killed_run_takes_its_samples_along() -> None:
    program = (
        "from capspace.collect.sandbox import *\n"
        "judge(Sample('import time\\ndef f(x): time.sleep(3600)', 'f(1)', ('f',)))\n"
    )
    pause = threading.Event()
    with subprocess.Popen([sys.executable, "-c", program]) as run:
        while len(started := _descendants(run.pid)) < 6:  # bwrap, its init and Python, twice
            assert run.poll() is None
            pause.wait(0.02)
        run.kill()
    for _ in range(500):
        left = [pid for pid in started if Path(f"/proc/{pid}").exists()]
        if not left:
            break
        pause.wait(0.02)
    assert left == []


@pytest.mark.slow
@needs_sandbox
@pytest.mark.skipif(not HUMANEVAL.exists(), reason="the shared data is not beside this checkout")
def test_humaneval_canonical_solutions_pass_and_empty_bodies_fail() -> None:
    with gzip.open(HUMANEVAL, "rt") as file:
        items = [json.loads(line) for line in file]

    def sample(item: dict[str, str], body: str) -> Sample:
        name = item["entry_point"]
        test = f"{item['test']}\ncheck({name})"
        return Sample(item["prompt"] + body, test, (name,), preamble=item["prompt"])

    right = judge_all([sample(item, item["canonical_solution"]) for item in items])
    assert [i["task_id"] for i, v in zip(items, right, strict=True) if not v.passed] == []
    empty = judge_all([sample(item, "") for item in items])
    assert [i["task_id"] for i, v in zip(items, empty, strict=True) if v.passed] == []
    assert len(items) == 164


def _descendants(ancestor: int) -> list[int]:
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(process.name)] = int(fields[1])
    processes = [ancestor]
    for pid in processes:
        processes += [child for child, parent in parents.items() if parent == pid]
    return processes[1:]
