"""The recorder needs little of torch: its memory errors, its randomness and its non-finite numbers.

torch is only looked at where something else has imported it: models behind an API need none.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["NonFiniteWatch", "free_memory", "is_out_of_memory", "seeded"]

_MEMORY_ERRORS = re.compile(
    r"out of memory|can't allocate memory|not enough memory|ALLOC_FAILED", re.IGNORECASE
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an accelerator (CUDA, HIP, MPS, XPU) or the host had no memory left."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and _MEMORY_ERRORS.search(str(error)) is not None


def free_memory() -> None:
    """Give back what a failed batch held."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def seeded(seed: bytes) -> Iterator[None]:
    """Make torch's draws within the block depend on ``seed`` alone, and its later draws not."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int.from_bytes(seed[:8], "little") >> 1)
        yield


class NonFiniteWatch:
    """Notices NaN and +inf among the logits that a torch model generates from.

    Greedy decoding turns such logits into tokens as if nothing had happened. The flag stays on the
    device until `take` reads it, so watching does not make the device wait.

    Parameters
    ----------
    model : object
        Watched where it is a torch module whose output has ``logits``; else nothing is.

    """

    def __init__(self, model: object) -> None:
        torch = sys.modules.get("torch")
        self._model: Any = None
        if torch is not None and isinstance(model, torch.nn.Module):
            self._model = model
        self._flag: Any = None
        self._hook: Any = None

    def __enter__(self) -> NonFiniteWatch:
        if self._model is not None:
            self._hook = self._model.register_forward_hook(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        if self._hook is not None:
            self._hook.remove()

    def take(self) -> bool:
        """Return whether a bad logit was seen since the last call."""
        flag, self._flag = self._flag, None
        return flag is not None and bool(flag)

    def _look(self, _module: object, _inputs: object, output: Any) -> None:
        logits = getattr(output, "logits", None)
        if logits is None:
            return
        last = logits[:, -1, :]
        # -inf is how a model forbids a token.
        bad = (last.isnan() | (last == float("inf"))).any()
        self._flag = bad if self._flag is None else self._flag | bad
