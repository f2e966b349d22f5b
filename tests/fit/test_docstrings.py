"""The examples in the docstrings of capspace.fit run, and give what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import matplotlib as mpl
import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(file for file in (ROOT / "fit").rglob("*.py") if ">>> " in file.read_text())
MODULES = [
    ".".join(("capspace", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for file in FILES
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    with mpl.rc_context():
        result = doctest.testmod(import_module(name), optionflags=flags)
    assert result.attempted
    assert not result.failed
