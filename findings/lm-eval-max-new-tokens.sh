#!/usr/bin/env bash
# lm-eval with transformers: a checkpoint's max_new_tokens beats the task's max_gen_toks.
#
# lm-eval's class `hf` passes the length of a response as max_length. Where the checkpoint's own
# generation_config.json has max_new_tokens, transformers prefers that: the responses of a task that
# asks for 20 tokens have 3 or 40, and the only sign is a warning among others.
#
# Leaves with 0 while that is so, and with 1 when it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --retries 0 \
    --extra-index-url https://download.pytorch.org/whl/cpu "torch==2.13.0+cpu" || exit 3
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    "lm-eval[hf]==0.4.13" "transformers==5.24.0" || exit 3
cd "$folder"
export HF_HUB_OFFLINE=1

cat > show.py <<'PY'
import logging
import warnings
from importlib.metadata import version

import torch
import transformers
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer, models, pre_tokenizers

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
words = ["<s>", "</s>", *(f"w{i}" for i in range(98))]
plain = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<s>"))
plain.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = transformers.PreTrainedTokenizerFast(
    tokenizer_object=plain, bos_token="<s>", eos_token="</s>", pad_token="</s>"
)
torch.manual_seed(0)
model = transformers.LlamaForCausalLM(
    transformers.LlamaConfig(
        vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, bos_token_id=0, eos_token_id=1,
    )
).eval()


def tokens_generated(own):
    model.generation_config.max_new_tokens = own
    model.generation_config.suppress_tokens = [0, 1]  # so that every token is a word
    lm = HFLM(model, tokenizer=tokenizer, batch_size=1, max_length=128)
    asked = {"until": [], "max_gen_toks": 20, "do_sample": False}
    request = Instance("generate_until", {}, ("w1 w2 w3", asked), 0, ("t", 0, 1))
    (text,) = lm.generate_until([request], disable_tqdm=True)
    return len(text.split())


print(f"lm-eval {version('lm_eval')}, transformers {version('transformers')}")
lengths = {own: tokens_generated(own) for own in (None, 3, 40)}
for own, length in lengths.items():
    print(f"  max_gen_toks 20, the checkpoint's own max_new_tokens {own}: {length} tokens")
as_seen = lengths == {None: 20, 3: 3, 40: 40}
raise SystemExit(0 if as_seen else "changed: the task's length is taken")
PY
"$folder/venv/bin/python" show.py
