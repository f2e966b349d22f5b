"""Work is recorded as CUDA graphs: all that needs a card of how steps are replayed."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import torch

from ..forward import first_line
from .recording import UnrecordableStepError, Work

__all__ = ["CudaGraphs"]


class CudaGraphs:
    """Record work as CUDA graphs, which share one pool of memory.

    Parameters
    ----------
    device : torch.device
        The CUDA device of all tensors.

    Notes
    -----
    Graphs that share a pool may overwrite what others leave there: results belong into tensors
    made outside the recording. No card has run this yet.

    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = None
        self._pool: Any = None
        self._held: WeakSet[Work] = WeakSet()

    def __call__(self, work: Work) -> Work:
        """Return the replay of work, captured after two runs on the stream of the capture.

        Raises
        ------
        UnrecordableStepError
            The work waits for the device, which a capture must not.

        """
        with torch.cuda.device(self._device):
            if self._stream is None:
                self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            if not self._held:  # a pool goes with the last of its graphs
                self._pool = torch.cuda.graph_pool_handle()
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                work()  # libraries set themselves up
                _without_waiting(work)
            torch.cuda.current_stream().wait_stream(self._stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                work()

        def replay() -> None:
            with torch.cuda.device(self._device):
                graph.replay()

        self._held.add(replay)
        return replay


def _without_waiting(work: Work) -> None:
    """Run work that must not wait for the device: an error in a capture is harder to undo."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        work()
    except RuntimeError as error:
        reason = f"a step of it waits for the device ({first_line(error)})"
        raise UnrecordableStepError(reason) from error
    finally:
        torch.cuda.set_sync_debug_mode(before)
