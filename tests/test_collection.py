"""Every process collects the same tests, and the fast ones among them touch every package."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys

import pytest
from checkout import ROOT

PARTS = ("collect", "fit", "tasks")
# An interpreter that imports every test.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked")]

COLLECT = """
import json, sys
import pytest


class Names:
    def pytest_collection_finish(self, session):
        items = [(i.nodeid, i.get_closest_marker("slow") is not None) for i in session.items]
        print("\\n" + json.dumps(items))


sys.exit(pytest.main(["--collect-only", "-q", "-n", "0", *sys.argv[1:]], plugins=[Names()]))
"""


@pytest.fixture(scope="module")
def collected(pytestconfig: pytest.Config) -> dict[str, bool]:
    """All tests and whether they are slow, as a process has them that began at another time.

    Its hash seed is another, too, where ``PYTHONHASHSEED`` does not set that of all.
    """
    ignored = [f"-W{option}" for option in pytestconfig.getoption("pythonwarnings") or ()]
    done = subprocess.run(
        [sys.executable, "-c", COLLECT, *ignored], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("[["))
    items = json.loads(line)
    assert len({name for name, _ in items}) == len(items)
    return dict(items)


def test_two_processes_collect_the_same_tests_in_the_same_order(
    collected: dict[str, bool], collected_here: list[str]
) -> None:
    assert collected_here
    mine = set(collected_here)
    assert [name for name in collected if name in mine] == collected_here


def test_fast_tests_touch_every_package(collected: dict[str, bool]) -> None:
    fast = {name.partition("::")[0] for name, slow in collected.items() if not slow}
    used: set[str] = set()
    for file in sorted(fast):
        for node in ast.walk(ast.parse((ROOT / file).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("capspace."):
                module = importlib.import_module(str(node.module))
                # None where a module of the package is imported by its name.
                objects = [getattr(module, alias.name, None) for alias in node.names]
                used |= {str(getattr(each, "__module__", "")) for each in objects}
                used |= {str(node.module), *(f"{node.module}.{a.name}" for a in node.names)}
    packages = [p.parent for part in PARTS for p in (ROOT / part).rglob("__init__.py")]
    assert len(packages) > 10
    for folder in packages:
        package = "capspace." + ".".join(folder.relative_to(ROOT).parts)
        assert any(name == package or name.startswith(f"{package}.") for name in used), package
