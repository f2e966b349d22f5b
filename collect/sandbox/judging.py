"""A program that a model wrote runs in one sandbox, and its test in another.

What the program returns crosses as plain data and is compared where the program cannot reach. So a
program passes only by giving the right values: it may exit, print, patch `assert` or the types it
returns, or kill what it sees; none of that is the test's process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field

from ..errors import SandboxError
from .bubblewrap import Guest, require_bubblewrap

__all__ = ["SANDBOX_FILTER", "Limits", "Sample", "Verdict", "check_sandbox", "judge", "judge_all"]

SANDBOX_FILTER = "capspace_sandbox"
"""Name of the lm-eval filter by which a task has its programs judged here."""


@dataclass(frozen=True)
class Limits:
    """What a sample may use."""

    cpu_seconds: int = 5
    wall_seconds: float = 20.0
    memory_bytes: int = 512 * 2**20
    disk_bytes: int = 16 * 2**20


@dataclass(frozen=True)
class Sample:
    """A program and its test.

    Attributes
    ----------
    program : str
        Python source that a model wrote.
    test : str
        Python source that calls the program's functions and raises where they are wrong.
    names : tuple of str
        The functions of the program that the test calls.
    preamble : str
        Trusted source that the test needs, such as helper functions given in the prompt.

    """

    program: str
    test: str
    names: tuple[str, ...]
    preamble: str = ""


@dataclass(frozen=True)
class Verdict:
    """Whether a sample passed, and if not, why."""

    passed: bool
    reason: str = field(default="", compare=False)


def judge(sample: Sample, limits: Limits | None = None) -> Verdict:
    """Run a sample against its test.

    Raises
    ------
    SandboxError
        The sandbox itself does not work; nothing was judged.

    """
    limits = limits or Limits()
    with ExitStack() as stack:
        sample_reads, tester_writes = os.pipe()
        tester_reads, sample_writes = os.pipe()
        ours = [sample_reads, tester_writes, tester_reads, sample_writes]
        try:
            guests = [
                Guest(script, ends, disk_bytes=limits.disk_bytes)
                for script, ends in (
                    ("sample", (sample_reads, sample_writes)),
                    ("tester", (tester_reads, tester_writes)),
                )
            ]
        finally:
            for descriptor in ours:
                os.close(descriptor)
        for guest in guests:
            stack.callback(guest.end)
        runner, tester = guests
        common = {"limits": asdict(limits), "names": sample.names}
        runner.tell({**common, "program": sample.program})
        tester.tell({**common, "test": sample.test, "preamble": sample.preamble})
        try:
            message, complaint = tester.process.communicate(timeout=limits.wall_seconds)
        except subprocess.TimeoutExpired:
            return Verdict(False, f"not done after {limits.wall_seconds:g} s")
        return _verdict(message, complaint.decode(errors="replace"), runner, limits)


def _verdict(message: bytes, complaint: str, runner: Guest, limits: Limits) -> Verdict:
    if not message:
        if complaint.strip():
            raise SandboxError(f"the sandbox does not work here: {complaint.strip()}")
        return Verdict(False, "the test was ended by its limits")
    verdict = json.loads(message[4:])
    if verdict["passed"]:
        return Verdict(True)
    reason = str(verdict["reason"])
    if reason == "ended before it answered":
        reason = _ending(runner, limits)
    return Verdict(False, reason)


def _ending(runner: Guest, limits: Limits) -> str:
    """Return why a sample's process is gone."""
    try:
        status = runner.process.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        return "closed its connection"
    complaint = runner.complaint()
    if complaint.startswith("bwrap:"):
        raise SandboxError(f"the sandbox does not work here: {complaint}")
    if status == 128 + signal.SIGKILL:
        return f"killed, after {limits.cpu_seconds} s of CPU time or by itself"
    if status > 128:
        return f"killed by {signal.Signals(status - 128).name}"
    return f"exited with status {status} before it answered"


def judge_all(
    samples: Iterable[Sample], *, limits: Limits | None = None, n_workers: int | None = None
) -> list[Verdict]:
    """Run samples side by side, by default one per core; verdicts in their order."""
    n_workers = n_workers or os.cpu_count() or 1
    with ThreadPoolExecutor(n_workers) as pool:
        return list(pool.map(lambda sample: judge(sample, limits), samples))


def check_sandbox() -> None:
    """Make sure that samples can be judged here, before a model writes any.

    Raises
    ------
    SandboxError
        bubblewrap is not installed, or may not make name spaces here.

    """
    require_bubblewrap()
    verdict = judge(Sample("def f(x): return x + 1", "assert f(1) == 2", ("f",)))
    if not verdict.passed:
        raise SandboxError(f"the sandbox does not work here: a trivial sample {verdict.reason}")
