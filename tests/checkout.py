"""Where the checkout is, its code as trees, and the real data that may lie beside it."""

import ast
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
SHARED = ROOT.parent / "shared" / "data"


@cache
def nodes(path: Path) -> list[ast.AST]:
    """Return every node of a file of Python code, its module first."""
    return list(ast.walk(ast.parse(path.read_text())))
