"""A folder of quantised weights is served, or refused in a line before it is measured."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("lm_eval", reason="loading a model needs the collect extra")

from commands import Command
from engine_parts import assert_scores_as_hf_does, byte_tokenizer
from quantised_folders import packed_checkpoint
from transformers import AutoModelForCausalLM
from zoo_parts import small_panel

from capspace.collect.checkpoints.checkpoint import refuse_unloadable, resolve
from capspace.collect.checkpoints.size import weigh
from capspace.collect.errors import CheckpointError
from capspace.collect.run.run_checks import refuse_unloadable_run

METHODS = ("gptq", "awq")
MISSING = {
    "gptq": "gptqmodel",
    "awq": "autoawq" if version("transformers") < "5" else "gptqmodel",
}


def is_installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


loads = is_installed("gptqmodel") and is_installed("optimum")
refused = pytest.mark.skipif(loads, reason="the packages that load GPTQ and AWQ are installed")


@pytest.mark.parametrize("method", METHODS)
def test_its_parameters_are_those_of_the_model_that_was_quantised(
    method: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    model = packed_checkpoint(method, tmp_path / "m", tiny_checkpoint)
    weights = weigh(resolve(str(tmp_path / "m")))
    assert weights.n_parameters == sum(p.numel() for p in model.parameters())
    assert weights.packed
    assert weights.bytes_as("float32") == weights.n_bytes < 2 * weights.n_parameters


def assert_every_command_refuses(
    folder: Path, tmp_path: Path, capspace: Command, *words: str
) -> None:
    panel = tmp_path / "small.yaml"
    small_panel(panel, ["Copying"])
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text(f"checkpoints: [{folder}]\npanels: small.yaml\n")
    store = ("--store", tmp_path / "store")
    for command in (
        ("place", folder, "--panel", panel, *store),
        ("collect", folder, "--panel", panel, *store),
        ("collect", folder, "--panel", panel, "--backend", "hf", *store),
        ("zoo", "plan", zoo, *store),
        ("zoo", "run", zoo, *store),
        *(
            ("lm-eval", "run", "--model", model, "--model_args", f"pretrained={folder}",
             "--tasks", "arc_easy", *store)
            for model in ("hf", "capspace")
        ),
    ):  # fmt: skip
        run = capspace(*command)
        assert run.code == 2, run
        (line_printed,) = (
            words for words in run.err.splitlines() if words.startswith("capspace: ")
        )
        assert all(part in line_printed for part in words), run


@refused
@pytest.mark.slow
@pytest.mark.usefixtures("lm_eval_looks_up_once")
@pytest.mark.filterwarnings("ignore")  # of lm-eval and its libraries
@pytest.mark.parametrize("method", METHODS)
def test_every_command_names_the_packages_that_are_missing(
    method: str, tiny_checkpoint: Path, tmp_path: Path, capspace: Command
) -> None:
    packed_checkpoint(method, tmp_path / "m", tiny_checkpoint)
    assert_every_command_refuses(
        tmp_path / "m",
        tmp_path,
        capspace,
        f"m: its weights are quantised by {method}, and transformers loads them with ",
        "missing here: pip install ",
        MISSING[method],
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU that loads it")
@pytest.mark.slow
@pytest.mark.usefixtures("lm_eval_looks_up_once")
@pytest.mark.filterwarnings("ignore")  # of lm-eval and its libraries
def test_every_command_says_that_a_gpu_is_missing(
    tiny_checkpoint: Path, tmp_path: Path, capspace: Command
) -> None:
    folder = tmp_path / "m"
    packed_checkpoint("gptq", folder, tiny_checkpoint)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "higgs", "bits": 4}
    (folder / "config.json").write_text(json.dumps(config))
    assert_every_command_refuses(
        folder,
        tmp_path,
        capspace,
        "m: its weights are quantised by higgs, which transformers loads with CUDA alone; "
        "the device here is cpu",
    )


@pytest.mark.skipif(not loads, reason="gptqmodel and optimum are not installed")
@pytest.mark.filterwarnings("ignore")  # of packages that are newer than their callers
@pytest.mark.parametrize("method", METHODS)
def test_it_is_served_where_its_packages_are_installed(
    method: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    rounded = packed_checkpoint(method, tmp_path / "m", tiny_checkpoint)
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        tmp_path / "m", dtype=torch.float32, device_map="cpu"
    ).eval()
    tokens = torch.arange(1, 40)[None]
    with torch.no_grad():
        scores = [model(tokens).logits.log_softmax(-1) for model in (loaded, rounded)]
    torch.testing.assert_close(*scores, atol=0.02, rtol=0)  # its weights are those in halves
    assert_scores_as_hf_does(loaded, byte_tokenizer())


@refused
def test_a_run_of_another_engine_is_left_to_it(tiny_checkpoint: Path, tmp_path: Path) -> None:
    packed_checkpoint("awq", tmp_path / "m", tiny_checkpoint)
    arguments = {"pretrained": str(tmp_path / "m")}
    refuse_unloadable_run("vllm", arguments)
    with pytest.raises(CheckpointError, match=MISSING["awq"]):
        refuse_unloadable_run("hf", arguments)


def test_the_device_of_a_run_counts(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"quantization_config": {"quant_method": "spqr"}}')
    words = "by spqr, which transformers loads with CUDA alone; the device here is "
    for given, of_run, counts in (("cuda", "cpu", "cpu"), ("mps", None, "mps"), ("cpu", "", "cpu")):
        arguments = {"pretrained": str(tmp_path), "device": given}
        with pytest.raises(CheckpointError, match=f"{words}{counts}$"):
            refuse_unloadable_run("hf", arguments, of_run)
    named = {"pretrained": str(tmp_path), "device": "cuda:0"}
    words = "accelerate and spqr_quant" if torch.cuda.is_available() else f"{words}cpu$"
    with pytest.raises(CheckpointError, match=words):
        refuse_unloadable_run("hf", named)
    with pytest.raises(CheckpointError, match=words):
        refuse_unloadable_run("hf", {"pretrained": str(tmp_path)})


def test_a_folder_without_a_configuration_is_left_to_the_loader(tmp_path: Path) -> None:
    refuse_unloadable(str(tmp_path), lambda: "cpu")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    refuse_unloadable(str(tmp_path), lambda: "cpu")
