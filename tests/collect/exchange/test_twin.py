"""A second path's drift is found and named; equal paths give none."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import yaml
from commands import Command
from store_parts import RESULT

pytest.importorskip("lm_eval", reason="twins are measured through lm-eval")

import math

from capspace.collect.comparison.twin_comparison import (
    compare_results,
    drifting_twins,
    published_twins,
)
from capspace.collect.comparison.twin_items import PairedItems, paired_items
from capspace.collect.comparison.twin_score import TwinScore
from capspace.collect.errors import CollectError
from capspace.collect.exchange._twin import measured_twins
from capspace.collect.exchange.exporting import export_scores
from capspace.collect.run._place import place
from capspace.collect.run.collect import collect_scores
from capspace.collect.settings import RunSettings
from capspace.collect.storage._receipt import receipt
from capspace.collect.storage.result import Result
from capspace.collect.storage.store import Store
from capspace.fit import load_reference
from capspace.fit.errors import TooFewItemsError
from capspace.tasks.panel import Panel, load_panel

pytestmark = [
    pytest.mark.usefixtures("forked"),
    pytest.mark.filterwarnings("ignore"),  # of lm-eval and its libraries
]
EMBEDDED = RunSettings(data_root="embedded", device="cpu")
N_ITEMS = 12


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load_panel("smoke").select(["ARC-C", "Winogrande"])


@pytest.fixture(scope="module")
def store(tiny_checkpoint: Path, panel: Panel, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """What the checkpoint's own path measured: more items than a twin answers."""
    opened = Store(tmp_path_factory.mktemp("twin") / "store")
    collect_scores(str(tiny_checkpoint), panel=panel, store=opened, settings=EMBEDDED, limit=10)
    return opened


def without_shots(panel: Panel, name: str) -> Panel:
    return panel.model_copy(update={"benchmarks": (panel[name].model_copy(update={"n_shot": 0}),)})


def other_file(model: Path, panel: Panel, folder: Path) -> Path:
    """Return lm-eval's file of a run by its own model class."""
    with Store(folder / "other") as other:
        done = collect_scores(
            str(model), panel=panel, store=other, settings=EMBEDDED, backend="hf", limit=10
        )
        written = export_scores(done.results, store=other, form="lm-eval", out=folder / "out")
    return next(file for file in written if file.name.startswith("results"))


@pytest.mark.slow
def test_equal_paths_do_not_drift(tiny_checkpoint: Path, panel: Panel, store: Store) -> None:
    twins = measured_twins(str(tiny_checkpoint), panel, store, n_items=N_ITEMS, settings=EMBEDDED)
    assert [twin.benchmark for twin in twins] == ["ARC-C", "Winogrande"]
    assert [twin.drifting for twin in twins] == ["", ""]
    assert [twin.drift.n_items for twin in twins] == [6, 6]
    assert {twin.items.n_responses for twin in twins if twin.items} == {0}
    assert twins[0].fields["backend"] == ("capspace", "hf")
    assert len(store.results()) == 2  # no table of the store mixes two paths


@pytest.mark.slow
def test_a_bos_token_is_found_in_the_responses(
    tiny_checkpoint: Path, panel: Panel, tmp_path: Path
) -> None:
    short = without_shots(panel, "Winogrande")  # a longer prompt would lose its start again
    changed = tmp_path / tiny_checkpoint.name
    copytree(tiny_checkpoint, changed)
    tokenizer = json.loads((changed / "tokenizer.json").read_text())
    end = next(token for token in tokenizer["added_tokens"] if token["special"])
    name, text = end["content"], {"Sequence": {"id": "A", "type_id": 0}}
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": name, "type_id": 0}}, text],
        "pair": [text, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {name: {"id": name, "ids": [end["id"]], "tokens": [name]}},
    }
    (changed / "tokenizer.json").write_text(json.dumps(tokenizer))
    file = other_file(changed, short, tmp_path)
    with Store(tmp_path / "own") as empty:
        (twin,) = measured_twins(
            str(tiny_checkpoint), short, empty, against=file, n_items=10, settings=EMBEDDED
        )
    assert twin.drifting in ("responses", "score")
    assert twin.items is not None
    assert twin.items.n_prompts == 0
    assert "BOS token" in twin.causes[-1]


@pytest.mark.slow
def test_other_shots_are_named(
    tiny_checkpoint: Path, panel: Panel, store: Store, tmp_path: Path
) -> None:
    arc = panel.select(["ARC-C"])
    file = other_file(tiny_checkpoint, without_shots(panel, "ARC-C"), tmp_path)
    (twin,) = measured_twins(str(tiny_checkpoint), arc, store, against=file, settings=EMBEDDED)
    assert twin.drifting in ("prompts", "score")
    assert twin.causes[0] == "shots: 2, there 0"
    assert "likely shots: 2, there 0" in twin.line


@pytest.mark.slow
def test_an_import_is_compared_with_what_was_measured_here(
    capspace: Command, tiny_checkpoint: Path, panel: Panel, tmp_path: Path
) -> None:
    arc = panel.select(["ARC-C"])
    file = other_file(tiny_checkpoint, without_shots(panel, "ARC-C"), tmp_path)
    with Store(tmp_path / "own") as own:
        collect_scores(str(tiny_checkpoint), panel=arc, store=own, settings=EMBEDDED, limit=10)
    shown = capspace(
        "import", file, "--panel", "smoke", "--store", tmp_path / "own",
        "--model", tiny_checkpoint.name, "--json",
    )  # fmt: skip
    (drift,) = json.loads(shown.out)["drifts"]
    assert drift["fields"]["shots"] == ["2", "0"]

    small = tmp_path / "small.yaml"
    small.write_text(yaml.safe_dump(arc.model_dump(mode="json") | {"name": "small"}))
    placed = place(
        str(tiny_checkpoint), panel=small, store=tmp_path / "own", settings=EMBEDDED, limit=10,
        targets=["bbh"], out=tmp_path / "report",
    )  # fmt: skip
    (twin,) = placed.drifts
    assert twin.to_dict() == drift
    assert placed.collection.n_measured == 0
    assert html.escape(twin.line) in (tmp_path / "report" / "report.html").read_text()
    shown = capspace(
        "place", tiny_checkpoint, "--panel", small, "--store", tmp_path / "own", "--data-root",
        "embedded", "--limit", 10, "--target", "bbh", "--out", tmp_path / "report", "--json",
    )  # fmt: skip
    assert json.loads(shown.out)["drifts"] == [drift]


def published(score: float, **changes: object) -> TwinScore | None:
    values = {
        "key": "k", "model": "meta-llama/Llama-2-7b-hf", "revision": "r", "benchmark": "MMLU",
        "score": score, "stderr": 0.004, "n_items": 14042, "n_shot": 5, "protocol": "",
        "source": "", "comparable": True, "identity": "{}",
    }  # fmt: skip
    result = Result(**{**values, **changes})  # type: ignore[arg-type] # of many types
    twins = published_twins([result], load_reference())
    return twins[0] if twins else None


def test_published_scores_are_compared_by_their_errors() -> None:
    close, far = published(0.44), published(0.38, n_shot=0)
    assert close is not None
    assert close.drifting == ""
    assert far is not None
    assert far.drifting == "score"
    assert far.causes[0] == "shots: 0, there 5"
    assert published(0.38, stderr=math.nan, n_items=None) is None
    assert published(0.38, identity='{"limit": 10}') is None
    assert published(0.38, model="org/unknown") is None
    assert published(0.38, model="claude-2.0", benchmark="HellaSwag") is None


def sample(item: int, metric: float | None, reply: Any, arguments: Any = ("Q:", " a")) -> Any:
    worth = {} if metric is None else {"metrics": ["acc_norm"], "acc_norm": metric}
    request = {"gen_args_0": dict(zip(("arg_0", "arg_1"), arguments, strict=True))}
    return {
        "doc_id": item,
        "task": "arc_challenge",
        "arguments": request,
        "resps": [reply],
        **worth,
    }


def measured(folder: Path, samples: list[Any] | None, **changes: Any) -> Store:
    store = Store(folder)
    changes = {"identity": json.dumps({"metric": "acc_norm"}), "model": "org/model"} | changes
    store.put(replace(RESULT, **changes), samples)
    return store


@pytest.mark.parametrize("samples", ["none", "damaged", "of-other-items"])
def test_scores_without_common_items_are_compared_by_their_errors(
    panel: Panel, tmp_path: Path, samples: str
) -> None:
    theirs, ours = [sample(1, 1.0, [["-1.5", "True"]])], [sample(0, 1.0, [["-1.5", "True"]])]
    own = measured(tmp_path / "own", None if samples == "none" else ours, score=0.5, stderr=0.01)
    other = measured(tmp_path / "other", theirs, score=0.4, stderr=0.01)
    if samples == "damaged":
        other.samples_file(RESULT.key).write_bytes(b"plain")
    pairs = [(own.results()[0], own, other.results()[0])]
    (twin,) = compare_results(pairs, other, panel, "file")
    assert twin.drifting == "score"
    assert twin.drift.difference == pytest.approx(0.4 - 0.5)
    assert "prompts" not in twin.line
    without = [(replace(pairs[0][0], stderr=math.nan, n_items=None), own, pairs[0][2])]
    assert compare_results(without, other, panel, "file") == ()


def paired(folder: Path, ours: list[Any], theirs: list[Any]) -> PairedItems:
    own, other = measured(folder / "own", ours), measured(folder / "other", theirs)
    (first,), (second,) = own.results(), other.results()
    return paired_items(first, own, second, other, metric="acc_norm", dtype="float32")


def test_items_are_paired_and_their_answers_compared(tmp_path: Path) -> None:
    texts = ("Q:", {"until": []})
    ours = [
        sample(0, 1.0, ["a text"], texts),
        sample(1, 1.0, ["a text"], texts),
        sample(2, 1.0, [["-1.5", "True"]]),
        sample(3, None, [["-1.5", "True"]]),
    ]
    theirs = [
        sample(0, 1.0, ["a text"], texts),
        sample(1, 0.0, ["another"], texts),
        sample(2, 1.0, [["-1.6", "True"]]),
        sample(3, 1.0, [["-1.5", "True"]]),
    ]
    pairs = paired(tmp_path, ours, theirs)
    assert (pairs.own, pairs.other) == ((1.0, 1.0, 1.0), (1.0, 0.0, 1.0))
    assert (pairs.n_prompts, pairs.n_responses, pairs.generated) == (0, 2, True)


def test_an_item_with_another_number_of_choices_has_other_responses(tmp_path: Path) -> None:
    single = sample(0, 1.0, [["-1.5", "True"]])
    choices = {f"gen_args_{i}": {"arg_0": "Q:", "arg_1": f" {c}"} for i, c in enumerate("ab")}
    two = single | {"arguments": choices, "resps": [[["-1.5", "True"]], [["-2.5", "False"]]]}
    pairs = paired(tmp_path, [single], [two])
    assert (pairs.own, pairs.other) == ((1.0,), (1.0,))
    assert (pairs.n_prompts, pairs.n_responses, pairs.generated) == (0, 1, False)


@pytest.mark.parametrize(
    ("task", "error", "why"),
    [
        ("hellaswag", CollectError, "there is nothing to compare"),
        ("arc_challenge", TooFewItemsError, "neither items nor standard errors are known"),
    ],
)
def test_a_file_without_anything_to_compare_is_one_line(
    panel: Panel, tmp_path: Path, task: str, error: type[Exception], why: str
) -> None:
    file = tmp_path / "results_x.json"
    file.write_text(
        json.dumps({"results": {task: {"acc_norm,none": 0.4}}, "model_name": "org/model"})
    )
    store = measured(tmp_path / "store", None, stderr=math.nan, n_items=None)
    with pytest.raises(error, match=why):
        measured_twins("org/model", panel, store, against=file)


def test_a_receipt_of_an_unknown_model_names_the_nearest(tmp_path: Path) -> None:
    store = measured(tmp_path / "store", None)
    with pytest.raises(CollectError, match=r"no scores of 'org/modle'.*org/model"):
        receipt(store, "org/modle", "ARC-C")


def test_a_path_is_not_compared_with_itself(
    tiny_checkpoint: Path, panel: Panel, tmp_path: Path
) -> None:
    own = EMBEDDED.with_changes({"backend": "hf"})
    with Store(tmp_path) as empty, pytest.raises(CollectError, match="are hf's already"):
        measured_twins(str(tiny_checkpoint), panel, empty, settings=own)


def test_bad_input_is_one_line(capspace: Command, tmp_path: Path, tiny_checkpoint: Path) -> None:
    place = ("--store", tmp_path, "--panel", "smoke")
    assert "--against nowhere: no such file" in capspace.refused(
        "twin", tiny_checkpoint, *place, "--against", "nowhere"
    )
    assert "has no score that a whole benchmark" in capspace.refused(
        "twin", tiny_checkpoint, *place, "--against", "published"
    )


@pytest.mark.slow
def test_the_command_prints_a_table_and_json(
    capspace: Command, tiny_checkpoint: Path, store: Store
) -> None:
    command = (
        "twin", tiny_checkpoint, "--store", store.path, "--panel", "smoke", "--sample", 12,
        "--data-root", "embedded", "--device", "cpu",
    )  # fmt: skip
    shown = capspace(*command)
    assert shown.code == 0, shown.err
    assert "ARC-C" in shown.out
    assert json.loads(capspace(*command, "--json").out)["n_drifting"] == 0


def test_a_drift_from_published_scores_is_a_line_and_an_exit_code(
    capspace: Command, tmp_path: Path
) -> None:
    name = "meta-llama/Llama-2-7b-hf"
    measured(
        tmp_path, None, model=name, benchmark="MMLU", score=0.38, stderr=0.004, n_items=14042,
        n_shot=0,
    )  # fmt: skip
    command = ("twin", name, "--panel", "classic-8", "--store", tmp_path, "--against", "published")
    shown = capspace(*command)
    assert shown.code == 1
    assert "likely shots: 0, there 5" in " ".join(shown.out.split())
    assert json.loads(capspace(*command, "--json").out)["n_drifting"] == 1


@pytest.mark.slow
def test_a_bare_score_of_a_table_is_compared_and_its_error_assumed(
    capspace: Command, tmp_path: Path
) -> None:
    store, file = tmp_path / "store", tmp_path / "imp.csv"
    measured(store, None, benchmark="MMLU", score=0.234, stderr=math.nan, n_items=500, n_shot=5)
    file.write_text("model,MMLU\norg/model,0.75\norg/other,0.234\n")
    place = ("--panel", "classic-8", "--store", store)
    line = "org/model: MMLU 0.234, imported 0.750: +0.516"
    shown = capspace("import", file, *place)
    assert shown.code == 0, shown.err
    words = " ".join(shown.out.split())
    assert line in words
    assert "two scores, the other's error as of as many items" in words
    assert "likely shots, template, filter or version that a side does not state" in words
    (drift,) = json.loads(capspace("import", file, *place, "--json").out)["drifts"]
    assert drift["drift"] == "score"
    assert drift["upper"] - drift["lower"] == pytest.approx(2 * 1.645 * 0.0271, rel=0.01)
    other = capspace("twin", "org/model", *place, "--against", file)
    assert other.code == 1
    assert "0.750" in other.out
    with Store(store, must_write=False) as opened:  # as `place` finds it
        own = [r for r in opened.results(model="org/model") if r.benchmark == "MMLU"]
        (twin,) = drifting_twins(own, opened, load_panel("classic-8"), [])
    assert line in twin.line
    file.write_text("model,MMLU\norg/model,0.24\n")
    same = capspace("twin", "org/model", *place, "--against", file)
    assert same.code == 0, same.err
