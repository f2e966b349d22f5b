"""A fork of the server is a process as any other: what it is given, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked")]

SHOWN = """
import json, os, sys
print(json.dumps({
    "argv": sys.argv, "path": sys.path[0], "folder": os.getcwd(), "parent": os.getppid(),
    "name": __name__, "said": sys.stdin.read(), "mine": os.environ.get("MINE"),
    "is_forked": "lm_eval" in sys.modules, "session": os.getsid(0) == os.getpid(),
}))
"""


def shown(*words: object, **more: object) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, *map(str, words)], input="hello", capture_output=True, text=True,
        check=True, **more,
    )  # fmt: skip
    assert done.stderr == ""
    return dict(json.loads(done.stdout))


def test_it_is_given_what_was_asked_for(tmp_path: Path) -> None:
    script = tmp_path / "shown.py"
    script.write_text(SHOWN)
    expected = {
        "folder": str(tmp_path), "parent": os.getpid(), "name": "__main__", "said": "hello",
        "mine": "yes", "is_forked": True, "session": True,
    }  # fmt: skip
    given = {"cwd": tmp_path, "env": os.environ | {"MINE": "yes"}, "start_new_session": True}
    assert shown("-c", SHOWN, "a", "b", **given) == expected | {
        "argv": ["-c", "a", "b"],
        "path": "",
    }
    here = expected | {"argv": [str(script), "a"], "path": str(tmp_path)}
    assert shown("-m", "shown", "a", **given) == here
    assert shown(script, "a", **given) == here


@pytest.mark.parametrize(
    ("program", "code", "last"),
    [
        ("raise SystemExit(7)", 7, ""),
        ("import sys; sys.exit('no such thing')", 1, "no such thing"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
        ("raise KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV, ""),
        ("import atexit, os; atexit.register(os.write, 2, b'the end')", 0, "the end"),
    ],
    ids=["status", "message", "error", "interrupt", "kill", "crash", "atexit"],
)
def test_it_ends_as_an_interpreter_does(program: str, code: int, last: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == code
    assert (done.stderr.splitlines() or [""])[-1] == last


def test_a_signal_reaches_it_and_no_other() -> None:
    program = "import sys; print('here', flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    with (
        subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe) as first,
        subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe) as second,
    ):
        assert b"fork_server" in Path(f"/proc/{first.pid}/cmdline").read_bytes()
        assert first.stdout is not None
        assert second.stdin is not None
        assert first.stdout.readline() == b"here\n"
        first.kill()
        assert first.wait() == -signal.SIGKILL
        assert second.poll() is None
        second.stdin.close()
        assert second.wait() == 0


def test_it_forks_its_own_children() -> None:
    program = (
        "import os, subprocess, sys; "
        "inner = 'import os, sys; print(os.getppid(), \"lm_eval\" in sys.modules)'; "
        "done = subprocess.run([sys.executable, '-c', inner], capture_output=True, text=True); "
        "print(os.getpid(), True); print(done.stdout + done.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    outer, inner = done.stdout.split("\n")[:2]
    assert inner == outer


@pytest.mark.parametrize(
    ("options", "changes"),
    [(["-I"], {}), ([], {"PYTHONHASHSEED": "1"}), ([], {"MKL_NUM_THREADS": "3"})],
    ids=["isolated", "hash-seed", "threads-of-mkl"],
)
def test_what_a_fork_cannot_be_is_started(options: list[str], changes: dict[str, str]) -> None:
    program = "import sys; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, *options, "-c", program], env=os.environ | changes,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "False\n"


def test_it_has_its_own_number_of_threads_and_writes_at_once() -> None:
    program = "import os, torch; print(torch.get_num_threads()); os._exit(0)"
    for threads in ("3", "1"):
        done = subprocess.run(
            [sys.executable, "-u", "-c", program], env=os.environ | {"OMP_NUM_THREADS": threads},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.stdout == f"{threads}\n"


def test_libraries_that_read_the_environment_are_imported_with_it(tmp_path: Path) -> None:
    program = "from huggingface_hub import constants; print(constants.HF_HOME)"
    usual, mine = os.environ.get("HF_HOME", ""), str(tmp_path / "home")
    for home in (mine, usual, mine):
        given = os.environ | ({"HF_HOME": home} if home else {})
        done = subprocess.run(
            [sys.executable, "-c", program], env=given, capture_output=True, text=True
        )
        assert (done.stdout == f"{mine}\n") is (home == mine)
