#!/usr/bin/env bash
# transformers: a short prompt of MiniMax-01 in a batch gets another text than alone.
#
# MiniMaxCache counts the tokens that it holds by its first layer. Where that layer is lightning
# attention, as in the released configuration, it holds no keys, so the count stays 0. The mask of
# each step of generation then has one column, of the first place of each row, which holds for all
# keys: a prompt padded on the left sees none of them. Where the first layer is attention, the texts
# are the same.
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
import torch
import transformers
from transformers import MiniMaxConfig, MiniMaxForCausalLM

transformers.logging.set_verbosity_error()
print(f"transformers {transformers.__version__}, torch {torch.__version__}")


def texts_of_the_short_prompt(layers):
    """Return the 12 greedy tokens of a prompt alone, and beside one twice as long."""
    torch.manual_seed(0)
    config = MiniMaxConfig(
        vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, num_local_experts=2,
        num_experts_per_tok=1, layer_types=layers, initializer_range=0.5,
        pad_token_id=0, bos_token_id=1, eos_token_id=None,
    )
    model = MiniMaxForCausalLM(config).eval()
    long, short = torch.randint(2, 64, (1, 20)), torch.randint(2, 64, (1, 10))
    padding = torch.zeros(1, 10, dtype=torch.long)
    both = torch.cat([long, torch.cat([padding, short], 1)])
    mask = (both != 0).long()
    settings = {"max_new_tokens": 12, "do_sample": False}
    alone = model.generate(short, attention_mask=torch.ones_like(short), **settings)[0, 10:]
    beside = model.generate(both, attention_mask=mask, **settings)[1, 20:]
    return alone.tolist(), beside.tolist()


same = {}
for first, second in (("linear_attention", "full_attention"), ("full_attention", "linear_attention")):
    alone, beside = texts_of_the_short_prompt([first, second] * 2)
    same[first] = alone == beside
    print(f"first layer {first}:\n  alone         {alone}\n  in a batch    {beside}")
raise SystemExit(0 if same == {"linear_attention": False, "full_attention": True} else 1)
PY
venv/bin/python show.py
