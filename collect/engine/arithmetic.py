"""The engine has a name in lm-eval's registry and a version of its arithmetic in identities."""

from __future__ import annotations

__all__ = ["ARITHMETIC", "MODEL_NAME", "engine_settings"]

MODEL_NAME = "capspace"
"""The name of the model class in lm-eval's registry."""

ARITHMETIC = "2"
"""Part of every measurement's identity: raise it with any change that can move a score."""

_TEXTS = ("texts", "2")
"""Texts of a checkpoint whose own settings govern them: they were not followed before."""

_SOFTMAX = ("softmax", "2")
"""Scores by a log-softmax in half precision: it was in single before, or rounded otherwise."""

_HALF = ("bfloat16", "float16", "half", "auto")
"""Names of types that are half precision, or that may be: "auto" is left to the weights."""


def engine_settings(
    dtype: str,
    *,
    governs_texts: bool = False,
    softmax_dtype: str | None = None,
    mixed_precision_dtype: str | None = None,
) -> tuple[tuple[str, str], ...]:
    """Return what of the engine itself can move a score, for the identity of a measurement.

    Parameters
    ----------
    dtype : str
        Of the weights; "auto" where the configuration does not say it.
    governs_texts : bool
        Whether texts are measured whose checkpoint governs them by settings of its own.
    softmax_dtype, mixed_precision_dtype : str, optional
        lm-eval's arguments. If no dtype is given for the log-softmax, it has that of the logits,
        which is either of the other two.

    """
    of_logits = (dtype, mixed_precision_dtype)
    possible = (softmax_dtype,) if softmax_dtype else of_logits
    is_half = any(str(name).removeprefix("torch.") in _HALF for name in possible)
    return (
        ("arithmetic", ARITHMETIC),
        *([_SOFTMAX] if is_half else []),
        *([_TEXTS] if governs_texts else []),
    )
