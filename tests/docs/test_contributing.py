"""The example of CONTRIBUTING is followed to the letter, in a copy of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT

CONTRIBUTING = (ROOT / ".github" / "CONTRIBUTING.md").read_text()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout whose ``fit`` and ``tests`` can be changed; the rest is linked to."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    leave = shutil.ignore_patterns("__pycache__")
    for part in ("fit", "tests"):
        shutil.copytree(ROOT / part, checkout / part, ignore=leave)
    for part in ("collect", "scripts", "tasks", "pyproject.toml"):
        (checkout / part).symlink_to(ROOT / part)
    (checkout / ".venv").symlink_to(sys.prefix)
    packages = checkout / "build" / "dev" / "capspace"
    packages.mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "namespace.py", packages / "__init__.py")
    for part in ("collect", "fit", "tasks"):
        (packages / part).symlink_to(checkout / part)
    return checkout


@pytest.mark.slow
def test_the_example_of_contributing_fails_as_it_says(copy: Path) -> None:
    (command,) = re.findall(r"```bash\n(\.venv/bin/pytest .*)\n```", CONTRIBUTING)
    (change,) = re.findall(r"in `(\S+)`, rename `(\S+)` to `(\S+)`", CONTRIBUTING)
    (message,) = re.findall(r"no longer belong to any target: `([^`]+)`", CONTRIBUTING)
    file, before, after = copy / change[0], *change[1:]
    text = file.read_text()
    assert text.count(f"name: {before}\n") == 1
    file.write_text(text.replace(f"name: {before}\n", f"name: {after}\n"))
    environment = {n: v for n, v in os.environ.items() if not n.startswith("PYTEST_")}
    environment["PYTHONPATH"] = str(copy / "build" / "dev")
    done = subprocess.run(
        ["bash", "-c", command], cwd=copy, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert message in done.stdout
    assert "1 failed" in done.stdout  # a test, and no error of the copy
