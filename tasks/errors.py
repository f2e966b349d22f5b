"""Every error of ``capspace.tasks`` that a user can meet stands here.

PanelError      a panel that is not there or cannot be read
YamlError       a YAML file that is not YAML or has wrong fields
"""

__all__ = ["LineByLineError", "PanelError", "YamlError"]


class LineByLineError(Exception):
    """An error whose message has a line for each argument, whatever these hold."""

    def __str__(self) -> str:
        return "\n".join(" ".join(str(line).splitlines()) for line in self.args)


class PanelError(LineByLineError, ValueError):
    """A panel that is not there or cannot be read; the message names the file and the field."""


class YamlError(LineByLineError, ValueError):
    """A YAML file with wrong fields; the message has a line for each: file, line, field."""
