"""SIGTERM ends a run even where a finalizer swallows the exception that it raises."""

from __future__ import annotations

import signal

import pytest

from capspace.collect.runtime.signals import Terminated, end_if_terminated, terminable


class Finalized:
    """Has SIGTERM come while it is finalized, where Python swallows exceptions."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_swallowed_stop_still_ends_the_run() -> None:
    def run() -> None:
        with terminable(), terminable():
            end_if_terminated()
            Finalized()
            end_if_terminated()

    with pytest.raises(Terminated):
        run()
    end_if_terminated()  # the next run is another one
