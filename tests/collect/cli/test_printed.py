"""What commands print where there is little to show, and how a stopped run says how to go on."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest
import typer
from commands import Command
from matplotlib.figure import Figure

from capspace.collect.cli import answers, main, options, show
from capspace.collect.cli._main import _is_path, _short_run
from capspace.collect.cli.backtest import _split
from capspace.collect.cli.decision_tables import print_next
from capspace.collect.cli.gather import _widths
from capspace.collect.cli.lift import _samples
from capspace.collect.cli.old_names import reading
from capspace.collect.cli.shrinking import _families
from capspace.collect.cli.side_by_side import print_shared
from capspace.collect.cli.study import _print_reproduction
from capspace.collect.cli.tables import read_scores, save_figures
from capspace.collect.cli.target_tables import evaluation_words
from capspace.collect.run._prices import _mode
from capspace.collect.runtime.signals import Terminated
from capspace.collect.storage.result import Missing
from capspace.collect.storage.store import Store
from capspace.fit import FitError, TableError, place_model, target_problem
from capspace.fit.decide import NextEvaluations
from capspace.fit.errors import DegenerateError, UnknownNameError
from capspace.fit.reference import load_reference
from capspace.fit.studies.ruan2024._reproduce import Reproduction
from capspace.fit.studies.ruan2024.compare import Comparison
from capspace.fit.studies.ruan2024.coverage import Coverage
from capspace.fit.studies.ruan2024.results import Results
from capspace.fit.table import ScoreTable
from capspace.tasks.panel import load_panel

Printed = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("stop", "code", "word"),
    [(KeyboardInterrupt, 130, "interrupted"), (Terminated, 143, "terminated")],
)
def test_a_stopped_run_says_how_to_go_on(
    stop: type[BaseException], code: int, word: str, capsys: Printed
) -> None:
    with pytest.raises(typer.Exit) as ended, options.resumable():
        raise stop
    assert ended.value.exit_code == code
    line = " ".join(capsys.readouterr().err.split())
    assert line.startswith(f"{word}: every finished chunk of responses is stored; run the same")


def test_cells_without_a_score_are_named_once_for_each_reason(capsys: Printed) -> None:
    show.print_reasons([("m", "A", "why"), ("m", "B", "why"), ("n", "A", "why")])
    assert capsys.readouterr().out.splitlines() == ["m: A, B: why", "n: A: why"]
    gap = Missing("m", "A", "why", revision="0", key="k", failed_at="2026-01-01")
    assert show.failure_dict(gap) == {
        "model": "m", "revision": "0", "benchmark": "A", "reason": "why", "failed_at": "2026-01-01",
    }  # fmt: skip


def test_references_without_a_target_in_common_say_so(capsys: Printed) -> None:
    def p(target: str) -> Any:
        return SimpleNamespace(model="m", target=target, mean=0.5, lower=0.4, upper=0.6)

    print_shared({"one": [p("x")], "two": [p("y")]})
    assert capsys.readouterr().out == "one, two predict no target in common\n"
    print_shared({"one": [p("x")], "two": [p("x")], "three": []})
    (row,) = (r for r in capsys.readouterr().out.splitlines() if r.startswith("x "))
    assert row.count("0.500 (0.400 – 0.600)") == 2
    assert row.rstrip().endswith(")  –") or row.rstrip().endswith(" –")


def test_what_narrows_nothing_is_said(capsys: Printed) -> None:
    print_next(NextEvaluations("mine", ("bbh",), 0.9, (0.1,), (), ()))
    assert "no benchmark is expected to narrow the interval" in capsys.readouterr().out


def test_progress_over_many_models_is_for_a_terminal(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers._show_progress(150, 1500)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    answers._show_progress(100, 100)
    answers._show_progress(1500, 1500)
    assert capsys.readouterr().err == "\rpredicted 1,500 of 1,500 models\n"


def test_a_target_without_a_back_test_has_dashes() -> None:
    assert evaluation_words(None, 3) == ("not back-tested", "3", "–", "–", "–")


@pytest.mark.parametrize(
    ("drop", "error", "message"),
    [
        (["C"], UnknownNameError, r"no benchmark 'C' to drop.*; there are A, B"),
        (["A", "B"], DegenerateError, r"scores\.csv: no benchmark is left"),
    ],
)
def test_a_column_that_cannot_be_dropped_is_named(
    tmp_path: Path, drop: list[str], error: type[Exception], message: str
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("model,A,B\nm,0.5,0.6\n")
    with pytest.raises(error, match=message):
        read_scores(path, drop=drop)


def test_figures_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FitError, match=r"cannot write figures to .*file/out: Not a directory"):
        save_figures({"a": Figure()}, tmp_path / "file" / "out")


def test_families_of_models_are_read_from_a_table(tmp_path: Path) -> None:
    path = tmp_path / "families.csv"
    path.write_text("Model, Family\na,one\nb,two\n")
    assert _families(path) == {"a": "one", "b": "two"}
    path.write_text("model,maker\na,one\n")
    with pytest.raises(TableError, match=r"families\.csv: expected the columns model and family"):
        _families(path)


@pytest.mark.parametrize(("name", "n"), [("vote", 1), ("vote@best", 1), ("vote@16", 16)])
def test_a_column_states_its_number_of_answers(name: str, n: int) -> None:
    assert _samples(name) == n


def test_a_model_answers_as_it_states_or_as_its_reference() -> None:
    table = ScoreTable.from_wide(
        pd.DataFrame({"A": [0.5, 0.5]}, index=["m", "n"]),
        models=pd.DataFrame({"mode": ["chat", None]}, index=["m", "n"]),
    )
    known = load_reference("study-2024")
    assert [_mode(table, model, known) for model in ("m", "n")] == ["chat", "plain"]


@pytest.mark.parametrize(
    ("split", "n_train"),
    [
        ({"size": 5e9}, 5),
        ({"date": "2024-06-01"}, 5),
        ({"top": 0.3}, 7),
        ({"random_share": 0.3}, 7),
    ],
)
def test_models_are_split_as_asked(split: dict[str, Any], n_train: int) -> None:
    names = [f"m{i}" for i in range(10)]
    scores = [0.3 + 0.05 * i for i in range(10)]
    facts = pd.DataFrame(
        {
            "family": names,
            "parameters": [1e9 * (i + 0.5) for i in range(10)],
            "release_date": [f"2024-{i + 1:02}-15" for i in range(10)],
        },
        index=names,
    )
    table = ScoreTable.from_wide(
        pd.DataFrame({"A": scores, "B": [s**2 for s in scores]}, index=names), models=facts
    )
    problem = target_problem(table, pd.Series([s**3 for s in scores], index=names, name="T"))
    nothing = dict.fromkeys(("flops", "size", "date", "top", "random_share"))
    made = _split(problem, **{**nothing, **split}, by_family=False, seed=0)
    assert made.train is not None
    assert (int(made.train.sum()), len(made.train)) == (n_train, 10)


def test_old_names_are_silent_while_a_shell_completes_a_line(capsys: Printed) -> None:
    app = typer.Typer()

    @app.command(cls=reading(budget="--compute-budget"))
    def run(compute_budget: str = "") -> None:
        """Run."""

    command = typer.main.get_command(app)
    made = command.make_context("run", ["--budget", "3h"], resilient_parsing=True)
    assert made.params["compute_budget"] == "3h"
    assert capsys.readouterr().err == ""


def test_the_widths_that_end_a_run_are_those_of_the_panel_s_reference() -> None:
    panel = load_panel("smoke")
    widths = _widths(panel, ["bbh"], None)
    assert repr(vars(widths)) == repr(vars(_widths(panel, ["bbh"], "study-2024")))


def test_predictions_without_baselines_have_one_table(capsys: Printed) -> None:
    scores = pd.DataFrame({"MMLU": 0.62, "HellaSwag": 0.81, "GSM8K": 0.4}, index=["mine"])
    placement = place_model(ScoreTable.from_wide(scores), load_reference(), targets=["bbh"])
    (prediction,) = placement.predictions
    show.print_predictions("mine", [prediction])
    assert "beside the baselines" in capsys.readouterr().out
    show.print_predictions("mine", [replace(prediction, baselines={})])
    shown = capsys.readouterr().out
    assert f"{prediction.mean:.3f}" in shown
    assert "beside the baselines" not in shown


def test_only_a_short_command_is_spared_work_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    before = (gc.get_threshold(), dict(os.environ))
    with _short_run(["collect", "org/model"]):
        assert (gc.get_threshold(), dict(os.environ)) == before
    with _short_run(["predict", "scores.csv"]):
        assert gc.get_threshold() > before[0]
        assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert (gc.get_threshold(), dict(os.environ)) == before
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with _short_run(["predict", "scores.csv"]):
        assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_a_reproduction_is_counted_and_its_files_are_named(capsys: Printed) -> None:
    compared = [Comparison("s", "i", "q", 1.0, 1.0, v) for v in ("same", "same", "differs")]
    intervals = [Coverage("t", "size", 20, 10, coverage=0.9, width=0.2)]
    results = Results(*(cast("Any", None),) * 9, coverage=intervals, comparisons=compared)
    done = Reproduction(results, Path("out/index.html"), Path("out/numbers.csv"), ())
    _print_reproduction(done, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:-2] == done.summary()
    assert lines[-2:] == ["page: out/index.html", "numbers: out/numbers.csv"]


def test_a_reproduction_is_one_json_document(capsys: Printed) -> None:
    intervals = [Coverage("t", "size", 20, 10, coverage=0.9, width=0.2)]
    results = Results(*(cast("Any", None),) * 9, coverage=intervals, comparisons=[])
    done = Reproduction(results, Path("out/index.html"), Path("out/numbers.csv"), ())
    _print_reproduction(done, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["n_compared"], printed["table"]) == (0, "out/numbers.csv")


def test_the_command_gives_what_the_study_gives(
    capspace: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    intervals = [Coverage("t", "size", 20, 10, coverage=0.9, width=0.2)]
    results = Results(*(cast("Any", None),) * 9, coverage=intervals, comparisons=[])
    done = Reproduction(results, Path("out/index.html"), Path("out/numbers.csv"), ())
    given = {}

    def run(tables: Path, out: Path, **rest: Any) -> Reproduction:
        given.update(rest, tables=tables, out=out)
        rest["progress"]("GSM8K CoT")
        return done

    monkeypatch.setattr("capspace.fit.studies.ruan2024.reproduce", run)
    ran = capspace("reproduce", "tables", "--out", "out", "--json")
    assert (ran.code, ran.err.strip()) == (0, "GSM8K CoT")
    assert json.loads(ran.out)["table"] == "out/numbers.csv"
    assert (given["tables"], given["out"], given["expected"]) == (Path("tables"), Path("out"), None)


@pytest.mark.slow
def test_what_two_references_predict_stands_side_by_side_after_each(capsys: Printed) -> None:
    facts = pd.DataFrame({"release_date": "2025-09", "mode": "thinking"}, index=["mine"])
    scores = pd.DataFrame(
        {"GPQA-diamond": 0.66, "MMLU-Pro": 0.78, "MATH level 5": 0.93, "OTIS Mock AIME": 0.55},
        index=["mine"],
    )
    table = ScoreTable.from_wide(scores, models=facts)
    placements = [
        place_model(table, load_reference(name), targets=["arc-agi-1/semi-private"])
        for name in ("frontier-2026", "epoch-2026")
    ]
    show.print_placements(placements, subtitle="")
    shown = capsys.readouterr().out
    beside = shown.partition("mine: side by side")[2]
    assert "frontier-2026" in beside
    assert "arc-agi-1/semi-private" in beside
    show.print_placements(placements[:1], subtitle="")
    assert "side by side" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["targets"], ["targets", "--json"], ["predict", "--help"], ["predict", "no.csv"]]
)
def test_a_command_whose_output_nobody_reads_ends_as_shells_expect(words: list[str]) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    with (
        os.fdopen(writes, "w") as closed,
        redirect_stdout(closed),
        redirect_stderr(closed),
        pytest.raises(SystemExit) as ended,
    ):
        main(words)
    assert ended.value.code == 128 + signal.SIGPIPE


@pytest.mark.slow
def test_a_process_whose_output_nobody_reads_ends_without_a_word() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    program = "from capspace.collect.cli import main; main()"
    words = [sys.executable, "-c", program, "targets", "--json"]
    done = subprocess.run(words, stdout=writes, stderr=subprocess.PIPE, check=False)
    os.close(writes)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.slow
def test_a_process_of_its_own_leaves_no_garbage_to_search_as_it_ends(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["capspace", "targets", "--json"])
    before = gc.get_freeze_count()
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)
    assert gc.get_freeze_count() > before


def test_a_path_is_known_by_its_type_where_typer_describes_none() -> None:
    class TyperPath:
        """As typer 0.26 calls it."""

    assert _is_path(SimpleNamespace(type=TyperPath()))
    assert not _is_path(SimpleNamespace(type="text"))


def test_a_store_that_can_only_be_read_says_so(
    tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(tmp_path).close()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with options.open_store(tmp_path, must_write=False) as store:
        assert store.results() == []
    line = f"cannot write the store {tmp_path} (it is read-only): it is only read"
    assert capsys.readouterr().err.splitlines() == [line]
