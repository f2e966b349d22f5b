"""A budget limits how many tokens, logit rows and generations one forward pass may hold."""

from __future__ import annotations

import torch
from transformers.configuration_utils import PretrainedConfig

from .scoring import Budget

__all__ = ["free_memory", "generation_rows", "scoring_budget", "state_budget"]

_ON_CPU = Budget(tokens=384, rows=96)
"""About as fast as passes four times as large; the memory of one text at a time."""
_CPU_GENERATIONS = 8, 32  # of long texts, of short ones
_CPU_GENERATED_TOKENS = 16384  # what hf takes for half as many, at its best batch
_CPU_STATE_BYTES = 2**28
"""Five rows of Qwen3.5's states as transformers sets it, 48 MiB each. A scan takes as much again
and more, so that a pass takes about what hf does for 16 texts of 12 MiB each."""
_MAX_TOKENS = 16384
_MAX_ROWS = 256
_HEAD_WIDTHS = "head_dim", "qk_head_dim", "v_head_dim"  # the latter two of latent attention
_STATE_COLUMNS = 5  # of RWKV, which does not state them


def free_memory(device: torch.device) -> int | None:
    """Return the bytes free on a CUDA device; None elsewhere, where memory is not what limits."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else None


def state_budget(free: int | None) -> int:
    """Return the bytes that the states of a pass may take, of ``free`` bytes (None: on a CPU)."""
    return _CPU_STATE_BYTES if free is None else max(1, free // 5)


def scoring_budget(
    config: PretrainedConfig, dtype: torch.dtype, max_length: int, free: int | None
) -> Budget:
    """Return the largest budget that fits comfortably.

    Parameters
    ----------
    config : PretrainedConfig
        Gives hidden, intermediate and vocabulary size.
    dtype : torch.dtype
        Precision of the activations.
    max_length : int
        Longest input in tokens: the keys of that many ancestors come on top.
    free : int, optional
        Bytes of memory; None on a CPU, where larger passes gain nothing.

    Notes
    -----
    On an accelerator a token costs about ``12 h + 4 m`` activations (hidden size h, intermediate
    size m) and its row of the attention mask, which is as wide as the ancestors and the pass; a
    fifth of the free memory goes to each of activations, mask and logits.

    """
    text = config.get_text_config(decoder=True)
    if free is None:
        return _ON_CPU
    share = free // 5
    row_bytes = 3 * 4 * int(text.vocab_size)
    hidden = int(text.hidden_size)
    inner = _largest(text, "intermediate_size") or 4 * hidden
    by_activations = share // ((12 * hidden + 4 * inner) * dtype.itemsize)
    mask_cells = share // (1 + dtype.itemsize)
    by_mask = int(((max_length / 2) ** 2 + mask_cells) ** 0.5 - max_length / 2)
    tokens = max(1, min(by_activations, by_mask, _MAX_TOKENS))
    return Budget(tokens=tokens, rows=max(1, min(tokens, share // row_bytes)))


def generation_rows(
    config: PretrainedConfig,
    dtype: torch.dtype,
    longest: int,
    free: int | None,
    *,
    own: int | None = None,
) -> int:
    """Return how many generations may run at once.

    Parameters
    ----------
    config : PretrainedConfig
        Gives the size of keys and values.
    dtype : torch.dtype
        Precision of keys and values.
    longest : int
        Tokens of the longest prompt with its continuation.
    free : int, optional
        Bytes of memory; None on a CPU.
    own : int, optional
        Most tokens of a generation that are stored for it alone, those it shares with others left
        out; ``longest`` if None.

    Notes
    -----
    On a CPU, where many at once gain little, memory is what a few long texts take. On an
    accelerator two fifths of the free memory may hold keys and values, each generation
    counted at full length with nothing shared. Every layer counts as its widest does. The state of
    a model without attention heads is as large at any length: it counts as keys and values of the
    model's full width, four tokens per column, for it is twice as wide and often in fp32.

    """
    if free is None:
        fewest, most = _CPU_GENERATIONS
        return min(most, max(fewest, _CPU_GENERATED_TOKENS // (own or longest)))
    text = config.get_text_config(decoder=True)
    hidden = int(text.hidden_size)
    heads = _largest(text, "num_attention_heads")
    if heads is None:
        kv_width = hidden
        longest = 4 * (_largest(text, "state_size") or _STATE_COLUMNS)
    else:
        stated = [_largest(text, name) for name in _HEAD_WIDTHS]
        width = max(filter(None, stated), default=hidden // heads)
        kv_width = (_largest(text, "num_key_value_heads") or heads) * width
    row_bytes = 2 * int(text.num_hidden_layers) * kv_width * dtype.itemsize * longest
    return max(1, min(_MAX_ROWS, free * 2 // 5 // row_bytes))


def _largest(config: PretrainedConfig, name: str) -> int | None:
    """Return the size of this name, the largest of all layers; None where none is stated."""
    try:
        given = getattr(config, name, None)
    except RuntimeError:  # transformers' own, where layers differ
        n = int(config.num_hidden_layers)
        given = [getattr(config.per_layer_config[i], name, None) for i in range(n)]
    sizes = given if isinstance(given, list | tuple) else [given]
    return max((int(size) for size in sizes if size), default=None)
