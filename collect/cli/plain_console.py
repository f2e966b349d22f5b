"""The console strips control characters from text of unknown origin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

__all__ = ["PlainConsole"]

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)  # those that turn the direction of text, too; all but the tab and the end of a line


class PlainConsole(Console):
    """Prints texts without control characters: names and reasons come from strangers.

    A string is one line, whatever it holds; what has several is a ``Text``.
    """

    def render_str(self, text: str, **settings: Any) -> Text:
        """Return a string as it is printed."""
        return super().render_str(
            _plain(" ".join(text.replace("\t", " ").splitlines())), **settings
        )

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Yield what is printed, of ready texts too; only rich itself moves the cursor."""
        segments = super().render(renderable, options)
        return iter(segments) if self._is_rendering else self._without_controls(segments)

    _is_rendering = False

    def _without_controls(self, segments: Iterable[Segment]) -> Iterator[Segment]:
        """Yield the segments of a whole, whose parts come through ``render`` too."""
        self._is_rendering = True
        try:
            for segment in segments:
                yield segment if segment.control else Segment(_plain(segment.text), segment.style)
        finally:
            self._is_rendering = False


def _plain(text: str) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
