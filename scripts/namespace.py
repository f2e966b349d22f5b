"""Predict the benchmark scores you cannot afford to measure, from the ones you can.

The build puts this file at the top of the installed package, where ``capspace.collect``,
``capspace.fit`` and ``capspace.tasks`` stand beside it (see ``scripts/hatch_build.py``).
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)  # noqa: F821 - others may add to the namespace


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("capspace")
