"""Every public name imports, and is what it is called: never the module of the same name."""

import re
import subprocess
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import pytest
from checkout import ROOT

FILES = sorted(
    file.relative_to(ROOT)
    for part in ("collect", "fit", "tasks")
    for file in ROOT.glob(f"{part}/**/*.py")
)
MODULES = [
    ".".join(("capspace", *file.parent.parts, *(() if file.stem == "__init__" else (file.stem,))))
    for file in FILES
]
PACKAGES = [name for name, file in zip(MODULES, FILES, strict=True) if file.stem == "__init__"]

FRESH = """
import sys
from importlib import import_module
from types import ModuleType

for package in sys.argv[1:]:
    for name in getattr(import_module(package), "__all__", ()):
        namespace = {}
        exec(f"from {package} import {name}", namespace)
        if isinstance(namespace[name], ModuleType):
            print(package, name)
"""


@pytest.mark.slow
def test_names_of_packages_are_no_modules_in_a_fresh_process() -> None:
    command = [sys.executable, "-c", FRESH, *PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_names_of_all_modules_are_no_modules_once_every_module_is_imported() -> None:
    modules = {name: import_module(name) for name in MODULES}
    assert [
        f"{name}.{public}"
        for name, module in modules.items()
        for public in getattr(module, "__all__", ())
        if isinstance(getattr(module, public), ModuleType)
    ] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_has_the_name_of_something_public_beside_it(package: str) -> None:
    """Whichever is imported first would win: such a module is private, ``_name.py``."""
    beside = {m for m in MODULES if m.rpartition(".")[0] == package}
    public = set(getattr(import_module(package), "__all__", ()))
    for module in beside - set(PACKAGES):
        public |= {n for n in getattr(import_module(module), "__all__", ())}
    assert sorted(public & {m.rpartition(".")[2] for m in beside}) == []


@pytest.mark.parametrize("name", ["PlacedModel", "TwinScore"])
def test_what_a_public_result_holds_is_public(name: str) -> None:
    import capspace.collect as collect
    import capspace.fit as fit

    held = {
        word
        for annotation in getattr(collect, name).__annotations__.values()
        for word in re.findall(r"[A-Z]\w+", annotation)
    }
    assert held - {"Path", "None", "Mapping"} <= {*collect.__all__, *fit.__all__}


def test_former_name_of_an_error_is_deprecated() -> None:
    from capspace import collect

    with pytest.warns(DeprecationWarning, match="called ResponseError now"):
        assert collect.AnswerError is collect.ResponseError


def test_collect_under_another_name_is_refused() -> None:
    spec = spec_from_file_location("collect", ROOT / "collect" / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(ImportError, match=r"is capspace\.collect, not collect: install it"):
        spec.loader.exec_module(module_from_spec(spec))
