"""The tokens of measured items are counted as what measures them reads them.

The engine reads once what texts begin with alike. Other backends read a prompt anew with each of
its options, and servers count their own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from os.path import commonprefix
from typing import Any

__all__ = ["TokenCount", "count_tokens"]

Encode = Callable[[str], Sequence[object]]


@dataclass(frozen=True)
class TokenCount:
    """The tokens that items took.

    Attributes
    ----------
    tokens : int
        Of all items: prompts, options, and generated texts.
    shared : int
        Those of them with which every prompt of a task begins, such as few-shot examples; 0 where
        they are read anew for each item.

    """

    tokens: int
    shared: int = 0


def count_tokens(
    samples: Iterable[Mapping[str, Any]],
    encode: Encode,
    *,
    shares: bool = False,
    window: int | None = None,
) -> TokenCount:
    """Return how many tokens items take.

    Parameters
    ----------
    samples : iterable of mapping
        lm-eval's records of the items; several filters of one item count once. What a server
        answered stands there as ``answers``.
    encode : callable
        Returns the tokens of a text.
    shares : bool
        Whether what texts of a task begin with alike is read once. Else each prompt counts with
        each of its options, but once with those that differ in their last token alone, as for
        lm-eval's ``hf``.
    window : int, optional
        The most tokens that the model reads. Longer prompts are cut at their beginning, so that
        tasks with such a prompt share nothing.

    Notes
    -----
    The last token of an option is not read. Prompts are cut where their characters differ, so that
    up to a token per prompt is counted too many, and what options begin with alike counts with each
    of them. A task of which one item was measured shows nothing that is shared.

    """
    most = math.inf if window is None else window
    items: dict[str, dict[int, Mapping[str, Any]]] = {}
    for sample in samples:
        items.setdefault(str(sample["task"]), {}).setdefault(int(sample["doc_id"]), sample)
    tokens = shared = 0
    for task in items.values():
        n_readings: Counter[str] = Counter()
        for sample in task.values():
            if (usage := _usage(sample)) is not None:
                tokens += usage
                continue
            read = [(p, tuple(encode(o)[:-1])) for p, o in map(_texts, sample["arguments"])]
            tokens += sum(len(option) for _, option in read) + _n_tokens(_responses(sample), encode)
            n_readings.update(prompt for prompt, _ in {*read})
        is_cut = any(len(p.encode()) > most and len(encode(p)) > most for p in n_readings)
        if shares and not is_cut:
            tokens += _n_tokens(_unshared(n_readings), encode)
            shared += _n_tokens([_beginning([*n_readings])] if len(task) > 1 else [], encode)
        else:
            tokens += sum(int(n * min(len(encode(p)), most)) for p, n in n_readings.items())
    return TokenCount(tokens, shared)


def _usage(sample: Mapping[str, Any]) -> int | None:
    """Return the tokens that a server counted; None where it did not count all of them."""
    counts = [a.get(name) for a in sample.get("answers", ()) for name in ("n_prompt", "n_tokens")]
    return sum(counts) if counts and None not in counts else None


def _texts(request: Sequence[Any]) -> tuple[str, str]:
    """Return a request's prompt and its option, which is empty where a text is generated."""
    option = request[1] if len(request) > 1 and isinstance(request[1], str) else ""
    return str(request[0]), option


def _responses(sample: Mapping[str, Any]) -> list[str]:
    return [text for answers in sample["resps"] for text in answers if isinstance(text, str)]


def _unshared(texts: Collection[str]) -> list[str]:
    """Return what each text has beyond its longest beginning that another has before it."""
    ordered = sorted(texts)
    return ordered[:1] + [
        text[len(_beginning([before, text])) :] for before, text in pairwise(ordered)
    ]


def _beginning(texts: Sequence[str]) -> str:
    """Return with what all texts begin, character by character."""
    return commonprefix(texts)  # noqa: RUF071 # these are no paths


def _n_tokens(texts: Iterable[str], encode: Encode) -> int:
    return sum(len(encode(text)) for text in texts if text)
