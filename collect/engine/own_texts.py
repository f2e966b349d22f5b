"""The engine's texts are compared with those of the model's own generation."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, cast

import numpy as np
import torch
import transformers.cache_utils as cache_utils
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from .forward import Autocast, UnsupportedForwardError, base_model, first_line

__all__ = ["generated_logprobs", "window_fault"]

_OTHER_CHOICES = "its generate does not choose each token by the scores of the one before"


class _Given(LogitsProcessor):
    """Leaves one token of each row to choose, the next of those given, and records its score."""

    def __init__(self, tokens: Tensor) -> None:
        self._tokens = tokens
        self.logprobs: list[Tensor] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        column = len(self.logprobs)
        if scores.shape[0] != len(self._tokens) or column == self._tokens.shape[1]:
            raise UnsupportedForwardError(_OTHER_CHOICES)
        token = self._tokens[:, column : column + 1]
        self.logprobs.append(scores.float().log_softmax(-1).gather(1, token))
        only = torch.full_like(scores, -torch.inf).scatter_(1, token, 0.0)
        return cast(torch.FloatTensor, only)


def generated_logprobs(
    model: nn.Module,
    prompts: list[list[int]],
    tokens: list[list[int]],
    autocast: Autocast = nullcontext,
) -> NDArray[np.float64]:
    """Return what a model's own ``generate`` gives to tokens after prompts of equal length.

    The scores are those that greedy decoding chooses by: behind whatever the class itself makes
    of the logits.

    Returns
    -------
    array of shape (n_prompts * n_tokens,)
        Log-probabilities in nats, one prompt after the other.

    Raises
    ------
    UnsupportedForwardError
        ``generate`` fails, or writes other tokens than the only ones that are left to choose.

    """
    base = base_model(model)
    device = next(model.parameters()).device
    rows, wanted = torch.tensor(prompts, device=device), torch.tensor(tokens, device=device)
    given = _Given(wanted)
    settings = base.generation_config
    # the checkpoint's own may end texts or penalise tokens
    base.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    try:
        with torch.no_grad(), autocast():
            texts = base.generate(
                rows,
                attention_mask=torch.ones_like(rows),
                max_new_tokens=wanted.shape[1],
                do_sample=False,
                logits_processor=LogitsProcessorList([given]),
            )
    except UnsupportedForwardError:
        raise
    except Exception as error:  # a stranger's code may raise anything
        raise UnsupportedForwardError(f"its generate fails ({first_line(error)})") from error
    finally:
        base.generation_config = settings
    is_whole = len(given.logprobs) == wanted.shape[1] and isinstance(texts, Tensor)
    if not is_whole or not torch.equal(texts, torch.cat([rows, wanted], dim=1)):
        raise UnsupportedForwardError(_OTHER_CHOICES)
    return torch.cat(given.logprobs, dim=1).double().cpu().numpy().ravel()


def window_fault(model: nn.Module, autocast: Autocast = nullcontext) -> str | None:
    """Compare the sliding windows of a model's cache with those of its masks.

    A cache that drops tokens which a forward pass without it attends to makes other texts of
    inputs that are longer than its window: longer, as a rule, than what a model is tried with.

    Returns
    -------
    str or None
        None if the model masks by each window that layers of its cache have.

    """
    text = base_model(model).config.get_text_config(decoder=True)
    try:
        layers = cache_utils.DynamicCache(config=text).layers
    except (AttributeError, KeyError, TypeError):  # the model has a cache of another kind
        return None
    dropping = {getattr(layer, "sliding_window", None) for layer in layers} - {None}
    if not dropping:
        return None
    masking: set[int | None] = set()
    name, masks = text._attn_implementation, ALL_MASK_ATTENTION_FUNCTIONS
    if name not in masks:
        return f"the windows of its attention are not known ({name})"
    own_mask, local = masks[name], dict(masks._local_mapping)

    def record(*, local_size: int | None = None, **settings: Any) -> Any:
        masking.add(local_size)
        return own_mask(local_size=local_size, **settings)

    rows = torch.ones((1, 2), dtype=torch.long, device=next(model.parameters()).device)
    masks[name] = record
    try:
        with torch.no_grad(), autocast():
            model(rows)
    except Exception as error:  # a stranger's code may raise anything
        return f"the windows of its attention are not known ({first_line(error)})"
    finally:
        masks._local_mapping = local
    return None if dropping <= masking else "its cache drops tokens that its attention sees"
