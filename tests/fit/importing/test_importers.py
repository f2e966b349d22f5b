"""Each importer reads its format into fractions with source, date and licence, or says why not."""

import json
from datetime import date

import numpy as np
import pytest
from checkout import SHARED
from published_files import (
    BFCL_COLUMNS,
    aa_model,
    aa_page,
    eee_record,
    euroeval_line,
    helm_tables,
    leaderboard_row,
    write_bfcl,
    write_json,
    write_lines,
)

from capspace.fit.errors import TableError
from capspace.fit.importing import SourceTerms, read_published
from capspace.fit.importing._imported import read_text
from capspace.fit.importing._reading import kind_of
from capspace.fit.importing._writing import _put
from capspace.fit.importing.bfcl import read_bfcl
from capspace.fit.importing.open_llm_leaderboard import read_open_llm_leaderboard

DAY = date(2026, 11, 1)
TERMS = SourceTerms("CC-BY 4.0", DAY)
UNDATED = SourceTerms("CC-BY 4.0")
SIX = {"ifeval": 0.5, "bbh": 0.4, "math": 0.1, "gpqa": 0.3, "musr": 0.4, "mmlu_pro": 0.2}


def cell(table, model, benchmark, column="score"):
    rows = table.table.scores
    (row,) = rows[(rows["model"] == model) & (rows["benchmark"] == benchmark)].index
    return rows.loc[row, column]


# Artificial Analysis


def test_an_answer_of_artificial_analysis_is_read(tmp_path):
    models = (
        aa_model("One (Reasoning)", "Lab A", gpqa=0.7, mmlu_pro=0.8, hle=None, tau2=0.4),
        aa_model("One (Non-reasoning)", "Lab A", gpqa=0.5, aime_25=0.2, critpt=0.01),
    )
    path = write_json(tmp_path / "aa.json", aa_page(*models))
    table = read_published(path, TERMS)
    assert table.kind == "artificial-analysis"
    assert cell(table, "One (Reasoning)", "GPQA-diamond") == 0.7
    assert cell(table, "One (Non-reasoning)", "AIME 2025") == 0.2
    assert cell(table, "One (Reasoning)", "tau2-telecom/artificial-analysis") == 0.4
    assert cell(table, "One (Non-reasoning)", "critpt/artificial-analysis") == 0.01
    assert "hle/artificial-analysis" not in table.table.benchmarks
    assert not [b for b in table.table.benchmarks if "index" in b]
    facts = table.table.models.loc["One (Reasoning)"]
    assert (facts["family"], facts["release_date"]) == ("Lab A", "2026-03-01")
    (source,) = table.sources.values()
    assert (source.title, source.date, source.licence) == (
        "Artificial Analysis", DAY, "CC-BY 4.0",
    )  # fmt: skip


def test_the_earlier_version_of_its_answer_is_read_too(tmp_path):
    path = write_json(
        tmp_path / "aa.json",
        {"status": 200, "prompt_options": {}, "data": [aa_model("A", scicode=0.3, lcr=0.2)]},
    )
    table = read_published(path, TERMS)
    assert table.table.benchmarks == ["scicode/artificial-analysis", "lcr/artificial-analysis"]


def test_what_is_no_fraction_is_left_out_and_named(tmp_path):
    page = aa_page(aa_model("A", gpqa=0.5, gdpval=1212.0, hle="n/a"))
    table = read_published(write_json(tmp_path / "aa.json", page), TERMS)
    assert table.table.benchmarks == ["GPQA-diamond"]
    notes = " ".join(table.notes)
    assert "A: gdpval/artificial-analysis" in notes
    assert "hle" in notes


def test_two_variants_of_one_name_stay_two(tmp_path):
    models = [aa_model("A", gpqa=0.5), aa_model("A", gpqa=0.6) | {"slug": "a-high"}]
    table = read_published(write_json(tmp_path / "aa.json", aa_page(*models)), TERMS)
    assert list(table.table.models.index) == ["A [a]", "A [a-high]"]


def test_a_missing_page_is_named(tmp_path):
    page = aa_page(aa_model("A", gpqa=0.5), total=3)
    table = read_published(write_json(tmp_path / "aa.json", page), TERMS)
    assert table.notes == ("page 2 of 3 is not there",)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"error": "API key is required"}, "an error of the interface: 'API key is required'"),
        (aa_page(aa_model("A")), "free keys are given composite indices only"),
        ({"data": [{"model_creator": {}, "evaluations": {}}]}, "data.0.name: Field required"),
        (aa_page(aa_model("A", gpqa=0.5) | {"release_date": "soon"}), "release_date is 'soon'"),
    ],
    ids=["error", "free-key", "no-name", "no-date"],
)
def test_an_answer_that_cannot_be_used_is_one_line(tmp_path, value, reason):
    path = write_json(tmp_path / "aa.json", value)
    with pytest.raises(TableError) as refused:
        read_published(path, TERMS)
    assert reason in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


# BFCL


def test_the_modes_of_bfcl_are_two_boards(tmp_path):
    path = write_bfcl(
        tmp_path / "data_overall.csv",
        {"Qwen3-8B (FC)": 40, "Qwen3-8B (Prompt)": 30, "GLM (FC thinking)": 60, "Odd": 10},
    )
    table = read_published(path, TERMS)
    assert table.kind == "bfcl"
    assert cell(table, "Qwen3-8B", "bfcl-v4/overall") == pytest.approx(0.4)
    assert cell(table, "Qwen3-8B", "bfcl-v4-prompt/overall") == pytest.approx(0.3)
    assert cell(table, "GLM (thinking)", "bfcl-v4/multi-turn") == pytest.approx(0.54)
    assert table.notes == ("neither FC nor Prompt, left out: Odd",)
    assert table.table.models.loc["Qwen3-8B", "family"] == "Lab"


def test_a_run_of_bfcl_without_one_right_call_is_no_score(tmp_path):
    path = write_bfcl(tmp_path / "b.csv", {"Failed (FC)": 0, "Small (FC)": 10, "Odd": 0})
    table = read_published(path, TERMS)
    assert set(table.table.scores["model"]) == {"Small"}
    assert table.notes == (
        "neither FC nor Prompt, left out: Odd",
        "no single call was right, so that the run failed, left out: Failed (FC), Odd",
    )


def test_a_cell_of_bfcl_that_was_not_measured_is_no_row(tmp_path):
    path = write_bfcl(tmp_path / "b.csv", {"A (FC)": 40}, **{"Memory Acc": "N/A"})
    assert "bfcl-v4/memory" not in read_published(path, TERMS).table.benchmarks


def test_bfcl_of_another_version_and_broken_cells_are_refused(tmp_path):
    third = [c for c in BFCL_COLUMNS if c not in ("Web Search Acc", "Memory Acc")]
    path = write_bfcl(tmp_path / "v3.csv", {"A (FC)": 40}, columns=third)
    with pytest.raises(TableError, match=r"v3.csv: no column 'Web Search Acc'; .* another version"):
        read_published(path, TERMS)
    for text in ("0.77", "high%", "120%"):
        path = write_bfcl(tmp_path / "b.csv", {"A (FC)": 40}, **{"Live Acc": text})
        with pytest.raises(TableError, match=f"A: Live Acc is '{text}', not a percentage"):
            read_published(path, TERMS)


@pytest.mark.skipif(not SHARED.is_dir(), reason="BFCL's table is not in ../shared")
def test_the_real_board_is_read():
    table = read_published(SHARED / "results/modern/bfcl_v4/data_overall.csv", TERMS)
    wide = table.table.wide()
    assert wide.loc["Claude-Opus-4-5-20251101", "bfcl-v4/overall"] == pytest.approx(0.7747)
    both = wide[["bfcl-v4/multi-turn", "bfcl-v4-prompt/multi-turn"]].dropna()
    assert len(both) > 20
    assert "Ministral-8B-Instruct-2410" not in wide.index  # all its calls failed
    assert both.diff(axis=1).iloc[:, 1].abs().median() > 0.1  # why the modes are two boards


# Open LLM Leaderboard


def test_the_leaderboard_gives_raw_scores_and_facts(tmp_path):
    rows = [
        leaderboard_row("org/a", SIX, base_model="Base/b", submission_date="2024-08-02T10:00:00Z"),
        leaderboard_row("org/b", SIX | {"math": None}, type="pretrained", params_billions=-1),
        leaderboard_row("org/bad", SIX, flagged=True),
        leaderboard_row("org/b", {"ifeval": 0.9}, submission_date="2024-06-30"),
    ]
    table = read_published(write_json(tmp_path / "l.json", rows), UNDATED)
    assert cell(table, "org/a", "leaderboard_mmlu_pro") == 0.2
    assert cell(table, "org/a", "leaderboard_bbh", "n_shot") == 3
    assert cell(table, "org/b", "leaderboard_ifeval") == 0.5  # of the later submission
    facts = table.table.models
    assert list(facts.index) == ["org/a", "org/b"]
    assert list(facts["family"]) == ["Base/b", "org/b"]
    assert list(facts["tuning"]) == ["instruct", "base"]
    assert facts.loc["org/a", "parameters"] == 7.5e9
    assert np.isnan(facts.loc["org/b", "parameters"])
    assert [s.date for s in table.sources.values()] == [date(2024, 8, 2)]
    assert table.notes == (
        "flagged by the leaderboard, left out: 1 model",
        "1 earlier submission of the same models left out",
    )


def test_the_first_version_of_the_leaderboard_is_refused(tmp_path):
    rows = [leaderboard_row("org/a", {"arc": 0.5, "hellaswag": 0.6})]
    with pytest.raises(TableError, match="'arc' is of its first version; version 2 is read"):
        read_published(write_json(tmp_path / "l.json", rows), TERMS)
    rows = [leaderboard_row("org/a", SIX), {"model": "a", "evaluations": {}}]
    with pytest.raises(TableError, match="row 2 is not of the leaderboard: model:"):
        read_published(write_json(tmp_path / "l.json", rows), TERMS)


# HELM

COLUMNS = ("MMLU-Pro - COT correct", "IFEval - IFEval Strict Acc", "WildBench - WB Score")


def test_a_release_of_helm_is_read_with_its_date(tmp_path):
    tables = helm_tables(COLUMNS, {"lab/one": (0.5, 0.8, 7.5), "lab/two": (0.4, None, 6.0)})
    write_json(tmp_path / "groups" / "core_scenarios.json", tables)
    write_json(tmp_path / "summary.json", {"release": "v1.9.0", "date": "2026-02-03"})
    table = read_published(tmp_path, UNDATED)
    assert table.table.benchmarks == ["MMLU-Pro", "IFEval"]
    assert cell(table, "lab/one", "MMLU-Pro") == 0.5
    assert cell(table, "lab/one", "MMLU-Pro", "protocol") == "HELM: COT correct"
    (source,) = table.sources.values()
    assert (source.title, source.date) == ("HELM v1.9.0", date(2026, 2, 3))
    assert table.notes == ("no fractions, left out: WildBench",)
    again = read_published(tmp_path / "groups" / "core_scenarios.json", TERMS)
    assert again.table.scores.equals(table.table.scores)
    assert again.sources == table.sources  # the date that a file states counts
    write_json(tmp_path / "summary.json", {"release": "v1.9.0", "date": "February"})
    with pytest.raises(TableError, match="its date is 'February'"):
        read_published(tmp_path, TERMS)


def test_what_is_no_table_of_helm_is_refused(tmp_path):
    tables = helm_tables(COLUMNS, {"lab/one": (0.5, 0.8, 0.5)})
    path = write_json(tmp_path / "h.json", tables[1:])
    with pytest.raises(TableError, match=r"h.json: it holds no table 'Accuracy' of HELM"):
        read_published(path, TERMS)
    tables[0]["rows"][0].pop()
    with pytest.raises(TableError, match="row 1 has 4 cells, not 5"):
        read_published(write_json(path, tables), TERMS)
    tables = helm_tables(COLUMNS, {"lab/one": ("half", 0.8, 0.5)})
    with pytest.raises(TableError, match="lab/one: MMLU-Pro is 'half', not a number"):
        read_published(write_json(path, tables), TERMS)
    (tmp_path / "release" / "groups").mkdir(parents=True)
    with pytest.raises(TableError, match=r"no groups/core_scenarios.json"):
        read_published(tmp_path / "release", TERMS)


# EuroEval


def test_results_of_euroeval_are_percent_with_half_widths(tmp_path):
    lines = [
        euroeval_line("org/m", "quiz", test_accuracy=75.0, test_accuracy_se=3.92, test_speed=9.0),
        euroeval_line("org/m (few-shot, val)", "names", test_mcc=-1.5, test_macro_f1=20.0),
    ]
    table = read_published(write_lines(tmp_path / "r.jsonl", lines), TERMS)
    assert table.kind == "euroeval"
    assert cell(table, "org/m", "quiz/accuracy") == 0.75
    assert cell(table, "org/m", "quiz/accuracy", "stderr") == pytest.approx(0.02)
    assert cell(table, "org/m", "quiz/accuracy", "protocol") == "EuroEval 16, few-shot"
    assert table.table.benchmarks == ["quiz/accuracy", "names/macro_f1"]
    assert table.table.models.loc["org/m", "parameters"] == 7e9
    assert table.table.models.loc["org/m", "tuning"] == "instruct"
    notes = " ".join(table.notes)
    assert "speed" in notes
    assert "org/m: names/mcc" in notes


def test_results_of_euroeval_in_the_newer_format_are_read(tmp_path):
    record = eee_record("org/m", {"test_accuracy": 40.0}, version="0.2.1", top=100)
    record["eval_library"] = {
        "name": "euroeval",
        "version": "18.2.0",
        "additional_details": {"few_shot": "true", "validation_split": "true"},
    }
    result = record["evaluation_results"][0]
    result["source_data"]["dataset_name"] = "quiz"
    result["score_details"]["uncertainty"] = {
        "confidence_interval": {"lower": 38.04, "upper": 41.96, "confidence_level": 0.95},
        "num_samples": 10,
    }
    table = read_published(write_lines(tmp_path / "r.jsonl", [record]), UNDATED)
    assert cell(table, "org/m", "quiz/accuracy") == 0.4
    assert cell(table, "org/m", "quiz/accuracy", "stderr") == pytest.approx(0.01, rel=1e-4)
    protocol = cell(table, "org/m", "quiz/accuracy", "protocol")
    assert protocol == "EuroEval 18, few-shot, validation split"
    assert [s.date for s in table.sources.values()] == [date(2026, 5, 4)]


def test_a_line_that_is_no_result_of_euroeval_is_named(tmp_path):
    old = euroeval_line("m", "quiz", test_mcc=5.0)
    old["scandeval_version"] = old.pop("euroeval_version")
    with pytest.raises(TableError, match=r"r.jsonl: line 1: a result of ScandEval"):
        read_published(write_lines(tmp_path / "r.jsonl", [old]), TERMS)
    lines = [euroeval_line("m", "quiz", test_mcc=5.0), {"dataset": "quiz"}]
    with pytest.raises(TableError, match="line 2: no result of EuroEval"):
        read_published(write_lines(tmp_path / "r.jsonl", lines), TERMS)


# Every Eval Ever


def test_a_folder_of_records_has_a_source_per_publisher(tmp_path):
    first = eee_record("lab/one", {"GPQA": 0.5, "MMLU": 0.7})
    second = eee_record("lab/two", {"GPQA": 40.0}, publisher="Vendor", top=100)
    second["evaluation_timestamp"] = None
    second["model_info"]["additional_details"] = {
        "params_billions": "7.2", "release_date": "2026-01-05",
    }  # fmt: skip
    first["evaluation_results"][0]["score_details"]["uncertainty"] = {
        "standard_error": {"value": 0.03}
    }
    lower = eee_record("lab/one", {"time": 0.2})
    lower["evaluation_results"][0]["metric_config"]["lower_is_better"] = True
    elo = eee_record("lab/one", {"arena": 1200.0}, top=3000)
    for i, record in enumerate((first, second, lower, elo)):
        write_json(tmp_path / "data" / "x" / f"{i}.json", record)
    (tmp_path / "data" / "x" / "0_samples.jsonl").write_text("items, not read\n")
    table = read_published(tmp_path, UNDATED)
    assert cell(table, "lab/two", "GPQA") == 0.4
    assert cell(table, "lab/one", "GPQA", "stderr") == 0.03
    assert {s.title: s.date for s in table.sources.values()} == {
        "Board": date(2026, 5, 4),
        "Vendor": date(2026, 5, 4),
    }
    assert table.table.models.loc["lab/two", "parameters"] == 7.2e9
    assert table.table.models.loc["lab/two", "release_date"] == "2026-01-05"
    assert table.notes == (
        "less is better, left out: 1 score", "no fractions, left out: 1 score",
    )  # fmt: skip


def test_scores_on_another_scale_have_another_name(tmp_path):
    record = eee_record("lab/one", {"MMLU-PRO": 0.2, "BBH": 0.4}, publisher="HF Open LLM v2")
    table = read_published(write_json(tmp_path / "r.json", record), UNDATED)
    assert table.table.benchmarks == ["leaderboard_mmlu_pro", "leaderboard_bbh"]


def test_the_latest_run_of_a_model_counts(tmp_path):
    late = eee_record("lab/one", {"GPQA": 0.6}, evaluation_timestamp="2026-06-01")
    early = eee_record("lab/one", {"GPQA": 0.5}, evaluation_timestamp="2026-05-01")
    table = read_published(write_lines(tmp_path / "r.jsonl", [late, early]), UNDATED)
    assert cell(table, "lab/one", "GPQA") == 0.6


def test_records_that_cannot_be_read_are_named(tmp_path):
    path = tmp_path / "r.json"
    write_json(path, eee_record("m", {"GPQA": 0.5}, version="0.1.0"))
    with pytest.raises(TableError, match=r"schema_version is '0.1.0'; versions 0.2 and 0.3"):
        read_published(path, TERMS)
    write_json(path, eee_record("", {"GPQA": 0.5}))
    with pytest.raises(TableError, match="it names no model"):
        read_published(path, TERMS)
    write_json(path, eee_record("m", {"GPQA": "half"}))
    with pytest.raises(TableError, match=r"evaluation_results.0.score_details.score"):
        read_published(path, TERMS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableError, match="holds no record"):
        read_published(tmp_path / "empty", TERMS)
    write_json(tmp_path / "other" / "x.json", [1, 2])
    with pytest.raises(TableError, match=r"x.json: no record of Every Eval Ever"):
        read_published(tmp_path / "other", TERMS)


# Any of them


def test_a_table_of_scores_is_read_like_any_other(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("model,benchmark,score,source\na,MMLU,0.5,paper\na,GSM8K,0.4,\n")
    table = read_published(path, TERMS)
    assert sorted(table.sources) == ["mine.csv", "paper"]
    path.write_text("Model,MMLU\na,50\nb,60\n")
    with pytest.raises(TableError, match="these look like percentages: divide by 100"):
        read_published(path, TERMS)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("x.json", "{", "not JSON"),
        ("x.json", "[" * 100_000, "not JSON"),
        ("x.json", '{"a": 1}', "JSON of a format that is not known"),
        ("x.jsonl", "\n", "not JSON"),
        ("x.csv", "", "the file is empty"),
    ],
    ids=["broken", "deep", "foreign", "blank", "empty"],
)
def test_a_file_of_no_known_format_is_one_line(tmp_path, name, text, reason):
    (tmp_path / name).write_text(text)
    with pytest.raises(TableError) as refused:
        read_published(tmp_path / name, TERMS)
    assert reason in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / name))
    assert "\n" not in str(refused.value)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(TableError, match="no such file"):
        read_published(tmp_path / "none.json", TERMS)


def test_a_file_without_a_date_or_a_licence_is_refused(tmp_path):
    path = write_bfcl(tmp_path / "b.csv", {"A (FC)": 40})
    with pytest.raises(TableError, match="it states no date; give the date of this copy with"):
        read_published(path, UNDATED)
    with pytest.raises(TableError, match="no licence is given; state it with --licence"):
        read_published(path, SourceTerms(" ", DAY))


def test_each_cell_has_its_source_date_and_licence(tmp_path):
    table = read_published(write_bfcl(tmp_path / "b.csv", {"A (FC)": 40}), TERMS)
    frame = table.provenance()
    assert len(frame) == len(table.table)
    assert set(frame["date"]) == {"2026-11-01"}
    assert set(frame["licence"]) == {"CC-BY 4.0"}


def test_formats_are_recognised_by_what_a_file_holds(tmp_path):
    named = {
        "bfcl": write_bfcl(tmp_path / "1.csv", {"A (FC)": 40}),
        "artificial-analysis": write_json(tmp_path / "2.json", aa_page(aa_model("A"))),
        "open-llm-leaderboard": write_json(tmp_path / "3.json", [leaderboard_row("a", SIX)]),
        "helm": write_json(tmp_path / "4.json", helm_tables(COLUMNS, {})),
        "every-eval-ever": write_lines(tmp_path / "5.jsonl", [eee_record("m", {"A": 0.5})]),
        "euroeval": write_lines(tmp_path / "6.jsonl", [euroeval_line("m", "d", test_mcc=1.0)]),
    }
    assert {kind: kind_of(path) for kind, path in named.items()} == {k: k for k in named}
    assert json.loads(named["helm"].read_text())[0]["title"] == "Accuracy"


@pytest.mark.slow
def test_any_junk_in_a_file_is_refused_or_left_out(tmp_path):
    """Each place of each format holds each kind of junk once; no other error comes of it."""
    junk = [None, True, -1, float("nan"), "", "é\n\x00", [], {}, 10**400, "2026-13-45", "nan"]
    euro = euroeval_line("org/m", "quiz", test_accuracy=75.0, test_accuracy_se=2.0)
    sound = {
        "a.json": aa_page(aa_model("A", gpqa=0.5)),
        "l.json": [leaderboard_row("o/a", SIX)],
        "h.json": helm_tables(COLUMNS[:1], {"lab/one": (0.5,)})[:1],
        "r.json": eee_record("lab/one", {"GPQA": 0.5}),
        "e.jsonl": euro,
    }
    refusals = []
    for name, value in sound.items():
        for i, place in enumerate(places(value)):
            path = write_json(tmp_path / name, with_junk(value, place, junk[i % len(junk)]))
            try:
                table = read_published(path, TERMS)
            except TableError as error:
                refusals.append(str(error))
            else:
                assert table.table.scores["score"].between(0, 1).all()
    assert len(refusals) > 20
    assert not [line for line in refusals if "\n" in line or str(tmp_path) not in line]


def places(value, path=()):
    """Yield the path of every value below a JSON value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


def with_junk(value, path, junk):
    """Return a copy of a JSON value with another value in one place."""
    whole = json.loads(json.dumps(value))
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = junk
    return whole


@pytest.mark.parametrize(
    ("interval", "stderr"),
    [
        ({"lower": 0.4, "upper": 0.6, "confidence_level": 0.95}, 0.2 / (2 * 1.959964)),
        ({"lower": 0.4, "upper": 0.6}, np.nan),
        *(
            ({"lower": 0.4, "upper": 0.6, "confidence_level": level}, np.nan)
            for level in (0, 1.0, 95, -0.9)
        ),
    ],
)
def test_an_interval_of_no_level_says_nothing_of_a_standard_error(tmp_path, interval, stderr):
    record = eee_record("lab/one", {"GPQA": 50.0}, top=100)
    result = record["evaluation_results"][0]
    result["metric_config"] |= {"metric_unit": "Percent", "max_score": 1}
    percent = {key: 100 * interval[key] for key in ("lower", "upper")}
    result["score_details"]["uncertainty"] = {"confidence_interval": {**interval, **percent}}
    path = tmp_path / "r.jsonl"
    path.write_text(f"\n{json.dumps(record)}\n\n")
    table = read_published(path, UNDATED)
    assert cell(table, "lab/one", "GPQA") == 0.5
    assert cell(table, "lab/one", "GPQA", "stderr") == pytest.approx(stderr, nan_ok=True)


def test_blank_lines_of_euroeval_are_passed_over(tmp_path):
    path = write_lines(tmp_path / "r.jsonl", [euroeval_line("m", "quiz", test_mcc=5.0)])
    path.write_text(path.read_text() + "\n   \n" + path.read_text())
    assert len(read_published(path, TERMS).table) == 1


def test_a_run_of_helm_that_names_no_model_is_known_as_the_table_shows_it(tmp_path):
    tables = helm_tables(["GPQA - COT correct"], {"lab/one": [0.5]})
    for entry in tables[0]["rows"][0][2:]:
        entry["run_spec_names"] = ["gpqa:subset=main"]
    table = read_published(write_json(tmp_path / "core.json", tables), TERMS)
    assert list(table.table.models.index) == ["one"]


def test_a_file_that_is_none_is_named_by_every_reader(tmp_path):
    (tmp_path / "latin.json").write_bytes("é".encode("latin-1"))
    for read, name, message in (
        (read_text, "latin.json", "not a text file in UTF-8"),
        (read_text, "none.json", r"cannot be read \(No such file or directory\)"),
        (lambda path: read_bfcl(path, TERMS), "none.csv", "no such file"),
        (
            lambda path: read_open_llm_leaderboard(write_json(path, []), TERMS),
            "empty.json",
            "expected the leaderboard's list of models",
        ),
    ):
        with pytest.raises(TableError, match=f"{tmp_path / name}: {message}$"):
            read(tmp_path / name)


def test_a_folder_that_cannot_take_its_place_leaves_the_earlier_one(tmp_path):
    target = tmp_path / "mine"
    target.mkdir()
    (target / "scores.csv").write_text("earlier")
    with pytest.raises(FileNotFoundError):
        _put(tmp_path / "none", target)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    assert (target / "scores.csv").read_text() == "earlier"
