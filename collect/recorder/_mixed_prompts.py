"""lm-eval's ``hf`` encodes some prompts differently, depending on the first prompt of their batch.

To generate texts, lm-eval 0.4.13 encodes a batch at once: without special tokens if its first
prompt begins with the text of the beginning-of-sequence token, and with them if not. Where a batch
holds both kinds, one of them gets a token too many or too few. The engine encodes each by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["mixed_prompts"]


def mixed_prompts(lm: Any, prompts: Sequence[str]) -> str | None:
    """Return what to know of texts that were generated from these prompts; mostly nothing.

    Parameters
    ----------
    lm : object
        The lm-eval model that generates.
    prompts : sequence of str
        All prompts of a call, which the model puts into batches.

    Returns
    -------
    str or None
        A sentence, where prompts of both kinds meet in batches of lm-eval's ``hf``.

    """
    from lm_eval.models.huggingface import HFLM

    if not isinstance(lm, HFLM) or lm.backend != "causal" or lm.batch_size == 1:
        return None
    is_engine = hasattr(lm, "unserved")
    if is_engine and lm.unsupported_reason is None and lm.unsupported_generation is None:
        return None
    bos = getattr(lm.tokenizer, "bos_token", None)
    n_begun = sum(prompt.startswith(bos) for prompt in prompts) if bos else 0
    if not 0 < n_begun < len(prompts) or not _adds_tokens(lm):
        return None
    return (
        f"{n_begun:,} of {len(prompts):,} prompts begin with {bos}: lm-eval's hf encodes all of a "
        f"batch as its first, so that some get one {bos} too many or too few, and texts depend on "
        "the batch size; --batch-size 1 encodes each by itself"
    )


def _adds_tokens(lm: Any) -> bool:
    """Return whether a prompt of the usual kind gets special tokens at all."""
    settings = {} if lm.add_bos_token is None else {"add_special_tokens": lm.add_bos_token}
    usual, bare = lm.tokenizer("a", **settings), lm.tokenizer("a", add_special_tokens=False)
    return bool(usual["input_ids"] != bare["input_ids"])
