import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest
from hub_server import HubServer, resolve_all, serving

from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.checkpoints.size import weigh
from capspace.collect.errors import CheckpointError
from capspace.collect.storage.digests import sha256_file


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return copytree(tiny_checkpoint, tmp_path / "model")


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_is_its_content(folder: Path, tmp_path: Path) -> None:
    first = resolve(str(folder))
    assert (first.kind, first.name, first.location) == ("local", "model", str(folder))
    assert first.dtype == "float32"
    assert first.identity == f"sha256:{first.revision}"
    assert len(first.revision) == 64
    elsewhere = copytree(folder, tmp_path / "renamed")
    assert resolve(str(elsewhere)).identity == first.identity


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "generation_config.json"]
)
def test_another_byte_is_another_checkpoint(folder: Path, name: str) -> None:
    before = resolve(str(folder)).identity
    path = folder / name
    path.write_bytes(path.read_bytes() + b" ")
    assert resolve(str(folder)).identity != before


def test_a_new_tokenizer_file_is_another_checkpoint(folder: Path) -> None:
    before = resolve(str(folder)).identity
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert resolve(str(folder)).identity != before


def test_what_cannot_change_an_answer_is_not_in_the_identity(folder: Path) -> None:
    before = resolve(str(folder)).identity
    for name in ("README.md", "training_args.bin", "trainer_state.json", "pytorch_model.bin"):
        (folder / name).write_text("anything")
    assert resolve(str(folder)).identity == before


def test_sharded_weights_count_and_a_missing_shard_is_named(folder: Path) -> None:
    weights = folder / "model.safetensors"
    shard = weights.rename(folder / "model-00001-of-00001.safetensors")
    index = {"metadata": {}, "weight_map": {"lm_head.weight": shard.name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    before = resolve(str(folder)).identity
    shard.write_bytes(shard.read_bytes() + b" ")
    assert resolve(str(folder)).identity != before
    shard.unlink()
    with pytest.raises(CheckpointError, match=r"names model-00001-of-00001\.safetensors, which is"):
        resolve(str(folder))


def test_pickled_weights_need_permission(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"weights are pickles.*--allow-pickle"):
        resolve(str(folder))
    allowed = resolve(str(folder), allow_pickle=True)
    assert allowed.pickled
    (folder / "pytorch_model.bin").write_bytes(b"other")
    assert resolve(str(folder), allow_pickle=True).identity != allowed.identity


def test_custom_code_needs_permission_and_is_then_part_of_the_identity(folder: Path) -> None:
    edit_config(folder, model_type="strange", auto_map={"AutoConfig": "configuration.Strange"})
    code = folder / "configuration.py"
    code.write_text("raise SystemExit('this must not run')")
    with pytest.raises(CheckpointError, match=r"'strange' needs code.*--trust-remote-code"):
        resolve(str(folder))
    trusted = resolve(str(folder), trust_remote_code=True)
    assert trusted.custom_code
    code.write_text("# other code")
    assert resolve(str(folder), trust_remote_code=True).identity != trusted.identity


def test_a_type_that_transformers_knows_runs_transformers_code(folder: Path) -> None:
    edit_config(folder, auto_map={"AutoModelForCausalLM": "modeling.Mine"})
    assert not resolve(str(folder)).custom_code


def test_without_a_dtype_in_the_configuration_it_stays_auto(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    del config["dtype"]
    path.write_text(json.dumps(config))
    assert resolve(str(folder)).dtype == "auto"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "config.json").unlink(), r"no config\.json in this folder$"),
        (
            lambda f: (f / "config.json").rename(f / "adapter_config.json"),
            r"it is an adapter: merge it",
        ),
        (lambda f: (f / "config.json").write_text("{"), r"cannot read config\.json: "),
        (lambda f: (f / "config.json").write_text("[]"), r"config\.json is not a JSON object"),
        (lambda f: (f / "model.safetensors").unlink(), r"no weights \(model\.safetensors or "),
    ],
)
def test_a_folder_that_is_no_checkpoint_says_what_it_lacks(
    folder: Path, spoil: object, message: str
) -> None:
    spoil(folder)  # type: ignore[operator]  # one of the functions above
    with pytest.raises(CheckpointError, match=message) as caught:
        resolve(str(folder))
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_that_is_no_folder_is_never_asked_of_the_hub(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder"):
        resolve(str(folder / "nothing"))
    with pytest.raises(CheckpointError, match="is a file; give the folder"):
        resolve(str(folder / "config.json"))


def test_file_hash_is_sha256(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def hub_server(tiny_checkpoint: Path, tmp_path: Path) -> Iterator[HubServer]:
    """A Hub with a good checkpoint, beside files that loading does not need, and a gated one."""
    good = copytree(tiny_checkpoint, tmp_path / "good")
    (good / "README.md").write_text("read me")
    (good / "pytorch_model.bin").write_text("a pickle")
    (good / "consolidated.safetensors").write_text("another format")
    (good / "onnx").mkdir()
    (good / "onnx" / "config.json").write_text("{}")
    with serving() as server:
        server.repository("org/good").add(good, branch="main")
        server.gated.add("org/gated")
        yield server


@pytest.mark.slow
def test_a_hub_name_is_its_commit_also_when_the_hub_is_gone(
    hub_server: HubServer, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    commit = hub_server.repository("org/good").branches["main"]
    resolved = resolve_all(
        "org/good",
        "org/good@main",
        "org/good@v9",
        "org/gated",
        "org/nothing",
        "no spaces please",
        endpoint=hub_server.endpoint,
        cache=tmp_path,
    )
    files = sorted(p.name for p in tiny_checkpoint.iterdir())
    known = "|".join([f"hub:org/good@{commit}", "float32", *files])
    assert resolved[0] == f"org/good|{known}"
    assert resolved[1] == f"org/good@main|{known}"
    assert {r.file for r in hub_server.log if r.file} == set(files)  # no pickle, no other format
    assert resolved[2] == "org/good on the Hub has no revision 'v9'"
    assert resolved[3].startswith("org/gated on the Hub is gated: accept its terms")
    assert resolved[4].startswith(
        "unknown model 'org/nothing': no such folder, and no org/nothing on"
    )
    assert resolved[5].startswith("'no spaces please' is neither a folder nor a Hub name")
    assert len(resolved) == 6

    # Nothing listens on port 9: what the cache holds still resolves, by branch and by commit.
    gone = resolve_all(
        "org/good", f"org/good@{commit}", "org/new", endpoint="http://127.0.0.1:9", cache=tmp_path
    )
    assert gone[0] == f"org/good|{known}"
    assert gone[1] == f"org/good@{commit}|{known}"
    assert gone[2].startswith("unknown model 'org/new': no such folder, the Hub cannot be reached")


@pytest.mark.slow
def test_a_download_that_was_cut_short_is_never_loaded(
    hub_server: HubServer, tmp_path: Path
) -> None:
    hub_server.spoil = lambda r: 500 if r.gets("generation_config.json") else None
    (failed,) = resolve_all("org/good", endpoint=hub_server.endpoint, cache=tmp_path)
    assert "500" in failed
    # Weights come last, so where they are here, all they are loaded with is here, too.
    assert not hub_server.fetched("model.safetensors")
    (gone,) = resolve_all("org/good", endpoint="http://127.0.0.1:9", cache=tmp_path)
    assert gone == "org/good: no weights (model.safetensors or model.safetensors.index.json)"
    hub_server.spoil = lambda r: None
    (good,) = resolve_all("org/good", endpoint=hub_server.endpoint, cache=tmp_path)
    assert "|generation_config.json|" in good


def test_time_is_not_part_of_the_identity(folder: Path) -> None:
    before = resolve(str(folder)).identity
    past = time.time() - 1000
    os.utime(folder / "model.safetensors", (past, past))
    assert resolve(str(folder)).identity == before


def test_an_ordinary_checkpoint_keeps_the_identity_of_0_1_0(folder: Path) -> None:
    """What is measured already stays so: the hash of the files that were hashed before."""
    from hashlib import sha256

    before = {
        *("config.json", "generation_config.json", "model.safetensors"),
        *("tokenizer.json", "tokenizer_config.json"),
    }
    names = {p.name for p in folder.iterdir()}
    before |= names & {"special_tokens_map.json"}  # transformers 4 writes it, and 0.1.0 hashed it
    assert names == before
    content = [[name, sha256_file(folder / name)] for name in sorted(before)]
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    for name in _UNREAD:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("anything")
    assert resolve(str(folder)).revision == sha256(text.encode()).hexdigest()
    assert resolve(str(folder)).identity_settings == ()


_UNREAD = [
    *("README.md", "LICENSE", "LICENSE.txt", "NOTICE", "USE_POLICY.md", "figure.png", "code.py"),
    *(".gitattributes", ".cache/huggingface", "training_args.bin", "optimizer.pt", "rng_state.pth"),
    *("trainer_state.json", "all_results.json", "events.out.tfevents.1", "model-Q4_K_M.gguf"),
    *("tf_model.h5", "flax_model.msgpack", "onnx/model.onnx", "original/params.json"),
    *("params.json", "consolidated.00.pth", "preprocessor_config.json", "processor_config.json"),
    *("mergekit_config.yml", "checkpoint-500/optimizer.pt", "checkpoint-500/config.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json", "model-00001-of-00002.safetensors"),
    "model.safetensors.index.json",
]


@pytest.mark.parametrize(
    "name",
    ["tekken.json", "config.4.0.0.json", "tokenizer.4.0.0.json", "spiece.model", "source.spm",
     "bpe.codes", "sentencepiece.bpe.model", "tokenizer.model.v3", "dict.txt", "encoder.json",
     "additional_chat_templates/tools.jinja", "quantize_config.json", "no_suffix"],
)  # fmt: skip
def test_whatever_a_loader_could_read_is_in_the_identity(folder: Path, name: str) -> None:
    before = resolve(str(folder)).identity
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    first = resolve(str(folder)).identity
    path.write_text('{"a": 1}')
    assert len({before, first, resolve(str(folder)).identity}) == 3


@pytest.mark.parametrize(
    ("setting", "file"),
    [
        ({"codebook": "extra/codes.pt"}, "extra/codes.pt"),
        ({"text_config": {"adapter": "lora"}}, "lora/adapter_model.safetensors"),
        ({"speech": ["parts/head.bin"]}, "parts/head.bin"),
    ],
)
def test_a_file_that_the_configuration_names_is_in_the_identity(
    folder: Path, setting: dict[str, object], file: str
) -> None:
    path = folder / file
    path.parent.mkdir()
    path.write_bytes(b"1")
    before = resolve(str(folder)).identity
    path.write_bytes(b"2")
    assert resolve(str(folder)).identity == before
    edit_config(folder, **setting)
    named = resolve(str(folder)).identity
    path.write_bytes(b"3")
    assert resolve(str(folder)).identity != named


@pytest.mark.parametrize("is_absolute", [False, True])
def test_a_file_outside_that_the_configuration_names_is_not_read(
    folder: Path, tmp_path: Path, is_absolute: bool
) -> None:
    outside = tmp_path / "outside.txt"
    edit_config(folder, merges_file=str(outside) if is_absolute else "../outside.txt")
    before = resolve(str(folder)).identity
    outside.write_text("anything")
    assert resolve(str(folder)).identity == before


def test_a_configuration_of_no_known_model_cannot_be_counted(folder: Path) -> None:
    edit_config(folder, model_type="nonsense", architectures=None)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    checkpoint = resolve(str(folder), allow_pickle=True)
    with pytest.raises(CheckpointError, match=r"model: its parameters cannot be counted .*give `f"):
        weigh(checkpoint)


def test_where_a_checkpoint_was_saved_from_is_not_read(folder: Path) -> None:
    (folder / "checkpoint-500").mkdir()
    edit_config(folder, _name_or_path="./checkpoint-500")
    before = resolve(str(folder)).identity
    (folder / "checkpoint-500" / "model.safetensors").write_bytes(b"1")
    assert resolve(str(folder)).identity == before


def test_the_configuration_of_this_version_of_transformers_is_the_one_that_counts(
    folder: Path,
) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.4.0.0.json").write_text(json.dumps(config | {"dtype": "bfloat16"}))
    assert resolve(str(folder)).dtype == "float32"
    edit_config(folder, configuration_files=["config.4.0.0.json", "config.99.0.0.json"])
    assert resolve(str(folder)).dtype == "bfloat16"


@pytest.mark.parametrize("weights", ["adapter_model.safetensors", None])
def test_an_adapter_beside_a_model_is_refused(folder: Path, weights: str | None) -> None:
    if weights is not None:
        (folder / weights).touch()
        resolve(str(folder))  # without its configuration, nothing loads it
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "org/other"}')
    with pytest.raises(CheckpointError, match=r"an adapter \(adapter_config.json\) lies") as caught:
        resolve(str(folder))
    assert "\n" not in str(caught.value)


def test_a_tokenizer_that_asks_for_a_token_behind_the_text_is_told_by_its_files(
    folder: Path,
) -> None:
    assert not resolve(str(folder)).appends_token
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"add_eos_token": True}))
    assert resolve(str(folder)).appends_token
    edit_config(folder, is_encoder_decoder=True)  # an encoder is meant to see it
    assert not resolve(str(folder)).appends_token
