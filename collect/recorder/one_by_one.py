"""A model that answers requests one by one has each answer on disk as it comes.

For models behind a server, whose answers take long, cost money, and depend on no batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from ..runtime.signals import end_if_terminated
from ..storage.journal import Journal, RequestType, Response
from .dispatch import RequestCounts
from .request_order import Request, place, request_keys

__all__ = ["OneByOne", "RespondEach"]

_LARGEST_SEED = 2**31 - 1  # what every server takes

RespondEach = Callable[
    [RequestType, Sequence[Any], Sequence[int]], Iterator[Sequence[tuple[int, Response]]]
]
"""From requests and a seed for each to what comes, as it comes: responses by request's index."""


class OneByOne:
    """Responds to lists of requests from a journal, and from a model that answers one by one.

    Parameters
    ----------
    journal, identity, description, on_progress
        As in `Recorder`.
    respond_each : callable
        The model.

    """

    def __init__(
        self,
        journal: Journal,
        *,
        identity: str,
        respond_each: RespondEach,
        description: Mapping[str, Any] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.counts = RequestCounts()
        self._journal = journal
        self._identity = identity
        self._description = description
        self._respond_each = respond_each
        self._on_progress = on_progress or (lambda done, wanted: None)
        self._n_done, self._n_wanted = 0, 1

    def share_done(self, share_of_call: float) -> float:
        """Return the share of the requests that is done, whatever the model's call says."""
        del share_of_call
        return min(1.0, self._n_done / self._n_wanted)

    def responses(
        self, request_type: RequestType, requests: Sequence[Request], *_: object
    ) -> list[Response]:
        """Return one response per request, in the order of the requests.

        Parameters
        ----------
        request_type : str
            The model's method.
        requests : sequence of n lm-eval instances
            What the harness requests.

        Raises
        ------
        ResponseError
            The model does not respond to a request. All other responses so far are stored.
        JournalError
            A response could not be written; those before it are stored.

        """
        keys = request_keys(request_type, requests)
        by_key = dict(zip(keys, requests, strict=True))
        journaled = self._journal.known(self._identity)
        known = {key: journaled[key] for key in by_key if key in journaled}
        self.counts.n_requests += len(requests)
        self.counts.n_known += sum(key in known for key in keys)
        self._report(len(known), len(by_key))
        unknown = sorted(
            (key for key in by_key if key not in known),
            key=lambda key: place(by_key[key], key, by_prefix=False),
        )
        if unknown:
            asked = [by_key[key] for key in unknown]
            seeds = [self._seed(key) for key in unknown]
            for batch in self._respond_each(request_type, asked, seeds):
                new = {unknown[index]: response for index, response in batch}
                self._journal.append(
                    self._identity,
                    request_type,
                    list(new),
                    list(new.values()),
                    description=self._description,
                )
                known |= new
                self.counts.n_asked += len(new)
                self._report(len(known), len(by_key))
                end_if_terminated()
        return [known[key] for key in keys]

    def _seed(self, key: bytes) -> int:
        """Return the seed of a request: each repeat has its own, the same in every run.

        It is the measurement's own seed with the request and its repeat, wherever that is sent.
        """
        own = str((self._description or {}).get("seed", 0))
        bits = blake2b(own.encode() + key, digest_size=7).digest()
        return int.from_bytes(bits, "little") & _LARGEST_SEED

    def _report(self, n_done: int, n_wanted: int) -> None:
        self._n_done, self._n_wanted = n_done, n_wanted
        self._on_progress(n_done, n_wanted)
