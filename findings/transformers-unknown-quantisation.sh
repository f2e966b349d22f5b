#!/usr/bin/env bash
# transformers: weights quantised by a method that it does not know are loaded without their scales.
#
# NVIDIA's ModelOpt releases checkpoints of eight-bit weights, each layer with a scale by which they
# are multiplied, and states its name in config.json. transformers does not know the method: it
# warns, takes the rounded numbers for the weights, drops the scales, and returns a model whose
# weights are thousands of times too large. Where config.json states nothing (the older releases
# have the method in hf_quant_config.json alone), only the list of unused weights is left to see.
#
# Leaves with 0 while that is so, and with 1 when it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --retries 0 \
    --extra-index-url https://download.pytorch.org/whl/cpu "torch==2.13.0+cpu" || exit 3
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "transformers==5.24.0" || exit 3
cd "$folder"
export HF_HUB_OFFLINE=1

cat > show.py <<'PY'
from importlib.metadata import version

import torch
import transformers
from safetensors.torch import save_file

torch.manual_seed(0)
config = transformers.LlamaConfig(
    vocab_size=300, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
    num_attention_heads=4,
)
model = transformers.LlamaForCausalLM(config).eval()
tensors = {}
for name, weight in model.state_dict().items():
    tensors[name] = weight.bfloat16()
    if name.endswith("_proj.weight"):
        scale = weight.abs().max() / 448  # the largest number of float8_e4m3fn
        tensors[name] = (weight / scale).to(torch.float8_e4m3fn)
        tensors[f"{name}_scale"] = scale
save_file(tensors, "model.safetensors", {"format": "pt"})
print(f"transformers {version('transformers')}, torch {torch.__version__}")
tokens = torch.arange(1, 30)[None]
as_seen = True
for stated in ({"quant_method": "modelopt", "quant_algo": "FP8"}, None):
    if stated is None:
        del model.config.quantization_config
    else:
        model.config.quantization_config = stated
    model.config.save_pretrained(".")
    loaded = transformers.AutoModelForCausalLM.from_pretrained(".", dtype=torch.float32).eval()
    with torch.no_grad():
        difference = (loaded(tokens).logits.log_softmax(-1) - model(tokens).logits.log_softmax(-1))
    up, wanted = (m.model.layers[0].mlp.up_proj.weight.abs().max() for m in (loaded, model))
    print(f"  config.json states {stated}: weights {float(up / wanted):,.0f} times too large, "
          f"log-probabilities up to {float(difference.abs().max()):.2f} nats off")
    as_seen &= bool(up > 100 * wanted)
raise SystemExit(0 if as_seen else "changed: the scales are used, or loading is refused")
PY
"$folder/venv/bin/python" show.py
