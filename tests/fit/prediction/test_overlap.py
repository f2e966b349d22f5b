"""No law predicts a model that it was fitted on, whatever the model is called."""

import json

import numpy as np
import pandas as pd
import pytest
from checkout import SHARED

from capspace.fit import ScoreTable, TwoView, load_reference, place_model
from capspace.fit.analyses.ledger import Ledger, LedgerError
from capspace.fit.prediction import TargetLaw
from capspace.fit.reference import target_training_table
from capspace.fit.reference.overlap import find_overlap

FAULTS = SHARED / "faults/reference-name-variants"
FAST = TwoView(n_refits=4)
LLAMA = "meta-llama/Llama-2-7b-hf"
ROW = {
    "MMLU": 0.45, "ARC-C": 0.53, "HellaSwag": 0.78, "Winogrande": 0.74, "TruthfulQA": 0.39,
    "XWinograd": 0.75, "HumanEval": 0.13, "GSM8K": 0.14,
}  # fmt: skip


@pytest.fixture(scope="module")
def reference():
    return load_reference()


def predicted(reference, names, target="gsm8k-cot", **cells):
    frame = pd.DataFrame([{**ROW, **cells}] * len(names), index=names)
    return TargetLaw(target, method=FAST).fit(reference).predict(frame)


def test_every_spelling_is_predicted_without_the_model_itself(reference):
    names = [LLAMA, "Llama-2-7b-hf", "llama2-7b", f"{LLAMA}@main", "/models/llama-2-7b-hf/"]
    predictions = predicted(reference, names)
    assert len({p.mean for p in predictions}) == 1
    assert all(LLAMA not in p.models for p in predictions)
    assert predictions[0].notes == ()  # the very same name
    assert f"left out of its fits: {LLAMA} (another spelling)" in predictions[1].notes[0]


def test_a_likely_match_is_left_out_and_named(reference):
    (prediction,) = predicted(reference, ["Llama-2-7b-dpo"])
    assert LLAMA not in prediction.models
    assert prediction.notes == (
        f"Llama-2-7b-dpo: left out of its fits: {LLAMA} "
        "(likely the same: only dpo tells them apart)",
    )
    assert json.loads(json.dumps(prediction.to_dict()))["notes"] == list(prediction.notes)


def test_a_model_with_the_scores_of_a_reference_model_is_likely_that_model(reference):
    own = reference.scores().loc[LLAMA]
    (prediction,) = predicted(reference, ["secret"], **own.to_dict())
    assert LLAMA not in prediction.models
    assert f"{LLAMA} (likely the same: equal scores on 8 benchmarks)" in prediction.notes[0]
    three = own.copy()
    three[["MMLU", "ARC-C", "HellaSwag", "Winogrande", "GSM8K"]] += 0.004
    assert find_overlap("secret", three, reference.scores()).reasons == {}


def test_zeros_and_missing_scores_are_not_the_same_scores(reference):
    weak = pd.Series({"GSM8K": 0.0, "HumanEval": 0.0, "MMLU": np.nan, "ARC-C": np.nan})
    assert find_overlap("weak", weak, reference.scores()).reasons == {}


@pytest.mark.slow
def test_a_prediction_does_not_depend_on_its_company(reference):
    alone = predicted(reference, ["mine"])[0]
    among = predicted(reference, ["Llama-2-13b", "mine", "gemma-7b"])
    assert [p.model for p in among] == ["Llama-2-13b", "mine", "gemma-7b"]
    assert among[1].mean == alone.mean
    assert (among[1].lower, among[1].upper) == (alone.lower, alone.upper)
    assert among[1].models == alone.models
    assert among[1].n_models == among[0].n_models + 1


@pytest.mark.slow
def test_all_models_of_the_reference_are_predicted_each_without_itself(reference):
    fitted = target_training_table(reference, reference.target("agentbench"))[0]
    predictions = TargetLaw("agentbench", method=FAST).fit(reference).predict(fitted.iloc[:5])
    assert [p.model in p.models for p in predictions] == [False] * 5


def test_a_place_and_its_predictions_leave_the_model_out(reference):
    wide = pd.DataFrame([ROW], index=["llama-2-7b"])
    placement = place_model(ScoreTable.from_wide(wide), reference, targets=["bbh"], method=FAST)
    assert LLAMA not in placement.points.index
    assert LLAMA not in placement.predictions[0].models
    assert any(LLAMA in note and "another spelling" in note for note in placement.notes)


@pytest.mark.slow
def test_a_frozen_law_is_not_scored_on_its_own_models(reference, tmp_path):
    fit = TargetLaw("bbh").fit(reference)
    wide = pd.DataFrame([ROW, ROW], index=["Llama-2-7b", "new"])
    with pytest.raises(LedgerError, match=f"Llama-2-7b is or may be {LLAMA}.*another spelling"):
        Ledger(tmp_path / "a.jsonl").add(fit, scores=wide)
    ledger = Ledger(tmp_path / "b.jsonl")
    name = ledger.add(fit).name
    scoring = ledger.score(name, wide, pd.Series({"Llama-2-7b": 0.4, "new": 0.4}))
    assert [r["model"] for r in scoring.results] == ["new"]
    assert LLAMA in scoring.left_out["Llama-2-7b"]


@pytest.mark.slow
def test_ledger_add_freezes_a_law_without_the_models_it_is_to_predict(capspace, tmp_path):
    path = tmp_path / "scores.csv"
    pd.DataFrame([{"Model": "Llama-2-7b", **ROW}]).to_csv(path, index=False)
    ledger = tmp_path / "ledger.jsonl"
    shown = capspace("ledger", "add", "bbh", path, "--ledger", ledger)
    assert shown.code == 0, shown.err
    assert LLAMA in shown.out
    (law,) = Ledger(ledger).laws()
    assert LLAMA not in law.training["models"]


@pytest.mark.slow
@pytest.mark.skipif(not FAULTS.is_dir(), reason="no ../shared/data/faults")
def test_predict_says_which_reference_model_it_left_out(capspace):
    means = set()
    for file in ("ref0.csv", "ref1.csv", "ref2.csv"):
        shown = capspace("predict", FAULTS / file, "--target", "gsm8k-cot", "--json")
        (prediction,) = json.loads(shown.out)["predictions"]
        assert LLAMA not in prediction["models"]
        means.add(prediction["mean"])
        left_out = f"left out of its fits: {LLAMA} (another spelling)"
        assert (left_out in "".join(prediction["notes"])) is (file != "ref0.csv")
    assert len(means) == 1
