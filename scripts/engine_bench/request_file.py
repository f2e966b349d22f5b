"""Requests and their tokenizer go in one file to where neither items nor tasks are."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

_FORMAT = "capspace bench requests 1"


def write_requests(path: Path, tokenizer: Any, requests: dict[str, list[Any]]) -> None:
    """Write a tokenizer, and the requests of each case, as compressed lines of JSON."""
    first = {"format": _FORMAT, "tokenizer": tokenizer.backend_tokenizer.to_str()}
    # without a name and a time in it, equal requests give equal files
    with path.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
        for line in (first, *(_as_line(case, r) for case in requests for r in requests[case])):
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")


def _as_line(case: str, request: Any) -> list[Any]:
    return [case, request.request_type, request.task_name, request.doc_id, list(request.args)]


def read_requests(path: Path) -> tuple[Any, dict[str, list[Any]]]:
    """Return the tokenizer, and the requests of each case.

    Raises
    ------
    ValueError
        If the file holds something else.

    """
    from lm_eval.api.instance import Instance
    from tokenizers import Tokenizer

    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            first, *lines = map(json.loads, file)
    except (EOFError, UnicodeDecodeError, ValueError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} holds no requests: {error}") from error
    if not isinstance(first, dict) or first.get("format") != _FORMAT:
        raise ValueError(f"{path} holds no requests of this version: write them again")
    requests: dict[str, list[Any]] = {}
    for case, kind, task, doc, arguments in lines:
        request = Instance(kind, {}, tuple(arguments), 0, (task, doc, 1))
        requests.setdefault(case, []).append(request)
    return with_ends(Tokenizer.from_str(first["tokenizer"])), requests


def with_ends(core: Any) -> Any:
    """Return a tokenizer of the library ``tokenizers`` as transformers takes it."""
    from transformers import PreTrainedTokenizerFast

    ends = {"bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, **ends)


def of_first_items(requests: list[Any], n_items: int) -> list[Any]:
    """Return the requests of the first items of each task."""
    docs: dict[str, dict[int, None]] = {}
    for request in requests:
        docs.setdefault(request.task_name, {})[request.doc_id] = None
    first = {(task, doc) for task, of_task in docs.items() for doc in [*of_task][:n_items]}
    return [request for request in requests if (request.task_name, request.doc_id) in first]
