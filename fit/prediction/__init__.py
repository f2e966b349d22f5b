"""Predict what a model would score on targets that nobody has measured."""

import lazy_loader

# Stored laws predict without scikit-learn: a module is imported when a name of it is used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
