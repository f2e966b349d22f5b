#!/usr/bin/env bash
# lm-eval: a thought whose end is a special token is graded as if it were the answer.
#
# `hf` takes think_end_token as text or as an id. Given as text, it is looked for in the decoded
# response, from which special tokens are gone: where </think> is a special token of the tokenizer,
# as in several released models, it is never found, nothing is cut, and no line says so.
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
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
WORDS = ["<s>", "</s>", "</think>", "thinking", "hard", "answer", "B"]
REPLY = ["thinking", "hard", "</think>", "answer", "B", "</s>"]


class Reciting(transformers.LlamaForCausalLM):
    """A model that gives one reply, whatever the prompt."""

    def generate(self, input_ids, **_):
        reply = torch.tensor([[WORDS.index(word) for word in REPLY]])
        return torch.cat([input_ids, reply.expand(len(input_ids), -1)], dim=1)


config = transformers.LlamaConfig(
    vocab_size=len(WORDS), hidden_size=8, intermediate_size=8, num_hidden_layers=1,
    num_attention_heads=1, bos_token_id=0, eos_token_id=1,
)


def graded(special, end):
    plain = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<s>"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    plain.add_tokens([AddedToken("</think>", special=special)])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, bos_token="<s>", eos_token="</s>", pad_token="</s>",
        **({"additional_special_tokens": ["</think>"]} if special else {}),
    )
    lm = HFLM(Reciting(config).eval(), tokenizer=tokenizer, batch_size=1, max_length=64,
              think_end_token=end)
    request = Instance("generate_until", {}, ("hard", {"until": ["</s>"], "max_gen_toks": 6}), 0,
                       ("t", 0, 1))
    return lm.generate_until([request], disable_tqdm=True)[0].strip()


print(f"lm-eval {version('lm_eval')}, transformers {version('transformers')}; what is graded:")
seen = {}
for special in (False, True):
    for end in ("</think>", WORDS.index("</think>")):
        seen[special, end] = graded(special, end)
        kind = "a special token" if special else "an ordinary token"
        print(f"  </think> is {kind}, think_end_token={end!r}: {seen[special, end]!r}")
expected = {(False, "</think>"): "answer B", (False, 2): "answer B",
            (True, "</think>"): "thinking hard answer B", (True, 2): "answer B"}
raise SystemExit(0 if seen == expected else "changed: see above")
PY
"$folder/venv/bin/python" show.py
