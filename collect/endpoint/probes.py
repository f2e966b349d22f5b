"""Small known requests test what a server accepts and does, before any item is sent to it.

Status 200 does not mean that a server obeyed: many silently ignore fields they do not support.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..errors import BackendError, ResponseError
from .answers import Answer
from .connection import Connection, RefusedError
from .length import ContextLength
from .log_probabilities import NotEchoedError, read_echo
from .payload import AcceptedFields, Payloads, Sampling

__all__ = [
    "accepted_fields",
    "ignored_switch_reason",
    "is_greedy",
    "listed_models",
    "log_probability_reason",
    "require_sampling",
    "same_model",
]

_PATIENCE = 5.0  # seconds: nothing was measured yet, and a wrong address is seen at once
_CONTEXT = "The capital of France is Paris. The capital of Italy is"
_CONTINUATIONS = (" Rome.", " a banana.")
_OPEN_QUESTION = "Write one random word, and then a short story about it."
_MOST_DRAWS, _DRAWN_TOKENS = 8, 48


def listed_models(connection: Connection) -> dict[str, dict[str, Any]]:
    """Return the models that a server lists, by name; a server need not list those it has.

    Raises
    ------
    BackendError
        Nothing answers at the address, it is no API, or the key is refused.

    """
    try:
        listed = connection.get("/models", patience=_PATIENCE).get("data")
    except RefusedError as error:
        if error.status in (401, 403):
            raise BackendError(str(error)) from None
        return {}  # it lists none
    except ResponseError as error:
        raise BackendError(str(error).partition("; all answers")[0]) from None
    entries = listed if isinstance(listed, list) else []
    return {
        str(entry["id"]): entry for entry in entries if isinstance(entry, dict) and "id" in entry
    }


def accepted_fields(
    connection: Connection, payloads: Payloads, settings: dict[str, Any]
) -> tuple[AcceptedFields, Answer]:
    """Return which fields a server takes, of those that no score depends on, and its answer.

    The requests are made so from then on.

    Parameters
    ----------
    connection, payloads
        The server, and the requests that are made of it.
    settings : dict
        Generation settings of a request that has all the fields of the measurement's own.

    Raises
    ------
    BackendError
        It refuses what the measurement needs, in its own words.

    """
    full = payloads.accepted
    attempts = [full, replace(full, budget="max_completion_tokens"), replace(full, stop=False)]
    attempts += [replace(full, seed=False), replace(full, stop=False, seed=False)]
    if payloads.only_effort:
        attempts.append(replace(full, template_arguments=False))
    first: RefusedError | None = None
    for attempt in attempts:
        payloads.accepted = attempt
        try:
            return attempt, _answer(connection, payloads, settings, seed=1)
        except RefusedError as error:
            first = first or error
            if error.status in (401, 403, 404):
                break
        except ResponseError as error:
            raise BackendError(str(error).partition("; all answers")[0]) from None
    raise BackendError(f"{first}{_hint(first, payloads)}") from None


def _hint(error: RefusedError | None, payloads: Payloads) -> str:
    if error is None or error.status != 404:
        return ""
    other = "leave the chat template out" if payloads.is_chat else "pass --chat-template"
    return f"; if it serves only the other kind of completions, {other}"


def _answer(
    connection: Connection,
    payloads: Payloads,
    settings: dict[str, Any],
    *,
    seed: int,
    most_faults: int = 1,
) -> Answer:
    context = as_context(_OPEN_QUESTION, is_chat=payloads.is_chat)
    payload = payloads.generation(context, settings, seed)
    response = connection.post(payloads.route, payload, patience=_PATIENCE, most_faults=most_faults)
    return Answer.read(response, int(settings["max_gen_toks"]))


def ignored_switch_reason(
    connection: Connection, requests: tuple[Payloads, Payloads], length: ContextLength
) -> str | None:
    """Return why thinking on and off are one mode to a server; None where they differ.

    The tokenizer's own template tells, where there is one; else the tokens that the server counts
    in one prompt. Where it counts none, nothing tells.

    Parameters
    ----------
    connection : Connection
        The server.
    requests : tuple of two Payloads
        Those with thinking on, and off.
    length : ContextLength
        What renders a conversation, where there is a tokenizer.

    """
    context = as_context(_OPEN_QUESTION, is_chat=True)
    texts = [length.rendered(json.loads(context), p.template_arguments) for p in requests]
    if None not in texts:
        same = "it renders the same with thinking on and off"
        return same if texts[0] == texts[1] else None
    counts = []
    for payloads in requests:
        payload = payloads.generation(context, {"max_gen_toks": 1}, None)
        response = connection.post(payloads.route, payload, patience=_PATIENCE)
        counts.append(Answer.read(response, 1).n_prompt)
    if counts[0] is None or counts[0] != counts[1]:
        return None
    return (
        f"one prompt has {counts[0]:,} tokens with thinking on and off (where it does differ, "
        "--tokenizer proves it)"
    )


def as_context(text: str, *, is_chat: bool) -> str:
    """Return a question as the context of a request."""
    return json.dumps([{"role": "user", "content": text}]) if is_chat else text


def is_greedy(
    connection: Connection, payloads: Payloads, settings: dict[str, Any], first: Answer
) -> bool:
    """Return whether a server answers a greedy request as it did before.

    Some hold the sampling settings of the first request that they ever had for all later ones.

    Parameters
    ----------
    connection, payloads, settings
        As of `accepted_fields`.
    first : Answer
        The server's answer to that request.

    """
    again = _answer(connection, payloads, settings, seed=2, most_faults=5)
    return (again.reasoning, again.text) == (first.reasoning, first.text)


def require_sampling(connection: Connection, payloads: Payloads, sampling: Sampling) -> None:
    """Refuse a server that gives one text again and again where several are to be drawn.

    Raises
    ------
    ResponseError
        All texts of one prompt and different seeds are the same.

    """
    settings = {**sampling.fields, "do_sample": True, "max_gen_toks": _DRAWN_TOKENS}
    context = as_context(_OPEN_QUESTION, is_chat=payloads.is_chat)
    texts = set()
    for seed in range(_MOST_DRAWS):
        payload = payloads.generation(context, settings, seed)
        answer = Answer.read(connection.post(payloads.route, payload), _DRAWN_TOKENS)
        texts.add((answer.reasoning, answer.text))
        if len(texts) > 1:
            return
    raise ResponseError(
        f"the server ignores the temperature: at {sampling.temperature} it gave {_MOST_DRAWS} "
        "times the same text to one prompt with different seeds; samples would be copies: set "
        "do_sample in its model's generation settings, or measure with --temperature 0"
    )


def log_probability_reason(
    request: Callable[[str], dict[str, Any]],
) -> str | None:
    """Return why a server cannot score given texts; None where it is proved that it can.

    Parameters
    ----------
    request : callable
        Returns the server's response to the request to score a text.

    """
    scores = []
    try:
        for continuation in _CONTINUATIONS:
            text = _CONTEXT + continuation
            echo = read_echo(request(text), text)
            scores.append(echo.score(len(_CONTEXT))[0])
    except NotEchoedError as error:
        return f"the endpoint gives no log-probabilities of a prompt: {error}"
    except ResponseError as error:
        return f"the endpoint gives no log-probabilities of a prompt: {error}"
    if math.isclose(*scores, rel_tol=1e-9) or min(scores) == 0:
        return (
            "the endpoint gives no log-probabilities of a prompt: two continuations score the same"
        )
    return None


def same_model(wanted: str, answered: str) -> bool:
    """Return whether a server's word for what answered may stand for the model that was wanted.

    Servers add a date, a revision or a folder to a name, or leave it out.
    """
    short, other = (name.rstrip("/").rpartition("/")[2].lower() for name in (wanted, answered))
    return short.startswith(other) or other.startswith(short)
