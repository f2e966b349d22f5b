"""Measuring models needs the ``collect`` extra, and says so where it is not installed."""

import gc
from importlib import import_module
from importlib.util import find_spec

from ..errors import MissingExtraError

__all__ = ["import_collect_extra", "require_collect_extra"]

_MODULES = {
    "lm_eval": "lm-eval",
    "torch": "torch",
    "transformers": "transformers",
    "datasets": "datasets",
    "huggingface_hub": "huggingface_hub",
}
_LARGE = ("torch", "datasets", "transformers", "lm_eval.evaluator", "lm_eval.models.huggingface")


def require_collect_extra() -> None:
    """Return if models can be measured here.

    Raises
    ------
    MissingExtraError
        A package of the extra is not installed; the message says how to install it.

    """
    missing = [name for module, name in _MODULES.items() if find_spec(module) is None]
    if missing:
        raise MissingExtraError(
            f"measuring a model needs {', '.join(missing)}: pip install 'capspace[collect]'"
        )


def import_collect_extra() -> None:
    """Import the libraries that measure models, which takes seconds.

    Python would look for garbage among what is being imported again and again, for a quarter of
    that time; meanwhile the search is off.

    Raises
    ------
    MissingExtraError
        As ``require_collect_extra``.

    """
    require_collect_extra()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for name in _LARGE:
            import_module(name)
    finally:
        if was_enabled:
            gc.enable()
