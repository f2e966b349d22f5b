"""Write the report of a placement: a self-contained page, its figures, and JSON."""

from ._page import write_report

__all__ = ["write_report"]
