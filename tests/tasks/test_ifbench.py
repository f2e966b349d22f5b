"""IFBench: strict and loose accuracies, and what its checkers need."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.model import LM

from capspace.collect.errors import HarnessError
from capspace.collect.harness.data_root import DataRoot, embedded_data_root
from capspace.collect.harness.harness import Evaluation, Harness
from capspace.collect.storage.identity import HARNESS_SEEDS
from capspace.tasks.panel import load_panel

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once")

IFBENCH = load_panel("modern")["IFBench"]
ITEMS = embedded_data_root().path / "allenai" / "IFBench_test" / "train.jsonl"
LEVELS = [f"{level}_level_{how}_acc" for level in ("prompt", "inst") for how in ("strict", "loose")]


class Scripted(LM):
    """Gives one answer to everything."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def generate_until(self, requests: list[Any]) -> list[str]:
        return [self.text] * len(requests)

    loglikelihood = loglikelihood_rolling = generate_until


def evaluated(text: str, root: DataRoot | None = None) -> Evaluation:
    harness = Harness([IFBENCH], data_root=root or embedded_data_root())
    done = harness.evaluate(Scripted(text), IFBENCH, seeds=HARNESS_SEEDS)
    assert done is not None
    return done


def rooted(folder: Path, *instructions: str, **arguments: Any) -> DataRoot:
    """Return a data root with one item and the embedded data that splits sentences."""
    place = folder / "allenai" / "IFBench_test"
    place.mkdir(parents=True)
    item = {"key": "x", "prompt": "Say it.", "instruction_id_list": instructions}
    row = {**item, "kwargs": [arguments or {"N": None}] * len(instructions)}
    (place / "train.jsonl").write_text(json.dumps(row))
    (folder / "nltk_data").symlink_to(embedded_data_root().path / "nltk_data")
    return DataRoot(folder)


def needs_checkers() -> None:
    pytest.importorskip("if_verifiable", reason="the extra ifbench is not installed")


def test_strict_and_loose_accuracies_are_of_prompts_and_of_instructions() -> None:
    needs_checkers()
    followed = {
        "Yes": [(1, 1), (0, 0), (1, 1), (1, 1)],
        "Here:\nYes": [(1, 1), (0, 0), (0, 1), (1, 1)],  # loosely, the first line does not count
        "So 5 and\nso 9": [(0, 0), (1, 1), (0, 0), (0, 1)],
        "": [(0, 0)] * 4,
    }
    for text, pairs in followed.items():
        done = evaluated(text)
        accuracies = [
            (s["prompt_level_strict_acc"], s["prompt_level_loose_acc"]) for s in done.samples
        ]
        assert accuracies == pairs, text
        assert done.score == pytest.approx(sum(loose for _, loose in pairs) / 4)
    last = evaluated("So 5 and\nso 9").samples[-1]
    assert [last[name] for name in LEVELS] == [False, True, [False, True], [True, True]]


def test_a_response_that_lacks_what_is_checked_follows_nothing(tmp_path: Path) -> None:
    """The checker itself looks at the last character of what is left of a response."""
    needs_checkers()
    assert evaluated("...", rooted(tmp_path, "format:quote_unquote")).score == 0


def test_a_span_that_begins_at_the_first_word_is_no_drawn_one(tmp_path: Path) -> None:
    needs_checkers()
    span = {"prompt_to_repeat": "one two three four five six", "n_start": 0, "n_end": 2}
    root = rooted(tmp_path, "repeat:repeat_span", **span)
    assert [evaluated("One two", root).score for _ in range(4)] == [1] * 4


def test_data_that_a_checker_reads_and_that_is_not_here_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nltk

    needs_checkers()
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    root = rooted(tmp_path, "ratio:stop_words", percentage=50)
    with pytest.raises(HarnessError, match=r"read NLTK's stopwords, which is not here: run ") as no:
        evaluated("Yes", root)
    assert "\n" not in str(no.value)


def test_checkers_that_are_not_installed_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "if_verifiable.ifbench.instructions_registry", None)
    harness = Harness([IFBENCH], data_root=embedded_data_root())
    with pytest.raises(HarnessError, match=r"\(if_verifiable\); the checkers of IFBench come with"):
        harness.workload(IFBENCH)


def test_a_checker_that_reads_embedded_data_checks_with_it(tmp_path: Path) -> None:
    needs_checkers()
    wanted = {"keyword": "heron", "n": 2, "m": 3}
    root = rooted(tmp_path, "words:keywords_specific_position", **wanted)
    assert evaluated("It rained. A heron came.", root).score == 0
    assert evaluated("It rained. A grey heron came.", root).score == 1
