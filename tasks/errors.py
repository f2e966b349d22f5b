"""What can go wrong in ``capspace.tasks``."""

__all__ = ["PanelError"]


class PanelError(ValueError):
    """A panel that is not there or cannot be read; the message names the file and the field."""
