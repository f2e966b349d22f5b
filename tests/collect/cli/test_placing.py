"""``place`` answers by several references: those that are named, or that the scores support."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from store_parts import RESULT

from capspace.collect import Checkpoint, Collection
from capspace.collect.cli.placing import chosen_references, placement_document, with_further
from capspace.collect.cli.show import print_placements
from capspace.collect.run._place import PlacedModel, place_collection
from capspace.collect.run._stored_scores import further_results
from capspace.collect.storage.result import Result
from capspace.collect.storage.store import Store
from capspace.fit.errors import FitError, TableError, UnknownNameError
from capspace.tasks.panel import load_panel

LEADERBOARD = {"leaderboard_ifeval": 0.3, "leaderboard_bbh": 0.42, "leaderboard_gpqa": 0.28}
PANEL = load_panel("classic-8")
TARGETS = ["bbh", "agentbench", "bfcl-v4/overall", "gpqa-diamond/epoch"]  # two of each reference


def measured(benchmark: str, score: float, **more: object) -> Result:
    named = {"key": f"{benchmark} {more}".ljust(64), "benchmark": benchmark, "score": score}
    identity = json.dumps({"model": {}, "limit": None})
    return replace(RESULT, **{"identity": identity, **named, **more})  # type: ignore[arg-type]


@pytest.fixture
def collection() -> Collection:
    checkpoint = Checkpoint(RESULT.model, "hub", RESULT.model, RESULT.revision, "bfloat16")
    results = [measured(b, s) for b, s in (("MMLU", 0.6), ("HellaSwag", 0.8))]
    results.append(measured("GSM8K", 0.4, provenance={"unfinished": 0.125}))
    return Collection(PANEL, (checkpoint,), tuple(results), (), 3)


def stored(folder: Path, *results: Result) -> Path:
    with Store(folder) as store:
        store.put_all(results)
    return folder


def placed(collection: Collection, store: Path, out: Path) -> tuple[PlacedModel, list[str]]:
    chosen = chosen_references(None, PANEL, None)
    chosen, further = with_further(chosen, collection, store, named=False, targets=None)
    references = [known for known, _ in chosen]
    model = place_collection(
        collection, reference=references, targets=TARGETS, out=out, further=further
    )
    return model, [reason for _, reason in chosen]


@pytest.mark.slow
def test_scores_of_the_store_bring_a_second_reference_and_its_map(
    collection: Collection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported = [
        measured(b, s, identity='{"imported": "x"}', revision="", source="the board")
        for b, s in LEADERBOARD.items()
    ]
    store = stored(tmp_path / "store", *imported)
    model, reasons = placed(collection, store, tmp_path)
    assert [r.split()[0] for r in reasons] == ["study-2024", "openllm-v2"]
    document = placement_document(model, reasons)
    assert document["reference"]["name"] == "study-2024"
    (beside,) = document["others"]
    assert beside["reference"]["name"] == "openllm-v2"
    assert beside["reference"]["date"] == "2025-02-26"
    assert beside["missing"].keys().isdisjoint(LEADERBOARD)
    page = (tmp_path / "report.html").read_text()
    assert page.count("<h3>study-2024</h3>") == page.count("<h3>openllm-v2</h3>") == 1
    assert (
        "Scores also used from the store: leaderboard_bbh, leaderboard_gpqa, leaderboard_ifeval"
        in page
    )
    assert (tmp_path / "place-2.svg").is_file()
    assert page.count('0.400 <span class="tag outside">12.5% unfinished</span>') == 1
    assert page.count(" unfinished</span>") == 1
    assert "GSM8K: 12.5% of the answers did not end their thought and count as wrong." in page
    capsys.readouterr()
    print_placements([model.placement, *model.others])
    shown = capsys.readouterr().out
    assert "openllm-v2, models until 26 February 2025" in shown
    assert shown.count("more than 6 months after") == 1  # once for all its targets


def test_without_them_one_reference_answers(collection: Collection, tmp_path: Path) -> None:
    chosen = chosen_references(None, PANEL, None)
    store = stored(tmp_path, measured("leaderboard_gpqa", 0.3))
    assert with_further(chosen, collection, store, named=False, targets=None) == (chosen, [])


def test_only_scores_of_the_same_checkpoint_mode_and_limit_are_used(collection: Collection) -> None:
    name = "leaderboard_gpqa"
    chat, limited = ({"model": {"chat_template": "x"}}, {"model": {}, "limit": 5})
    right = [measured(name, 0.3), measured(name, 0.31, identity='{"imported": "x"}', revision="")]
    wrong = [
        measured(name, 0.4, revision="f" * 40),
        measured(name, 0.4, identity=json.dumps(chat)),
        measured(name, 0.4, identity=json.dumps(limited)),
        measured(name, 0.4, model="org/other"),
        measured(name, 0.4, identity='{"imported": "x"}', revision="v2"),
        measured("MMLU", 0.4),
        measured("unknown", 0.4),
        replace(right[0], score=0.4, n_items=5),  # newer, by fewer items
    ]
    (chosen,) = further_results([*right, *wrong], collection, {name, "MMLU"})
    assert chosen.score == 0.31  # the newest


def test_references_are_named_once_and_have_the_targets() -> None:
    both = ["study-2024", "openllm-v2"]
    assert [
        known.name for known, _ in chosen_references(both, PANEL, ["bbh", "bfcl-v4/overall"])
    ] == both
    for names, targets, error, words in (
        (["study-2024", "study-2024"], None, FitError, "study-2024 is given twice"),
        (both, ["bbh"], UnknownNameError, "openllm-v2 has none of the targets bbh"),
        (["study-2024"], ["bhb"], UnknownNameError, "did you mean 'bbh'"),
        (["study-2023"], None, TableError, "did you mean 'study-2024'"),
    ):
        with pytest.raises(error, match=words) as caught:
            chosen_references(names, PANEL, targets)
        assert "\n" not in str(caught.value)


def test_scores_of_unknown_mode_do_not_mix_with_those_of_a_thinking_model(
    collection: Collection,
) -> None:
    model = {"chat_template": True, "backend_settings": [["thinking", '"on"']]}
    thinking = json.dumps({"model": model, "limit": None})
    thought = replace(collection, results=(measured("MMLU", 0.6, identity=thinking),))
    imported = measured("leaderboard_gpqa", 0.3, identity='{"imported": "x"}', revision="")
    own = measured("leaderboard_bbh", 0.5, identity=thinking)
    assert further_results([imported, own], thought, LEADERBOARD) == [own]
    assert further_results([imported, own], collection, LEADERBOARD) == [imported]


def test_a_reference_that_knows_a_score_by_another_protocol_does_not_answer(
    collection: Collection, tmp_path: Path
) -> None:
    other = {"leaderboard_gpqa": "generated with reasoning"}
    imported = [
        measured(b, s, identity='{"imported": "x"}', revision="", protocol=other.get(b, ""))
        for b, s in LEADERBOARD.items()
    ]
    chosen = chosen_references(None, PANEL, None)
    store = stored(tmp_path, *imported)
    assert with_further(chosen, collection, store, named=False, targets=None) == (chosen, [])
