"""Each distinct string is encoded once, in batches."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lm_eval.models.utils import has_bos_prefix

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM

__all__ = ["encode_pairs", "encode_unique", "without_tokens"]

_BATCH = 1024
_SHORT = reprlib.Repr()
_SHORT.maxstring = 40


def encode_unique(
    lm: HFLM,
    strings: Iterable[str],
    *,
    prefix: str | None,
    add_special_tokens: bool | None = None,
    truncation: bool = False,
) -> dict[str, list[int]]:
    """Return what ``lm.tok_encode`` returns for each distinct string.

    Parameters
    ----------
    lm : HFLM
        Its tokenizer and its ``add_bos_token`` decide.
    strings : iterable of str
        May repeat.
    prefix : str, optional
        Text of a beginning-of-sequence token.
    add_special_tokens : bool, optional
        As in ``lm.tok_encode``: None leaves it to ``add_bos_token``, then to the tokenizer, except
        that a string that already starts with ``prefix`` gets no special tokens.
    truncation : bool
        Let the tokenizer cut to its own longest length.

    """
    default = lm.add_bos_token if add_special_tokens is None else add_special_tokens
    encoded: dict[str, list[int]] = {}
    bare: list[str] = []
    usual: list[str] = []
    for string in dict.fromkeys(strings):
        has_prefix = add_special_tokens is None and has_bos_prefix(string, prefix)
        (bare if has_prefix else usual).append(string)
    for group, special in ((bare, False), (usual, default)):
        settings = {} if special is None else {"add_special_tokens": special}
        for i in range(0, len(group), _BATCH):
            batch = group[i : i + _BATCH]
            ids = lm.tokenizer(
                batch, truncation=truncation, return_attention_mask=False, **settings
            )["input_ids"]
            encoded.update(zip(batch, ids, strict=True))
    return encoded


def encode_pairs(lm: HFLM, pairs: Sequence[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
    """Return the context and continuation tokens of each pair, as lm-eval splits them.

    Notes
    -----
    Spaces that end a context belong to the continuation; the continuation is what the whole text
    has beyond the number of tokens of the context. An empty context is the prefix token, or the
    continuation's own first token where that is the prefix token.

    """
    prefix = None if lm.prefix_token_id is None else lm.tokenizer.decode(lm.prefix_token_id)
    moved = [_move_spaces(context, continuation) for context, continuation in pairs]
    given = [bool(context) for context, _ in pairs]
    whole = encode_unique(
        lm,
        (
            text
            for (context, continuation), has_context in zip(moved, given, strict=True)
            if has_context
            for text in (context, context + continuation)
        ),
        prefix=prefix,
    )
    alone = encode_unique(
        lm,
        (pair[1] for pair, has_context in zip(moved, given, strict=True) if not has_context),
        prefix=None,
        add_special_tokens=False,
    )
    encoded = []
    for (context, continuation), has_context in zip(moved, given, strict=True):
        if has_context:
            ids = whole[context]
            encoded.append((ids, whole[context + continuation][len(ids) :]))
        else:
            if lm.prefix_token_id is None:
                raise ValueError("no BOS or EOS token to begin a text without context")
            ids = alone[continuation]
            starts = ids[:1] == [lm.prefix_token_id]
            encoded.append((ids[:1], ids[1:]) if starts else ([lm.prefix_token_id], ids))
    return encoded


def without_tokens(context: str, continuation: str, *, is_context: bool) -> str:
    """Return why a request cannot be scored, with the task's text."""
    end = _SHORT.repr(context[-_SHORT.maxstring :])
    if is_context:
        return f"the prompt {end} has no token for this tokenizer: nothing begins the text to score"
    if not continuation:
        return f"the continuation of the prompt that ends in {end} is empty: nothing can be scored"
    return (
        f"the continuation {_SHORT.repr(continuation)} has no token of its own: the tokenizer "
        f"merges it into the prompt that ends in {end}, so that nothing of it can be scored"
    )


def _move_spaces(context: str, continuation: str) -> tuple[str, str]:
    stripped = context.rstrip()
    return stripped, context[len(stripped) :] + continuation
