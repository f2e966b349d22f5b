"""Commands of the pages, and modules of ``scripts/documentation``, for the tests."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from types import ModuleType

from checkout import ROOT


def documentation_module(name: str) -> ModuleType:
    """Return a module of ``scripts/documentation``, the same one each time."""
    if name in sys.modules:
        return sys.modules[name]
    path = ROOT / "scripts" / "documentation" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)  # they import one another by name
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def documented(page: str, which: str) -> list[str]:
    """Return the words behind ``capspace`` of a page's first command that has some text."""
    lines = (ROOT / page).read_text().replace("\\\n", " ").splitlines()
    (line, *_) = (line for line in lines if line.startswith("capspace ") and which in line)
    return shlex.split(line, comments=True)[1:]
