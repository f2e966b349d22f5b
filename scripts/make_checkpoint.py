"""Build a tiny causal language model with a tokenizer of its own, offline, in seconds.

    python scripts/make_checkpoint.py FOLDER [--seed N] [--train-steps N]

The model is a Llama of a few hundred thousand parameters, its byte-level BPE tokenizer is trained
on the items that come with capspace, and the weights are safetensors.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

__all__ = ["make_checkpoint"]

END = "<|endoftext|>"
_TEXT = Path(__file__).resolve().parent.parent / "tasks" / "data" / "hub"
_READ = ("Muennighoff", "Rowan", "allenai", "cais", "openai", "truthfulqa")  # of the smoke panel


def make_checkpoint(
    folder: Path,
    *,
    seed: int = 0,
    vocabulary: int = 1000,
    hidden: int = 96,
    layers: int = 2,
    train_steps: int = 0,
    texts: Sequence[str] | None = None,
) -> Path:
    """Write a checkpoint into a folder and return the folder.

    Parameters
    ----------
    folder : Path
        Where to write; created if it is not there.
    seed : int
        Seed of the weights and of training.
    vocabulary, hidden, layers : int
        Size of the tokenizer's vocabulary, width and depth of the model.
    train_steps : int
        Steps of AdamW on the texts (16 windows of 128 tokens each); 0 leaves the weights random.
    texts : sequence of str, optional
        What tokenizer and model learn from; by default the items of the smoke panel.

    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    corpus = list(texts) if texts is not None else _package_texts()
    tokenizer = _tokenizer(corpus, vocabulary)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
        dtype="float32",
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        _train(model, tokenizer, corpus, train_steps)
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    return folder


def _package_texts() -> list[str]:
    items = sorted(path for name in _READ for path in (_TEXT / name).rglob("*.jsonl"))
    sources = [*items, Path(__file__)]
    return [path.read_text(encoding="utf-8") for path in sources]


def _tokenizer(corpus: Sequence[str], vocabulary: int) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=END,
        eos_token=END,
        pad_token=END,
        model_max_length=2048,
    )


def _train(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, corpus: Sequence[str], steps: int
) -> None:
    import torch

    if steps == 0:
        return
    tokens = torch.tensor(tokenizer("\n".join(corpus))["input_ids"])
    window = 128
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.train()
    for _ in range(steps):
        starts = torch.randint(0, max(1, len(tokens) - window), (16,)).tolist()
        batch = torch.stack([tokens[s : s + window] for s in starts])
        loss = model(input_ids=batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()


def main() -> None:
    """Build the checkpoint that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train-steps", type=int, default=0)
    arguments = parser.parse_args()
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = make_checkpoint(
        arguments.folder, seed=arguments.seed, train_steps=arguments.train_steps
    )
    size = sum(p.stat().st_size for p in folder.glob("*.safetensors"))
    print(f"{folder}: a checkpoint of {size / 4e6:.2f} million parameters")


if __name__ == "__main__":
    main()
