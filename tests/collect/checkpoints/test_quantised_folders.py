"""A folder of quantised weights is refused in a line where a package that loads it is missing."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lm_eval", reason="loading a model needs the collect extra")

from commands import Command
from engine_parts import assert_scores_as_hf_does, byte_tokenizer
from quantised_folders import packed_checkpoint
from transformers import AutoModelForCausalLM
from zoo_parts import small_panel

from capspace.collect.checkpoints import quantisation
from capspace.collect.checkpoints.checkpoint import refuse_unloadable, resolve
from capspace.collect.checkpoints.quantisation import quantisation_method, require_packages
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


@refused
@pytest.mark.slow
@pytest.mark.usefixtures("lm_eval_looks_up_once")
@pytest.mark.filterwarnings("ignore")  # of lm-eval and its libraries
@pytest.mark.parametrize("method", METHODS)
def test_every_command_names_the_packages_that_are_missing(
    method: str, tiny_checkpoint: Path, tmp_path: Path, capspace: Command
) -> None:
    folder = tmp_path / "m"
    packed_checkpoint(method, folder, tiny_checkpoint)
    line = f"m: its weights are quantised by {method}, and transformers loads them with "
    panel = tmp_path / "small.yaml"
    small_panel(panel, ["Copying"])
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text("checkpoints: [m]\npanels: small.yaml\n")
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
        assert line in line_printed, command
        assert MISSING[method] in line_printed.partition("missing here: pip install ")[2], command


@pytest.mark.skipif(not loads, reason="gptqmodel and optimum are not installed")
@pytest.mark.filterwarnings("ignore")  # of packages that are newer than their callers
@pytest.mark.parametrize("method", METHODS)
def test_it_is_served_where_its_packages_are_installed(
    method: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    packed_checkpoint(method, tmp_path / "m", tiny_checkpoint)
    loaded: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "m", device_map="cpu").eval()
    assert_scores_as_hf_does(loaded, byte_tokenizer())


@refused
def test_a_run_of_another_engine_is_left_to_it(tiny_checkpoint: Path, tmp_path: Path) -> None:
    packed_checkpoint("awq", tmp_path / "m", tiny_checkpoint)
    arguments = {"pretrained": str(tmp_path / "m")}
    refuse_unloadable_run("vllm", arguments)
    with pytest.raises(CheckpointError, match=MISSING["awq"]):
        refuse_unloadable_run("hf", arguments)


def test_what_configurations_state() -> None:
    assert quantisation_method({}) is None
    assert quantisation_method({"quantization_config": {"load_in_8bit": True}}) == "bitsandbytes"
    assert quantisation_method({"quantization_config": {"quant_method": "awq"}}) == "awq"
    assert quantisation_method({"quantization_config": {"bits": 4}}) is None


def test_a_method_without_missing_packages_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    require_packages("m", None)
    require_packages("m", "of tomorrow")
    require_packages("m", "fp8")  # accelerate, which lm-eval asks for
    monkeypatch.setitem(quantisation._PACKAGES, "fp8", ("accelerate", "no-such-package"))
    monkeypatch.setitem(quantisation._PACKAGES_BEFORE_5, "fp8", ("accelerate", "no-such-package"))
    words = "with accelerate and no-such-package; missing here: pip install no-such-package"
    with pytest.raises(CheckpointError, match=words):
        require_packages("m", "fp8")


def test_a_folder_without_a_configuration_is_left_to_the_loader(tmp_path: Path) -> None:
    refuse_unloadable(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    refuse_unloadable(str(tmp_path))
