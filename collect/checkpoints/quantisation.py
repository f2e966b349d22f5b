"""Quantised weights are loaded by packages of their own, which a checkpoint's configuration names.

transformers says which one is missing after it was asked to load, of GPTQ on a CPU that a GPU is
required, and takes optimum-quanto for optimum. Here it is known before anything is measured.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..errors import CheckpointError

__all__ = ["quantisation_method", "require_packages"]

_PACKAGES = {
    "aqlm": ("accelerate", "aqlm"),
    "auto-round": ("auto-round",),
    "awq": ("accelerate", "gptqmodel"),
    "bitsandbytes": ("accelerate", "bitsandbytes"),
    "compressed-tensors": ("compressed-tensors",),
    "fp8": ("accelerate",),
    "gptq": ("gptqmodel", "optimum"),
    "hqq": ("hqq",),
    "mxfp4": ("accelerate",),
    "quanto": ("accelerate", "optimum-quanto"),
    "torchao": ("torchao",),
    "vptq": ("accelerate", "vptq"),
}
"""Packages that transformers asks for, by a method's name in configurations."""

_PACKAGES_BEFORE_5 = {**_PACKAGES, "awq": ("accelerate", "autoawq")}
"""The same of transformers 4."""


def quantisation_method(config: dict[str, Any]) -> str | None:
    """Return how a checkpoint's weights are quantised; None if its configuration says nothing."""
    stated = config.get("quantization_config")
    if not isinstance(stated, dict):
        return None
    if stated.get("load_in_4bit") or stated.get("load_in_8bit"):
        return "bitsandbytes"  # which older checkpoints do not name
    method = stated.get("quant_method")
    return method if isinstance(method, str) else None


def require_packages(name: str, method: str | None) -> None:
    """Refuse a quantised checkpoint that the packages installed here cannot load.

    Parameters
    ----------
    name : str
        What messages call the checkpoint.
    method : str or None
        How its weights are quantised, as `quantisation_method` says.

    Raises
    ------
    CheckpointError
        A package is missing; the message says how to install it.

    """
    if method is None:
        return
    installed = _version("transformers")
    is_old = installed is not None and int(installed.partition(".")[0]) < 5
    needed = (_PACKAGES_BEFORE_5 if is_old else _PACKAGES).get(method, ())
    missing = [package for package in needed if _version(package) is None]
    if missing:
        raise CheckpointError(
            f"{name}: its weights are quantised by {method}, and transformers loads them with "
            f"{' and '.join(needed)}; missing here: pip install {' '.join(missing)}"
        )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
