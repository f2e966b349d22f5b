"""The law of a zoo: planted and found, and the one of models that were trained here."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from small_files import files_limited_to

from capspace.collect.cli.zoo.results import print_fit
from capspace.fit import figures
from capspace.fit.errors import FitError, TableError
from capspace.fit.law import LawSettings, ScalingLaw
from capspace.fit.table import ScoreTable
from capspace.fit.zoo import figures as zoo_figures
from capspace.fit.zoo import predictions
from capspace.fit.zoo.fitting import ZooFit, _efficiency, _held_out, fit_zoo
from capspace.fit.zoo.predictions import (
    _law_of_compute,
    predict_held_out,
    predict_targets,
    training_runs,
)
from capspace.fit.zoo.report import verdict, write_report
from capspace.tasks.panel import load_panel

pytestmark = pytest.mark.usefixtures("laws_fitted_once")

SCORES = Path(__file__).with_name("scores.csv")
FACTS = ["family", "parameters", "training_tokens", "training_flops"]


def planted(seed: int, *, noise: float = 0.01) -> tuple[ScoreTable, dict[str, float]]:
    """Return three families whose one capability is log-linear in compute."""
    rng = np.random.default_rng(seed)
    rows, names = [], []
    for family, shift in (("a", 0.0), ("b", 0.4), ("c", -0.5)):
        for size in (1e6, 3e6, 1e7, 3e7, 1e8):
            for tokens in (1e8, 1e9):
                names.append(f"{family}-{size:.0e}-{tokens:.0e}")
                flops = 6 * size * tokens
                capability = 1.2 * (np.log10(flops) - 16.5) + shift + 0.3 * rng.standard_normal()
                rows.append((family, size, tokens, flops, capability))
    facts = pd.DataFrame(rows, index=names, columns=[*FACTS, "capability"])
    laws = {"P": (0.0, 1.0, 0.25), "Q": (-0.6, 1.4, 0.0), "R": (0.5, 0.8, 0.0), "S": (-1, 1, 0.1)}
    scores = pd.DataFrame(
        {
            name: floor + (1 - floor) / (1 + np.exp(-(shift + slope * facts["capability"])))
            for name, (shift, slope, floor) in laws.items()
        }
    )
    scores = (scores + noise * rng.standard_normal(scores.shape)).clip(0, 1)
    return ScoreTable.from_wide(scores, models=facts[FACTS]), {n: v[2] for n, v in laws.items()}


@pytest.fixture
def few_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a law fitted from 20 starts, of which most find one that was planted."""
    monkeypatch.setattr(predictions, "LawSettings", partial(LawSettings, n_starts=20))
    monkeypatch.setattr(predictions, "ScalingLaw", partial(ScalingLaw, n_starts=20))


@pytest.mark.slow
@pytest.mark.usefixtures("few_starts")
def test_a_planted_law_predicts_the_largest_size() -> None:
    inside = n = 0
    for seed in range(6):
        table, chance = planted(seed)
        result = fit_zoo("planted", table, chance)
        assert result.largest.endswith("1e+08-1e+09")
        assert len(result.held_out) == 6
        assert len(result.predictions) == 24
        assert result.error() < 0.03
        assert result.error() < result.error("compute_only")
        assert result.efficiency is not None
        assert all(law.r2 > 0.8 for law in result.efficiency.laws.values())
        inside += sum(p.is_inside for p in result.predictions)
        n += len(result.predictions)
    assert inside / n > 0.85


@pytest.mark.slow
@pytest.mark.usefixtures("few_starts")
def test_no_held_out_score_of_the_benchmark_reaches_its_prediction() -> None:
    table, chance = planted(0)
    before = {(p.model, p.benchmark): p.mean for p in fit_zoo("z", table, chance).predictions}
    wide = table.wide()
    held_out = [m for m in wide.index if "1e+08-" in m]
    wide.loc[held_out, "Q"] = 0.123
    changed = ScoreTable.from_wide(wide, models=table.models)
    after = {(p.model, p.benchmark): p.mean for p in fit_zoo("z", changed, chance).predictions}
    for model in held_out:
        assert after[model, "Q"] == before[model, "Q"]
        assert after[model, "P"] != before[model, "P"]


@pytest.fixture(scope="module")
def trained() -> ZooFit:
    """The 45 checkpoints of ``scripts/train_zoo``, as ``zoo run`` measured them."""
    wide = pd.read_csv(SCORES, index_col="model")
    scores = wide.drop(columns=FACTS)
    stderr = np.sqrt(scores * (1 - scores) / 399)
    table = ScoreTable.from_wide(scores, models=wide[FACTS], stderr=stderr)
    chance = {b.name: b.chance or 0.0 for b in load_panel("procedural").benchmarks}
    return fit_zoo("trained", table, chance)


@pytest.mark.slow
def test_the_trained_zoo_is_log_linear_and_predicts_its_largest(trained: ZooFit) -> None:
    assert trained.largest == "wren-201k-4m"
    assert trained.efficiency is not None
    r2 = {family: law.r2 for family, law in trained.efficiency.laws.items()}
    assert r2 == pytest.approx({"finch": 0.80, "wren": 0.80}, abs=0.02)
    assert trained.space.explained_variance_ratio_[0] == pytest.approx(0.73, abs=0.02)
    assert trained.coverage >= 0.8
    assert trained.error() == pytest.approx(0.090, abs=0.01)
    assert trained.error("compute_only") == pytest.approx(0.122, abs=0.01)
    assert "5 checkpoints of the largest size held out" in verdict(trained)


@pytest.mark.slow
def test_the_report_is_one_file_and_says_what_was_found(trained: ZooFit, tmp_path: Path) -> None:
    page = write_report(trained, tmp_path / "report")
    text = page.read_text()
    assert "http" not in text.replace("http-equiv", "")
    assert "wren-201k-4m" in text
    assert verdict(trained) in text
    printed = json.loads((page.parent / "zoo.json").read_text())
    assert len(printed["forecasts"]) == 40
    assert (page.parent / "zoo.svg").stat().st_size > 1000


def test_a_report_that_does_not_fit_on_the_disk_leaves_the_earlier_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is drawn takes seconds, and is not what is tested.
    for module, name in ((figures, "draw_space"), (zoo_figures, "draw_zoo")):
        monkeypatch.setattr(module, name, lambda *_: Figure((1, 1)))
    table, chance = planted(0)
    wide = table.wide()
    largest = wide.index.str.contains("1e\\+08-")
    facts = table.models.loc[largest].assign(training_flops=np.nan, training_tokens=np.nan)
    fit = fit_zoo("z", ScoreTable.from_wide(wide[largest], models=facts), chance)
    out = tmp_path / "report"
    with files_limited_to(100), pytest.raises(FitError, match=r"cannot write .* too large"):
        write_report(fit, out)
    assert not out.exists()
    out.mkdir()
    files = {out / name: "earlier" for name in ("zoo.json", "scores.csv", "report.html")}
    for path, content in files.items():
        path.write_text(content)
    with files_limited_to(4096), pytest.raises(FitError, match=r"cannot write .* too large"):
        write_report(fit, out)
    assert {path: path.read_text() for path in files} == files
    assert not [path for path in out.iterdir() if "partial" in path.name]
    assert write_report(fit, out).stat().st_size > 4096
    assert all(path.stat().st_size < 4096 for path in out.iterdir() if path.name != "report.html")


@pytest.mark.slow
@pytest.mark.usefixtures("few_starts")
def test_own_targets_are_predicted_where_they_lack_a_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, chance = planted(3)
    wide = table.wide()
    truth = wide["Q"].rename("Task")
    known = truth[~truth.index.str.contains("1e\\+08-")]
    path = tmp_path / "mine.csv"
    known.rename_axis("model").reset_index().assign(benchmark="Task").rename(
        columns={"Task": "score"}
    ).to_csv(path, index=False)
    space = ScoreTable.from_wide(wide.drop(columns="Q"), models=table.models)
    result = fit_zoo("z", space, chance, target_scores=path)
    assert {f.model for f in result.targets} == set(truth.index) - set(known.index)
    print_fit(result)
    rows = capsys.readouterr().out.partition("Targets")[2].splitlines()
    assert {row.split()[0] for row in rows if " Task " in row} == {f.model for f in result.targets}
    off = [abs(f.mean - truth[f.model]) for f in result.targets]
    assert np.mean(off) < 0.03
    assert np.mean([f.lower <= truth[f.model] <= f.upper for f in result.targets]) >= 0.8


def test_a_zoo_without_compute_or_smaller_models_prints_no_empty_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table, chance = planted(0)
    wide = table.wide()
    largest = wide.index.str.contains("1e\\+08-")
    facts = table.models.loc[largest].assign(training_flops=np.nan, training_tokens=np.nan)
    print_fit(fit_zoo("z", ScoreTable.from_wide(wide[largest], models=facts), chance))
    shown = " ".join(capsys.readouterr().out.split())
    assert "no score of the 6 checkpoints of the largest size could be predicted" in shown
    assert "no training compute is known: give `facts`" in shown
    assert "Family" not in shown
    assert "Predicted" not in shown


@pytest.mark.slow
def test_a_fit_shows_itself_in_a_line_and_a_table(
    trained: ZooFit, capsys: pytest.CaptureFixture[str]
) -> None:
    assert repr(trained) == (
        "ZooFit(trained: 45 models, 5 held-out models, 35 of 40 scores inside 90% intervals)"
    )
    assert len(trained.to_frame()) == 40
    assert "<table" in trained._repr_html_()
    print_fit(trained)
    shown = " ".join(capsys.readouterr().out.split())
    assert "zoo trained: PC-1 explains 73% of the variance of 45 models" in shown
    assert trained.efficiency is not None
    for law in trained.efficiency.laws.values():
        assert f"{law.family} {law.n_models} {law.slope:+.3f} {law.r2:.2f}" in shown
    assert "wren-201k-4m, predicted from smaller models" in shown
    assert shown.count(" outside ") == sum(
        not p.is_inside for p in trained.predictions if p.model == trained.largest
    )
    assert verdict(trained) in shown
    assert repr(trained.predictions[0]).startswith("ZooPrediction(")


def test_checkpoints_of_one_run_count_as_one() -> None:
    table, _ = planted(0)
    assert len(set(training_runs(table.models))) == 15


def test_too_little_says_so() -> None:
    table, chance = planted(0)
    with pytest.raises(FitError, match="too few for a space: 2 models with 4 benchmarks"):
        fit_zoo("z", table.select(models=list(table.models.index[:2])), chance)


@pytest.mark.slow
@pytest.mark.usefixtures("few_starts")
def test_a_zoo_without_compute_says_what_is_missing() -> None:
    table, chance = planted(0)
    facts = table.models[["family", "parameters"]]
    result = fit_zoo("z", ScoreTable(table.scores, facts), chance)
    assert result.efficiency is None
    assert "no training compute is known" in result.notices[0]
    assert np.isnan(result.error("compute_only"))
    assert len(result.predictions) == 24


@pytest.mark.usefixtures("few_starts")
def test_a_target_of_the_zoo_that_is_not_predicted_is_a_notice() -> None:
    table, chance = planted(5)
    scores, facts = table.wide(), table.models
    wide = pd.DataFrame({"few": 0.5, "all": scores["Q"] ** 2}, index=scores.index)
    wide.loc[wide.index[2:], "few"] = np.nan
    notices: list[str] = []
    own = ScoreTable.from_wide(wide)
    assert predict_targets(scores, facts, own, chance, 0.9, 1, notices) == []
    assert notices[-2].startswith("few: not predicted: ")
    assert notices[-1] == "all: every model of the zoo has a score"
    stranger = ScoreTable.from_wide(pd.DataFrame({"all": [0.5]}, index=["stranger"]))
    with pytest.raises(TableError, match=r"a target's score .stranger. is in the zoo"):
        predict_targets(scores, facts, stranger, chance, 0.9, 1, notices)


def test_a_zoo_without_sizes_or_variation_says_so() -> None:
    table, chance = planted(5)
    scores, facts = table.wide(), table.models
    blank = facts.assign(parameters=np.nan, training_flops=np.nan)
    with pytest.raises(TableError, match="neither parameters nor training compute of any model"):
        _held_out(blank)
    notices: list[str] = []
    alike = facts.assign(training_flops=1e20)
    assert _efficiency(pd.DataFrame({"PC-1": scores["P"]}), alike, notices) is None
    assert notices[0].startswith("no efficiency: ")
    assert _law_of_compute(scores["P"] * 0 + 0.5, facts, "a", 0.0) is None
    held_out = [str(facts.index[-1])]
    rest = scores.copy()
    rest.loc[held_out, ["Q", "R", "S"]] = np.nan
    assert predict_held_out(rest, facts, held_out, "P", chance, 0.9, 1) == []
