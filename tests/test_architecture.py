"""The layout is law: who may import whom, and what a light command must not load."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checkout import ROOT, nodes

PARTS = ("collect", "fit", "tasks")
HEAVY = ("torch", "lm_eval", "transformers", "datasets", "accelerate")


def modules(part: str) -> list[Path]:
    return sorted((ROOT / part).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of each module that a module of ours imports from."""
    here = ("capspace", *path.relative_to(ROOT).parent.parts)
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level + 1])
            yield from (
                [f"{base}.{node.module}"]
                if node.module
                else (f"{base}.{alias.name}" for alias in node.names)
            )


def offenders(part: str, wrong: Callable[[Path], bool]) -> list[str]:
    paths = modules(part)
    assert paths
    return [str(path.relative_to(ROOT)) for path in paths if wrong(path)]


def test_fit_knows_neither_collect_nor_tasks_nor_the_harness() -> None:
    forbidden = ("capspace.collect", "capspace.tasks", *HEAVY)
    assert offenders("fit", lambda p: any(n.startswith(forbidden) for n in imports(p))) == []


def test_tasks_imports_nothing_of_ours_but_itself() -> None:
    def is_ours(name: str) -> bool:
        return name.startswith("capspace") and not name.startswith("capspace.tasks")

    assert offenders("tasks", lambda p: any(map(is_ours, imports(p)))) == []


def test_only_the_harness_room_calls_the_evaluator() -> None:
    evaluator = ("lm_eval.evaluator", "lm_eval.tasks")
    callers = offenders("collect", lambda p: any(n.startswith(evaluator) for n in imports(p)))
    assert callers
    assert all(path.startswith("collect/harness/") for path in callers)


@pytest.mark.parametrize("part", PARTS)
def test_imports_inside_a_package_are_relative(part: str) -> None:
    """So a reader with a bare clone can follow them, and no second copy is ever loaded."""

    def names_itself(path: Path) -> bool:
        return any(
            isinstance(n, ast.ImportFrom) and (n.module or "").startswith(f"capspace.{part}")
            for n in nodes(path)
        )

    assert offenders(part, names_itself) == []


@pytest.mark.parametrize("part", PARTS)
def test_a_bare_name_is_refused_in_one_line(part: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {part}"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 1
    (line,) = (text for text in done.stderr.splitlines() if text.startswith("ImportError"))
    assert f"this package is capspace.{part}, not {part}: " in line


@pytest.mark.parametrize("part", PARTS)
def test_every_module_says_its_idea_in_its_first_line(part: str) -> None:
    def has_none(path: Path) -> bool:
        module = nodes(path)[0]
        assert isinstance(module, ast.Module)
        return not ast.get_docstring(module)

    assert offenders(part, has_none) == []


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that running ``code`` in a fresh interpreter loads."""
    script = (
        f"{code}\nimport sys; print(' '.join(sorted({{m.split('.')[0] for m in sys.modules}})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split("\n")[-2].split())


@pytest.mark.slow
def test_fit_loads_without_torch_and_the_harness() -> None:
    code = "import capspace.fit as f; [getattr(f, name) for name in f.__all__]"
    assert loaded_by(code).isdisjoint(HEAVY)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "from capspace.collect.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    assert not stop.code"
    )
    assert loaded_by(code).isdisjoint({*HEAVY, "sklearn", "scipy", "matplotlib", "pandas"})


def test_every_exported_name_exists() -> None:
    import capspace.collect
    import capspace.fit
    import capspace.tasks

    for package in (capspace.collect, capspace.fit, capspace.tasks):
        assert list(package.__all__) == sorted(package.__all__, key=str)
        assert all(hasattr(package, name) for name in package.__all__)


def test_the_architecture_page_lists_every_folder_with_its_first_line() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    listed = dict(re.findall(r"^\| `([\w/]+)/` \| (.*) \|$", text, re.MULTILINE))
    there = {}
    for part in PARTS:
        for file in (ROOT / part).rglob("__init__.py"):
            if file.parent != ROOT / part:
                first = ast.get_docstring(ast.parse(file.read_text())) or ""
                there[file.parent.relative_to(ROOT).as_posix()] = first.splitlines()[0]
    assert listed == there


def test_tests_stand_in_the_folders_of_what_they_test() -> None:
    folders = {file.parent for part in PARTS for file in (ROOT / "tests" / part).rglob("*.py")}
    assert len(folders) > 10
    packages = [ROOT / folder.relative_to(ROOT / "tests") for folder in folders]
    assert [str(p) for p in packages if not (p / "__init__.py").is_file()] == []


def test_five_changes_touch_three_files_at_most_and_name_files_that_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text.partition("\n## Five changes")[2].partition("\n## ")[0]
    changes = re.findall(r"^\| (?:a|another) .* \| (.*) \|$", section, re.MULTILINE)
    assert len(changes) == 5
    for files in changes:
        # Each sentence begins with the files it is about: "`a.py` and `b.py`: ..."
        to_touch = [
            name
            for sentence in files.split(". ")
            for name in re.findall(r"`([\w/.]+)`", re.split(": | that ", sentence)[0])
        ]
        assert 1 <= len(to_touch) <= 3
        for name in re.findall(r"`((?:collect|fit|tasks)/[\w/.]*)`", files):
            assert (ROOT / name).exists(), name
