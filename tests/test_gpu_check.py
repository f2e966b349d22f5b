"""The check for a GPU refuses in one line where it can check nothing, and reads what tests did."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
from checkout import ROOT

SCRIPT = [sys.executable, str(ROOT / "scripts" / "gpu_check")]


@pytest.fixture(scope="module")
def script() -> Any:
    loader = SourceFileLoader("gpu_check", SCRIPT[1])
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def refusal(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU, which it would check")
def test_without_a_card_it_says_so(tmp_path: Path) -> None:
    line = refusal(*SCRIPT, "--output", str(tmp_path / "out"))
    assert line == "scripts/gpu_check: no GPU that torch can use is here; --device cpu rehearses\n"
    assert not (tmp_path / "out").exists()


def test_without_packages_it_names_them() -> None:
    line = refusal(sys.executable, "-S", *SCRIPT[1:])  # no site-packages: a bare machine
    assert line.startswith("scripts/gpu_check: torch is missing here")


def test_wheels_of_another_state_of_the_checkout_are_seen(script: Any, tmp_path: Path) -> None:
    for part in ("collect", "fit", "tasks"):
        copytree(ROOT / part, tmp_path / part, ignore=lambda _, names: [
            name for name in names if "." in name and not name.endswith(".py")
        ])  # fmt: skip
    assert script.first_difference(tmp_path) is None
    changed = tmp_path / "collect" / "engine" / "lm.py"
    changed.write_text(changed.read_text() + "\n")
    assert script.first_difference(tmp_path) == "collect/engine/lm.py"
    (tmp_path / "collect" / "engine" / "budget.py").unlink()
    assert script.first_difference(tmp_path) == "collect/engine/budget.py"


def test_every_file_that_it_names_is_there(script: Any) -> None:
    for name in (*script.FIRST, *script.QUICK):
        assert (script.TESTS / f"{name}.py").is_file()


OUTCOMES = """
import pytest


@pytest.mark.parametrize("number", [1, 2])
def test_passes(number, record_property):
    record_property("nats", number / 4)


def test_fails():
    assert "the gap" == "small"


def test_raises(missing):
    pass


@pytest.mark.skip(reason="no such kernel")
def test_is_left_out():
    pass
"""


@pytest.mark.slow
def test_what_tests_did_and_recorded_is_written(script: Any, tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(OUTCOMES)
    check = script.Check("cpu", 60.0, tmp_path / "out", {})
    command = [sys.executable, "-m", "pytest", str(tmp_path), "-c", "/dev/null"]
    report = tmp_path / "out" / "folder-own.xml"
    subprocess.run([*command, "--junitxml", str(report), "-o", "junit_family=xunit1"], check=False)
    script.write_tests(check, "folder/own", 1, 2.5, False)
    (line,) = (json.loads(text) for text in check.file.read_text().splitlines())
    assert (line["file"], line["passed"], line["failed"], line["skipped"]) == (
        "folder/own",
        2,
        2,
        1,
    )
    assert {*line["failures"]} == {"test_fails", "test_raises"}
    assert "the gap" in line["failures"]["test_fails"]
    assert line["skipped_because"] == {"no such kernel": 1}
    assert line["recorded"]["test_passes[2]"] == {"nats": "0.5"}
    assert check.n_wrong == 2


def test_tests_that_leave_no_report_are_wrong(script: Any, tmp_path: Path) -> None:
    check = script.Check("cpu", 60.0, tmp_path, {})
    (tmp_path / "folder-own.log").write_text("Importing\nSegmentation fault\n")
    script.write_tests(check, "folder/own", -11, 2.5, False)
    (line,) = (json.loads(text) for text in check.file.read_text().splitlines())
    assert line["failed"] == "exit code -11: Segmentation fault"
    assert check.n_wrong == 1


def test_tests_that_have_no_time_are_no_fault(script: Any, tmp_path: Path) -> None:
    check = script.Check("cpu", 60.0, tmp_path, {})
    script.write_tests(check, "folder/own", -9, 2.5, True)
    assert json.loads(check.file.read_text())["stopped"] == "no time is left"
    assert check.n_wrong == 0


@pytest.mark.parametrize(("code", "n_wrong"), [(5, 0), (3, 1), (-11, 1)])
def test_a_fault_of_pytest_itself_is_wrong(
    script: Any, code: int, n_wrong: int, tmp_path: Path
) -> None:
    check = script.Check("cpu", 60.0, tmp_path, {})
    (tmp_path / "folder-own.log").write_text("INTERNALERROR> out of files\n")
    (tmp_path / "folder-own.xml").write_text("<testsuites><testsuite/></testsuites>")
    script.write_tests(check, "folder/own", code, 2.5, False)
    assert check.n_wrong == n_wrong


def test_without_requests_the_benchmark_is_left_out(script: Any, tmp_path: Path) -> None:
    check = script.Check("cpu", 60.0, tmp_path, {})
    script.run_benches(check, tmp_path / "requests.jsonl.gz", tiny=True)
    assert "scripts/gpu_wheels --data-root" in check.file.read_text()
    assert check.n_wrong == 0
