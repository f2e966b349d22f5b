"""Sparse tables of models are completed, and expensive scores predicted from a few cheap ones."""

import lazy_loader

# A stored fit predicts without scikit-learn: a module is imported when a name of it is used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
