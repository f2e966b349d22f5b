"""Editable installs: link the top-level folders into one importable ``capspace`` namespace."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NamespaceLinks(BuildHookInterface):  # type: ignore[type-arg]
    """Link ``build/dev/capspace/<part>``, on the path by ``dev-mode-dirs``, to ``<part>``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the links, before hatchling writes an editable wheel."""
        if version != "editable":
            return
        namespace = Path(self.root, "build", "dev", "capspace")
        namespace.mkdir(parents=True, exist_ok=True)
        for part in ("collect", "fit", "tasks"):
            link = namespace / part
            if not link.is_symlink():
                link.symlink_to(Path(self.root, part), target_is_directory=True)
