"""What the Hub has of a checkpoint is asked, downloaded and weighed, and its refusals are told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
from hub_server import HubServer, Request, serving_here

pytest.importorskip(
    "huggingface_hub", "1", reason="before, it reads the Hub's address once; zoo/work/test_hub runs"
)

from capspace.collect.checkpoints.checkpoint import Checkpoint, refuse_mixed, resolve
from capspace.collect.checkpoints.download import checkpoint_folder, missing_bytes
from capspace.collect.checkpoints.size import is_downloaded, weigh
from capspace.collect.checkpoints.tokenizer_checks import _numbered
from capspace.collect.errors import CheckpointError

BRANCH = "main"
WEIGHTS = "model.safetensors"
REFUSED = 418  # no status after which the client tries again, or looks for another reason


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HubServer]:
    with serving_here(tmp_path / "cache") as server:
        yield server


@pytest.fixture
def good(server: HubServer, tiny_checkpoint: Path) -> Checkpoint:
    server.repository("org/good").add(tiny_checkpoint, branch=BRANCH)
    return resolve("org/good")


def test_a_checkpoint_is_weighed_before_and_after_its_download(
    good: Checkpoint, server: HubServer, tiny_checkpoint: Path
) -> None:
    commit = server.repository("org/good").branches[BRANCH]
    assert (good.identity, good.name, good.offline) == (f"hub:org/good@{commit}", "org/good", False)
    assert str(good) == f"Checkpoint(org/good at {commit[:12]}, float32)"
    here = weigh(resolve(str(tiny_checkpoint)))
    n_bytes = {path.name: path.stat().st_size for path in tiny_checkpoint.iterdir()}
    assert weigh(good) == here
    assert not server.fetched(WEIGHTS)
    assert not is_downloaded(good)
    assert n_bytes[WEIGHTS] <= (missing_bytes(good) or 0) < sum(n_bytes.values())

    folder = Path(checkpoint_folder(good))
    assert {path.name for path in folder.iterdir()} == set(n_bytes)
    assert (missing_bytes(good), is_downloaded(good), weigh(good)) == (0, True, here)
    tokens = list(_numbered("org/good", commit))
    assert tokens == list(_numbered(str(tiny_checkpoint), None))
    assert tokens

    server.spoil = lambda request: REFUSED  # what is here still resolves
    gone = resolve("org/good")
    assert (gone, gone.offline) == (replace(good, offline=True), True)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json"):
        checkpoint_folder(replace(good, offline=True))


def test_a_download_that_was_cut_short_is_no_checkpoint(good: Checkpoint) -> None:
    """As in a cache that an earlier client filled, which did not keep what there should be."""
    present = Path(checkpoint_folder(good)).parent.parent
    earlier = present.with_name("models--org--earlier")
    copytree(present, earlier, symlinks=True, ignore=ignore_patterns("trees"))
    checkpoint = replace(good, location="org/earlier", offline=True)
    folder = Path(checkpoint_folder(checkpoint))
    assert folder == earlier / "snapshots" / good.revision
    (folder / "tokenizer.json").unlink()
    why = "the local cache lacks tokenizer.json of org/earlier@.*, and the Hub does not answer"
    with pytest.raises(FileNotFoundError, match=why):
        checkpoint_folder(checkpoint)


def test_shards_are_downloaded_once_all_are_there(
    server: HubServer, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    sharded = copytree(tiny_checkpoint, tmp_path / "sharded")
    shard = "model-00001-of-00001.safetensors"
    (sharded / WEIGHTS).rename(sharded / shard)
    index = sharded / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {"a": shard}}))
    server.repository("org/sharded").add(sharded, branch=BRANCH)
    checkpoint = resolve("org/sharded@main")
    folder = Path(checkpoint_folder(checkpoint))
    assert is_downloaded(checkpoint)
    assert weigh(checkpoint) == weigh(resolve(str(tiny_checkpoint)))
    (folder / shard).unlink()
    assert not is_downloaded(checkpoint)
    index.write_text(json.dumps({"weight_map": {}}))
    with pytest.raises(CheckpointError, match=r"index\.json names no weight files"):
        resolve(str(sharded))


def test_what_the_hub_does_not_say_is_counted_from_the_configuration(
    good: Checkpoint, server: HubServer
) -> None:
    server.spoil = lambda request: REFUSED if request.file == WEIGHTS else None
    counted = weigh(good)
    assert counted.counted_from == "config"
    server.spoil = lambda request: None
    assert counted.n_parameters == weigh(good).n_parameters
    assert missing_bytes(replace(good, files=(*good.files, ("tokenizer.model", None)))) is None


@pytest.mark.parametrize(
    ("ref", "why"),
    [
        ("no spaces please", "'no spaces please' is neither a folder nor a Hub name"),
        ("org/gated", "org/gated on the Hub is gated: accept its terms on its page"),
        ("org/nothing", "unknown model 'org/nothing': no such folder, and no org/nothing on"),
        ("org/empty@v9", "org/empty on the Hub has no revision 'v9'"),
        ("org/empty", "org/empty on the Hub has no config.json: not a model for transformers"),
        ("org/adapted", "org/adapted: an adapter .* lies beside the model's own weights"),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    server: HubServer, tiny_checkpoint: Path, tmp_path: Path, ref: str, why: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "README.md").write_text("nothing yet")
    adapted = copytree(tiny_checkpoint, tmp_path / "adapted")
    (adapted / "adapter_config.json").write_text("{}")
    server.repository("org/empty").add(tmp_path / "empty", branch=BRANCH)
    server.repository("org/adapted").add(adapted, branch=BRANCH)
    server.gated.add("org/gated")
    with pytest.raises(CheckpointError, match=why) as caught:
        resolve(ref)
    assert "\n" not in str(caught.value)
    if ref == "org/adapted":
        with pytest.raises(CheckpointError, match=why):
            refuse_mixed(ref)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_a_file_that_the_hub_does_not_give_is_named(
    server: HubServer, tiny_checkpoint: Path, file: str
) -> None:
    server.repository("org/good").add(tiny_checkpoint, branch=BRANCH)
    server.spoil = lambda request: REFUSED if request.gets(file) else None
    with pytest.raises(
        CheckpointError, match=rf"^org/good on the Hub does not give {file}: .*{REFUSED}"
    ):
        resolve("org/good")


def test_only_files_that_loading_reads_are_counted(good: Checkpoint) -> None:
    before = missing_bytes(good)
    assert before is not None
    others = (
        ("additional_chat_templates/tools.jinja", 1),
        ("modeling_own.py", 10),
        ("onnx/config.json", 100),
        ("consolidated.00.safetensors", 1000),
        ("README.md", 10_000),
    )
    more = replace(good, files=(*good.files, *others))
    assert missing_bytes(more) == before + 1
    assert missing_bytes(replace(more, custom_code=True)) == before + 11
    assert not is_downloaded(replace(good, revision="0" * 40))


def test_packed_weights_on_the_hub_count_as_those_that_were_quantised(
    server: HubServer, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    import numpy as np
    from safetensors.numpy import load_file, save_file

    folder = copytree(tiny_checkpoint, tmp_path / "packed")
    tensors = load_file(folder / WEIGHTS)
    name = next(name for name in tensors if name.endswith("up_proj.weight"))
    rows, columns = tensors.pop(name).shape
    tensors[f"{name.removesuffix('weight')}qweight"] = np.zeros((rows // 8, columns), np.int32)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    server.repository("org/packed").add(folder, branch=BRANCH)
    weights = weigh(resolve("org/packed"))
    assert weights == weigh(resolve(str(folder)))
    assert weights.packed
    assert weights.n_parameters == weigh(resolve(str(tiny_checkpoint))).n_parameters


def test_a_branch_that_moves_on_while_it_is_asked_is_its_new_commit(
    good: Checkpoint, server: HubServer, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    newer = copytree(tiny_checkpoint, tmp_path / "newer")
    (newer / "tokens.txt").write_text("new")
    config = json.loads((newer / "config.json").read_text())
    (newer / "config.json").write_text(json.dumps(config | {"note": "newer"}))
    repository, asked = server.repository("org/good"), []

    def move_on(request: Request) -> None:
        if not request.file and not asked:
            asked.append(request)
            repository.add(newer, branch=BRANCH)

    server.look = move_on
    resolved = resolve("org/good")
    assert resolved.revision == repository.branches[BRANCH] != good.revision
    assert "tokens.txt" in dict(resolved.files)
