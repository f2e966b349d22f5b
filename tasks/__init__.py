"""Panels, protocols and data define what is measured, and import nothing of capspace."""

if __name__ != "capspace.tasks":
    raise ImportError(
        f"this package is capspace.tasks, not {__name__}: install it (pip install -e .)"
    )

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
