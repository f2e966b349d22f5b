"""An adapter is applied whole, to the vocabulary that its base model has."""

import json
import warnings
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

pytest.importorskip("lm_eval", reason="models are loaded by the collect extra")
pytest.importorskip("peft", reason="adapters are loaded by the collect extra")

from lm_eval.api.instance import Instance

from capspace.collect.errors import CheckpointError

pytestmark = pytest.mark.filterwarnings("ignore")  # of lm-eval and its libraries

PADDING = 64


@pytest.fixture(scope="module")
def base(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint with rows in its embedding that no token has, as most models have."""
    from safetensors.torch import load_file, save_file
    from torch.nn.functional import pad

    folder = copytree(tiny_checkpoint, tmp_path_factory.mktemp("adapter") / "base")
    config = json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    name = "model.embed_tokens.weight"
    weights[name] = pad(weights[name], (0, 0, 0, PADDING), value=0.5)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config["vocab_size"] += PADDING
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def adapt(base: Path, out: Path, *, resized_to: int | None = None, **settings: Any) -> Path:
    """Save an adapter on a base model, trained after its vocabulary was resized if asked."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    if resized_to is not None:
        model.resize_token_embeddings(resized_to)
    torch.manual_seed(0)
    tuned = get_peft_model(
        model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, **settings)
    )
    tuned.save_pretrained(out, save_embedding_layers=False)
    return out


@pytest.fixture(scope="module")
def adapter(base: Path) -> Path:
    return adapt(base, base.parent / "lora")


def load(base: Path, adapter: Path) -> Any:
    from lm_eval.models.huggingface import HFLM

    from capspace.collect.checkpoints.checked_model import LoadRules, checked

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return checked(HFLM, LoadRules(name="base"))(
            pretrained=str(base), peft=str(adapter), device="cpu", dtype="float32"
        )


def test_an_adapter_leaves_a_padded_vocabulary_whole(base: Path, adapter: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    lm = load(base, adapter)
    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).eval()
    context, continuation = lm._encode_pair("The cat sat", " on the mat")
    with torch.no_grad():
        logits = plain(torch.tensor([context + continuation])).logits[0, len(context) - 1 : -1]
    right = logits.log_softmax(-1).gather(-1, torch.tensor(continuation)[:, None]).sum().item()
    request = Instance("loglikelihood", {}, ("The cat sat", " on the mat"), 0)
    assert lm.loglikelihood([request])[0][0] == pytest.approx(right, rel=1e-5)
    rows = lm.model.get_input_embeddings().num_embeddings
    assert lm.identity_settings == {"vocabulary": "whole"}
    (note,) = lm.notes
    assert f"all {rows:,} rows of the vocabulary are used" in note
    assert f"resize it to the tokenizer's {rows - PADDING:,}" in note


def test_an_adapter_that_was_trained_with_another_vocabulary_gets_it(base: Path) -> None:
    n_tokens = json.loads((base / "config.json").read_text())["vocab_size"] - PADDING
    out = base.parent / "resized"
    adapt(base, out, resized_to=n_tokens, modules_to_save=["embed_tokens"])
    lm = load(base, out)
    assert lm.model.config.vocab_size == n_tokens
    assert lm.identity_settings == {}


def test_an_adapter_that_lacks_weights_is_not_loaded(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = copytree(adapter, tmp_path / "partial")
    weights = load_file(folder / "adapter_model.safetensors")
    first = min(weights)
    save_file(
        {n: w for n, w in weights.items() if n != first}, folder / "adapter_model.safetensors"
    )
    with pytest.raises(CheckpointError, match=r"base: 1 weight .*q_proj\.lora_A.* at random"):
        load(base, folder)
