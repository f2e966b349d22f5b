"""One call of a model class is measured: on a CPU in a process of its own, or on a GPU."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measurement:
    """One call: CPU seconds on a CPU, wall seconds on a GPU, and wall seconds."""

    seconds: float
    wall: float
    peak_mib: float
    answers: list[Any]
    stats: dict[str, Any]


def read_stats(lm: Any) -> dict[str, Any]:
    """Return what the engine counted, and why it replays no graphs; nothing for hf."""
    if not hasattr(lm, "stats"):
        return {}
    reason = {"unrecorded_reason": lm.unrecorded_reason}
    return {**vars(lm.stats), **vars(lm.decoding_stats), **reason}


def measure_on_gpu(make: Callable[[], Any], kind: str, requests: list[Any]) -> Measurement | None:
    """Answer ``requests`` on a GPU; None where its memory does not suffice."""
    import torch

    torch.manual_seed(0)
    lm = make()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.synchronize()
    started = time.perf_counter()
    try:
        answers = getattr(lm, kind)(requests, disable_tqdm=True)
    except torch.OutOfMemoryError:
        return None
    torch.cuda.synchronize()
    wall = time.perf_counter() - started
    peak = torch.cuda.max_memory_allocated() / 2**20
    return Measurement(wall, wall, peak, answers, read_stats(lm))


def matrix_rate() -> float:
    """Return the floating-point operations per second of a large bf16 matrix product."""
    import torch

    size = 8192
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    times = []
    for _ in range(20):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        a @ b
        stop.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(stop) / 1000)
    return 2 * size**3 / statistics.median(times[5:])


def measure(make: Callable[[], Any], kind: str, requests: list[Any]) -> Measurement:
    """Answer ``requests`` on a CPU, in a forked process."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def run() -> None:
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(0)
        lm = make()
        wall, cpu = time.perf_counter(), time.process_time()
        answers = getattr(lm, kind)(requests, disable_tqdm=True)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sender.send(Measurement(cpu, wall, peak, answers, read_stats(lm)))

    process = context.Process(target=run)
    process.start()
    sender.close()
    try:
        measured: Measurement = receiver.recv()
    finally:
        process.join()
    return measured
