"""``place`` judges a costly run where its price is given."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from store_parts import RESULT

from capspace.collect import Checkpoint, Collection
from capspace.collect.cli.judging import judge_of
from capspace.collect.run._place import place_collection
from capspace.fit import ScoreTable, Verdict, load_reference, place_model
from capspace.fit.errors import FitError
from capspace.tasks.panel import load_panel

SETTINGS = {"level": 0.9, "today": None}


@pytest.mark.parametrize(
    ("cost", "target", "question", "message"),
    [
        (None, ["bbh"], (0.5, None), "give its --cost"),
        ("5h", None, (None, None), "one at a time"),
        ("5h", ["bbh", "gsm8k"], (None, None), "one at a time"),
        ("much", ["bbh"], (None, None), "cost 'much'"),
        ("5h", ["bbh"], (0.5, 0.1), "one of the two"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_measured(
    cost: str | None,
    target: list[str] | None,
    question: tuple[float | None, float | None],
    message: str,
) -> None:
    with pytest.raises(FitError, match=message):
        judge_of(cost, target, question, **SETTINGS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"price": ["MMLU"]}, "expected BENCHMARK=COST"),
        ({"price": ["MMLU=much"]}, "cost 'much'"),
        ({"parameters": "big"}, "--parameters 'big'"),
        ({"prices": Path("nowhere.yaml")}, "nowhere.yaml is no file"),
    ],
)
def test_wrong_prices_are_refused_before_anything_is_measured(
    options: dict[str, Any], message: str
) -> None:
    for cost in ("5h", None):  # without a run, they order what to measure next
        with pytest.raises(FitError, match=message):
            judge_of(cost, ["bbh"], (None, None), **SETTINGS, **options)


@pytest.mark.slow
def test_a_placement_has_the_verdict_on_its_page(tmp_path: Path) -> None:
    checkpoint = Checkpoint(RESULT.model, "hub", RESULT.model, RESULT.revision, "bfloat16")
    identity = json.dumps({"model": {}, "limit": None})
    results = tuple(
        replace(RESULT, key=b.ljust(64), benchmark=b, score=s, identity=identity)
        for b, s in (("MMLU", 0.6), ("HellaSwag", 0.8), ("GSM8K", 0.4))
    )
    collection = Collection(load_panel("classic-8"), (checkpoint,), results, (), 3)
    judge = judge_of("120h", ["bbh"], (0.8, None), **SETTINGS)
    placed = place_collection(collection, targets=["bbh"], out=tmp_path, judge=judge)
    assert placed.verdict is not None
    assert placed.verdict.decision == "skip"
    assert "<h2>Skip: BBH (weak)</h2>" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_a_refused_target_leaves_the_placement_without_a_verdict(
    tmp_path: Path,
) -> None:
    checkpoint = Checkpoint(RESULT.model, "hub", RESULT.model, RESULT.revision, "bfloat16")
    identity = json.dumps({"model": {}, "limit": None})
    result = replace(RESULT, benchmark="MMLU", score=0.6, identity=identity)
    collection = Collection(load_panel("classic-8"), (checkpoint,), (result,), (), 1)
    judge = judge_of("120h", ["agentboard"], (None, None), **SETTINGS)
    placed = place_collection(collection, targets=["agentboard"], out=tmp_path, judge=judge)
    assert placed.verdict is None
    assert "agentboard: refused by its back-test" in placed.no_verdict
    assert placed.no_verdict.startswith("by study-2024: ")
    page = (tmp_path / "report.html").read_text()
    assert "<h2>No verdict</h2>" in page
    assert "By study-2024: agentboard: refused" in page


@pytest.mark.slow
def test_the_first_reference_that_gives_a_number_judges() -> None:
    facts = pd.DataFrame({"release_date": "2026-03", "mode": "thinking"}, index=["mine"])
    scores = pd.DataFrame({"GPQA-diamond": 0.6, "OTIS Mock AIME": 0.5}, index=["mine"])
    table = ScoreTable.from_wide(scores, models=facts)
    placements = [
        place_model(table, load_reference(name), targets=["hle/no-tools"])
        for name in ("frontier-2026", "epoch-2026")
    ]
    judge = judge_of("250usd", ["hle/no-tools"], (0.3, None), **SETTINGS)
    verdict = judge(placements)
    assert isinstance(verdict, Verdict)
    assert verdict.notes[0] == "judged by epoch-2026"
    assert verdict.notes[1].startswith("no verdict by frontier-2026: hle/no-tools: no number is")
    reason = judge(placements[:1])
    assert isinstance(reason, str)
    assert reason.startswith("by frontier-2026: hle/no-tools: no number is given: fewer than 2")
    # Of a run that none of the references knows there is nothing to say.
    assert judge_of("250usd", ["bbh"], (0.3, None), **SETTINGS)(placements) is None


def test_prices_decide_what_is_measured_before_a_run() -> None:
    scores = pd.DataFrame({"MMLU": 0.62, "HellaSwag": 0.81, "GSM8K": 0.4}, index=["mine"])
    placements = [place_model(ScoreTable.from_wide(scores), load_reference(), targets=["bbh"])]
    question = ("250usd", ["bbh"], (0.5, None))
    priced = judge_of(*question, **SETTINGS, price=["HumanEval=1usd"])(placements)
    assert isinstance(priced, Verdict)
    assert [step.measurement.benchmark for step in priced.steps] == ["HumanEval"]
    assert "for 1 USD" in priced.reason
    unknown = judge_of(*question, **SETTINGS, price=["GPQA=1usd"])(placements)
    assert isinstance(unknown, str)
    assert "'GPQA' is no benchmark that this prediction starts from" in unknown
