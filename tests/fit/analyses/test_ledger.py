"""The ledger: laws frozen on the packaged reference, scored on models held back, and tampering."""

import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from small_files import files_limited_to

from capspace.fit.analyses.frozen import FrozenLaw
from capspace.fit.analyses.ledger import Ledger, LedgerError
from capspace.fit.errors import DegenerateError, FitError, UnknownNameError
from capspace.fit.prediction import TargetLaw
from capspace.fit.reference import load_reference, target_training_table

NEW_FAMILIES = ["Llama-3", "Mistral"]
THEN = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def case():
    """Return a law fitted without two families, and these families' scores and truth."""
    reference = load_reference()
    target = reference.target("bbh-cot")
    scores, truth, families = target_training_table(reference, target)
    new = families.isin(NEW_FAMILIES)
    fit = TargetLaw(target).fit(reference, exclude=set(scores.index[new]))
    return fit, scores[new], truth[new]


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "deep" / "ledger.jsonl")


def test_frozen_predictions_are_scored(case, ledger):
    fit, scores, truth = case
    law = ledger.add(fit, name="first", scores=scores, now=THEN)
    assert law.frozen_at == THEN
    assert law.target == fit.target_
    assert [p["model"] for p in law.predictions] == list(scores.index)
    # Nothing but the truth is needed once the predictions are frozen.
    scoring = ledger.score("first", pd.DataFrame(), truth, now=THEN.replace(year=2025))
    expected = fit.predict(scores)
    assert [r["mean"] for r in scoring.results] == [p.mean for p in expected]
    assert all(r["frozen"] for r in scoring.results)
    errors = np.array([p.mean for p in expected]) - truth
    assert scoring.mse == pytest.approx(np.mean(errors**2))
    assert scoring.mae == pytest.approx(np.mean(np.abs(errors)))
    assert scoring.coverage == np.mean(
        [p.lower <= t <= p.upper for p, t in zip(expected, truth, strict=True)]
    )
    assert ledger.scorings("first") == [scoring]


def test_frozen_law_predicts_models_that_came_later(case, ledger):
    fit, scores, truth = case
    name = ledger.add(fit, now=THEN).name
    assert name == "bbh-cot@2024-05-01"
    scoring = Ledger(ledger.path).score(name, scores, truth)
    expected = {p.model: p for p in fit.predict(scores)}
    for result in scoring.results:
        assert not result["frozen"]
        assert result["mean"] == pytest.approx(expected[result["model"]].mean, abs=1e-6)
        assert result["upper"] == pytest.approx(expected[result["model"]].upper, abs=1e-4)


def test_law_and_data_are_plain_json(case, ledger):
    fit, _, _ = case
    law = ledger.add(fit, name="first")
    line = json.loads(ledger.path.read_text())
    assert line["law"]["training"]["scores"] == law.training["scores"]
    assert len(law.data_sha256) == 64
    # The frozen numbers alone give the law's linear predictor.
    complete = fit.scores_.notna().all(axis=1)
    x = (fit.scores_[complete] - law.law["mean"]) @ np.array(law.law["components"]).T
    c = law.law["intercept"] + x @ law.law["coef"]
    np.testing.assert_allclose(c, fit.linear_predictor_[complete], atol=1e-9)


def test_models_that_cannot_be_scored_are_named(case, ledger):
    fit, scores, truth = case
    ledger.add(fit, name="first")
    truth = truth.astype(float).copy()
    unknown, known = truth.index[0], truth.index[1:]
    truth[unknown] = np.nan
    truth["org/never-measured"] = 0.5
    truth[fit.scores_.index[0]] = 0.5
    scoring = ledger.score("first", scores, truth)
    assert [r["model"] for r in scoring.results] == list(known)
    assert "not known" in scoring.left_out[unknown]
    assert "none of its benchmarks" in scoring.left_out["org/never-measured"]
    assert "fitted on" in scoring.left_out[fit.scores_.index[0]]
    with pytest.raises(DegenerateError, match="no model to score"):
        ledger.score("first", scores, truth[[unknown]])


def test_a_model_of_which_nothing_in_the_space_is_known_is_not_scored(case, ledger):
    fit, scores, truth = case
    ledger.add(fit, name="first")
    scores = scores.iloc[:2].copy()
    scores.iloc[0] = np.nan
    scoring = ledger.score("first", scores, truth.iloc[:2])
    assert [r["model"] for r in scoring.results] == [scores.index[1]]
    assert scoring.left_out == {scores.index[0]: "none of its benchmarks is in the space"}


def test_an_entry_of_another_version_and_a_ledger_that_is_no_text_are_refused(case, ledger):
    entry = {"name": "first", "target": {"name": "bbh", "chance": 2}}
    with pytest.raises(LedgerError, match=r"first: its target cannot be read .Field required"):
        FrozenLaw.from_dict(entry)
    ledger.path.parent.mkdir()
    ledger.path.write_bytes(b"\xff")
    with pytest.raises(LedgerError, match=r"ledger\.jsonl: cannot be read .*utf-8"):
        ledger.laws()


@pytest.mark.parametrize("change", ["edit", "remove", "garbage", "backdate"])
def test_a_changed_ledger_is_refused(case, ledger, change):
    fit, _, _ = case
    for name in ("first", "second", "third"):
        ledger.add(fit, name=name, now=THEN)
    lines = ledger.path.read_text().splitlines()
    if change == "edit":
        lines[1] = lines[1].replace("second", "2nd")
    elif change == "backdate":
        lines[1] = lines[1].replace("2024-05-01", "2023-05-01")
    elif change == "remove":
        del lines[1]
    else:
        lines[1] = lines[1][:100]
    ledger.path.write_text("\n".join(lines) + "\n")
    with pytest.raises(LedgerError, match="line 2"):
        ledger.laws()


def test_a_law_that_no_longer_refits_is_refused(case, ledger, monkeypatch):
    fit, scores, truth = case
    ledger.add(fit, name="first")
    other = TargetLaw("bbh").fit(load_reference())
    monkeypatch.setattr(TargetLaw, "fit", lambda *a, **k: other)
    with pytest.raises(LedgerError, match="to another law"):
        ledger.score("first", scores, truth)


def test_an_entry_that_does_not_fit_on_the_disk_leaves_the_ledger_as_it_was(case, ledger):
    fit, _, _ = case
    ledger.add(fit, name="first")
    before = ledger.path.read_bytes()
    limited = files_limited_to(len(before) + 100)
    with limited, pytest.raises(LedgerError, match=r"cannot be written .*too large"):
        ledger.add(fit, name="second")
    assert ledger.path.read_bytes() == before
    assert [law.name for law in ledger.laws()] == ["first"]


def test_a_first_entry_that_does_not_fit_on_the_disk_leaves_nothing(case, ledger):
    fit, _, _ = case
    with files_limited_to(100), pytest.raises(LedgerError, match=r"too large\); it is as it was"):
        ledger.add(fit, name="first")
    assert not ledger.path.parent.exists()


def test_a_ledger_without_its_last_newline_is_completed(case, ledger):
    fit, _, _ = case
    ledger.add(fit, name="first")
    before = ledger.path.read_bytes().removesuffix(b"\n")
    ledger.path.write_bytes(before)
    limited = files_limited_to(len(before) + 100)
    with limited, pytest.raises(LedgerError, match="it is as it was"):
        ledger.add(fit, name="second")
    assert ledger.path.read_bytes() == before
    ledger.add(fit, name="second")
    assert [law.name for law in ledger.laws()] == ["first", "second"]
    assert ledger.path.read_bytes().startswith(before + b"\n{")


def test_a_ledger_where_no_file_can_be_is_refused(case, tmp_path):
    fit, _, _ = case
    (tmp_path / "file").write_text("")
    ledger = Ledger(tmp_path / "file" / "ledger.jsonl")
    assert ledger.laws() == []
    with pytest.raises(LedgerError, match=r"ledger\.jsonl: cannot be written"):
        ledger.add(fit)


def test_names(case, ledger):
    fit, _, _ = case
    assert ledger.laws() == []
    with pytest.raises(UnknownNameError, match="holds none"):
        ledger.law("first")
    ledger.add(fit, name="first")
    with pytest.raises(LedgerError, match="already holds"):
        ledger.add(fit, name="first")
    with pytest.raises(UnknownNameError, match="did you mean 'first'"):
        ledger.law("frist")
    with pytest.raises(LedgerError, match="among the models the law was fitted on"):
        ledger.add(fit, name="other", scores=fit.scores_)


@pytest.mark.parametrize("level", [2, 0, np.nan, "x", None])
def test_a_level_that_is_none_is_not_frozen(case, ledger, level):
    with pytest.raises(FitError, match="level is"):
        ledger.add(case[0], name="first", level=level)
    assert not ledger.path.parent.exists()


def test_models_may_be_numbered_but_not_twice_nor_their_scores_be_text(case, ledger):
    fit, scores, truth = case
    scores, truth = scores.iloc[:2], truth.iloc[:2]
    ledger.add(fit, name="first", scores=scores.set_axis(["0", "1"]))
    numbered = ledger.score("first", scores.reset_index(drop=True), truth.reset_index(drop=True))
    assert [r["model"] for r in numbered.results] == ["0", "1"]
    for given, message in (
        (scores.astype(object).assign(MMLU="high"), "MMLU is 'high', not a number"),
        (pd.concat([scores, scores]), "is twice among the models of the scores"),
        (pd.concat([scores, scores], axis=1), "is twice among the benchmarks of the scores"),
    ):
        before = ledger.path.read_bytes()
        with pytest.raises(FitError, match=message):
            ledger.score("first", given, truth)
        assert ledger.path.read_bytes() == before
    with pytest.raises(FitError, match="MMLU is 'high', not a number"):
        ledger.add(fit, name="next", scores=scores.astype(object).assign(MMLU="high"))
    with pytest.raises(UnknownNameError, match="no law 1 in"):
        ledger.law(1)
