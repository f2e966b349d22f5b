"""The ``capspace`` command answers bad input with one line and exit code 2, not a traceback."""

from ._main import app, main

__all__ = ["app", "main"]
