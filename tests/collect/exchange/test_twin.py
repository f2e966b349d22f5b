"""A second path's drift is found and named; equal paths give none."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import pytest
from commands import Command

pytest.importorskip("lm_eval", reason="twins are measured through lm-eval")

import math

from capspace.collect.errors import CollectError
from capspace.collect.exchange._twin import measured_twins
from capspace.collect.exchange._twin_comparison import published_twins
from capspace.collect.exchange._twin_score import TwinScore
from capspace.collect.exchange.exporting import export_scores
from capspace.collect.run.collect import collect_scores
from capspace.collect.settings import RunSettings
from capspace.collect.storage.result import Result
from capspace.collect.storage.store import Store
from capspace.fit import load_reference
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
