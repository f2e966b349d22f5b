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
    (line,) = [line for line in shown.out.splitlines() if "its other scores predict" in line]
    assert line.startswith("mine: GPQA-diamond is 0.007")
    assert "percentage" in "".join(shown.out.splitlines())


def test_alarms_stand_in_json(capspace: Command, faulty: Path) -> None:
    (alarm,) = json.loads(capspace("predict", faulty, "--json").out)["alarms"]
    assert alarm["benchmarks"] == ["GPQA-diamond"]
    assert alarm["pattern"] == "scale"
    faulty.write_text(MODERN.format(0.66))
    assert json.loads(capspace("predict", faulty, "--json").out)["alarms"] == []


@pytest.mark.slow
def test_verdict_and_next_show_the_alarms_of_predict(capspace: Command, faulty: Path) -> None:
    words = ("verdict", faulty, "--target", "hle/no-tools", "--cost", "10gpu-hours", "--force")
    assert "mine: GPQA-diamond is 0.007" in capspace(*words).out
    (alarm,) = json.loads(capspace(*words, "--json").out)["alarms"]
    assert alarm["pattern"] == "scale"
    shown = capspace("next", faulty, "--target", "hle/no-tools", "--force")
    assert "mine: GPQA-diamond is 0.007" in shown.out


@pytest.mark.slow
def test_predict_and_complete_say_which_of_them_to_trust(capspace: Command, faulty: Path) -> None:
    faulty.write_text(MODERN.format(0.66))
    line = "trust predict, whose 90% intervals contained 87 to 91%"
    for words in (("predict", faulty, "--target", "hle/no-tools"), ("complete", faulty)):
        assert line in capspace(*words).out
        assert any(line in note for note in json.loads(capspace(*words, "--json").out)["notes"])
    classic = faulty.with_name("classic.csv")
    classic.write_text("model,MMLU,HellaSwag,GSM8K\nmine,0.62,0.81,0.4\n")
    assert line not in capspace("predict", classic, "--target", "bbh").out  # complete has no law
