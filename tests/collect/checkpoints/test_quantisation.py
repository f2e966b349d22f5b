"""What becomes of weights quantised by each method that transformers knows."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pytest
import torch
from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING, AutoHfQuantizer

from capspace.collect.checkpoints import quantisation
from capspace.collect.checkpoints.quantisation import (
    UNNAMED,
    quantisation_method,
    require_loadable,
)
from capspace.collect.engine.quantised import rounding_fault
from capspace.collect.errors import CheckpointError

IS_OLD = version("transformers") < "5"
LOADED = ""
SERVED = ""
ROUNDED = "its activations are rounded to few bits"
CUDA, CUDA_XPU = "with CUDA alone", "with CUDA or XPU alone"
METHODS: dict[str, tuple[str, str]] = {
    "aqlm": (LOADED, SERVED),
    "auto-round": (LOADED, SERVED),
    "awq": (LOADED, SERVED),
    "bitnet": (LOADED, ROUNDED),
    "bitsandbytes": (LOADED, SERVED),
    "compressed-tensors": (LOADED, SERVED),
    "eetq": (CUDA, SERVED),
    "fbgemm_fp8": (CUDA_XPU, ROUNDED),
    "fouroversix": (LOADED, ROUNDED),
    "fp8": (CUDA_XPU if IS_OLD else LOADED, ROUNDED),  # unless it is brought back, as on a CPU
    "fp_quant": (CUDA_XPU, ROUNDED),
    "gemma": (LOADED, ROUNDED),
    "gguf": (LOADED, SERVED),
    "gptq": (LOADED, SERVED),
    "higgs": (CUDA, SERVED),
    "hqq": ("with CUDA or MPS or XPU alone", SERVED),
    "metal": (LOADED, SERVED),
    "mxfp4": (LOADED, SERVED),
    "mxfp8": (LOADED, ROUNDED),  # as fp8
    "nvfp4": ("loads no weights that are so already", ROUNDED),
    "quanto": (LOADED, SERVED),
    "quark": (LOADED, ROUNDED),
    "sinq": (LOADED, SERVED),
    "spqr": (CUDA, SERVED),
    "torchao": (LOADED, SERVED),
    "vptq": (LOADED if IS_OLD else CUDA, SERVED),
}
"""Why a checkpoint is refused on a CPU that has all packages, and why the engine leaves it.

The engine serves what it then proves exact on the model itself.
"""

SETTINGS: dict[str, dict[str, Any]] = {
    "awq": {"bits": 4},
    "bitsandbytes": {"load_in_4bit": True},
    "gptq": {"bits": 4},
    "hqq": {"quant_config": {}, "skip_modules": []},
    "torchao": {
        "quant_type": {
            "default": {"_type": "Int8WeightOnlyConfig", "_version": 2, "_data": {}},
        }
    },
}
"""What a configuration states beside its method."""

KNOWN = sorted({n.removesuffix("_4bit").removesuffix("_8bit") for n in AUTO_QUANTIZER_MAPPING})


def on_cpu() -> str:
    return "cpu"


def reason_of(method: str, device: str = "cpu") -> str:
    try:
        require_loadable("m", method, lambda: device)
    except CheckpointError as error:
        return str(error)
    return ""


def test_every_method_of_transformers_has_its_row() -> None:
    assert set(KNOWN) <= set(METHODS) == set(quantisation._NEEDS)


@pytest.mark.parametrize("method", KNOWN)
def test_on_a_cpu_it_is_loaded_or_refused_by_name(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {**dict.fromkeys(quantisation._NEEDS), "transformers": version("transformers")}
    monkeypatch.setattr(quantisation, "_version", lambda name: there.get(name) or "1")
    refused, _ = METHODS[method]
    reason = reason_of(method)
    assert bool(reason) == bool(refused)
    assert refused in reason
    assert not reason or reason.startswith(f"m: its weights are quantised by {method}, ")
    if "alone" in refused:
        assert reason.endswith("; the device here is cpu")
        assert reason_of(method, "cuda:1") == ""


@pytest.mark.parametrize("method", KNOWN)
def test_the_engine_leaves_what_rounds_activations(method: str) -> None:
    model: Any = torch.nn.Module()
    model.config = type("Config", (), {"quantization_config": {"quant_method": method}})
    _, left = METHODS[method]
    assert (rounding_fault(model) or "").startswith(left)
    assert bool(rounding_fault(model)) == bool(left)


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU, which transformers asks for")
@pytest.mark.filterwarnings("ignore")  # of transformers, about a CPU without kernels
@pytest.mark.parametrize("method", KNOWN)
def test_transformers_refuses_what_is_refused_and_nothing_else(method: str) -> None:
    stated = {"quant_method": method, **SETTINGS.get(method, {})}
    refusal = ""
    try:
        quantiser = AutoHfQuantizer.from_config(stated, pre_quantized=True)
        quantiser.validate_environment(device_map={"": "cpu"}, weights_only=True)
    except (ImportError, NotImplementedError, RuntimeError, ValueError) as error:
        refusal = str(error)
    reason = reason_of(method)
    if refusal:
        assert reason
    if reason and method != "sinq":  # whose package it takes for installed always
        assert refusal


def test_what_configurations_state() -> None:
    assert quantisation_method({}) is None
    assert quantisation_method({"quantization_config": None}) is None
    assert quantisation_method({"quantization_config": {"load_in_8bit": True}}) == "bitsandbytes"
    assert quantisation_method({"quantization_config": {"quant_method": "awq"}}) == "awq"
    inner = {"text_config": {"quantization_config": {"quant_method": "fp8"}}}
    assert quantisation_method(inner) == "fp8"


def test_weights_without_their_method_are_refused() -> None:
    """As MLX states them."""
    method = quantisation_method({"quantization_config": {"group_size": 64, "bits": 4}})
    assert method == UNNAMED
    words = r"^m: its configuration states quantised weights without their method \(quant_method\)"
    with pytest.raises(CheckpointError, match=words):
        require_loadable("m", method, on_cpu)


def test_a_method_that_transformers_does_not_know_is_refused() -> None:
    """transformers would leave it out with a warning, and load numbers without their scales."""
    words = rf"quantised by modelopt, which transformers {version('transformers')} does not know"
    with pytest.raises(CheckpointError, match=words):
        require_loadable("m", "modelopt", on_cpu)
    require_loadable("m", "modelopt", on_cpu, custom_code=True)  # which may bring it


def test_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    require_loadable("m", None, on_cpu)
    require_loadable("m", "mxfp4", on_cpu)  # accelerate, which lm-eval asks for
    needs = quantisation._Needs(("accelerate", "no-such-package"))
    monkeypatch.setitem(quantisation._NEEDS, "mxfp4", needs)
    monkeypatch.setitem(quantisation._NEEDS_BEFORE_5, "mxfp4", needs)
    words = "with accelerate and no-such-package; missing here: pip install no-such-package"
    with pytest.raises(CheckpointError, match=words):
        require_loadable("m", "mxfp4", on_cpu)
