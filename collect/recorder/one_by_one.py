"""A model that answers requests one by one has each answer written to disk as it arrives.

For models behind a server, whose answers take long, cost money, and depend on no batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from ..runtime.signals import end_if_terminated
from ..storage.journal import Journal, RequestType, Response
from .journaled import JournaledResponses, OnProgress
from .request_order import Request, place

__all__ = ["OneByOne", "RespondEach"]

_LARGEST_SEED = 2**31 - 1  # what every server takes

RespondEach = Callable[
    [RequestType, Sequence[Any], Sequence[int]], Iterator[Sequence[tuple[int, Response]]]
]
"""From requests and a seed for each to what comes, as it comes: responses by request's index."""


class OneByOne(JournaledResponses):
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
        on_progress: OnProgress | None = None,
    ) -> None:
        super().__init__(
            journal, identity=identity, description=description, on_progress=on_progress
        )
        self._respond_each = respond_each

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
        keys, by_key, known = self._known(request_type, requests)
        unknown = sorted(
            (key for key in by_key if key not in known),
            key=lambda key: place(by_key[key], key, by_prefix=False),
        )
        if unknown:
            asked = [by_key[key] for key in unknown]
            seeds = [self._seed(key) for key in unknown]
            for batch in self._respond_each(request_type, asked, seeds):
                new = {unknown[index]: response for index, response in batch}
                self._append(request_type, new)
                known |= new
                self.counts.n_asked += len(new)
                self._report(len(known))
                end_if_terminated()
        return [known[key] for key in keys]

    def _seed(self, key: bytes) -> int:
        """Return the seed of a request: each repeat has its own, the same in every run.

        It is the measurement's own seed with the request and its repeat, wherever that is sent.
        """
        own = str((self._description or {}).get("seed", 0))
        bits = blake2b(own.encode() + key, digest_size=7).digest()
        return int.from_bytes(bits, "little") & _LARGEST_SEED
