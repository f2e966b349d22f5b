"""The ``capspace`` command meets bad input with one line and exit code 2; a traceback is a bug."""

from ._main import app, main

__all__ = ["app", "main"]
