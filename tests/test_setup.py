"""What installs capspace: exact versions, bounds that they keep, scripts, and workflows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import ROOT
from packaging.markers import Environment, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

SCRIPTS = ROOT / "scripts"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
FILES = {"locked": "constraints.txt", "oldest": "constraints-oldest.txt"}
# PyTorch and the libraries that its CUDA builds name, each in one exact version.
TORCH = re.compile(r"torch|triton|(nvidia|cuda)-.*")
BASH = sorted(
    p
    for p in SCRIPTS.iterdir()
    if p.is_file() and p.read_bytes().startswith(b"#!/usr/bin/env bash")
)


def lines(file: str) -> list[str]:
    text = (SCRIPTS / file).read_text()
    return [line for line in text.splitlines() if not line.startswith("#")]


def environment(python: str) -> Environment:
    """The marker environment of a CPython on Linux."""
    here = default_environment()
    here.update(
        python_version=python,
        python_full_version=f"{python}.0",
        sys_platform="linux",
        platform_machine="x86_64",
    )
    return here


def pins(file: str, python: str) -> dict[str, Version]:
    """The versions that a constraints file gives a CPython on Linux."""
    held: dict[str, Version] = {}
    for requirement in map(Requirement, lines(file)):
        if requirement.marker and not requirement.marker.evaluate(dict(environment(python))):
            continue
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", requirement
        name = canonicalize_name(requirement.name)
        assert name not in held, f"{name} twice for Python {python}"
        held[name] = Version(specifier.version)
    return held


def requirements() -> Iterator[Requirement]:
    """Everything that pyproject.toml asks for, its own build included."""
    project = PROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for group in [*groups, PROJECT["build-system"]["requires"]]:
        yield from map(Requirement, group)


def torch_versions() -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(\S+)$", (SCRIPTS / "torch_versions").read_text(), re.M))


def test_every_dependency_has_a_lower_bound() -> None:
    without = [str(r) for r in requirements() if not any(s.operator == ">=" for s in r.specifier)]
    assert without == []


@pytest.mark.parametrize("file", FILES.values())
def test_constraints_hold_versions_alone(file: str) -> None:
    for line in lines(file):
        requirement = Requirement(line)  # no option, no index
        assert requirement.url is None, line
        assert not requirement.extras, line  # pip refuses extras in a constraint
        assert not TORCH.fullmatch(requirement.name), line
    assert "://" not in (SCRIPTS / file).read_text()


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_admits_what_pyproject_asks_for(python: str) -> None:
    held = pins("constraints.txt", python) | {"torch": Version(torch_versions()["locked"])}
    missed = [str(r) for r in requirements() if held[canonicalize_name(r.name)] not in r.specifier]
    assert missed == []


NEWER_ALONE = {"if-verifiable", "bitsandbytes", "compressed-tensors"}
"""What the extras that ``scripts/lock`` leaves out of the oldest versions ask for."""


def test_the_oldest_versions_are_the_lower_bounds() -> None:
    held = pins("constraints-oldest.txt", "3.11") | {"torch": Version(torch_versions()["oldest"])}
    for requirement in requirements():
        if requirement.name in NEWER_ALONE:
            continue
        bounds = [Version(s.version) for s in requirement.specifier if s.operator == ">="]
        assert [held[canonicalize_name(requirement.name)]] == bounds, requirement


def test_this_environment_is_what_the_lock_says() -> None:
    marker = Path(sys.prefix, "versions")
    if not marker.exists():
        pytest.skip(f"{sys.prefix} was not made by scripts/install, which takes the lock")
    versions = marker.read_text().strip()
    if versions == "newest":
        pytest.skip("the newest versions are not locked")
    held = pins(FILES[versions], "{}.{}".format(*sys.version_info))
    installed = {n: v for n, v in closure("capspace", {"collect", "dev", "slurm"}) if n != "torch"}
    assert {name: held.get(name) for name in installed} == installed
    assert Version(distribution("torch").version).public == torch_versions()[versions]


def closure(root: str, extras: set[str]) -> Iterator[tuple[str, Version]]:
    """Every distribution that `root` with `extras` brings along here, and its version."""
    seen: set[tuple[str, str]] = set()
    todo = [(canonicalize_name(root), extra) for extra in ("", *extras)]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen or (name != "torch" and TORCH.fullmatch(name)):
            continue
        seen.add((name, extra))
        installed = distribution(name)
        if extra == "" and name != canonicalize_name(root):
            yield name, Version(installed.version)
        for requirement in map(Requirement, installed.requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                wanted = canonicalize_name(requirement.name)
                todo += [(wanted, more) for more in ("", *requirement.extras)]


@pytest.mark.parametrize("script", BASH, ids=lambda p: p.name)
def test_scripts_parse_and_stop_at_the_first_error(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert "set -euo pipefail\ncd " in script.read_text()
    assert os.access(script, os.X_OK)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose virtual environments have a Python that only writes down what it is told."""
    (tmp_path / "scripts").mkdir()
    for name in ("install", "torch_versions", *FILES.values()):
        shutil.copy(SCRIPTS / name, tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for venv in (".venv", ".venv-newest", ".venv-oldest"):
        python = tmp_path / venv / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text('#!/bin/sh\necho "${PIP_CONSTRAINT:-} $*" >>"$(dirname "$0")/../told"\n')
        python.chmod(0o755)
    return tmp_path


def install(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    keep = {n: v for n, v in os.environ.items() if not n.startswith("PIP_")}
    environment = {**keep, "PYTHON": sys.executable}
    command = [str(checkout / "scripts" / "install"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def pip_words(checkout: Path, venv: str = ".venv") -> list[str]:
    """What pip has been told since the last look."""
    file = checkout / venv / "told"
    commands = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return [line for line in commands if " -m pip " in line]


def test_install_takes_the_locked_versions_once(checkout: Path) -> None:
    assert install(checkout, "collect").returncode == 0
    commands = pip_words(checkout)
    assert commands[-1].endswith("install -e .[collect]")
    assert all(line.startswith("scripts/constraints.txt ") for line in commands)
    assert any(f"torch=={torch_versions()['locked']}" in line for line in commands)
    assert install(checkout, "collect").returncode == 0
    assert pip_words(checkout) == []
    install(checkout, "collect,dev")
    assert pip_words(checkout)[-1].endswith("install -e .[collect,dev]")
    install(checkout, "collect")
    assert pip_words(checkout) == []


@pytest.mark.parametrize(
    "file", ["pyproject.toml", "scripts/constraints.txt", "scripts/torch_versions"]
)
def test_install_notices_that_versions_changed_and_changed_back(checkout: Path, file: str) -> None:
    before = (checkout / file).read_text()
    install(checkout, "collect")
    pip_words(checkout)
    (checkout / file).write_text(before + "# another\n")
    install(checkout, "collect")
    assert pip_words(checkout) != []
    (checkout / file).write_text(before)
    install(checkout, "collect")
    assert pip_words(checkout) != []


def test_newest_is_asked_for_each_time_and_oldest_is_apart(checkout: Path) -> None:
    for _ in range(2):
        assert install(checkout, "collect", "newest").returncode == 0
        commands = pip_words(checkout, ".venv-newest")
        assert commands[-1].split("install ")[1] == (
            "--upgrade --upgrade-strategy eager -e .[collect]"
        )
    if sys.version_info[:2] == (3, 11):
        assert install(checkout, "collect", "oldest").returncode == 0
        commands = pip_words(checkout, ".venv-oldest")
        assert all(line.startswith("scripts/constraints-oldest.txt ") for line in commands)
    assert pip_words(checkout) == []  # .venv is not touched


def test_install_refuses_versions_and_pythons_it_does_not_have(checkout: Path) -> None:
    done = install(checkout, "collect", "newset")
    assert (done.returncode, done.stderr) == (
        2, "scripts/install: 'newset' is none of locked, oldest, newest\n",
    )  # fmt: skip


@pytest.mark.slow
def test_coverage_refuses_what_pytest_does_not_take_before_it_runs(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPTS / "coverage", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    for path, command in ((tmp_path / "scripts" / "install", ":"), (python, sys.executable)):
        path.write_text(f'#!/bin/sh\n{command} "$@"\n')
        path.chmod(0o755)
    before = sorted(tmp_path.rglob("*"))
    command = [str(tmp_path / "scripts" / "coverage"), "--bogus"]
    done = subprocess.run(command, capture_output=True, text=True)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert line.startswith("scripts/coverage: ")
    assert line.endswith("error: unrecognized arguments: --bogus")
    assert sorted(tmp_path.rglob("*")) == before


WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda p: p.name)
def test_workflows_call_only_scripts(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"actions/checkout@[0-9a-f]{40}", step["uses"])
            else:
                (script, *_) = step["run"].split()
                assert script.startswith("scripts/")
                assert os.access(ROOT / script, os.X_OK)


def test_workflows_run_every_python_that_is_locked() -> None:
    tests = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
    assert tests["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    weekly = yaml.safe_load((ROOT / ".github" / "workflows" / "versions.yml").read_text())
    runs = weekly["jobs"]["test"]["strategy"]["matrix"]["include"]
    assert {run["versions"] for run in runs} == {"newest", "oldest"}


def test_the_schema_of_others_is_checked_on_a_python_that_has_its_package() -> None:
    weekly = yaml.safe_load((ROOT / ".github" / "workflows" / "versions.yml").read_text())
    job = weekly["jobs"]["schema"]
    assert job["container"] == "python:3.13-bookworm"
    assert job["steps"][-1]["run"] == "scripts/test_eee_schema"
    script = (SCRIPTS / "test_eee_schema").read_text()
    (test,) = re.findall(r"tests/\S+", script)
    assert (ROOT / test).is_file()
    generator = SCRIPTS / "generate_eee_models"
    assert "scripts/generate_eee_models --check" in script
    (checked,) = re.findall(r"every-eval-ever==[\d.]+", script)
    assert f'"{checked}"' in generator.read_text()


FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


@pytest.mark.parametrize("file", FORMS, ids=lambda p: p.name)
def test_fields_of_issue_forms_have_only_what_the_host_knows(file: Path) -> None:
    """A comma in a label without quotes makes keys of what follows, which the host refuses."""
    known = {"label", "description", "placeholder", "value", "render", "options", "multiple"}
    for field in yaml.safe_load(file.read_text())["body"]:
        assert set(field["attributes"]) <= known
