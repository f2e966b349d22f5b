"""``capspace zoo init`` writes a zoo.yaml that runs as it stands, and never over another file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from commands import Command
from small_files import files_limited_to

from capspace.collect.zoo.config.config import Limits, ZooConfig, read_zoo
from capspace.collect.zoo.config.example import write_example


def uncommented(text: str) -> str:
    """Return the file with every optional field in place of the comment that shows it."""
    first = text.index("# Everything below")
    entries = text[text.index("checkpoints:") : text.index("panels:")].replace("  # - ", "  - ")
    head = entries.replace("  #   ", "    ") + text[text.index("panels:") : first]
    return head + text[first:].partition("\n")[2].replace("\n# ", "\n").removeprefix("# ")


@pytest.mark.slow
@pytest.mark.parametrize("at", ["models/one", "one", "runs/sft/one"])
def test_init_names_what_lies_beside_it_and_plan_takes_it(
    capspace: Command, tiny_checkpoint: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, at: str,
) -> None:  # fmt: skip
    shutil.copytree(tiny_checkpoint, tmp_path / at)
    (tmp_path / "node" / ".hidden").mkdir(parents=True)
    (tmp_path / "node" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    run = capspace("zoo", "init")
    assert (run.code, run.err) == (0, "")
    names = at if "/" not in at else f"{at.rpartition('/')[0]}/*"
    assert run.out == f"wrote zoo.yaml: it names {names}; then `capspace zoo plan zoo.yaml`\n"
    plan = json.loads(capspace("zoo", "plan", "zoo.yaml", "--json").out)
    assert plan["n_models"] == 1
    assert plan["n_missing"] == 7


def test_init_in_an_empty_folder_says_where_to_put_checkpoints(
    capspace: Command, tmp_path: Path
) -> None:
    run = capspace("zoo", "init", tmp_path / "mine.yaml")
    assert "put checkpoints into models/, or name them there" in run.out
    line = capspace.refused("zoo", "plan", tmp_path / "mine.yaml")
    assert "mine.yaml:7: 'models/*' matches no folder with a config.json; put " in line


def test_init_overwrites_nothing(capspace: Command, tmp_path: Path) -> None:
    path = tmp_path / "zoo.yaml"
    path.write_text("mine")
    assert "is there already" in capspace.refused("zoo", "init", path)
    assert path.read_text() == "mine"
    assert "No such file" in capspace.refused("zoo", "init", tmp_path / "no" / "zoo.yaml")


def test_init_on_a_full_disk_leaves_nothing(capspace: Command, tmp_path: Path) -> None:
    path = tmp_path / "zoo.yaml"
    with files_limited_to(100):
        line = capspace.refused("zoo", "init", path)
    assert line == f"capspace: cannot write {path}: File too large"
    assert not path.exists()
    assert capspace("zoo", "init", path).code == 0


def test_what_the_comments_show_is_right(tmp_path: Path) -> None:
    path = tmp_path / "zoo.yaml"
    assert write_example(path) == []
    path.write_text(uncommented(path.read_text()))
    (tmp_path / "names.txt").write_text("org/other\n")
    config = read_zoo(path).config
    assert [entry.ref for entry in config.checkpoints] == [
        "models/*", "EleutherAI/pythia-160m@step{1000,16000,143000}", "org/model",
        "org/thinker", "org/thinker", None,
    ]  # fmt: skip
    assert config.checkpoints[2].facts.release_date == "2026-03-01"
    assert config.limits == Limits(disk=500 * 10**9)
    given = set(yaml.safe_load(path.read_text()))
    assert given == {
        "checkpoints", "panels", "facts", "store", "limits",
        "data_root", "dtype", "chat_template", "limit",
    }  # fmt: skip
    assert given < set(ZooConfig.model_fields)
    assert config.given_settings() == {
        "data_root": "embedded", "dtype": "bfloat16", "chat_template": True, "limit": 100,
    }  # fmt: skip
