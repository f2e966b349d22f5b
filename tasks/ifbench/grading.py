"""IFBench: each response is checked for the constraints of its prompt, strictly and loosely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import datasets
import nltk

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["mean_over_instructions", "process_results", "with_data_of_checkers"]

# What of NLTK's data a checker reads; as their package is imported it would download all of it.
_STOPWORDS = ("corpora/stopwords", "stopwords")
_SENTENCES = ("tokenizers/punkt_tab", "punkt_tab")
_TAGGER = ("taggers/averaged_perceptron_tagger_eng", "averaged_perceptron_tagger_eng")
_NEEDED = {
    "ratio:stop_words": [_STOPWORDS],
    "words:start_verb": [_SENTENCES, _TAGGER],
    "words:keywords_specific_position": [_SENTENCES],
    "words:words_position": [_SENTENCES],
    "format:title_case": [_SENTENCES],
}


def _checkers() -> dict[str, Any]:
    """Import the benchmark's checkers, and nothing of what they would download."""
    download, nltk.download = nltk.download, lambda *names, **settings: False
    try:
        from if_verifiable.ifbench.instructions_registry import INSTRUCTION_DICT
    finally:
        nltk.download = download
    return dict(INSTRUCTION_DICT)


def with_data_of_checkers(docs: Dataset) -> Dataset:
    """Return the items, once the checkers and the data that they read are here.

    Raises
    ------
    ModuleNotFoundError
        The package of the checkers is not installed.
    LookupError
        Their data is not here, and the network may not be used or does not answer.

    """
    _checkers()
    instructions = {name for doc in docs for name in doc["instruction_id_list"]}
    for path, name in sorted({data for i in instructions for data in _NEEDED.get(i, ())}):
        if not _is_here(path):
            offline = datasets.config.HF_HUB_OFFLINE  # also while a data root is read
            if offline or not nltk.download(name, quiet=True) or not _is_here(path):
                raise LookupError(
                    f"IFBench's checkers read NLTK's {name}, which is not here: run 'python -m "
                    f"nltk.downloader {name}' where there is a network, or put it into the folder "
                    "nltk_data of the data root"
                )
    return docs


def _is_here(path: str) -> bool:
    try:
        nltk.data.find(path)
    except LookupError:
        return False
    return True


def process_results(doc: dict[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Return which constraints a response follows as it is, and in its most lenient reading."""
    strict = _followed(doc, [results[0]])
    loose = _followed(doc, _readings(results[0]))
    return {
        "prompt_level_strict_acc": all(strict),
        "inst_level_strict_acc": strict,
        "prompt_level_loose_acc": all(loose),
        "inst_level_loose_acc": loose,
    }


def mean_over_instructions(items: Sequence[Sequence[bool]]) -> float:
    """Return the share of all instructions that were followed."""
    every = [followed for item in items for followed in item]
    return sum(every) / len(every)


def _readings(response: str) -> list[str]:
    """Return a response also without its first or last line, and without asterisks."""
    lines = response.split("\n")
    parts = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    readings = [response, *parts]
    return [*readings, *(reading.replace("*", "") for reading in readings)]


def _followed(doc: dict[str, Any], readings: Sequence[str]) -> list[bool]:
    """Return per instruction of an item whether any reading follows it."""
    checkers = _checkers()
    followed = []
    for name, given in zip(doc["instruction_id_list"], doc["kwargs"], strict=True):
        checker = checkers[name](name)
        checker.build_description(**_arguments(given))
        if given.get("n_start") == 0:  # which it takes for none given, and draws a number
            checker._n_start = 0
        if "prompt" in (checker.get_instruction_args() or ()):
            checker.build_description(prompt=doc["prompt"])
        followed.append(any(_follows(checker, reading) for reading in readings))
    return followed


def _arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that are not null; a count that a table made a float is a count."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in given.items()
        if value is not None
    }


def _follows(checker: Any, reading: str) -> bool:
    try:
        return bool(reading.strip()) and bool(checker.check_following(reading))
    except IndexError:  # it has not even the sentence or the word that the checker looks at
        return False
