"""The examples in the docstrings of capspace.fit run, and give what they say."""

import doctest
import inspect
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


@pytest.mark.slow
@pytest.mark.usefixtures("laws_fitted_once")
@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    module = import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    by_name = {example.name: example for example in finder.find(module)}
    # The finder takes a decorated function for one of the decorator's module.
    for inner in map(inspect.unwrap, filter(inspect.isfunction, vars(module).values())):
        if inner.__module__ == name:
            by_name |= {e.name: e for e in finder.find(inner, f"{name}.{inner.__name__}", module)}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    with mpl.rc_context():
        for examples in by_name.values():
            runner.run(examples)
    assert runner.tries
    assert not runner.failures
