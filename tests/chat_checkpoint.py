"""A tiny chat checkpoint that thinks: its next token is a function of the last alone.

A chain of such tokens is a response that is known beforehand. Where it begins is told by the last
character of the rendered prompt, which depends on the length of the user's message.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

END = "<|endoftext|>"
DELIMITER = "</think>"
TURN = "<|im_end|>"

# The template echoes how long the message is, modulo 3, as the last character of the prompt.
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
    "{% if effort is defined %}{{ effort }}{% endif %}"
    "{{ ['<0>', '<1>', '<2>'][messages[-1]['content']|length % 3] }}{% endif %}"
)
WORDS = ["<0>", "<1>", "<2>", "Let me see. ", "Question: why? ", "Problem: so? ", "Hmm. "]
ANSWER = ["The answer is ", "(B)", " Question: more"]
CHAINS = [
    ["<0>", "Let me see. ", DELIMITER, *ANSWER, TURN],
    ["<1>", "Question: why? ", "Problem: so? ", DELIMITER],
    ["<2>", "Hmm. ", "Hmm. "],  # no end, whatever the budget
]
TEXT = "The answer is (B) Question: more"
"""What every finished response says behind its thought."""


def make_chat_checkpoint(
    folder: Path,
    *,
    special: bool = True,
    ends_turns: bool = False,
    template: str = TEMPLATE,
    corpus: Sequence[Path] = (),
    drawn: Sequence[str] = (),
) -> Path:
    """Write the checkpoint into a folder and return the folder.

    Parameters
    ----------
    folder : Path
        Where to write.
    special : bool
        Whether the delimiter is a special token, which a text is decoded without.
    ends_turns : bool
        Whether its own settings end a text where the template ends a turn, as those of checkpoints
        that are served do; else only its tokenizer does.
    template : str
        Its chat template.
    corpus : sequence of Path
        Files whose words become tokens, each with a probability of its own everywhere; without
        them a token is a byte, and long prompts take long.
    drawn : sequence of str
        What follows ``The answer is `` as probably as the rest of `ANSWER` does; its own settings
        say to sample, then.

    """
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    if corpus:
        trainer = trainers.BpeTrainer(
            vocab_size=1500, initial_alphabet=alphabet, show_progress=False
        )
        texts = (path.read_text().replace("\\n", "\n") for path in corpus)
        bpe.train_from_iterator(texts, trainer)
    own = [AddedToken(w, special=False, normalized=False) for w in [*WORDS, *ANSWER, *drawn]]
    own.append(AddedToken(DELIMITER, special=special, normalized=False))
    marks = [AddedToken(w, special=True, normalized=False) for w in (END, TURN, "<|im_start|>")]
    bpe.add_tokens(own)
    bpe.add_special_tokens([*marks, *([own[-1]] if special else [])])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=END,
        eos_token=TURN,
        pad_token=END,
        model_max_length=4096,
        chat_template=template,
    )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=tokenizer.bos_token_id,
        # By default another than the tokenizer's, as in many releases.
        eos_token_id=tokenizer.eos_token_id if ends_turns else tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
        dtype="float32",
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
        rows = torch.sign(torch.randn(len(tokenizer), 128))
        head = torch.randn(len(tokenizer), 128) / 10 * bool(corpus)
        for chain in [*CHAINS, *([ANSWER[0], word, TURN] for word in drawn)]:
            ids = [tokenizer.convert_tokens_to_ids(word) for word in chain]
            for before, after in pairwise(ids):
                head[after] += rows[before]
        with torch.no_grad():
            model.model.embed_tokens.weight.copy_(rows)
            model.lm_head.weight.copy_(head)
            for layer in model.model.layers:  # which add nothing
                layer.self_attn.o_proj.weight.zero_()
                layer.mlp.down_proj.weight.zero_()
        model.generation_config.do_sample = bool(drawn)
        model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    return folder
