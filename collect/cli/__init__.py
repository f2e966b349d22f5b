"""The ``capspace`` command: one line for bad input and exit code 2; tracebacks are for bugs."""

from ._main import app, main

__all__ = ["app", "main"]
