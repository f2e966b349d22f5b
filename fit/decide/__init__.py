"""Decide what to do next: whether a run is worth its price, what to measure, when to stop."""

import lazy_loader

# A verdict from stored laws needs no scikit-learn: a module is imported when a name of it is used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
