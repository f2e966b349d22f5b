"""Quantised weights are served where scores can be exact, and refused by name where not."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from engine_parts import SIZES, assert_scores_as_hf_does, byte_tokenizer
from packaging.version import Version
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING

from capspace.collect.engine.support import unsupported_reason

pytestmark = pytest.mark.cpu_only("quantised weights are loaded for a CPU, by its kernels")

TOKENIZER = byte_tokenizer()
INT8 = {"num_bits": 8, "type": "int", "dynamic": True}
INT4 = {"num_bits": 4, "type": "int", "group_size": 32}
ROUNDED = "its activations are rounded to few bits"


def wide(**settings: Any) -> Any:
    """Return a Llama whose log-probabilities all move where a weight is wrong anywhere."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**{**SIZES, "vocab_size": 300, **settings})
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.15)
    return model


BY_NAME: dict[str, tuple[dict[str, Any], str | None]] = {
    "nf4": (
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
        None,
    ),
    "int8 of bitsandbytes": ({"quant_method": "bitsandbytes", "load_in_8bit": True}, ROUNDED),
    "torchao": ({"quant_method": "torchao", "quant_type": "Int8WeightOnlyConfig"}, None),
    "torchao, activations too": (
        {"quant_method": "torchao", "quant_type": "Int8DynamicActivationInt8WeightConfig"},
        ROUNDED,
    ),
    "quanto": ({"quant_method": "quanto", "weights": "int8", "activations": None}, None),
    "quanto, activations too": (
        {"quant_method": "quanto", "weights": "int8", "activations": "int8"},
        ROUNDED,
    ),
    "compressed-tensors": (
        {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": INT4}}},
        None,
    ),
    "compressed-tensors, activations too": (
        {
            "quant_method": "compressed-tensors",
            "config_groups": {"group_0": {"weights": INT8, "input_activations": INT8}},
        },
        ROUNDED,
    ),
    "compressed-tensors, keys and values too": (
        {
            "quant_method": "compressed-tensors",
            "config_groups": {"group_0": {"weights": INT4}},
            "kv_cache_scheme": INT8,
        },
        ROUNDED,
    ),
    "gptq": ({"quant_method": "gptq", "bits": 4, "group_size": 128}, None),
    "awq": ({"quant_method": "awq", "bits": 4, "group_size": 128}, None),
    "fp8 on a GPU": ({"quant_method": "fp8", "activation_scheme": "dynamic"}, ROUNDED),
    "fp8, brought back": ({"quant_method": "fp8", "dequantize": True}, None),
    "mxfp8 on a GPU": ({"quant_method": "mxfp8"}, ROUNDED),
    "mxfp8, brought back": ({"quant_method": "mxfp8", "dequantize": True}, None),
    "bitnet": ({"quant_method": "bitnet"}, ROUNDED),
    "new": ({"quant_method": "of tomorrow"}, "quantised by of tomorrow, which the engine does not"),
}
"""What a configuration states, and why the engine does not serve it."""


@pytest.mark.parametrize("name", BY_NAME)
def test_a_method_is_served_or_refused_by_its_name(name: str) -> None:
    settings, reason = BY_NAME[name]
    model = wide(num_hidden_layers=1)
    model.config.quantization_config = settings
    given = unsupported_reason(model)
    assert (given is None) == (reason is None)
    assert reason is None or reason in str(given)


def unpacked(packed: torch.Tensor, bits: int) -> torch.Tensor:
    return torch.cat([packed >> shift & (1 << bits) - 1 for shift in range(0, 8, bits)])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # of torch.ao
@pytest.mark.parametrize("weights", ["qint8", "qint4"])
def test_weights_of_quanto(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from optimum import quanto
    from optimum.quanto.library.extensions import cpp

    # Its kernel that takes two weights out of a byte, without a compiler and a minute of C++.
    monkeypatch.setattr(cpp.ext, "_lib", SimpleNamespace(unpack=unpacked))
    model = wide()
    quanto.quantize(model, weights=getattr(quanto, weights))
    quanto.freeze(model)
    assert isinstance(model.model.layers[0].mlp.up_proj.weight, quanto.QTensor)
    assert_scores_as_hf_does(model, TOKENIZER)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # of torch.ao
def test_activations_rounded_by_their_batch() -> None:
    # activations rounded by what else is in the batch have no score of their own to reproduce
    whole_batch = torch.ao.quantization.quantize_dynamic(wide(), {torch.nn.Linear})
    assert re.search("small tree of tokens are .* nats off", unsupported_reason(whole_batch) or "")


@pytest.mark.skipif(
    Version(transformers.__version__) < Version("5"), reason="it loads fp8 on a GPU alone"
)
@pytest.mark.filterwarnings("ignore")  # of transformers and torch, about a CPU without kernels
@pytest.mark.parametrize(("method", "block"), [("fp8", [128, 128]), ("mxfp8", [1, 32])])
def test_fp8_is_brought_back_on_a_cpu(method: str, block: list[int], tmp_path: Path) -> None:
    """Blocks of weights with a scale each: as DeepSeek V3 is released, and by OCP's standard."""
    if method not in AUTO_QUANTIZER_MAPPING:
        pytest.skip(f"this transformers does not know {method}")
    model = wide(hidden_size=128, intermediate_size=128)
    weights = {}
    for name, weight in model.state_dict().items():
        weights[name] = weight.bfloat16()
        if "_proj" in name:
            exponent = (weight.abs().max() / 448).log2().ceil()
            weights[name] = (weight / exponent.exp2()).to(torch.float8_e4m3fn)
            grid = [-(-size // side) for size, side in zip(weight.shape, block, strict=True)]
            scales = exponent.exp2().expand(grid).float()
            if method == "mxfp8":  # of which only the exponent is stored
                scales = (exponent + 127).expand(grid).to(torch.uint8)
            weights[f"{name}_scale_inv"] = scales.contiguous()
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    model.config.quantization_config = {
        **{"quant_method": method, "activation_scheme": "dynamic", "weight_block_size": block},
    }
    model.config.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    projection = loaded.model.layers[0].mlp.up_proj.weight
    assert projection.dtype.itemsize > 1
    torch.testing.assert_close(
        projection.float(), model.model.layers[0].mlp.up_proj.weight, atol=0.05, rtol=0.1
    )
    assert_scores_as_hf_does(loaded.float(), TOKENIZER)


def quantised(folder: Path, package: str, settings: Any) -> Any:
    """Return a model that a package of its own quantises."""
    pytest.importorskip(package, reason=f"{package} is not installed: only its name is tested")
    wide(hidden_size=64, intermediate_size=64).save_pretrained(folder)
    return AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=settings(), dtype=torch.float32, device_map="cpu"
    ).eval()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of packages that are newer than their callers
def test_nf4_of_bitsandbytes(tmp_path: Path) -> None:
    def settings() -> Any:
        return transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32
        )

    assert_scores_as_hf_does(quantised(tmp_path, "bitsandbytes", settings), TOKENIZER)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of packages that are newer than their callers
def test_int8_of_bitsandbytes_is_refused_by_name(tmp_path: Path) -> None:
    """The columns it computes in full are chosen over a whole call: 0.05 nats and more apart."""

    def settings() -> Any:
        return transformers.BitsAndBytesConfig(load_in_8bit=True)

    model = quantised(tmp_path, "bitsandbytes", settings)
    del model.config.quantization_config  # which is refused as well
    assert unsupported_reason(model) == "bitsandbytes' int8 chooses columns by all rows of a call"


@pytest.mark.filterwarnings("ignore")  # of packages that are newer than their callers
def test_int8_of_torchao(tmp_path: Path) -> None:
    def settings() -> Any:
        from torchao.quantization import Int8WeightOnlyConfig

        return transformers.TorchAoConfig(Int8WeightOnlyConfig())

    assert_scores_as_hf_does(quantised(tmp_path, "torchao", settings), TOKENIZER)


WEIGHTS = {"type": "int", "symmetric": True}
GROUPS: dict[str, tuple[dict[str, Any], str | None]] = {
    "w4a16": (
        {"weights": {**WEIGHTS, "num_bits": 4, "strategy": "group", "group_size": 32}},
        None,
    ),
    "w8a16": ({"weights": {**WEIGHTS, "num_bits": 8, "strategy": "channel"}}, None),
    "w8a8": (
        {
            "weights": {**WEIGHTS, "num_bits": 8, "strategy": "channel"},
            "input_activations": {**WEIGHTS, "num_bits": 8, "strategy": "token", "dynamic": True},
        },
        ROUNDED,
    ),
}
"""What a group of layers of compressed-tensors rounds, and why the engine does not serve it."""


@pytest.mark.filterwarnings("ignore")  # of packages that are newer than their callers
@pytest.mark.parametrize("name", GROUPS)
def test_a_checkpoint_of_compressed_tensors(name: str, tmp_path: Path) -> None:
    """Weights are packed, saved, and loaded as those that llm-compressor releases."""
    reason = "compressed-tensors is not installed: only its name is tested"
    quantization = pytest.importorskip("compressed_tensors.quantization", reason=reason)
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization.utils import calculate_qparams

    group, refused = GROUPS[name]
    model = wide(hidden_size=64, intermediate_size=64)
    config = quantization.QuantizationConfig(
        config_groups={"group_0": {"targets": ["Linear"], **group}}, ignore=["lm_head"]
    )
    quantization.apply_quantization_config(model, config)
    rounded = 0
    for module in model.modules():
        if getattr(module, "weight_scale", None) is not None:
            rows = module.weight.detach().reshape(*module.weight_scale.shape, -1)
            scale, _ = calculate_qparams(
                rows.amin(-1), rows.amax(-1), module.quantization_scheme.weights
            )
            module.weight_scale.data.copy_(scale)
            rounded += 1
    assert rounded == 14
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    model.save_pretrained(tmp_path)
    compressor.update_config(str(tmp_path))
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    if refused is None:
        assert_scores_as_hf_does(loaded, TOKENIZER)
    else:
        assert refused in str(unsupported_reason(loaded))
