"""Reproduce the study on its own tables, and set our numbers beside the published ones.

Names are loaded when they are first used: drawing needs matplotlib, reading the tables does not.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
