"""Attention over the keys is computed in parts, which are merged exactly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from packaging.version import Version
from torch import Tensor, nn

__all__ = [
    "FEW",
    "HALF",
    "Scores",
    "add_part",
    "apply_sinks",
    "attention_with_sinks",
    "partial_attention",
]

HALF = (torch.float16, torch.bfloat16)
"""Types of 16 bits, in which each rounding shows in a score."""
FEW = 4
"""The flash kernel for CPUs computes fewer queries than this by other code than more of them."""

# Before torch 2.9 the flash kernel for CPUs needs as many heads of keys as of queries: given fewer,
# it does not complain but reads past their end.
_KERNEL_GROUPS_HEADS = Version(torch.__version__) >= Version("2.9")


@dataclass(frozen=True)
class Scores:
    """How a layer turns queries and keys into attention scores.

    Attributes
    ----------
    scale : float
        Factor of the inner products.
    softcap : float, optional
        Scores become ``softcap * tanh(scores / softcap)``.

    """

    scale: float
    softcap: float | None = None


def partial_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scores: Scores,
    *,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    causal: bool = False,
    has_blind_queries: bool = False,
    alone: bool = False,
    least_queries: int = 1,
) -> tuple[Tensor, Tensor]:
    """Attend to some of a query's keys.

    Parameters
    ----------
    query : tensor of shape (b, n_heads, q, d)
        Queries.
    key, value : tensors of shape (b, n_kv_heads, k, d)
        Keys and values; ``n_kv_heads`` divides ``n_heads``.
    scores : Scores
        Scale and soft cap.
    mask : bool tensor that broadcasts to (b, n_heads, q, k), optional
        Which keys are seen; None is all of them.
    bias : tensor, optional
        ``mask`` as 0 and -inf in the dtype of ``query``, where the caller has it at hand.
    causal : bool
        Query ``i`` sees the first ``i + 1`` keys; excludes ``mask``.
    has_blind_queries : bool
        ``mask`` leaves some query without a key. Its output is 0, its log-sum-exp -inf.
    alone : bool
        No other part follows, and the log-sum-exp may be left empty.
    least_queries : int
        How many queries the flash kernel for CPUs is given at least: the last one again where
        there are fewer.

    Returns
    -------
    output : tensor of shape (b, n_heads, q, d)
        Attention over these keys alone.
    weight : tensor of shape (b, n_heads, q)
        Log-sum-exp of the scores.

    """
    if torch.is_autocast_enabled(query.device.type):
        # what autocast does to torch's own attention: keys are float32 after a rotation, say
        dtype = torch.get_autocast_dtype(query.device.type)
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    if scores.softcap is None and query.shape[-1] == value.shape[-1] and query.device.type == "cpu":
        if mask is not None and bias is None:
            bias = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, -torch.inf)
        if not _KERNEL_GROUPS_HEADS:
            key, value = _repeated_heads(query, key, value)
        n_queries = query.shape[2]
        if n_queries < least_queries:
            query = _repeating_last(query, least_queries)
            bias = None if bias is None else _repeating_last(bias, least_queries)
        output, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, causal, attn_mask=bias, scale=scores.scale
        )
        output, weight = output[:, :, :n_queries], weight[:, :, :n_queries]
        if has_blind_queries and mask is not None:
            # the kernel reports a log-sum-exp of 0.0, not -inf, for a query that sees no key
            blind = ~mask.any(-1)
            weight = weight.masked_fill(blind, -torch.inf)
            output = output.masked_fill(blind.unsqueeze(-1), 0.0)
        return output, weight
    key, value = _repeated_heads(query, key, value)
    if causal:
        size = query.shape[2]
        mask = torch.ones(size, size, dtype=torch.bool, device=query.device).tril_()
    if scores.softcap is None and alone:
        output = nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=scores.scale
        )
        return output, output.new_empty(0)
    products = (query @ key.transpose(-1, -2)).mul_(scores.scale)
    if scores.softcap is not None:
        products = products.div_(scores.softcap).tanh_().mul_(scores.softcap)
    products = products.float() if products.dtype != torch.float64 else products
    if mask is not None:
        products = products.masked_fill_(~mask, -torch.inf)
    if alone and not has_blind_queries:  # rounded where the models' own code rounds
        return products.softmax(-1).to(value.dtype) @ value, products.new_empty(0)
    weight = products.logsumexp(-1)
    # -inf of a query that sees no key must not become NaN
    finite = weight.clamp_min(torch.finfo(weight.dtype).min)
    return products.sub_(finite.unsqueeze(-1)).exp_().to(value.dtype) @ value, weight


def attention_with_sinks(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scores: Scores,
    sinks: Tensor,
    mask: Tensor | None,
) -> Tensor:
    """Attend to all of a query's keys and a sink, rounded where the models' own code rounds.

    Parameters
    ----------
    query, key, value, scores
        As for `partial_attention`.
    sinks : tensor of shape (n_heads,)
        As for `apply_sinks`.
    mask : bool tensor of shape (q, k), optional
        Which keys are seen; query ``i`` sees the first ``i + 1`` if None.

    """
    key, value = _repeated_heads(query, key, value)
    if mask is None:
        mask = query.new_ones(query.shape[2], key.shape[2], dtype=torch.bool).tril_()
    products = (query @ key.transpose(-1, -2)).mul_(scores.scale).masked_fill_(~mask, -torch.inf)
    column = sinks.view(1, -1, 1, 1).expand(*products.shape[:-1], 1)
    products = torch.cat([products, column], -1)
    products -= products.amax(-1, keepdim=True)
    return products.softmax(-1)[..., :-1].to(value.dtype) @ value


def _repeating_last(rows: Tensor, n_rows: int) -> Tensor:
    """Return a tensor (..., n_rows, k) that has the last row of (..., n, k) as often as needed."""
    last = rows[..., -1:, :].expand(*rows.shape[:-2], n_rows - rows.shape[-2], -1)
    return torch.cat([rows, last], -2)


def _repeated_heads(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Return keys and values with a head for each head of the queries."""
    groups = query.shape[1] // key.shape[1]
    if groups == 1:
        return key, value
    return key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)


def add_part(output: Tensor, total: Tensor, part: Tensor, weight: Tensor) -> None:
    """Merge attention over further keys into ``output`` and ``total``, in place.

    Parameters
    ----------
    output, part : tensors of shape (b, n_heads, q, d)
        Attention over the keys so far, and over others.
    total, weight : tensors of shape (b, n_heads, q)
        Their log-sum-exp.

    Notes
    -----
    With ``s = logaddexp(total, weight)`` the merged output is
    ``exp(total - s) output + exp(weight - s) part``.

    """
    merged = torch.logaddexp(total, weight)
    output.mul_((total - merged).exp_().unsqueeze(-1))
    output.addcmul_(part.to(output.dtype), (weight - merged).exp_().unsqueeze(-1))
    total.copy_(merged)


def apply_sinks(output: Tensor, total: Tensor, sinks: Tensor) -> None:
    """Add to the softmax of each head one key with score ``sinks[head]`` and no value, in place."""
    output.mul_(torch.sigmoid(total - sinks.to(total.dtype).view(1, -1, 1)).unsqueeze(-1))
