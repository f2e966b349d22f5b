"""Asking a model in chunks: known answers first, the rest in an order that survives a restart.

The requests of a call are sorted and cut at fixed places of that order: into blocks that grow from
one batch, and a block that would take too long, at the pace kept in the journal, into halves. A run
that was killed thus cuts what is left as it would have been cut, so that batches are made of the
same requests and answers come out the same to the last bit. Only of a model so slow that blocks
are halved may two runs ask in other batches, where their paces differ by a third or more; answers
then differ as with another batch size. A sampled text is drawn from a seed of its own where the
model can do that, as capspace's engine can, and then depends on no cut.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from ..errors import AnswerError
from ..storage.journal import Answer, Failure, Journal, RequestType
from .accelerator import NonFiniteWatch, free_memory
from .batching import Call, Draw, is_finite
from .request_order import (
    Request,
    blocks,
    length,
    pieces,
    place,
    request_keys,
)

__all__ = ["Asker", "AskingCounts"]

_HANDFUL = 8  # requests of the first chunk, where a model does not say how many it takes at once


@dataclass
class AskingCounts:
    """What became of the requests so far.

    Attributes
    ----------
    n_requests, n_known, n_asked : int
        Requests of the harness; those answered from the journal; those the model answered.
    n_empty : int
        Generations that came back empty: passed on, and not kept.
    n_split : int
        Calls that ran out of memory and were split.

    """

    n_requests: int = 0
    n_known: int = 0
    n_asked: int = 0
    n_empty: int = 0
    n_split: int = 0


class Asker:
    """Answers lists of requests from a journal and a model.

    Parameters
    ----------
    journal, identity, label, description, on_progress, chunk_seconds
        As in `Recorder`.
    batch_size : int, optional
        Requests that the model takes at once; blocks are multiples of it.
    by_prefix : bool
        Ask in the order of the texts, not of their lengths: for a model that computes what
        neighbours share once.
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
        on_progress: Callable[[int, int], None] | None = None,
        chunk_seconds: float = 20.0,
        batch_size: int | None = None,
        by_prefix: bool = False,
        torch_model: object = None,
    ) -> None:
        self.counts = AskingCounts()
        self._journal = journal
        self._identity = identity
        self._label = label
        self._description = description
        self._on_progress = on_progress or (lambda done, wanted: None)
        self._chunk_seconds = chunk_seconds
        self._knows_batch = batch_size is not None
        self._batch_size = batch_size or _HANDFUL
        self._by_prefix = by_prefix
        # Texts are drawn a call at a time. Where a call of one batch costs no more per text than a
        # larger one, calls are that, and draws depend on no cut that follows the pace.
        self._batch_by_batch = self._knows_batch and not by_prefix
        self._torch_model = torch_model
        self._n_done = self._n_asking = 0
        self._n_wanted = 1

    def share_done(self, share_of_call: float) -> float:
        """Return the share of the requests that is done when this share of the model's call is."""
        return min(1.0, (self._n_done + share_of_call * self._n_asking) / self._n_wanted)

    def answers(
        self,
        request_type: RequestType,
        requests: Sequence[Request],
        ask: Callable[[list[Any]], Sequence[Any]],
        draw: Draw | None = None,
    ) -> list[Answer]:
        """Return one answer per request, in the order of the requests.

        Parameters
        ----------
        request_type : str
            The model's method.
        requests : sequence of n lm-eval instances
            What is asked.
        ask : callable
            Takes requests and returns as many answers; called with the unknown ones only.
        draw : callable, optional
            The same for sampled requests, given a seed for each of them; without it, torch is
            seeded before a call.

        Raises
        ------
        AnswerError
            An answer is not finite, or a request alone does not fit into memory. All other answers
            that were given are kept.
        JournalError
            A chunk could not be written; those before it are kept.

        """
        keys = request_keys(request_type, requests)
        kept = self._journal.known(self._identity)
        known = {key: kept[key] for key in keys if key in kept}
        by_key = dict(zip(keys, requests, strict=True))
        self.counts.n_requests += len(requests)
        self.counts.n_known += sum(key in known for key in keys)
        self._n_wanted = len(by_key)
        self._tell(len(known))
        if len(known) == len(by_key):
            return [known[key] for key in keys]

        call = Call(request_type, ask, self._journal.tuning(self._identity), draw)
        call.learned = dict(call.tuning)
        failures: list[Failure] = []
        empty: dict[bytes, Answer] = {}
        # A log-likelihood shows by itself that something was not finite; a text does not.
        watched = self._torch_model if request_type == "generate_until" else None
        with NonFiniteWatch(watched) as watch:
            order = sorted(by_key, key=lambda key: place(by_key[key], key, self._by_prefix))
            for piece in self._cut(order, call, by_key, known):
                chunk = [key for key in piece if key not in known]
                started = time.monotonic()
                got = self._ask_chunk(call, chunk, by_key, failures, watch)
                call.learn_pace(
                    time.monotonic() - started,
                    _characters(chunk, by_key),
                    is_first=not self.counts.n_asked,
                )
                self._keep(call, chunk, got, by_key, known, empty)
                self._tell(len(known) + len(empty))
        if failures:
            worst = max(failures, key=lambda failure: failure.characters)
            raise AnswerError(
                f"{self._label}: {len(failures)} of {len(by_key)} requests do not fit into memory "
                f"even alone, the longest with {worst.characters} characters ({worst.task} item "
                f"{worst.document}); all other answers are kept: use a device with more memory"
            )
        known |= empty
        return [known[key] for key in keys]

    def _cut(
        self,
        order: list[bytes],
        call: Call,
        by_key: dict[bytes, Request],
        known: dict[bytes, Answer],
    ) -> Iterator[Sequence[bytes]]:
        def fits(piece: Sequence[bytes]) -> bool:
            return call.fits(
                _characters(piece, by_key), self._chunk_seconds, knows_batch=self._knows_batch
            )

        for block in blocks(order, self._batch_size):
            yield from pieces(block, self._batch_size, known, fits)

    def _tell(self, n_done: int) -> None:
        self._n_done, self._n_asking = n_done, 0
        self._on_progress(n_done, self._n_wanted)

    def _keep(
        self,
        call: Call,
        chunk: list[bytes],
        got: dict[bytes, Answer],
        by_key: dict[bytes, Request],
        known: dict[bytes, Answer],
        empty: dict[bytes, Answer],
    ) -> None:
        good = {key: answer for key, answer in got.items() if is_finite(answer) and answer != ""}
        if good:
            self._journal.append(
                self._identity,
                call.request_type,
                list(good),
                list(good.values()),
                description=self._description,
            )
        if call.tuning_changed:
            self._journal.keep_tuning(self._identity, call.tuning)
            call.learned = dict(call.tuning)
        self.counts.n_asked += len(got)
        known |= good
        for key in chunk:
            if key in got and key not in good:
                if got[key] != "":
                    self._refuse(by_key[key], f"answered {got[key]}")
                self.counts.n_empty += 1
                empty[key] = got[key]

    def _ask_chunk(
        self,
        call: Call,
        chunk: list[bytes],
        by_key: dict[bytes, Request],
        failures: list[Failure],
        watch: NonFiniteWatch,
    ) -> dict[bytes, Answer]:
        """Ask in calls as large as fit into memory; a request too large alone becomes a failure."""
        got: dict[bytes, Answer] = {}
        rest = list(chunk)
        while rest:
            n = len(rest)
            if call.knows_size:
                n = call.call_size(max(length(by_key[key]) for key in rest))
            if self._batch_by_batch and call.request_type == "generate_until":
                n = min(n, self._batch_size)
            part = rest[:n]
            self._n_asking = len(part)
            answers = call.try_asking(part, by_key, self._identity)
            if watch.take():
                self._blame(call, part, by_key, watch)
            if answers is not None:
                got |= dict(zip(part, answers, strict=True))
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
        return got

    def _blame(
        self, call: Call, part: list[bytes], by_key: dict[bytes, Request], watch: NonFiniteWatch
    ) -> NoReturn:
        """Find one request of a call that makes the model's logits not finite, and raise."""
        while len(part) > 1:
            half = part[: len(part) // 2]
            call.try_asking(half, by_key, self._identity)
            part = half if watch.take() else part[len(half) :]
        self._refuse(by_key[part[0]], "has logits that are NaN or infinite")

    def _refuse(self, request: Request, what: str) -> NoReturn:
        raise AnswerError(
            f"{self._label}: item {request.doc_id} of {request.task_name or 'the task'} {what}; "
            "a score with it would be wrong: check the weights and the dtype (--dtype float32)"
        )


def _characters(keys: Sequence[bytes], by_key: Mapping[bytes, Request]) -> int:
    return sum(length(by_key[key]) for key in keys)
