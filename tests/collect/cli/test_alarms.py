"""``predict`` warns of a score that the model's other scores contradict, and still predicts."""

import json
from pathlib import Path

import pytest
from commands import Command

MODERN = (
    "model,GPQA-diamond,MMLU-Pro,IFEval,AIME 2025,release_date\nmine,{},0.78,0.86,0.7,2025-09\n"
)


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    path = tmp_path / "scores.csv"
    path.write_text(MODERN.format(0.0066))
    return path


def test_an_alarm_is_a_line_and_stops_nothing(capspace: Command, faulty: Path) -> None:
    shown = capspace("predict", faulty, "--target", "hle/no-tools")
    assert shown.code == 0
    (line,) = [line for line in shown.out.splitlines() if "its other scores say" in line]
    assert line.startswith("mine: GPQA-diamond is 0.007")
    assert "percentage" in "".join(shown.out.splitlines())


def test_alarms_stand_in_json(capspace: Command, faulty: Path) -> None:
    (alarm,) = json.loads(capspace("predict", faulty, "--json").out)["alarms"]
    assert alarm["benchmarks"] == ["GPQA-diamond"]
    assert alarm["pattern"] == "scale"
    faulty.write_text(MODERN.format(0.66))
    assert json.loads(capspace("predict", faulty, "--json").out)["alarms"] == []
