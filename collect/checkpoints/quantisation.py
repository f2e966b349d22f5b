"""Quantised weights are loaded as a checkpoint's configuration says, or refused before measuring.

transformers says what a method lacks after it was asked to load, of GPTQ on a CPU that a GPU is
required, and takes optimum-quanto for optimum. A method that it does not know it leaves out with a
warning, and loads the rounded numbers without their scales. Here all that is known at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from threading import Lock
from typing import Any

from ..errors import CheckpointError

__all__ = ["UNNAMED", "quantisation_method", "require_loadable"]

UNNAMED = ""
"""The method of a configuration that states quantised weights and names none."""


@dataclass(frozen=True)
class _Needs:
    """What transformers wants to load weights of a method that are quantised already."""

    packages: tuple[str, ...] = ()

    devices: tuple[str, ...] = ()
    """Kinds of torch's devices that it loads them on; empty for all."""

    is_loaded: bool = True
    """Whether it loads them anywhere."""


_NEEDS = {
    "aqlm": _Needs(("accelerate", "aqlm")),
    "auto-round": _Needs(("auto-round",)),
    "awq": _Needs(("accelerate", "gptqmodel")),
    "bitnet": _Needs(("accelerate",)),
    "bitsandbytes": _Needs(("accelerate", "bitsandbytes")),
    "compressed-tensors": _Needs(("compressed-tensors",)),
    "eetq": _Needs(("accelerate", "kernels"), ("cuda",)),
    "fbgemm_fp8": _Needs(("accelerate",), ("cuda", "xpu")),  # FBGEMM has several names
    "fouroversix": _Needs(("fouroversix",)),
    "fp8": _Needs(("accelerate",)),
    "fp_quant": _Needs(("fp_quant",), ("cuda", "xpu")),
    "gemma": _Needs(),
    "gguf": _Needs(),
    "gptq": _Needs(("gptqmodel", "optimum")),
    "higgs": _Needs(("accelerate", "fast_hadamard_transform", "flute-kernel"), ("cuda",)),
    "hqq": _Needs(("hqq",), ("cuda", "mps", "xpu")),
    "metal": _Needs(),
    "mxfp4": _Needs(("accelerate",)),
    "mxfp8": _Needs(("accelerate",)),
    "nvfp4": _Needs(is_loaded=False),  # it quantises while it loads, and only so
    "quanto": _Needs(("accelerate", "optimum-quanto")),
    "quark": _Needs(("amd-quark",)),
    "sinq": _Needs(("sinq",)),
    "spqr": _Needs(("accelerate", "spqr_quant"), ("cuda",)),
    "torchao": _Needs(("torchao",)),
    "vptq": _Needs(("accelerate", "vptq"), ("cuda",)),
}
"""By a method's name in configurations; versions are left to transformers."""

_NEEDS_BEFORE_5 = {
    **_NEEDS,
    "awq": _Needs(("accelerate", "autoawq")),
    "eetq": _Needs(("accelerate", "eetq"), ("cuda",)),
    "fp8": _Needs(("accelerate",), ("cuda", "xpu")),
    "vptq": _Needs(("accelerate", "vptq")),
}
"""The same of transformers 4."""

_ONE_IMPORT = Lock()
"""Checkpoints of the Hub are resolved in threads, and transformers' modules import in circles."""

_DEVICES = {"cuda": "CUDA", "mps": "MPS", "xpu": "XPU"}


def quantisation_method(config: dict[str, Any]) -> str | None:
    """Return how a checkpoint's weights are quantised.

    Returns
    -------
    str or None
        None if its configuration says nothing, ``UNNAMED`` if it says so and names no method.

    """
    stated = config.get("quantization_config")
    if not stated and isinstance(text := config.get("text_config"), dict):
        stated = text.get("quantization_config")
    if not isinstance(stated, dict) or not stated:
        return None
    if stated.get("load_in_4bit") or stated.get("load_in_8bit"):
        return "bitsandbytes"  # which older checkpoints do not name
    method = stated.get("quant_method")
    return method if isinstance(method, str) else UNNAMED


def require_loadable(
    name: str, method: str | None, device: Callable[[], str], *, custom_code: bool = False
) -> None:
    """Refuse a quantised checkpoint that transformers cannot load here.

    Parameters
    ----------
    name : str
        What messages call the checkpoint.
    method : str or None
        How its weights are quantised, as `quantisation_method` says.
    device : callable
        Returns the torch device that it is to be loaded on; called where that matters.
    custom_code : bool
        Whether code of its own is run, which can bring a method that transformers does not know.

    Raises
    ------
    CheckpointError
        transformers does not know the method, or not on this device, or a package is missing; the
        message says how to install it.

    """
    installed = _version("transformers")
    if method is None or installed is None:
        return  # what is missing then is said of every checkpoint
    if method == UNNAMED:
        raise CheckpointError(
            f"{name}: its configuration states quantised weights without their method "
            "(quant_method), by which transformers loads them"
        )
    needs = _needs(installed).get(method, _Needs())
    by = f"{name}: its weights are quantised by {method}"
    if not needs.is_loaded:
        raise CheckpointError(f"{by}, and transformers loads no weights that are so already")
    if needs.devices and (kind := device().partition(":")[0]) not in needs.devices:
        kinds = " or ".join(_DEVICES[known] for known in needs.devices)
        raise CheckpointError(
            f"{by}, which transformers loads with {kinds} alone; the device here is {kind}"
        )
    missing = [package for package in needs.packages if _version(package) is None]
    if missing:
        raise CheckpointError(
            f"{by}, and transformers loads them with {' and '.join(needs.packages)}; missing here: "
            f"pip install {' '.join(missing)}"
        )
    if not custom_code and method not in _known_methods():
        raise CheckpointError(
            f"{by}, which transformers {installed} does not know: it would take the rounded "
            "numbers for the weights"
        )


def _needs(transformers: str) -> dict[str, _Needs]:
    return _NEEDS_BEFORE_5 if int(transformers.partition(".")[0]) < 5 else _NEEDS


def _known_methods() -> set[str]:
    """Return the methods that the installed transformers knows."""
    with _ONE_IMPORT:
        from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING as KNOWN

    return {name.removesuffix("_4bit").removesuffix("_8bit") for name in KNOWN}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
