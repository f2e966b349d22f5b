"""The report of one placement: a self-contained page, its figures, and the same as JSON."""

from ._page import write_report

__all__ = ["write_report"]
