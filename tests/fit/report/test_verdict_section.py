"""A verdict is the first thing on the page, with what is to be measured before the run."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from capspace.fit import (
    Cost,
    Placement,
    Question,
    ScoreTable,
    Verdict,
    judge_run,
    load_reference,
    place_model,
    write_report,
)

HOSTILE = "org/<script>1</script>"
SCORES = {"MMLU": 0.62, "HellaSwag": 0.81, "GSM8K": 0.4}
TABLE = ScoreTable.from_wide(pd.DataFrame(SCORES, index=[HOSTILE]))


def judged(question: Question) -> Verdict:
    prices = {"HumanEval": Cost(1, "device-hours"), "ARC-C": Cost(2, "device-hours")}
    cost = Cost(120, "device-hours")
    return judge_run(
        TABLE, load_reference(), target="bbh", cost=cost, question=question, prices=prices
    )


@pytest.fixture(scope="module")
def placement() -> Placement:
    return place_model(TABLE, load_reference(), targets=["bbh"])


@pytest.mark.slow
@pytest.mark.usefixtures("small_figures")
def test_a_verdict_stands_before_everything_else_and_in_the_json(
    placement: Placement, tmp_path: Path
) -> None:
    verdict = judged(Question(threshold=0.5))
    page = write_report(placement, tmp_path, verdict=verdict).read_text()
    assert "<h2>Measure first: BBH (weak)</h2>" in page
    assert page.index("Measure first: BBH") < page.index("Predicted scores")
    assert "120 GPU-hours" in page
    assert "Track record: such verdicts on 75 models left out" in page
    assert f"best tenth {verdict.attainable:.3f}" in page
    assert HOSTILE not in page
    assert (tmp_path / "cost-and-width.svg").is_file()
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["verdict"]["decision"] == "measure first"
    assert result["predictions"][0]["attainable"] == pytest.approx(verdict.attainable)


@pytest.mark.slow
@pytest.mark.usefixtures("small_figures")
def test_without_a_verdict_the_page_has_no_such_section(
    placement: Placement, tmp_path: Path
) -> None:
    page = write_report(placement, tmp_path).read_text()
    assert "Track record" not in page
    skipped = judged(Question(threshold=0.9))
    page = write_report(placement, tmp_path, verdict=skipped).read_text()
    assert "<h2>Skip: BBH (weak)</h2>" in page
    assert "If measured one after another" not in page
