"""The check for a GPU refuses in one line where it can check nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from checkout import ROOT

SCRIPT = [sys.executable, str(ROOT / "scripts" / "gpu_check")]


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
