"""Every error of ``capspace.tasks`` that a user can meet stands here.

PanelError      a panel that is not there or cannot be read
YamlError       a YAML file that is not YAML or has wrong fields
"""

__all__ = ["PanelError", "YamlError"]


class PanelError(ValueError):
    """A panel that is not there or cannot be read; the message names the file and the field."""


class YamlError(ValueError):
    """A YAML file with wrong fields; the message has a line for each: file, line, field."""
