"""Where the tests keep their own bytecode, if Python may write none beside their files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Names the folder to every process of a test run.
FOLDER = "PYTEST_BYTECODE"


@contextmanager
def own_bytecode() -> Iterator[None]:
    """Import modules by the bytecode in that folder, and write there what it lacks.

    Compiling capspace takes half a second, and rewriting the tests' assertions half of the time of
    collecting them. Nothing happens where bytecode is written anyway.
    """
    if not sys.dont_write_bytecode or sys.pycache_prefix is not None or FOLDER not in os.environ:
        yield
        return
    sys.dont_write_bytecode, sys.pycache_prefix = False, os.environ[FOLDER]
    try:
        yield
    finally:
        sys.dont_write_bytecode, sys.pycache_prefix = True, None
