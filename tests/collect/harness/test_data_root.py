import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from capspace.collect.errors import DataRootError
from capspace.collect.harness.data_root import (
    DataRoot,
    default_data_root,
    embedded_data_root,
    own_files_fingerprint,
)

ROWS = [{"question": "1+1?", "answer": "2"}, {"question": "1+2?", "answer": "3"}]
CONFIG = {
    "task": "sums",
    "dataset_path": "org/sums",
    "dataset_name": "main",
    "training_split": "train",
    "test_split": "test",
}


def text(rows: list[dict[str, str]] = ROWS) -> bytes:
    return "".join(json.dumps(r) + "\n" for r in rows).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "org" / "sums" / "main"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        (folder / f"{split}.jsonl").write_bytes(text())
    return folder


def test_splits_are_found_by_exact_name(folder: Path, tmp_path: Path) -> None:
    (folder / "test_raw151.jsonl").write_bytes(b"not this one")
    source = DataRoot(tmp_path).source(CONFIG)
    assert source.files == {
        "train": [str(folder / "train.jsonl")],
        "test": [str(folder / "test.jsonl")],
    }
    assert source.overrides() == {
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": source.files},
    }


def test_the_fingerprint_is_the_content_not_its_place_or_compression(
    folder: Path, tmp_path: Path
) -> None:
    first = DataRoot(tmp_path).source(CONFIG).fingerprint
    moved = tmp_path / "elsewhere" / "org" / "sums" / "main"
    moved.mkdir(parents=True)
    for split in ("train", "test"):
        (moved / f"{split}.jsonl.gz").write_bytes(gzip.compress(text()))
    assert DataRoot(tmp_path / "elsewhere").source(CONFIG).fingerprint == first
    (moved / "test.jsonl.gz").write_bytes(gzip.compress(text(ROWS[:1])))
    assert DataRoot(tmp_path / "elsewhere").source(CONFIG).fingerprint != first


def test_swapped_splits_are_other_data(folder: Path, tmp_path: Path) -> None:
    (folder / "test.jsonl").write_bytes(text(ROWS[:1]))
    first = DataRoot(tmp_path).source(CONFIG).fingerprint
    (folder / "test.jsonl").rename(folder / "x")
    (folder / "train.jsonl").rename(folder / "test.jsonl")
    (folder / "x").rename(folder / "train.jsonl")
    assert DataRoot(tmp_path).source(CONFIG).fingerprint != first


def test_parquet_also_in_the_hubs_shards(tmp_path: Path) -> None:
    folder = tmp_path / "org" / "sums" / "main"
    folder.mkdir(parents=True)
    frame = pd.DataFrame(ROWS)
    frame.to_parquet(folder / "train.parquet")
    for shard in range(2):
        frame.to_parquet(folder / f"test-0000{shard}-of-00002.parquet")
    source = DataRoot(tmp_path).source(CONFIG)
    assert source.format == "parquet"
    assert [Path(p).name for p in source.files["test"]] == [
        "test-00000-of-00002.parquet",
        "test-00001-of-00002.parquet",
    ]
    (folder / "test-00001-of-00002.parquet").unlink()
    with pytest.raises(DataRootError, match="1 of 2 shards of split 'test'"):
        DataRoot(tmp_path).source(CONFIG)


@pytest.mark.parametrize("name", [None, "default"])
def test_without_a_configuration_splits_lie_in_the_data_set(
    folder: Path, tmp_path: Path, name: str | None
) -> None:
    for path in folder.iterdir():
        path.rename(folder.parent / path.name)
    source = DataRoot(tmp_path).source(CONFIG | {"dataset_name": name})
    assert source.files["test"] == [str(folder.parent / "test.jsonl")]


def test_a_named_configuration_is_never_replaced_by_another(folder: Path, tmp_path: Path) -> None:
    (folder.parent / "test.jsonl").write_bytes(text())
    with pytest.raises(DataRootError, match=r"org/sums: no configuration 'hard' in /.*/org/sums$"):
        DataRoot(tmp_path).source(CONFIG | {"dataset_name": "hard"})


def test_what_is_missing_is_named_with_the_folder_looked_in(folder: Path, tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    with pytest.raises(DataRootError, match=rf"data set org/none: no folder {tmp_path}/org/none"):
        root.source(CONFIG | {"dataset_path": "org/none"})
    (folder / "test.jsonl").unlink()
    with pytest.raises(DataRootError, match=rf"org/sums \(main\): no split 'test' .* in {folder}"):
        root.source(CONFIG)
    with pytest.raises(DataRootError, match="no such folder"):
        DataRoot(tmp_path / "nowhere")
    with pytest.raises(DataRootError, match="task sums does not load a data set by name"):
        root.source({"task": "sums"})


def test_only_the_splits_that_are_read_must_be_there(folder: Path, tmp_path: Path) -> None:
    # lm-eval evaluates on test where a task has one, and takes examples from train before others.
    (folder / "train.jsonl").unlink()
    config = CONFIG | {"training_split": None, "validation_split": "dev", "fewshot_split": "test"}
    assert list(DataRoot(tmp_path).source(config).files) == ["test"]
    with pytest.raises(DataRootError, match="no split 'dev'"):
        DataRoot(tmp_path).source(config | {"fewshot_config": {"split": "dev"}})


def test_a_split_in_two_formats_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "test.jsonl.gz").write_bytes(gzip.compress(text()))
    with pytest.raises(DataRootError, match=r"'test' is there twice \(test\.jsonl and"):
        DataRoot(tmp_path).source(CONFIG)
    for path in folder.glob("test.*"):
        path.unlink()
    pd.DataFrame(ROWS).to_parquet(folder / "test.parquet")
    with pytest.raises(DataRootError, match="splits of one data set must have one format"):
        DataRoot(tmp_path).source(CONFIG)


@pytest.mark.parametrize(
    "config",
    [
        {"dataset_path": "{0}"},
        {"dataset_path": "json", "dataset_kwargs": {"data_files": "{0}/org/sums/main/t*.jsonl"}},
        {"dataset_path": "json", "dataset_kwargs": {"data_files": "{0}/*/*/main/test.jsonl"}},
        {"dataset_path": "json", "dataset_kwargs": {"data_files": ["{0}/**/test.jsonl"]}},
        {"dataset_path": "json", "dataset_kwargs": {"data_dir": "{0}"}},
    ],
    ids=["folder", "pattern", "folder's pattern", "any depth", "data_dir"],
)
def test_files_that_a_task_names_count_by_their_content(
    folder: Path, tmp_path: Path, config: dict[str, Any]
) -> None:
    text_of = json.dumps(config).replace("{0}", str(tmp_path))
    before, same = (own_files_fingerprint(json.loads(text_of)) for _ in range(2))
    assert before == same is not None
    (folder / "test.jsonl").write_bytes(text(ROWS[:1]))
    assert own_files_fingerprint(json.loads(text_of)) != before


def test_a_task_that_names_no_data_set_does_not_read_the_working_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert own_files_fingerprint({"task": "sums"}) is None
    with pytest.raises(DataRootError, match="sums does not load a data set by name"):
        DataRoot(folder).serves({"task": "sums"})


def test_a_task_cannot_read_outside_the_root(folder: Path, tmp_path: Path) -> None:
    root = DataRoot(tmp_path / "org" / "sums")
    with pytest.raises(DataRootError, match="lies outside the data root"):
        root.source(CONFIG | {"dataset_path": "../../org"})
    with pytest.raises(DataRootError, match="no configuration"):
        DataRoot(tmp_path).source(CONFIG | {"dataset_name": "../../org"})


def test_a_damaged_file_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "test.jsonl").unlink()
    (folder / "test.jsonl.gz").write_bytes(gzip.compress(text())[:-12])
    with pytest.raises(DataRootError, match=r"test\.jsonl\.gz: cannot read this file"):
        DataRoot(tmp_path).source(CONFIG)


def test_a_root_says_whether_its_items_are_the_benchmarks_own(tmp_path: Path) -> None:
    assert (DataRoot(tmp_path).label, DataRoot(tmp_path).comparable) == ("", True)
    label = tmp_path / "data-root.yaml"
    label.write_text("label: made up\ncomparable: false\n")
    assert (DataRoot(tmp_path).label, DataRoot(tmp_path).comparable) == ("made up", False)
    for wrong in ("label: x", "- x", "label: x\ncomparable: perhaps", "label: [", ""):
        label.write_text(wrong)
        with pytest.raises(DataRootError, match=r"data-root\.yaml: "):
            DataRoot(tmp_path)


def test_the_embedded_root_says_that_it_is_not_comparable() -> None:
    root = embedded_data_root()
    assert not root.comparable
    assert "not comparable" in root.label


def test_the_environment_names_the_default_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert default_data_root() is None
    monkeypatch.setenv("CAPSPACE_DATA_ROOT", str(tmp_path))
    root = default_data_root()
    assert root is not None
    assert root.path == tmp_path
    monkeypatch.setenv("CAPSPACE_DATA_ROOT", "embedded")
    root = default_data_root()
    assert root is not None
    assert root.path == embedded_data_root().path


def test_what_has_no_embedded_items_names_the_panels_that_have() -> None:
    with pytest.raises(DataRootError, match=r"org/none is not among .* smoke, openllm-v2 and mode"):
        embedded_data_root().source({"task": "x", "dataset_path": "org/none"})
