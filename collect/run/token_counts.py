"""The tokens of measured items are counted, each prompt once; servers count their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Any

__all__ = ["n_tokens"]


def n_tokens(samples: Iterable[Mapping[str, Any]], encode: Callable[[str], Sized]) -> int:
    """Return how many tokens items take: distinct prompts, options, and generated texts.

    Parameters
    ----------
    samples : iterable of mapping
        lm-eval's records of the items; several filters of one item count once. What a server
        answered stands there as ``answers``.
    encode : callable
        Returns the tokens of a text.

    """
    counted: set[tuple[str, int]] = set()
    total = 0
    for sample in samples:
        item = str(sample["task"]), int(sample["doc_id"])
        if item in counted:
            continue
        counted.add(item)
        usage = [
            a.get(name) for a in sample.get("answers", ()) for name in ("n_prompt", "n_tokens")
        ]
        if usage and None not in usage:
            total += sum(usage)
            continue
        requests = [tuple(request) for request in sample["arguments"]]
        texts = {str(request[0]) for request in requests}
        options = [r[1] for r in requests if len(r) > 1 and isinstance(r[1], str)]
        responses = [
            text for answers in sample["resps"] for text in answers if isinstance(text, str)
        ]
        total += sum(len(encode(text)) for text in (*texts, *options, *responses) if text)
    return total
