"""Requests without a stored response go to the model in chunks, in an order that survives restarts.

The requests of a call are sorted, and cut at fixed places of that order: into blocks that grow from
one batch. A block that would take too long, by the throughput noted in the journal, is halved. A
run that was killed cuts what is left as it would have been cut, so that batches hold the same
requests and responses are equal to the last bit. Only of a model so slow that blocks are halved may
two runs form different batches, where their throughputs differ by a third or more; responses then
differ as with another batch size. Where the model can draw a sampled text from a seed of its own,
as capspace's engine can, the text depends on no cut.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from ..errors import ResponseError
from ..runtime.signals import end_if_terminated
from ..storage.journal import Failure, Journal, RequestType, Response
from .accelerator import NonFiniteWatch, free_memory
from .batching import Call, Draw, is_finite
from .journaled import JournaledResponses, OnProgress
from .request_order import Request, blocks, length, pieces, place

__all__ = ["Dispatcher"]

_HANDFUL = 8  # requests of the first chunk, where a model does not say how many it takes at once


class Dispatcher(JournaledResponses):
    """Responds to lists of requests from a journal and a model.

    Parameters
    ----------
    journal, identity, label, description, on_progress, chunk_seconds
        As in `Recorder`.
    batch_size : int, optional
        Requests that the model takes at once; blocks are multiples of it.
    by_prefix : bool
        Order requests by their texts, not by their lengths: for a model that computes once what
        neighbours share.
    torch_model : object, optional
        Watched for logits that are not finite while it generates.

    """

    def __init__(
        self,
        journal: Journal,
        *,
        identity: str,
        label: str,
        description: Mapping[str, Any] | None = None,
        on_progress: OnProgress | None = None,
        chunk_seconds: float = 20.0,
        batch_size: int | None = None,
        by_prefix: bool = False,
        torch_model: object = None,
    ) -> None:
        super().__init__(
            journal, identity=identity, description=description, on_progress=on_progress
        )
        self._label = label
        self._chunk_seconds = chunk_seconds
        self._knows_batch = batch_size is not None
        self._batch_size = batch_size or _HANDFUL
        self._by_prefix = by_prefix
        # Texts are drawn a call at a time. Where a call of one batch costs no more per text than a
        # larger one, calls are that, and draws depend on no cut that follows the throughput.
        self._batch_by_batch = self._knows_batch and not by_prefix
        self._torch_model = torch_model
        self._n_in_flight = 0

    def share_done(self, share_of_call: float) -> float:
        """Return the share of the requests that is done when this share of the model's call is."""
        return min(1.0, (self._n_done + share_of_call * self._n_in_flight) / self._n_wanted)

    def responses(
        self,
        request_type: RequestType,
        requests: Sequence[Request],
        respond: Callable[[list[Any]], Sequence[Any]],
        draw: Draw | None = None,
    ) -> list[Response]:
        """Return one response per request, in the order of the requests.

        Parameters
        ----------
        request_type : str
            The model's method.
        requests : sequence of n lm-eval instances
            What the harness requests.
        respond : callable
            Takes requests and returns as many responses; called with the unknown ones only.
        draw : callable, optional
            The same for sampled requests, given a seed for each of them; without it, torch is
            seeded before a call.

        Raises
        ------
        ResponseError
            A response is not finite, or a request alone does not fit into memory or cannot be
            scored. All other responses are stored.
        JournalError
            A chunk could not be written; those before it are stored.

        """
        keys, by_key, known = self._known(request_type, requests)
        if len(known) == len(by_key):
            return [known[key] for key in keys]

        call = Call(request_type, respond, self._journal.tuning(self._identity), draw)
        call.learned = dict(call.tuning)
        failures: list[Failure] = []
        empty: dict[bytes, Response] = {}
        # A log-likelihood shows by itself that something was not finite; a text does not.
        watched = self._torch_model if request_type == "generate_until" else None
        with NonFiniteWatch(watched) as watch:
            order = sorted(by_key, key=lambda key: place(by_key[key], key, self._by_prefix))
            for piece in self._cut(order, call, by_key, known):
                end_if_terminated()
                chunk = [key for key in piece if key not in known]
                started = time.monotonic()
                responded = self._dispatch(call, chunk, by_key, failures, watch)
                call.learn_throughput(
                    time.monotonic() - started,
                    _characters(chunk, by_key),
                    is_first=not self.counts.n_asked,
                )
                self._store(call, chunk, responded, by_key, known, empty)
                self._report(len(known) + len(empty))
        if failures:
            worst = max(failures, key=lambda failure: failure.characters)
            raise ResponseError(
                f"{self._label}: {len(failures)} of {len(by_key)} requests do not fit into memory "
                f"even alone, the longest with {worst.characters} characters ({worst.task} item "
                f"{worst.document}); all other responses are stored: use a device with more memory"
            )
        if call.unscorable:
            key, reason = next(iter(call.unscorable.items()))
            raise ResponseError(
                f"{self._label}: {len(call.unscorable)} of {len(by_key)} requests cannot be "
                f"scored, the first {by_key[key].task_name or 'the task'} item "
                f"{by_key[key].doc_id} ({reason}); all other responses are stored"
            )
        known |= empty
        return [known[key] for key in keys]

    def _cut(
        self,
        order: list[bytes],
        call: Call,
        by_key: dict[bytes, Request],
        known: dict[bytes, Response],
    ) -> Iterator[Sequence[bytes]]:
        def fits(piece: Sequence[bytes]) -> bool:
            return call.fits(
                _characters(piece, by_key), self._chunk_seconds, knows_batch=self._knows_batch
            )

        for block in blocks(order, self._batch_size):
            yield from pieces(block, self._batch_size, known, fits)

    def _report(self, n_done: int) -> None:
        self._n_in_flight = 0
        super()._report(n_done)

    def _store(
        self,
        call: Call,
        chunk: list[bytes],
        responded: dict[bytes, Response],
        by_key: dict[bytes, Request],
        known: dict[bytes, Response],
        empty: dict[bytes, Response],
    ) -> None:
        good = {k: response for k, response in responded.items() if _can_be_stored(response)}
        if good:
            self._append(call.request_type, good)
        if call.tuning_changed:
            self._journal.keep_tuning(self._identity, call.tuning)
            call.learned = dict(call.tuning)
        self.counts.n_asked += len(responded)
        known |= good
        for key in chunk:
            if key in responded and key not in good:
                if responded[key] != "":
                    self._refuse(by_key[key], f"answered {responded[key]}")
                self.counts.n_empty += 1
                empty[key] = responded[key]

    def _dispatch(
        self,
        call: Call,
        chunk: list[bytes],
        by_key: dict[bytes, Request],
        failures: list[Failure],
        watch: NonFiniteWatch,
    ) -> dict[bytes, Response]:
        """Call the model with what fits into memory; a request too large by itself is a failure."""
        responded: dict[bytes, Response] = {}
        rest = list(chunk)
        while rest:
            n = len(rest)
            if call.knows_size:
                n = call.call_size(max(length(by_key[key]) for key in rest))
            if self._batch_by_batch and call.request_type == "generate_until":
                n = min(n, self._batch_size)
            part = rest[:n]
            self._n_in_flight = len(part)
            responses = call.responses(part, by_key, self._identity)
            if watch.take():
                self._blame(call, part, by_key, watch)
            if responses is not None:
                responded |= {
                    key: response
                    for key, response in zip(part, responses, strict=True)
                    if response is not None
                }
                self._n_done += len(part)
                del rest[: len(part)]
                continue
            free_memory()
            self.counts.n_split += 1
            call.learn_size(max(length(by_key[key]) for key in part), len(part))
            if len(part) == 1:
                request = by_key[rest.pop(0)]
                failure = Failure(
                    self._identity,
                    part[0],
                    time.time(),
                    request.task_name or "",
                    request.doc_id,
                    length(request),
                    "out of memory",
                )
                self._journal.record_failure(failure)
                failures.append(failure)
        return responded

    def _blame(
        self, call: Call, part: list[bytes], by_key: dict[bytes, Request], watch: NonFiniteWatch
    ) -> NoReturn:
        """Find one request of a call that makes the model's logits not finite, and raise."""
        while len(part) > 1:
            half = part[: len(part) // 2]
            call.responses(half, by_key, self._identity)
            part = half if watch.take() else part[len(half) :]
        self._refuse(by_key[part[0]], "has logits that are NaN or infinite")

    def _refuse(self, request: Request, what: str) -> NoReturn:
        raise ResponseError(
            f"{self._label}: item {request.doc_id} of {request.task_name or 'the task'} {what}; "
            "a score with it would be wrong: check the weights and the dtype (--dtype float32)"
        )


def _can_be_stored(response: Response) -> bool:
    return is_finite(response) and response != ""


def _characters(keys: Sequence[bytes], by_key: Mapping[bytes, Request]) -> int:
    return sum(length(by_key[key]) for key in keys)
