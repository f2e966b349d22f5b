"""Measuring models needs the ``collect`` extra, and says so where it is not installed."""

from importlib.util import find_spec

from ..errors import MissingExtraError

__all__ = ["require_collect_extra"]

_MODULES = {
    "lm_eval": "lm-eval",
    "torch": "torch",
    "transformers": "transformers",
    "datasets": "datasets",
    "huggingface_hub": "huggingface_hub",
}


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
