"""If a model computes differently beyond some length, only shorter inputs are served."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers.configuration_utils import PretrainedConfig

from .forward import base_model

__all__ = ["CHUNKED", "LengthLimit", "length_limit"]

_MOVING_ROPE = {"dynamic", "longrope", "su"}
_OF_TRANSFORMERS = {"dynamic", "longrope"}
"""Those that stand still while inputs are shorter than a length that the configuration states."""

_ORIGINAL = "original_max_position_embeddings"

CHUNKED = "its attention works in chunks of positions"
"""Why inputs beyond the first chunk are not served, and none by attention over a tree."""


@dataclass(frozen=True)
class LengthLimit:
    """The longest inputs that the engine serves.

    Attributes
    ----------
    tokens : int
        Most tokens of an input.
    reason : str
        Why no more, as for `unsupported_reason`.

    """

    tokens: int
    reason: str


def length_limit(model: nn.Module) -> LengthLimit | None:
    """Return the longest inputs that the engine serves, None where no input is too long.

    Up to the length that a dynamic or long rotary embedding begins to move at, it is the same for
    all inputs, whatever they are computed with. Up to the first chunk of positions, or as many
    tokens as an index chooses, attention is to all earlier tokens. The few tokens that a model is
    tried with cannot tell what becomes of it beyond.
    """
    base = base_model(model)
    text = base.config.get_text_config(decoder=True)
    limits = [_rope_limit(base, text), _chunk_limit(text), _index_limit(text)]
    return min(
        (limit for limit in limits if limit is not None),
        key=lambda limit: limit.tokens,
        default=None,
    )


def _rope_limit(base: Any, text: PretrainedConfig) -> LengthLimit | None:
    kinds = sorted(_MOVING_ROPE & {kind for kind, _ in _ropes(text)})
    if not kinds:
        return None
    stated = [getattr(text, name, None) for name in ("max_position_embeddings", _ORIGINAL)]
    stated += [entry.get(_ORIGINAL) for kind, entry in _ropes(text) if kind in _MOVING_ROPE]
    # a dynamic one that has grown shrinks again at the first input that is shorter than the length
    tokens = min((length for length in stated if length), default=1) - 1
    own_code = not type(base).__module__.startswith("transformers.")
    if own_code or not _OF_TRANSFORMERS.issuperset(kinds):
        tokens = 0
    reason = f"its rotary embedding depends on the length of the input ({', '.join(kinds)})"
    return LengthLimit(tokens, reason)


def _chunk_limit(text: PretrainedConfig) -> LengthLimit | None:
    sizes = [getattr(text, name, None) for name in ("attention_chunk_size", "floor_scale")]
    if sizes[0] is None:
        return None
    # from the position floor_scale - 1 on, Llama 4 scales its queries
    return LengthLimit(min(size for size in sizes if size) - 1, CHUNKED)


def _index_limit(text: PretrainedConfig) -> LengthLimit | None:
    blocks, size = (getattr(text, name, None) for name in ("index_topk_blocks", "index_block_size"))
    chosen = [getattr(text, name, None) for name in ("index_topk", "indexer_budget")]
    chosen += [blocks * size] if blocks and size else []
    known = [tokens for tokens in chosen if tokens]
    return LengthLimit(min(known), "its attention chooses tokens by an index") if known else None


def _ropes(text: PretrainedConfig) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield kind and settings of each rotary embedding: of all layers, or of a type of layer."""
    for name in ("rope_parameters", "rope_scaling"):
        settings = getattr(text, name, None)
        if not isinstance(settings, dict):
            continue
        nested = [value for value in settings.values() if isinstance(value, dict)]
        for entry in [settings, *nested]:
            kind = entry.get("rope_type", entry.get("type"))
            if isinstance(kind, str):
                yield kind, entry
