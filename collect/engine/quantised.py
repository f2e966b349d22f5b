"""Quantised weights are served unless activations are rounded too: then no score is exact.

Where weights alone are rounded, a token is computed as with other weights, and what the engine
tries when it loads the model decides. An activation that is rounded to 8 bits or fewer takes
another step whenever it stands near the middle between two, by the order in which numbers were
added: a token's score then depends on what else was in the pass, for lm-eval's own path as well.
"""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["rounding_fault"]

_OF_WEIGHTS = frozenset(
    {
        *("aqlm", "auto-round", "awq", "bitsandbytes", "compressed-tensors", "eetq", "fp8", "gguf"),
        *(
            "gptq",
            "higgs",
            "hqq",
            "metal",
            "mxfp4",
            "mxfp8",
            "quanto",
            "sinq",
            "spqr",
            "torchao",
            "vptq",
        ),
    }
)
"""Methods that round weights, some of them activations where their settings say so."""

_OF_BOTH = frozenset(
    {*("bitnet", "fbgemm_fp8", "fouroversix", "fp_quant", "gemma", "nvfp4", "quark")}
)
"""Methods that round activations as well."""


def rounding_fault(base: nn.Module) -> str | None:
    """Return why a model's quantisation keeps it from the engine, None if it does not.

    Parameters
    ----------
    base : Module
        A transformers model, without an adapter around it.

    """
    if any(type(module).__name__ == "Linear8bitLt" for module in base.modules()):
        return "bitsandbytes' int8 chooses columns by all rows of a call"
    stated: Any = getattr(base.config, "quantization_config", None)
    if stated is None:
        return None
    settings: dict[str, Any] = stated if isinstance(stated, dict) else stated.to_dict()
    method = str(getattr(settings.get("quant_method"), "value", settings.get("quant_method")))
    if method in _OF_BOTH or (method in _OF_WEIGHTS and _rounds_activations(method, settings)):
        return f"its activations are rounded to few bits ({method})"
    if method not in _OF_WEIGHTS:
        return f"its weights are quantised by {method}, which the engine does not know"
    return None


def _rounds_activations(method: str, settings: dict[str, Any]) -> bool:
    if method == "bitsandbytes":
        return bool(settings.get("load_in_8bit") or settings.get("_load_in_8bit"))
    if method == "quanto":
        return settings.get("activations") is not None
    # on a CPU transformers computes by weights of these that it brings back to bf16
    if method in {"fp8", "mxfp8"}:
        return not settings.get("dequantize")
    if method == "compressed-tensors":
        groups = (settings.get("config_groups") or {}).values()
        of_layers = any(_setting(group, "input_activations") is not None for group in groups)
        return of_layers or settings.get("kv_cache_scheme") is not None
    if method == "torchao":
        kind = str(settings.get("quant_type")).lower().replace("_", "")
        return "dynamicactivation" in kind or "staticactivation" in kind
    return False


def _setting(group: Any, name: str) -> Any:
    return group.get(name) if isinstance(group, dict) else getattr(group, name, None)
