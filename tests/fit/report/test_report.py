"""The report: one self-contained page that a browser shows, whatever a model is called."""

import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from capspace.collect.cli.show import print_placements
from capspace.fit import (
    Cost,
    Intervention,
    Lift,
    ScoreTable,
    load_reference,
    next_evaluations,
    place_model,
    predict_targets,
    write_report,
)
from capspace.fit.errors import FitError
from capspace.fit.prediction import Placement, Support
from capspace.fit.report._figures import draw_lifts, draw_placement
from capspace.fit.report._next_section import saved_words
from capspace.fit.report.words import score

HOSTILE = "org/<img src=x onerror=\"document.title='owned'\">\"';--</title><script>1</script>"


MIDDLING = (0.62, 0.58, 0.81, 0.77, 0.45, 0.4, 0.8, 0.3)


def placed(
    name: str,
    *,
    missing: tuple[str, ...] = (),
    targets: tuple[str, ...] = ("bbh",),
    values: tuple[float, ...] = MIDDLING,
    reasons: dict[str, str] | None = None,
) -> Placement:
    reference = load_reference()
    scores = dict(zip(reference.benchmarks, values, strict=True))
    wide = pd.DataFrame({k: v for k, v in scores.items() if k not in missing}, index=[name])
    return place_model(
        ScoreTable.from_wide(wide, source="<b>mine</b>", stderr=wide * 0 + 0.01),
        reference,
        targets=targets,
        missing=dict.fromkeys(missing, "skipped <i>here</i>") if reasons is None else reasons,
    )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Placement]:
    placement = placed(HOSTILE, missing=("HumanEval",))
    out = tmp_path_factory.mktemp("report")
    return write_report(placement, out, subtitle=["<u>sub</u>"]), placement


def browse(page: Path, profile: Path, *arguments: str) -> str:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium is not None, "the page tests need Chromium; scripts/test installs it"
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--hide-scrollbars", "--window-size=1200,2400",
        f"--user-data-dir={profile}", *arguments, page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.slow
def test_a_hostile_name_is_text_in_a_real_browser(
    hostile: tuple[Path, Placement], tmp_path: Path
) -> None:
    page, _ = hostile
    dom = browse(page, tmp_path / "profile", "--dump-dom")
    assert "<script" not in dom
    assert "<title>owned" not in dom
    images = re.findall(r"<img[^>]*>", dom)
    assert images
    assert all(' src="data:image/svg+xml;base64,' in tag for tag in images)
    assert not any(" onerror=" in re.sub(r'"[^"]*"', "", tag) for tag in images)
    for tag in ("<u>", "<i>", "<b>mine"):
        assert tag not in dom


@pytest.mark.slow
def test_the_page_shows_in_a_browser(hostile: tuple[Path, Placement], tmp_path: Path) -> None:
    page, _ = hostile
    shot = tmp_path / "page.png"
    browse(page, tmp_path / "profile", f"--screenshot={shot}")
    pixels = imread(shot)[..., :3]
    inked = (pixels.min(axis=2) < 0.9).mean(axis=1)
    assert pixels.shape[:2] == (2400, 1200)
    # Text in the upper part, figures below: neither half is blank.
    assert (inked[:1200] > 0.01).sum() > 100
    assert (inked[1200:] > 0.01).sum() > 100


class Links(HTMLParser):
    """Collects everything a page would fetch or go to."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [v for k, v in attrs if k in {"src", "href", "srcset", "data"} and v]


@pytest.mark.slow
def test_the_page_is_self_contained(hostile: tuple[Path, Placement]) -> None:
    page, _ = hostile
    links = Links()
    text = page.read_text()
    links.feed(text)
    assert links.targets
    assert all(link.startswith("data:") for link in links.targets)
    assert "url(" not in text


def test_the_page_says_what_was_predicted_from_what(hostile: tuple[Path, Placement]) -> None:
    page, placement = hostile
    text = page.read_text()
    (prediction,) = placement.predictions
    assert f"{prediction.mean:.3f}" in text
    assert f"{prediction.lower:.3f} – {prediction.upper:.3f}" in text
    assert f"{prediction.n_models} models, {len(prediction.families)} families" in text
    assert "skipped &lt;i&gt;here" in text
    for model in prediction.models:
        assert model in text


def test_result_json_is_strict_and_complete(hostile: tuple[Path, Placement]) -> None:
    page, placement = hostile
    result = json.loads(
        (page.parent / "result.json").read_text(), parse_constant=lambda c: pytest.fail(c)
    )
    assert result["model"] == HOSTILE
    assert result["missing"] == {"HumanEval": "skipped <i>here</i>"}
    assert len(result["scores"]) == 7
    assert result["predictions"][0]["models"] == list(placement.predictions[0].models)


def test_figures_are_written_as_png_and_svg(hostile: tuple[Path, Placement]) -> None:
    folder = hostile[0].parent
    for name in ("scores", "place", "predictions", "target-bbh"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (folder / f"{name}.svg").read_text()[:600]


def test_a_missing_benchmark_widens_the_place_and_is_proposed() -> None:
    whole, part = placed("m", targets=()), placed("m", missing=("GSM8K", "MMLU"), targets=())
    assert np.trace(part.place.covariance[0]) > np.trace(whole.place.covariance[0])
    assert {n.benchmark for n in part.next_benchmarks} == {"GSM8K", "MMLU"}
    assert all(0 < n.shrinkage < 1 for n in part.next_benchmarks)
    assert whole.next_benchmarks == ()
    # What was tried and has no score comes behind what was not.
    first = part.next_benchmarks[0].benchmark
    tried = placed("m", missing=("GSM8K", "MMLU"), targets=(), reasons={first: "skipped: no code"})
    assert [n.benchmark for n in tried.next_benchmarks][-1] == first


@pytest.mark.slow
def test_the_page_says_what_next_evaluations_says(tmp_path: Path, small_figures: None) -> None:
    placement = placed("m", missing=("HumanEval", "ARC-C"))
    prices = {"HumanEval": Cost(0.5, "device-hours"), "ARC-C": Cost(0.5, "device-hours")}
    advice = next_evaluations(placement.table, placement.reference, prices=prices, targets=["bbh"])
    page = write_report(placement, tmp_path, following=[advice])
    text = page.read_text()
    section = text[text.index("What to measure next") : text.index("Measured scores")]
    assert "uncertainty of the place" not in section
    names = [step.measurement.benchmark for step in advice.in_order]
    rows = re.findall(r"<tr>(.*?)</tr>", section, re.S)[1:]
    assert [name for row in rows for name in names if f">{name}<" in row] == names
    for row, step in zip(rows, advice.in_order, strict=True):
        assert f">{score(step.widths[0])}<" in row
        assert f">{saved_words(step)}<" in row
        # Scores with a stderr of 0.01 rest on some items, and have no price here.
        is_missing = step.measurement.benchmark in prices
        assert (">30 GPU-minutes<" in row) is is_missing
        assert ("skipped &lt;i&gt;here" in row) is is_missing
    assert str(advice.path[-1].total) in section
    assert (tmp_path / "next.png").is_file()
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["next_evaluations"]["path"][0]["benchmark"] == names[0]


@pytest.mark.slow
def test_without_a_cost_the_page_shows_the_effect_on_the_place_and_says_why(
    tmp_path: Path, small_figures: None
) -> None:
    placement = placed("m", missing=("HumanEval",))
    reason = "no cost of a benchmark is known"
    text = write_report(placement, tmp_path, following=[reason]).read_text()
    assert f"for the place alone, as {reason}." in text
    assert "reduces the uncertainty of the place by" in text
    assert not (tmp_path / "next.png").exists()
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["next_evaluations"] == {"unknown": reason}


@pytest.mark.slow
def test_a_reference_model_is_placed_next_to_itself_without_helping_itself() -> None:
    reference = load_reference()
    name = "meta-llama/Llama-2-13b-hf"
    own = reference.scores("base").loc[[name]]
    placement = place_model(ScoreTable.from_wide(own), reference, targets=["bbh"])
    assert name not in placement.points.index
    assert name not in placement.predictions[0].models
    other = own.rename({name: "other"}) + 0.002  # equal scores would be taken for the same model
    renamed = place_model(ScoreTable.from_wide(other), reference, targets=["bbh"])
    assert renamed.nearest[0] == name


def test_equivalent_compute_of_the_reference_family_is_its_own() -> None:
    reference = load_reference()
    own = reference.scores("base").loc[["meta-llama/Llama-2-13b-hf"]]
    other = own.rename(lambda _: "x") + 0.002
    placement = place_model(ScoreTable.from_wide(other), reference, targets=[])
    assert placement.equivalent is not None
    flops = reference.table.models.loc["meta-llama/Llama-2-13b-hf", "training_flops"]
    assert placement.equivalent.scale[0] == pytest.approx(flops, rel=0.25)
    assert placement.equivalent.lower[0] < flops < placement.equivalent.upper[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "side"),
    [
        ((0.19, 0.2, 0.25, 0.5, 0.18, 0.0, 0.48, 0.0), "below"),
        ((0.97, 0.98, 0.97, 0.95, 0.8, 0.98, 0.97, 0.97), "above"),
    ],
    ids=["below", "above"],
)
@pytest.mark.usefixtures("small_figures")
def test_a_place_beyond_all_reference_models_has_no_equivalent_compute(
    values: tuple[float, ...], side: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    placement = placed("mine", values=values, targets=())
    words = f"{side} every reference model"
    shown = json.loads((write_report(placement, tmp_path).parent / "result.json").read_text())
    assert shown["equivalent_flops"]["scale"] == [None]
    assert shown["equivalent_flops"]["reason"] == [words]
    assert f'<div class="value">{words}</div>' in (tmp_path / "report.html").read_text()
    print_placements([placement])
    (line,) = [x for x in capsys.readouterr().out.splitlines() if "equivalent" in x]
    assert line == f"equivalent training compute in Llama-2 terms: {words}"


@pytest.mark.slow
def test_the_axis_of_equivalent_compute_ends_with_the_reference_models() -> None:
    placement = placed("mine", values=(0.19, 0.2, 0.25, 0.5, 0.18, 0.0, 0.48, 0.0))
    figure, _ = draw_placement(placement)["target-bbh"]
    (axes,) = figure.axes
    (top,) = axes.child_axes
    figure.canvas.draw()
    axis, seen = placement.axes["bbh"], placement.laws["bbh"].linear_predictor_
    low, high = ((end - axis.intercept) / axis.slope for end in (seen.min(), seen.max()))
    ticks = top.get_xticks()
    assert len(ticks)
    assert low <= min(ticks)
    assert max(ticks) <= high


@pytest.mark.slow
@pytest.mark.usefixtures("small_figures")
def test_a_dated_reference_stands_on_the_page_with_back_tests_and_baselines(tmp_path: Path) -> None:
    reference = load_reference("frontier-2026")
    wide = pd.DataFrame({"GPQA-diamond": 0.58, "MMLU-Pro": 0.74, "IFEval": 0.85}, index=["mine"])
    facts = pd.DataFrame({"release_date": "2025-09", "mode": "thinking"}, index=["mine"])
    table = ScoreTable.from_wide(wide, models=facts)
    targets = ("hle/no-tools", "swe-bench-verified/vendor", "tau2-telecom/vendor")
    placement = place_model(table, reference, targets=targets)
    assert [p.target for p in placement.predictions] == list(targets[:2])
    page = write_report(placement, tmp_path).read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.S))
    assert "frontier-2026, models until 22 April 2026" in text
    assert "released 2025-09 · thinking mode" in text
    assert "Licence: MIT, CC-BY-4.0, Apache-2.0" in text
    assert "github.com/microsoft/benchpress" in text
    assert f"By their loadings they are PC-1: general, PC-2: {placement.names[1]}." in text
    for heading in ("Error in back-tests", "Mean", "Trend", "Nearest", "Single"):
        assert heading in text
    assert "weak" in text
    assert placement.unpredicted["tau2-telecom/vendor"] in text
    hle = placement.evaluated["hle/no-tools"]
    for value in (*hle.baselines.values(), hle.evaluation.mae):
        assert f"{value:.3f}" in text
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["evaluated"]["hle/no-tools"]["status"] == "offered"
    assert result["evaluated"]["tau2-telecom/vendor"]["mean"] is None


def test_models_are_left_out_of_stored_laws() -> None:
    reference = load_reference("frontier-2026")
    wide = pd.DataFrame({"GPQA-diamond": 0.58, "MMLU-Pro": 0.74}, index=["mine"])
    table = ScoreTable.from_wide(wide, models=pd.DataFrame({"release_date": "2025-09"}, ["mine"]))
    facts = reference.table.models
    unseen = facts.index[facts["provider"] == "OpenAI"]
    (stored,) = predict_targets(table, reference, targets=["hle/no-tools"])
    (without,) = predict_targets(table, reference, targets=["hle/no-tools"], exclude=unseen)
    assert stored.mean != without.mean == pytest.approx(stored.mean, abs=0.05)


@pytest.mark.slow
@pytest.mark.usefixtures("small_figures")
def test_a_page_of_the_study_marks_weak_targets_and_refuses_others_with_the_reason(tmp_path):
    scores = pd.DataFrame({"MMLU": 0.62, "HellaSwag": 0.81, "GSM8K": 0.4}, index=["mine"])
    placement = place_model(
        ScoreTable.from_wide(scores), load_reference(), targets=["bbh", "agentboard"]
    )
    assert [(p.target, p.status) for p in placement.predictions] == [("bbh", "weak")]
    assert placement.predictions[0].reason.startswith("coverage forward in time")
    reason = "refused by its back-test: 11 models could be tested; 12 are needed"
    assert placement.unpredicted == {"agentboard": reason}
    page = write_report(placement, tmp_path).read_text()
    assert ">weak</span>" in page
    assert reason in page
    (p,) = placement.predictions
    assert f'<p class="soft reason">weak: BBH: {p.reason}</p>' in page
    assert f"fitted on {p.n_models} models" in page
    error = placement.reference.evaluations["bbh"].mae
    assert f'data-label="Error in back-tests">{error:.3f}</td>' in page
    for name, value in p.baselines.items():
        shown = "–" if math.isnan(value) else f"{value:.3f}"
        assert f'<th class="number">{name.capitalize()}</th>' in page
        assert f'data-label="{name.capitalize()}">{shown}</td>' in page


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Placement]]:
    """The page of a model whose scores support two references."""
    scores = {"GPQA-diamond": 0.58, "MMLU-Pro": 0.74, "MATH level 5": 0.9, "OTIS Mock AIME": 0.4}
    wide = pd.DataFrame(scores, index=["mine"])
    table = ScoreTable.from_wide(wide, models=pd.DataFrame({"release_date": "2025-09"}, ["mine"]))
    placements = [place_model(table, load_reference(n)) for n in ("frontier-2026", "epoch-2026")]
    out = tmp_path_factory.mktemp("two")
    return write_report(placements[0], out, others=placements[1:]), placements


@pytest.mark.slow
def test_each_of_two_references_has_its_map_date_and_licence_on_the_page(
    by_two: tuple[Path, list[Placement]],
) -> None:
    page, (first, second) = by_two
    html = page.read_text()
    maps = html.partition("The capability space</h2>")[2].partition("<h2>")[0]
    assert maps.count("<img") == 2
    assert re.findall("<h3>(.*?)</h3>", maps) == ["frontier-2026", "epoch-2026"]
    for placement in (first, second):
        reference = placement.reference
        assert reference.date is not None
        assert f"models until {reference.date:%d %B %Y}; {reference.licence}" in maps
        assert f"Reference: {reference.name}, " in html  # with its attribution, in the foot
        for p in placement.predictions:
            assert f"{p.lower:.3f} – {p.upper:.3f}" in html
    for name in ("scores", "place", "predictions"):
        own, other = ((page.parent / f"{name}{k}.svg").read_bytes() for k in ("", "-2"))
        assert own != other
    result = json.loads((page.parent / "result.json").read_text())
    assert result["predictions"][0]["target"] in first.reference.targets
    (beside,) = result["others"]
    assert beside["reference"] == "epoch-2026"
    assert len(beside["predictions"]) == len(second.predictions) > 0


@pytest.mark.slow
def test_a_page_is_of_one_model(by_two: tuple[Path, list[Placement]], tmp_path: Path) -> None:
    _, (first, _) = by_two
    other = placed("other", targets=())
    with pytest.raises(FitError, match="is of mine, another placement is of other"):
        write_report(first, tmp_path / "new", others=[other])
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_the_page_never_scrolls_sideways_and_no_card_stands_alone(
    by_two: tuple[Path, list[Placement]], tmp_path: Path, width: int
) -> None:
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"<iframe src='{by_two[0].as_uri()}' width={width} height=900 style='border:0'></iframe>"
        "<script>onload = () => { const page = frames[0].document;"
        " const cards = [...page.querySelectorAll('.card')].map(c => c.getBoundingClientRect());"
        " const last = cards.filter(c => c.top === cards.at(-1).top);"
        " document.title = [page.documentElement.scrollWidth, last.length, cards.at(-1).width,"
        " cards[0].width].join() }</script>"
    )
    dom = browse(frame, tmp_path / "profile", "--dump-dom", "--allow-file-access-from-files")
    title = re.search("<title>(.*?)</title>", dom)
    assert title is not None
    wide, n_last, last, first = map(float, title[1].split(","))
    assert wide == width
    assert n_last > 1 or last >= first  # one that is alone fills its row


@pytest.mark.parametrize("is_advised", [True, False])
def test_the_caption_names_a_filled_marker_where_there_is_one(is_advised: bool) -> None:
    support = Support(True, 0.0, "inside")
    how = Intervention("cot", "bbh", "bbh-cot")
    lift = Lift("a", how, 0.4, 0.5, 0.1, 0.05, 0.15, 0.9, 40, 1, 2, support, advised=is_advised)
    _, caption = draw_lifts([lift])
    assert ("The filled marker" in caption) is is_advised
