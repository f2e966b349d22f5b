"""Tasks that count sentences need NLTK's data, which a data root may bring.

The graders of IFEval and IFBench split a response into sentences and words by NLTK's ``punkt_tab``.
lm-eval downloads it when such a task is loaded, and where it cannot, says so after all responses
are there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import DataRootError
from ..storage.digests import digest, sha256_file
from .data_root import DataRoot
from .task_hash import functions_named

__all__ = ["require_sentence_data", "sentence_data_from", "with_sentence_data"]

_VARIABLE = "NLTK_DATA"
_DATA = "tokenizers/punkt_tab/english"
_GRADERS = {"ifeval", "ifbench"}  # folders of tasks whose graders split sentences


@contextmanager
def sentence_data_from(root: DataRoot | None) -> Iterator[None]:
    """Let NLTK find the data that lies in a data root's folder ``nltk_data``, before any other.

    Most tasks never import NLTK, which takes a second: it is told by its environment variable.
    """
    folder = _folder(root)
    if folder is None:
        yield
        return
    if os.pathsep in str(folder):
        import_module("nltk.data")  # the variable cannot name it
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = os.pathsep.join([str(folder), *([before] if before else [])])
    if "nltk.data" in sys.modules:
        sys.modules["nltk.data"].path.insert(0, str(folder))
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before
        if "nltk.data" in sys.modules:  # perhaps imported meanwhile
            sys.modules["nltk.data"].path.remove(str(folder))


def require_sentence_data(config: Mapping[str, Any], root: DataRoot | None) -> None:
    """Refuse a task that splits sentences where the data for it is neither here nor to be had.

    Raises
    ------
    DataRootError
        It is not here, and the data root, or the Hub's being offline, says to use no network.

    """
    if not _splits_sentences(config) or _folder(root) is not None:
        return
    import nltk
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if root is None and not HF_HUB_OFFLINE:
        return  # lm-eval downloads it
    try:
        nltk.data.find(f"{_DATA}/")
    except LookupError:
        place = "" if root is None else f", or put it into {root.path / 'nltk_data'}"
        raise DataRootError(
            "graders of instructions split sentences by NLTK's punkt_tab, which is not here: run "
            f"'python -m nltk.downloader punkt_tab' where there is a network{place}"
        ) from None


def with_sentence_data(data: str, config: Mapping[str, Any], root: DataRoot | None) -> str:
    """Return the identity of a task's data together with what its sentences are split by."""
    folder = _folder(root)
    if folder is None or not _splits_sentences(config):
        return data
    files = sorted(p for p in (folder / _DATA).iterdir() if p.is_file())
    return digest([data, [[p.name, sha256_file(p)] for p in files]])


def _folder(root: DataRoot | None) -> Path | None:
    folder = None if root is None else root.path / "nltk_data"
    return folder if folder is not None and (folder / _DATA).is_dir() else None


def _splits_sentences(config: Mapping[str, Any]) -> bool:
    graders = functions_named(config.get("process_results"))
    return any(path.parent.name in _GRADERS for path, _ in graders)
