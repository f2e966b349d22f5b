"""A store's results say how a model is measured further; what they leave open is a placeholder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from store_parts import RESULT

from capspace.collect.cli.measured_before import MeasuredBefore, how_measured
from capspace.collect.harness.data_root import embedded_data_root
from capspace.collect.storage.score_table import to_table
from capspace.collect.storage.store import Store
from capspace.fit.table import ScoreTable
from capspace.tasks.panel import load_panel


def before(folder: Path, *changes: dict[str, Any], model: str = "tiny") -> MeasuredBefore:
    with Store(folder / "store") as store:
        for i, each in enumerate(changes):
            kind = each.pop("checkpoint", "sha256:ab")
            identity = json.dumps({"model": {"checkpoint": kind}, "limit": None})
            common = {"model": model, "identity": identity, "measured_at": f"2026-11-{29 - i}"}
            store.put(replace(RESULT, key=str(i).rjust(64, "a"), **{**common, **each}), [])
        table = to_table(store.results())
    return how_measured(folder / "store", table, model)


def provenance(location: object, **more: Any) -> dict[str, Any]:
    return {"provenance": {"location": str(location), "panel": "smoke v1", **more}}


def test_the_folder_panel_and_settings_are_those_of_the_scores(tmp_path: Path) -> None:
    settings = {"data_root": "embedded", "device": "cpu", "chat_template": True}
    known = before(tmp_path, provenance(tmp_path, settings=settings))
    assert known.checkpoint == str(tmp_path)
    assert known.options == ("--chat-template", "--data-root", "embedded", "--device", "cpu")
    assert known.panels == (("smoke", load_panel("smoke")),)
    assert known.notes == ()


@pytest.mark.parametrize(
    ("device", "named"), [("cuda:1", "cuda"), ("cuda", "cuda"), ("mps:0", "mps"), ("cpu", "cpu")]
)
def test_a_device_is_named_by_its_kind(tmp_path: Path, device: str, named: str) -> None:
    known = before(tmp_path, provenance(tmp_path, settings={"device": device}))
    assert known.options == ("--device", named)


def test_what_is_gone_is_a_placeholder_and_a_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    settings = {"data_root": str(gone)}
    known = before(
        tmp_path, provenance(gone, settings=settings, panel_file=f"{gone}.yaml", panel="own v1")
    )
    assert known.checkpoint == "PATH-OF-tiny"
    assert known.options == ("--data-root", "DATA-ROOT-OF-tiny")
    assert known.panels == ()
    path, panel, root = known.notes
    assert path == f"PATH-OF-tiny stands for the checkpoint's folder, which is no longer {gone}"
    assert panel.startswith(f"scores came from a panel that cannot be read now: {gone}.yaml")
    assert root == f"DATA-ROOT-OF-tiny stands for a folder that is no longer {gone}"


@pytest.mark.parametrize(
    ("kind", "location", "checkpoint"),
    [
        ("hub:org/tiny@abc", "org/tiny", "org/tiny@abc"),
        ("endpoint:http://h/v1#tiny", "http://h/v1#tiny", "tiny"),
    ],
)
def test_a_commit_or_a_name_on_a_server_stands_for_itself(
    tmp_path: Path, kind: str, location: str, checkpoint: str
) -> None:
    known = before(
        tmp_path, provenance(location, settings={}) | {"checkpoint": kind, "revision": "abc"}
    )
    assert (known.checkpoint, known.notes) == (checkpoint, ())


def test_the_data_root_of_older_results_is_read_from_their_protocol(tmp_path: Path) -> None:
    sentence = "lm-eval 0.4.13 arc_challenge v1.0 acc_norm; hf bfloat16; "
    label = embedded_data_root().label
    known = before(tmp_path, provenance(tmp_path) | {"protocol": sentence + label})
    assert known.options == ("--data-root", "embedded")
    other = before(tmp_path / "b", provenance(tmp_path) | {"protocol": sentence + "local data"})
    assert other.options == ("--data-root", "DATA-ROOT-OF-tiny")
    assert other.notes == ("DATA-ROOT-OF-tiny stands for a folder that the store does not state",)


def test_the_panel_of_the_latest_scores_goes_first_and_files_are_named(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    panel = load_panel("smoke").select(["MMLU"]).model_copy(update={"name": "own"})
    own.write_text(json.dumps(panel.model_dump(mode="json")))
    known = before(
        tmp_path,
        provenance(tmp_path, settings={}, panel="own v1", panel_file=str(own)),
        provenance(tmp_path, settings={"device": "cpu"}) | {"benchmark": "MMLU"},
        provenance(tmp_path, panel="other v1") | {"benchmark": "GSM8K"},
    )
    assert [name for name, _ in known.panels] == [str(own), "smoke"]
    assert known.options == ()
    assert known.notes == ("scores came from the panel other, whose file the store does not state",)


def test_imported_scores_and_tables_name_a_checkpoint_of_the_hub_alone(tmp_path: Path) -> None:
    known = before(tmp_path, {"provenance": {"backend": "hf"}}, model="org/tiny")
    assert known == MeasuredBefore("org/tiny", (), ())
    table = ScoreTable.from_records([{"model": "mine", "benchmark": "MMLU", "score": 0.5}])
    known = how_measured(Path("scores.csv"), table, "mine")
    assert known.checkpoint == "PATH-OF-mine"
    assert known.notes == (
        "PATH-OF-mine stands for the checkpoint, whose folder or Hub name scores.csv lacks",
    )


def test_a_panel_knows_the_file_that_it_was_read_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("own.yaml")
    path.write_text(json.dumps(load_panel("smoke").model_dump(mode="json")))
    assert load_panel(path).file == tmp_path / path
    assert load_panel(path).select(["MMLU"]).file == tmp_path / path
    assert load_panel("smoke").file is None
