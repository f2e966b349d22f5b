"""The build: the top of the namespace, and an editable install's links to the three folders."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Namespace(BuildHookInterface):  # type: ignore[type-arg]
    """Make ``capspace`` of the folders: in a wheel, or by links that ``dev-mode-dirs`` names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add ``scripts/namespace.py`` as ``capspace/__init__.py``, before hatchling writes."""
        top = Path(self.root, "scripts", "namespace.py")
        if self.target_name == "wheel" and version == "standard":
            build_data["force_include"][str(top)] = "capspace/__init__.py"
        if version != "editable":
            return
        namespace = Path(self.root, "build", "dev", "capspace")
        namespace.mkdir(parents=True, exist_ok=True)
        parts = {part: Path(self.root, part) for part in ("collect", "fit", "tasks")}
        for name, target in {**parts, "__init__.py": top}.items():
            link = namespace / name
            if not link.is_symlink():
                link.symlink_to(target, target_is_directory=target.is_dir())
