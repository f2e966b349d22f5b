"""A receipt shows everything behind a score, down to every prompt and response."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any

from capspace.fit._json import json_dict
from capspace.fit.errors import near_matches

from ..errors import CollectError, StoreError
from .result import Result, metric_and_filter
from .store import Store

__all__ = ["Item", "Receipt", "items", "receipt"]


@dataclass(frozen=True)
class Item:
    """One item of a benchmark as the model met it.

    Attributes
    ----------
    task, item : str, int
        lm-eval's task, and the number of the item in it.
    prompt : str
        What the model was given.
    answers : tuple of str
        The continuations it was asked about, or the texts that it generated.
    log_likelihoods : tuple of float, or None
        Per continuation; None where texts were generated.
    extracted : str
        What the task's filter made of a generated text; "" for continuations.
    expected : str
        The right answer, as the task states it.
    metrics : dict
        The item's own value of each metric: 1 for right and 0 for wrong, mostly.

    """

    task: str
    item: int
    prompt: str
    answers: tuple[str, ...]
    log_likelihoods: tuple[float, ...] | None
    extracted: str
    expected: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Receipt:
    """A result with a page of its items.

    Attributes
    ----------
    first, n_items : int
        Number of the page's first item, and how many items there are in all.

    """

    result: Result
    items: tuple[Item, ...]
    first: int
    n_items: int

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values; unknown numbers are None."""
        return json_dict(
            {
                "result": {
                    **vars(self.result),
                    "identity": json.loads(self.result.identity),
                },
                "first": self.first,
                "n_items": self.n_items,
                "items": self.items,
            }
        )


def receipt(
    store: Store, model: str, benchmark: str, *, first: int = 0, count: int = 10
) -> list[Receipt]:
    """Return the receipts of a model's scores on a benchmark, one per protocol.

    Parameters
    ----------
    store : Store
        Where the scores are.
    model, benchmark : str
        Names as ``capspace scores`` shows them.
    first, count : int
        The page of items.

    Raises
    ------
    CollectError
        There is no such score; near matches are named.
    StoreError
        The samples are gone or damaged.

    """
    everything = store.results()
    models = dict.fromkeys(r.model for r in everything)
    if model not in models:
        raise CollectError(f"{store.path} has no scores of {model!r}{near_matches(model, models)}")
    own = [r for r in everything if r.model == model]
    results = [r for r in own if r.benchmark == benchmark]
    if not results:
        known = dict.fromkeys(r.benchmark for r in own)
        raise CollectError(f"{model} has no score of {benchmark!r}{near_matches(benchmark, known)}")
    return [_receipt(store, result, first, count) for result in results]


def items(store: Store, result: Result) -> Iterator[Item]:
    """Yield the items of a result as the model met them.

    Raises
    ------
    StoreError
        The samples are gone or damaged, or not of lm-eval's shape.

    """
    _, chosen = metric_and_filter(result)
    for line, record in enumerate(store.samples(result.key), start=1):
        try:
            # A task with several filters has a record per item and filter.
            item = _item(record, result) if record.get("filter", chosen) == chosen else None
        except (TypeError, ValueError, OverflowError, AttributeError, LookupError):
            raise StoreError(
                f"{store.samples_file(result.key)}: line {line} is no item as lm-eval writes them, "
                f"so {result.benchmark} of {result.model} has no receipt; its score is not affected"
            ) from None
        if item is not None:
            yield item


def _receipt(store: Store, result: Result, first: int, count: int) -> Receipt:
    if "imported" in json.loads(result.identity) and not store.samples_file(result.key).exists():
        return Receipt(result, (), first, 0)  # others kept the samples, or nobody did
    everything = list(items(store, result))
    return Receipt(result, tuple(everything[first : first + count]), first, len(everything))


def _item(record: dict[str, Any], result: Result) -> Item:
    requests = list(_requests(record))
    prompts = [str(argument[0]) for argument, _ in requests]
    prompt = prompts[0] if len(set(prompts)) == 1 else _shared(prompts)
    # A continuation is text; what follows a prompt to be continued are settings.
    scored = all(len(argument) > 1 and isinstance(argument[1], str) for argument, _ in requests)
    if scored:
        answers = tuple(
            p[len(prompt) :] + a[1] for p, (a, _) in zip(prompts, requests, strict=True)
        )
        values = tuple(float(replies[0][0]) for _, replies in requests)
    else:
        answers = tuple(str(text) for _, responses in requests for text in responses)
        values = None
    return Item(
        task=str(record.get("task", result.benchmark)),
        item=int(record.get("doc_id", 0)),
        prompt=prompt,
        answers=answers,
        log_likelihoods=values,
        extracted="" if scored else _first_text(record.get("filtered_resps")),
        expected=str(record.get("target", "")),
        metrics={n: _number(record.get(n)) for n in record.get("metrics") or ()},
    )


def _shared(prompts: list[str]) -> str:
    """Return the words that all prompts begin with: Winogrande's choices lie in the context."""
    prefix = commonprefix(prompts)  # noqa: RUF071 - of characters, not of paths
    return prefix[: prefix.rfind(" ") + 1]


def _requests(record: dict[str, Any]) -> Iterator[tuple[list[Any], list[Any]]]:
    """Yield the arguments of each request of an item, and the responses to it."""
    arguments = record.get("arguments") or []
    if isinstance(arguments, dict):  # lm-eval's own files name them gen_args_0: {arg_0: ...}
        arguments = [list(argument.values()) for argument in arguments.values()]
    for argument, responses in zip(arguments, record.get("resps") or [], strict=False):
        yield list(argument), list(responses)


def _first_text(responses: Any) -> str:
    """Return the first of the filtered responses, however deep it lies."""
    while isinstance(responses, list) and responses:
        responses = responses[0]
    return responses if isinstance(responses, str) else ""


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (bool, int, float)) else math.nan
