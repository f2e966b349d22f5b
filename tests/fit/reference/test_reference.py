"""The packaged reference is what its builder makes, sourced and corrected; one's own loads too."""

from dataclasses import replace
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

import numpy as np
import pandas as pd
import pytest
from checkout import ROOT

from capspace.fit.errors import TableError, UnknownNameError
from capspace.fit.reference import load_reference, target_training_table

TABLES = ROOT / "../shared/data/results/obsscaling"


@pytest.fixture(scope="module")
def reference():
    return load_reference()


@pytest.mark.slow
@pytest.mark.skipif(not TABLES.is_dir(), reason="the study's tables are not in ../shared")
def test_rebuilding_gives_the_committed_bytes(tmp_path, monkeypatch):
    loader = SourceFileLoader("build_reference", str(ROOT / "scripts/build_reference"))
    spec = spec_from_loader(loader.name, loader)
    builder = module_from_spec(spec)
    loader.exec_module(builder)
    monkeypatch.setattr(
        "sys.argv", ["x", "--data", str(TABLES), "--out", str(tmp_path), "--no-laws"]
    )
    builder.main()
    for name in ("scores.csv", "models.csv"):
        committed = (ROOT / "fit/reference/study-2024" / name).read_bytes()
        assert (tmp_path / name).read_bytes() == committed


@pytest.mark.slow
def test_its_evaluation_is_what_its_builder_computes(reference, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from references.study import evaluated

    names = ["gsm8k", "agentboard"]
    fewer = replace(reference, targets={name: reference.target(name) for name in names})
    for row in evaluated(fewer).to_dict("records"):
        stated = reference.evaluations[row["target"]]
        assert row["n"] == stated.n
        assert row["mae"] == pytest.approx(stated.mae, abs=0.005)
        assert row["baseline_mae"] == pytest.approx(stated.baseline_mae, abs=0.005)


def test_what_it_holds(reference):
    assert len(reference.models("base")) == 148
    assert len(reference.models("instruct")) == 27
    assert list(reference.benchmarks) == [
        "MMLU",
        "ARC-C",
        "HellaSwag",
        "Winogrande",
        "TruthfulQA",
        "GSM8K",
        "XWinograd",
        "HumanEval",
    ]
    scores = reference.scores("base")
    assert scores.shape == (148, 8)
    assert scores.isna().to_numpy().sum() == 40
    assert (reference.table.scores["source"].str.len() > 20).all()
    reference.table.require_fractions()


def test_known_slips_of_the_published_facts_are_corrected(reference):
    facts = reference.models()
    btlm = facts.loc["cerebras/btlm-3b-8k-base"]
    assert btlm["training_tokens"] == pytest.approx(0.627e12)
    assert btlm["training_flops"] == pytest.approx(6 * 3e9 * 0.627e12, rel=1e-3)
    assert facts.loc["mistralai/Mixtral-8x22B-v0.1", "parameters"] == 141e9
    assert facts.loc["deepseek-ai/DeepSeek-V2", "training_flops"] == pytest.approx(1.0206e24)
    notes = pd.read_csv(ROOT / "fit/reference/study-2024/models.csv")["note"].dropna()
    assert len(notes) == 10
    assert notes.str.contains("corrected").all()


@pytest.mark.parametrize("name", list(load_reference().targets))
def test_every_target_can_be_fitted_in_a_space_it_does_not_help_to_build(reference, name):
    target = reference.target(name)
    scores, truth, families = target_training_table(reference, target)
    assert len(scores) >= 11
    assert families.nunique() >= 9
    assert name not in scores.columns
    assert not set(target.drop) & set(scores.columns)
    if name.startswith(("gsm8k", "arithmetic")):
        assert "GSM8K" not in scores.columns
    if target.population == "instruct":
        assert "XWinograd" not in scores.columns
        assert scores.shape[1] == 7
    assert truth.max() <= target.perfect
    assert truth.max() > target.chance


def test_names_labels_and_near_matches(reference):
    assert reference.target("AgentBench") is reference.target("agentbench")
    with pytest.raises(UnknownNameError, match=r"'gsm8k-cott'; did you mean 'gsm8k-cot'"):
        reference.target("gsm8k-cott")
    np.testing.assert_array_equal(reference.chance(["MMLU", "GSM8K", "mine"]), [0.25, 0, 0])


def test_models_to_leave_out_are_left_out(reference):
    target = reference.target("gsm8k-cot")
    everyone, _, _ = target_training_table(reference, target)
    gone = list(everyone.index[:3])
    fewer, _, _ = target_training_table(reference, target, exclude=gone)
    assert list(fewer.index) == list(everyone.index[3:])


def write(folder, **files):
    for name, text in files.items():
        stem, kind = name.rsplit("_", 1)
        (folder / f"{stem}.{kind}").write_text(text)


SCORES = "model,benchmark,score\na,MMLU,0.4\na,gsm8k-cot,0.2\nb,MMLU,0.5\nb,gsm8k-cot,0.3\n"


def test_ones_own_folder_and_ones_own_table(tmp_path):
    write(tmp_path, scores_csv=SCORES, models_csv="model,family,tuning\na,A,\nb,B,instruct\n")
    own = load_reference(tmp_path)
    assert list(own.models("base").index) == ["a"]
    assert list(own.models("instruct").index) == ["b"]
    (tmp_path / "wide.csv").write_text(
        "Model,Model Family,MMLU,gsm8k-cot\na,A,0.4,0.2\nb,B,.5,.3\n"
    )
    table = load_reference(tmp_path / "wide.csv")
    assert list(table.targets) == ["gsm8k-cot"]
    assert list(table.benchmarks) == ["MMLU"]
    assert len(table.models("base")) == 2


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"scores_csv": SCORES}, "no models.csv"),
        ({"scores_csv": SCORES, "models_csv": "name\na\n"}, "no column 'model'"),
        ({"scores_csv": "model,score\na,1\n", "models_csv": "model\na\n"}, "column 'benchmark'"),
        (
            {"scores_csv": SCORES.replace("MMLU", "MLU"), "models_csv": "model\na\n"},
            "'MLU' is neither a benchmark nor a target; did you mean 'MMLU'",
        ),
        ({"scores_csv": SCORES, "models_csv": "model,tuning\na,chat\n"}, "tuning is 'chat'"),
        (
            {"scores_csv": SCORES, "models_csv": "model\na\n", "targets_yaml": "- {name: x}"},
            "targets.yaml: x: label is not stated; add it",
        ),
        (
            {"scores_csv": SCORES, "models_csv": "model\na\n", "benchmarks_yaml": "a: [b"},
            "benchmarks.yaml: not YAML",
        ),
        (
            {"scores_csv": SCORES, "models_csv": "model\na\n", "benchmarks_yaml": "a: b"},
            "benchmarks.yaml: expected a list",
        ),
    ],
)
def test_a_bad_reference_gets_one_line_with_file_and_field(tmp_path, files, message):
    write(tmp_path, **files)
    with pytest.raises(TableError, match=message) as caught:
        load_reference(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_table_without_targets_or_benchmarks_is_no_reference(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Model,MMLU\na,0.4\n")
    with pytest.raises(TableError, match="no target among its columns"):
        load_reference(path)
    path.write_text("Model,bbh\na,0.4\n")
    with pytest.raises(TableError, match="no benchmark among its columns"):
        load_reference(path)
    with pytest.raises(TableError, match="no such file"):
        load_reference(tmp_path / "gone.csv")


def test_the_name_of_a_benchmark_alone_lists_its_targets():
    reference = load_reference("frontier-2026")
    with pytest.raises(
        UnknownNameError, match=r"unknown target 'hle'.* hle/no-tools or hle/tools$"
    ):
        reference.target("hle")
    with pytest.raises(UnknownNameError, match=r"did you mean 'hle/tools'"):
        reference.target("hle/tool")


def test_a_wrong_target_names_what_is_near_and_who_has_it_and_no_more():
    reference = load_reference("frontier-2026")
    with pytest.raises(UnknownNameError) as raised:
        reference.target("hellaswag/vendr")
    line = str(raised.value)
    assert "did you mean 'hellaswag/vendor'" in line
    assert line.endswith("`capspace targets --reference frontier-2026` lists all 78")
    assert "swe-bench" not in line
    belongs = "unknown target 'bbh'; it belongs to study-2024: add --reference study"
    with pytest.raises(UnknownNameError, match=belongs):
        reference.target("bbh")
    with pytest.raises(UnknownNameError, match="it belongs to epoch-2026 and frontier-2026: add"):
        load_reference().target("hle")
