"""The study: every published number that is ours to reach, and the page that shows them."""

import json
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from checkout import SHARED
from matplotlib.figure import Figure
from small_files import files_limited_to

from capspace.fit import Choice
from capspace.fit.analyses.splits import Split
from capspace.fit.errors import DegenerateError, FitError, TableError, UnknownNameError
from capspace.fit.law import TwoView
from capspace.fit.studies.ruan2024 import _reproduce, load_study, reproduce
from capspace.fit.studies.ruan2024 import results as results_module
from capspace.fit.studies.ruan2024._compare_analysis import _read_off, compare_analysis
from capspace.fit.studies.ruan2024._reproduce import write_reproduction
from capspace.fit.studies.ruan2024.compare import compare_fit, read_published
from capspace.fit.studies.ruan2024.coverage import (
    SharedScale,
    _at_or_below,
    _relative_errors,
    _row,
    conformal_coverage,
    interval_coverage,
    three_splits,
)
from capspace.fit.studies.ruan2024.data import Analysis, study_plan
from capspace.fit.studies.ruan2024.more import compare_more, further_analyses
from capspace.fit.studies.ruan2024.page import Card, Section, Table, render_page
from capspace.fit.studies.ruan2024.reach import SHARES, Reach, compare_reach, error_by_reach
from capspace.fit.studies.ruan2024.results import _later, run_analysis
from capspace.fit.studies.ruan2024.run import CaseFit, fit_case, predictors, single_start
from capspace.fit.studies.ruan2024.sections import _flops, _theirs, _theirs_r2
from capspace.fit.studies.ruan2024.selection import (
    Guide,
    compare_guides,
    selection_guides,
    selection_quality,
)
from capspace.fit.studies.ruan2024.space import compare_efficiency, compare_spaces, study_space

pytestmark = pytest.mark.usefixtures("laws_fitted_once")

TABLES, EXPECTED = SHARED / "results/obsscaling", SHARED / "paper/expected.json"
needs_tables = pytest.mark.skipif(
    not TABLES.is_dir(), reason=f"the study's tables are not at {TABLES}"
)
PLAN = study_plan()


@pytest.fixture(scope="module")
def study():
    if not TABLES.is_dir():
        pytest.skip(f"the study's tables are not at {TABLES}")
    return load_study(TABLES)


@pytest.fixture(scope="module")
def expected():
    return read_published(EXPECTED if EXPECTED.is_file() else None)


def assert_met(result, at_least):
    missed = [c for c in result if c.verdict == "differs"]
    assert not missed, missed
    assert len(result) >= at_least


def test_models_are_the_studys(study):
    assert len(study.base_models) == 77
    assert len(study.open_families) == 19
    sizes = {a.label: study.case(a).train.sum() for a in PLAN.analyses}
    assert sizes["Word unscrambling"] == 44
    assert sizes["3-digit subtraction"] == 30
    assert sizes["AgentBench"] == 20
    later = study.case(PLAN.analysis("Word unscrambling"), preregistered=True)
    assert not later.train[later.truth.index.isin(PLAN.preregistered)].any()
    assert later.train.sum() == 44


def test_explained_variance_and_loadings(study, expected):
    assert_met(compare_spaces(study, expected), 45)


def test_compute_efficiency(study, expected):
    assert_met(compare_efficiency(study_space(study, study.base_models), expected), 26)


@pytest.mark.slow
@needs_tables
@pytest.mark.parametrize("analysis", PLAN.analyses, ids=lambda a: a.label)
def test_errors_equivalent_compute_and_weights(study, expected, analysis):
    case = study.case(analysis)
    fits = {name: fit_case(case, name) for name in predictors(case)}
    assert not [f.failure for f in fits.values() if f.failure]
    result = compare_analysis(case, fits, expected)
    assert_met(result, 6)
    for c in result:
        if c.verdict == "better":
            assert c.note


@pytest.mark.slow
def test_other_cutoffs_and_spaces_and_single_bbh_tasks(study, expected):
    """Every twelfth of the further fits; ``scripts/bench_fit`` compares them all."""
    result = list(further_analyses(study, expected))
    if not EXPECTED.is_file():
        pytest.skip(f"the study's full numbers are not at {EXPECTED}")
    assert len(result) == 64
    for section, analysis, numbers in result[::12]:
        case = study.case(analysis)
        for predictor in ("Training FLOPs", "PC-1..3"):
            if predictor in numbers:
                fit = fit_case(case, predictor)
                assert_met(compare_fit(section, fit, numbers[predictor]), 2)


def test_headline_of_subtraction_is_the_global_optimum(study):
    """The study's 1.7e-2 is a local optimum: more on test, less in training, is the lowest loss."""
    case = study.case(PLAN.analysis("3-digit subtraction"))
    fit = fit_case(case, "PC-1..3")
    assert fit.mse_train == pytest.approx(5.164e-3, rel=1e-3)
    assert fit.mse_test == pytest.approx(4.247e-2, rel=1e-3)
    local = single_start(case, "PC-1..3")
    assert local == pytest.approx((6.495e-3, 1.72e-2), rel=2e-3)


def test_choice_of_models(study, expected):
    guides = selection_guides(study)
    assert [len(g.models) for g in guides] == [45, 77, 45]
    assert_met(compare_guides(guides, expected), 27)


@pytest.mark.slow
def test_error_by_reach(study, expected):
    analysis = PLAN.analysis("2-digit multiplication")
    curves = error_by_reach(study, analysis, ["Training FLOPs", "PC-1..3"])
    result = compare_reach(study, analysis, curves, expected)
    assert [c.verdict for c in result] == ["same"] * len(result)
    assert curves[1].area == pytest.approx(0.013149, rel=0.01)


def test_a_model_without_the_predictor_is_named(study):
    fit = fit_case(study.case(PLAN.analysis("GSM8K CoT")), "Training FLOPs")
    assert len(fit.without) == 2
    assert all("istral" in m or "ixtral" in m for m in fit.without)
    with pytest.raises(UnknownNameError, match="unknown predictor 'BBH'"):
        fit_case(study.case(PLAN.analysis("GSM8K CoT")), "BBH")


def test_too_few_models_are_told_not_fitted(study):
    case = study.case(PLAN.analysis("AgentBoard"))
    few = case.with_train(np.arange(len(case.truth)) < 4)
    fit = fit_case(few, "PC-1..3")
    assert "too few models" in fit.failure
    assert np.isnan(fit.mse_test)


def test_cutoffs_of_the_coverage(study):
    splits = three_splits(study.case(PLAN.analysis("GSM8K CoT")))
    sizes = [int(s.train.sum()) for s in splits]
    assert sizes[0] == 47
    assert sizes[1] < sizes[0] < sizes[2]


class Links(HTMLParser):
    """Collect links, ids and the addresses of whatever a page loads."""

    def __init__(self):
        super().__init__()
        self.ids, self.links, self.loaded = set(), set(), []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids.add(values.get("id"))
        if tag == "a":
            self.links.add(values["href"])
        if "src" in values:
            self.loaded.append(values["src"])


def each_kind_once(drawings):
    """Return drawings of which only the first by each function is more than a blank."""
    functions = [drawing.draw.func for drawing in drawings]
    return [
        drawing
        if function not in functions[:i]
        else replace(drawing, draw=partial(Figure, figsize=(1, 1)))
        for i, (drawing, function) in enumerate(zip(drawings, functions, strict=True))
    ]


@pytest.mark.slow
def test_page_figures_and_numbers(study, tmp_path, monkeypatch):
    """Two analyses and the post-training ones the choice of models needs, end to end."""
    labels = ["Word unscrambling", "GSM8K, 5-shot", "GSM8K CoT", "GSM8K CoT + SC@5", "AgentBench"]
    remaining = [
        PLAN.analysis(label).model_copy(update={"error_by_reach": label == labels[0]})
        for label in labels
    ]
    plan = PLAN.model_copy(
        update={"analyses": tuple(remaining), "interventions": PLAN.interventions[:1]}
    )
    small = type(study)(plan, study.features, study.facts, study.targets)
    steps = []
    few = partial(selection_quality, n_random=2)
    monkeypatch.setattr(results_module, "selection_quality", few)
    two = partial(error_by_reach, names=["Training FLOPs", "PC-1..3"])
    monkeypatch.setattr(results_module, "error_by_reach", two)
    monkeypatch.setattr(_reproduce, "load_study", {TABLES: small}.__getitem__)
    study_drawings = _reproduce.study_drawings
    monkeypatch.setattr(_reproduce, "study_drawings", lambda r: each_kind_once(study_drawings(r)))
    file = EXPECTED if EXPECTED.is_file() else None
    made = reproduce(TABLES, tmp_path / "out", expected=file, progress=steps.append)
    results = made.results
    assert "GSM8K CoT" in steps
    assert "error by reach: Word unscrambling" in steps
    assert repr(results).startswith("Results(5 targets, 1 interventions, ")
    assert made.count("differs") == 0 == len(made.misses)
    assert any("numbers compared" in line for line in made.summary())
    assert repr(made).startswith(f"Reproduction({len(results.comparisons)} numbers: ")
    assert made._repr_html_().count("<tr>") > 10
    table = pd.read_csv(made.table)
    assert len(table) == len(results.comparisons)
    assert set(table["verdict"]) <= {"same", "better"}
    outcome = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    assert outcome["n_compared"] == len(outcome["comparisons"]) == len(table)
    assert outcome["n_same"] + outcome["n_better"] == len(table)
    assert outcome["page"] == str(made.page)
    page = Links()
    page.feed(made.page.read_text())
    assert page.loaded
    assert all(address.startswith("data:image/svg+xml") for address in page.loaded)
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert (made.page.parent / link).is_file(), link
    assert len(made.figures) == 2 * len(page.loaded)
    assert any(path.name == "reach-word-unscrambling.svg" for path in made.figures)
    # AgentBench has no pre-registered test: its models are chat models.
    assert [a.later is None for a in results.analyses] == [label == labels[4] for label in labels]
    # The interval of a gain respects pairing and holds on this data.
    assert 0.85 <= results.gains[0].analysis.coverage <= 1
    assert results.gains[0].analysis.width < 0.6
    # Fewer chosen models than parameters are no fit, larger choices approach all models.
    assert np.isnan(results.quality.chosen[0])
    assert results.quality.chosen[-1] < 1.2 * results.quality.everything
    assert results.quality.chosen[1] < np.nanmean(results.quality.random[1])
    # On a full disk page and table, which belong together, stay as they were.
    monkeypatch.setattr(_reproduce, "study_drawings", lambda results: [])  # take the time
    for size in (1024, made.table.stat().st_size - 1):
        earlier = {path: path.read_bytes() for path in (made.page, made.table)}
        with (
            files_limited_to(size),
            pytest.raises(FitError, match=r"cannot be written .*too large"),
        ):
            write_reproduction(results, tmp_path / "out", source="other")
        assert {path: path.read_bytes() for path in earlier} == earlier
    assert {p.name for p in made.page.parent.iterdir()} == {
        "figures",
        "index.html",
        made.table.name,
    }


def test_packaged_numbers_cover_every_analysis():
    published = read_published()
    for analysis in PLAN.analyses:
        text = json.dumps(published)
        name = analysis.label if analysis.group == "agentic" else analysis.column
        assert name in text


@pytest.mark.parametrize(
    ("train", "test", "best", "verdict"),
    [
        (1.0e-3, 2.0e-3, None, "same"),
        (1.005e-3, 2.01e-3, None, "same"),
        (0.9e-3, 3.0e-3, None, "better"),
        (0.9e-3, 3.0e-3, (0.9e-3, 3.0e-3), "better"),
        (0.9e-3, 3.0e-3, (0.8e-3, 4.0e-3), "differs"),
        (1.2e-3, 2.0e-3, None, "differs"),
    ],
)
def test_verdicts(train, test, best, verdict):
    fit = CaseFit("PC-1", 10, 5, train, test)
    published = {"mse_train": 1.0e-3, "mse_test": 2.0e-3}
    if best is not None:
        published["global_opt"] = {"mse_train": best[0], "mse_test": best[1]}
    result = compare_fit("target", fit, published)
    assert [c.verdict for c in result] == [verdict, verdict]
    assert all(bool(c.note) == (verdict != "same") for c in result)


def test_a_failed_fit_is_a_miss_with_its_reason():
    fit = CaseFit("PC-1", 3, 5, failure="too few models")
    result = compare_fit("target", fit, {"mse_train": 1e-3, "mse_test": 1e-3})
    assert [c.verdict for c in result] == ["differs", "differs"]
    assert "too few models" in result[0].note


def test_bad_input(tmp_path):
    with pytest.raises(TableError, match=r"no base_llm_benchmark_eval\.csv; give the folder"):
        reproduce(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    for content in ("not json", "[]", "{}"):
        bad = tmp_path / "expected.json"
        bad.write_text(content)
        with pytest.raises(TableError, match=r"expected\.json"):
            read_published(bad)
    with pytest.raises(UnknownNameError, match="did you mean 'Persian QA'"):
        PLAN.analysis("Persian")


@pytest.mark.slow
@needs_tables
def test_a_table_without_a_column_and_a_folder_that_cannot_be_written(tmp_path):
    for name in PLAN.tables.values():
        (tmp_path / name).write_bytes((TABLES / name).read_bytes())
    (tmp_path / "file").write_text("")
    with pytest.raises(FitError, match="cannot be written"):
        reproduce(tmp_path, tmp_path / "file" / "out")
    emergent = tmp_path / PLAN.tables["emergent"]
    pd.read_csv(emergent).drop(columns="parsinlu_qa_2_acc").to_csv(emergent, index=False)
    with pytest.raises(TableError, match="no column 'parsinlu_qa_2_acc'"):
        load_study(tmp_path)


def test_page_escapes_what_it_shows():
    page = render_page(
        [Section("a", "<A>", ["1 < 2 & 3"], [Table(["<h>"], [["<td>"]])])],
        [Card("<b>", "1", "")],
        subtitle="<i>",
        footer="",
    )
    for text in ("&lt;A&gt;", "1 &lt; 2 &amp; 3", "&lt;td&gt;", "&lt;b&gt;", "&lt;i&gt;"):
        assert text in page
    assert "<td>" not in page.replace("<td>&", "").replace('<td class="number">', "")


def test_what_the_study_has_no_number_for_is_not_compared(study):
    analysis = PLAN.analysis("GSM8K CoT")
    case = study.case(analysis)
    assert compare_analysis(case, {}, {}) == []
    assert compare_fit("s", CaseFit("PC-1", 3, 5, 1e-3, 1e-3), None) == []
    assert compare_spaces(study, {}) == []
    assert compare_efficiency(study_space(study, study.base_models), {}) == []
    curve = Reach("PC-1", SHARES, SHARES, SHARES, 0.1)
    assert compare_reach(study, analysis, [curve], {}) == []
    choice = Choice(("A",), (0,), "V", 3.0, 2.0, 4.0, "exchange", 9)
    guide = Guide("all", (), (choice,), ("selection",))
    assert compare_guides([guide], {}) == []
    assert (_theirs_r2([], "PC-1"), _theirs([], "s", "i", "q")) == ("–", "–")
    assert [_flops(v) for v in (0.0, np.inf, np.nan, 3e22)] == ["unbounded"] * 2 + [
        "unknown", "3.0e22",
    ]  # fmt: skip


def test_a_number_that_is_worse_than_the_studys_is_a_miss(study):
    choice = Choice(("A",), (0,), "V", 3.0, 2.0, 4.0, "exchange", 9)
    guide = Guide("all", (), (choice,), ("selection",))
    theirs = {"selection": {"budgets": {"4": {"objective": -2.0}}}}
    (miss,) = compare_guides([guide], theirs)
    assert (miss.verdict, miss.ours, miss.published, miss.note) == ("differs", 3.0, 2.0, "exchange")
    case = study.case(PLAN.analysis("GSM8K CoT"))
    fit = CaseFit("PC-1", 10, 5, 1e-3, 2e-3)
    verdicts = [
        _read_off(case, fit, {"mse_train": train}, "w", 1.0, published, room=0.1).verdict
        for train, published in ((1e-3, 1.05), (2e-3, 1.5), (1e-3, 1.5))
    ]
    assert verdicts == ["same", "better", "differs"]
    flat = compare_fit("t", fit, {"mse_train": 1e-3, "mse_test": 9e-3})
    assert {c.verdict for c in flat} == {"better"}
    assert "the loss is flat between the two" in flat[0].note


@pytest.mark.parametrize(("train", "verdict"), [(0.0, "better"), (1.0, "differs")])
def test_an_area_that_differs_is_better_where_no_single_start_was(study, train, verdict):
    analysis = PLAN.analysis("2-digit multiplication")
    test = np.full(len(SHARES), 0.01)
    curve = Reach("Training FLOPs", SHARES, np.full(len(SHARES), train), test, 0.5)
    theirs = {"aue": 0.1, "mse_curve": [0.02, *test[1:]]}
    published = {"aue_emergent": {"tasks": {analysis.column: {curve.predictor: theirs}}}}
    (result,) = compare_reach(study, analysis, [curve], published)
    assert result.verdict == verdict
    assert result.note.startswith(f"the test error differs at 1 of {len(SHARES)} cutoffs")


def test_a_split_is_by_compute_or_by_rank(study):
    fields = PLAN.analyses[0].model_dump()
    for both in ({"max_flops": None, "top": None}, {"max_flops": 1e22, "top": 0.1}):
        with pytest.raises(ValueError, match="give either max_flops or top"):
            Analysis.model_validate(fields | both)
    case = study.case(PLAN.analysis("AgentBench"))
    n_best = int((~case.train).sum())
    assert case.split.rule == f"all but the best {n_best} by the target"
    assert _later(study, case.analysis, case) is None


def with_analyses(study, *labels, **changes):
    """Return the study with some of its analyses alone."""
    chosen = tuple(PLAN.analysis(label).model_copy(update=changes) for label in labels)
    plan = PLAN.model_copy(update={"analyses": chosen})
    return type(study)(plan, study.features, study.facts, study.targets)


@pytest.mark.slow
@needs_tables
def test_other_cutoffs_and_spaces_of_an_analysis_are_compared(study, expected):
    small = with_analyses(study, "3-digit subtraction")
    result = compare_more(small, expected)
    if not EXPECTED.is_file():
        assert result == []
        return
    assert {c.section for c in result} == {
        "3-digit subtraction, at 84e21 FLOPs",
        "3-digit subtraction, with GSM8K in the space",
    }
    assert_met(result, 20)


@pytest.mark.slow
def test_conformal_intervals_of_a_shared_scale_hold_at_three_cutoffs(study):
    rows = conformal_coverage(with_analyses(study, "AgentBench"))
    assert [row.coverage for row in rows] == pytest.approx([1.0, 10 / 12, 1.0])
    others = interval_coverage(with_analyses(study, "AgentBench"), TwoView())
    for row, other in zip(rows, others, strict=True):
        assert (row.split, row.n_test, row.mse_test) == (other.split, other.n_test, other.mse_test)
        assert not row.failure
        assert row.width != other.width


def test_too_few_models_have_neither_coverage_nor_a_shared_scale(study):
    small = with_analyses(study, "AgentBench")
    case = small.case(PLAN.analysis("AgentBench"))
    flops = case.facts["training_flops"]
    few = Split((flops <= np.sort(flops)[2]).to_numpy(), "three models")
    row = _row(case, few, TwoView(), 0.9)
    assert (row.split, row.n_train, row.n_test) == ("three models", 3, 19)
    assert np.isnan([row.coverage, row.width, row.mse_test]).all()
    assert row.failure.startswith("3 training models for the 5 parameters")
    with pytest.raises(DegenerateError, match=r"^AgentBench, three models: no target teaches a"):
        SharedScale(small).of(case, few)


@pytest.mark.slow
def test_a_family_of_unknown_compute_has_no_line_and_no_later_model_no_test(study):
    small = with_analyses(study, "3-digit subtraction", reference_family="none")
    plan = small.plan.model_copy(update={"preregistered": ()})
    small = type(study)(plan, study.features, study.facts, study.targets)
    result = run_analysis(small, small.plan.analyses[0])
    assert result.reference is None
    assert result.later is None
    assert result.fits["PC-1..3"].mse_train == pytest.approx(5.164e-3, rel=1e-3)


def test_a_shared_scale_looks_at_models_up_to_the_cutoff_alone(study):
    analysis = PLAN.analysis("AgentBench")
    case = study.case(analysis)
    shared = SharedScale(with_analyses(study, "AgentBench"))
    assert 0.3 < shared.of(case, case.split) < 3
    flops = case.facts["training_flops"]
    few = Split((flops <= np.sort(flops)[2]).to_numpy(), "three models")
    assert _at_or_below(case, few, case).tolist() == few.train.tolist()
    assert [len(part) for part in _relative_errors(case, few.train)] == [0, 0]
