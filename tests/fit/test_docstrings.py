"""Public docstrings name their kin, and their examples run and give what they say."""

import doctest
import inspect
import re
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import matplotlib as mpl
import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(file for file in (ROOT / "fit").rglob("*.py") if ">>> " in file.read_text())
MODULES = [
    ".".join(("capspace", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for file in FILES
]
PUBLIC = ("capspace.fit", "capspace.collect")
KIN = re.compile(r"^See Also\n-+\n((?:.+\n?)+)", re.MULTILINE)
ENTRY = re.compile(r"\w[\w.]*(?:, \w[\w.]*)* : .+\.")


def public(package: str) -> dict[str, object]:
    """Return the functions, classes and errors of a package; constants and aliases have no doc."""
    module = import_module(package)
    named = {name: getattr(module, name) for name in module.__all__}
    documented = {n: t for n, t in named.items() if inspect.isroutine(inspect.unwrap(t))}
    return documented | {n: t for n, t in named.items() if inspect.isclass(t)}


@pytest.mark.parametrize("package", PUBLIC)
def test_public_docstrings_name_public_kin(package: str) -> None:
    """An error names what raises it, a result what makes it."""
    module, fit = import_module(package), import_module("capspace.fit")
    for name, thing in public(package).items():
        section = KIN.search(inspect.getdoc(thing) or "")
        assert section, f"{name} has no See Also"
        for entry in section[1].strip().splitlines():
            assert ENTRY.fullmatch(entry), f"{name}: {entry}"
            for other in entry.partition(" : ")[0].split(", "):
                path = other.removeprefix("capspace.fit.")
                owner = module if path == other else fit
                assert path.partition(".")[0] in owner.__all__, f"{name}: {other} is not public"
                assert attrgetter(path)(owner) is not thing, f"{name} names itself"


@pytest.mark.parametrize("package", PUBLIC)
def test_public_names_have_examples(package: str) -> None:
    """Each function has its own; a class may name what makes or takes it, which has one."""
    things = public(package)
    docs = {name: inspect.getdoc(thing) or "" for name, thing in things.items()}
    shown = {name for name, doc in docs.items() if ">>> " in doc}
    for name in docs.keys() - shown:
        assert inspect.isclass(things[name]), f"{name} has no example"
        if not issubclass(things[name], Exception):
            (kin,) = KIN.findall(docs[name])
            named = set(re.findall(r"\w+", re.sub(r" : .*", "", kin)))
            assert named & shown, f"{name} names nothing that has an example"


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
