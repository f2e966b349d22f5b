"""Responses that the journal holds are returned from it; new ones are stored before they count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..storage.journal import Journal, RequestType, Response
from .request_order import Request, request_keys

__all__ = ["JournaledResponses", "OnProgress", "RequestCounts"]

OnProgress = Callable[[int, int], None]
"""Takes the number of requests that are done, and of those that are wanted."""


@dataclass
class RequestCounts:
    """What became of the requests so far; a result records it under these names.

    Attributes
    ----------
    n_requests, n_known, n_asked : int
        Requests of the harness; those whose responses the journal held; those that the
        model responded to.
    n_empty : int
        Generations that came back empty: passed on, and not stored.
    n_split : int
        Calls that ran out of memory and were split.

    """

    n_requests: int = 0
    n_known: int = 0
    n_asked: int = 0
    n_empty: int = 0
    n_split: int = 0


class JournaledResponses:
    """Responses of one measurement in a journal, to which those of a model are added.

    Parameters
    ----------
    journal, identity, description, on_progress
        As in `Recorder`.

    """

    def __init__(
        self,
        journal: Journal,
        *,
        identity: str,
        description: Mapping[str, Any] | None,
        on_progress: OnProgress | None,
    ) -> None:
        self.counts = RequestCounts()
        self._journal = journal
        self._identity = identity
        self._description = description
        self._on_progress = on_progress or (lambda done, wanted: None)
        self._n_done, self._n_wanted = 0, 1

    def _known(
        self, request_type: RequestType, requests: Sequence[Request]
    ) -> tuple[list[bytes], dict[bytes, Request], dict[bytes, Response]]:
        """Return the key of each request, the distinct requests, and the responses in the journal.

        The requests are counted, and the progress is reported.
        """
        keys = request_keys(request_type, requests)
        by_key = dict(zip(keys, requests, strict=True))
        journaled = self._journal.known(self._identity)
        known = {key: journaled[key] for key in by_key if key in journaled}
        self.counts.n_requests += len(requests)
        self.counts.n_known += sum(key in known for key in keys)
        self._n_wanted = len(by_key)
        self._report(len(known))
        return keys, by_key, known

    def _append(self, request_type: RequestType, new: Mapping[bytes, Response]) -> None:
        self._journal.append(
            self._identity,
            request_type,
            list(new),
            list(new.values()),
            description=self._description,
        )

    def _report(self, n_done: int) -> None:
        self._n_done = n_done
        self._on_progress(n_done, self._n_wanted)
