"""The command line: every documented command runs; bad input is one clear line and exit code 2."""

import json
import os
import re
import sqlite3
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
from commands import BENCHMARKS, MINE, Command, files_no_longer_than
from rich.console import Group
from rich.text import Text

from capspace.collect.cli import options
from capspace.collect.cli.show import print_results
from capspace.collect.storage.result import Result
from capspace.collect.storage.store import Store

# --- commands -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_version_and_help(capspace: Command) -> None:
    assert capspace("--version").out == f"capspace {version('capspace')}\n"
    for command in ("place", "collect", "predict", "scores", "panels", "targets", "models"):
        assert command in capspace("--help").out
        assert capspace(command, "--help").code == 0


@pytest.mark.slow
def test_panels_targets_and_models(capspace: Command) -> None:
    assert "classic-8 v1" in capspace("panels").out
    board = capspace("panels", "openllm-v2").out
    assert "What matches the board, and what does not" in board
    assert "string comparison before" in " ".join(board.split())
    assert "agentbench" in capspace("targets").out
    assert "meta-llama/Llama-2-7b-hf" in capspace("models", "--family", "Llama-2").out
    for command in ("panels", "targets", "models"):
        assert json.loads(capspace(command, "--json").out)


@pytest.mark.slow
def test_predict_reports_every_target_with_interval_support_and_what_it_was_fitted_on(
    capspace: Command, mine: Path, tmp_path: Path
) -> None:
    csv = tmp_path / "predictions.csv"
    table = capspace("predict", mine, "--target", "agentbench")
    assert table.code == 0
    assert "agentbench" in table.out
    assert "90% interval" in table.out

    predictions = json.loads(capspace("predict", mine, "--csv", csv, "--json").out)["predictions"]
    assert {p["target"] for p in predictions} == set(pd.read_csv(csv)["target"])
    by_status = {p["target"]: (p["status"], p["mean"] is None) for p in predictions}
    assert by_status["agentbench"] == ("offered", False)
    assert by_status["bbh"] == ("weak", False)
    assert by_status["agentboard"] == ("refused", True)
    for p in predictions:
        assert bool(p["reason"]) == (p["status"] != "offered")
        if p["status"] == "refused":
            continue
        assert 0 <= p["lower"] <= p["mean"] <= p["upper"] <= 1
        assert p["n_models"] == len(p["models"])
        assert p["support"]["summary"]


@pytest.mark.slow
def test_predict_takes_one_target_a_level_and_a_long_table(
    capspace: Command, tmp_path: Path
) -> None:
    long = tmp_path / "long.csv"
    long.write_text("model,benchmark,score\nmine,MMLU,0.62\nmine,HellaSwag,0.81\nmine,GSM8K,0.4\n")
    wide = {}
    for level in (0.5, 0.9):
        run = capspace("predict", long, "--target", "bbh", "--level", level, "--json")
        (p,) = json.loads(run.out)["predictions"]
        assert set(p["missing"]) == set(BENCHMARKS.split(",")) - {"MMLU", "HellaSwag", "GSM8K"}
        wide[level] = p["upper"] - p["lower"]
    assert wide[0.5] < wide[0.9]


@pytest.mark.slow
def test_predict_on_the_study_states_status_and_reasons(
    capspace: Command, mine: Path, tmp_path: Path
) -> None:
    csv = tmp_path / "predictions.csv"
    words = ("predict", mine, "--target", "bbh", "--target", "agentboard", "--csv", csv)
    shown = " ".join(capspace(*words).out.split())
    assert "weak: bbh: coverage forward in time" in shown
    assert "no number for agentboard: 11 models could be tested; 12 are needed" in shown
    rows = pd.read_csv(csv).set_index("target")
    assert rows["status"].to_dict() == {"bbh": "weak", "agentboard": "refused"}
    assert rows["prediction"].isna().to_dict() == {"bbh": False, "agentboard": True}
    numbers = [f"{rows.loc['bbh', name]:.3f}" for name in ("prediction", "mean")]
    beside = [f"{rows.loc['bbh', name]:.3f}" for name in ("nearest", "single")]
    assert "mine: beside the baselines Name Prediction Mean Trend Nearest Single" in shown
    assert " ".join(["bbh", *numbers, "–", *beside]) in shown  # the study states no release dates
    assert rows.loc["bbh", ["nearest_model", "single_benchmark"]].notna().all()
    forced = " ".join(capspace(*words, "--force").out.split())
    assert "refused, shown by --force: agentboard: 11 models" in forced
    assert pd.read_csv(csv)["prediction"].notna().all()


def test_a_model_without_a_number_is_named_beside_others(capspace: Command, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    names = "GPQA-diamond,MMLU-Pro,release_date"
    path.write_text(f"model,{names}\nbare,,,2026-02\nmine,0.5,0.6,2026-02\nbest,1,1,2026-02\n")
    bare = "no score to predict from: bare"
    shown = " ".join(capspace("predict", path, "--target", "hle/no-tools").out.split())
    assert "mine: offered" in shown
    assert "no number for hle/no-tools of best: the model lies outside" in shown
    assert bare in shown
    assert bare in json.loads(capspace("complete", path, "--json").out)["notes"]


def test_predict_says_what_holds_for_several_models_once(capspace: Command, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    names = "GPQA-diamond,MMLU-Pro,scicode/vendor,release_date"
    rows = "first,0.3,0.4,0.2,2026-02\nsecond,0.3,0.4,0.2,2026-02\nthird,0.7,0.8,0.4,2026-02\n"
    path.write_text(f"model,{names}\n{rows}")
    shown = " ".join(capspace("predict", path).out.split())
    assert shown.count("weak: swe-bench-verified/vendor: error") == 1
    assert shown.count("refused by their back-tests") == 1
    assert shown.count("no number for scicode/vendor") == 1
    assert "no number for scicode/vendor of first, second: the interval lies below" in shown
    assert f"also in {path}, and predicted as if it were not: scicode/vendor" in shown


def test_predict_leaves_a_model_of_the_reference_out_of_its_own_fit(
    capspace: Command, tmp_path: Path
) -> None:
    path = tmp_path / "known.csv"
    path.write_text(MINE.replace("mine", "meta-llama/Llama-2-7b-hf"))
    (p,) = json.loads(capspace("predict", path, "--target", "bbh", "--json").out)["predictions"]
    assert "meta-llama/Llama-2-7b-hf" not in p["models"]
    assert list(p["baselines"]) == ["mean", "trend", "nearest", "single"]
    assert p["baselines"]["trend"] is None
    assert p["nearest_model"] in p["models"]


@pytest.mark.slow
def test_place_collect_and_scores_on_the_embedded_items(
    capspace: Command, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    store, out = tmp_path / "store", tmp_path / "report"
    cheap = ["--panel", "smoke", "--data-root", "embedded", "--limit", "2", "--store", store]
    run = capspace("place", tiny_checkpoint, *cheap, "--target", "bbh", "--out", out)
    assert run.code == 0, run.err
    assert "not comparable" in run.out.lower()
    assert "HumanEval: skipped" in run.out
    assert run.out.startswith("study-2024 (models until 2024-07-31): it knows ")
    page = (out / "report.html").read_text()
    assert "not comparable" in page.lower()
    result = json.loads((out / "result.json").read_text())
    assert len(result["scores"]) == 7
    assert {p["target"] for p in result["predictions"]} == {"bbh"}
    assert (out / "place.png").stat().st_size > 10_000

    again = json.loads(capspace("collect", tiny_checkpoint, *cheap, "--json").out)
    assert again["n_measured"] == 0
    assert len(again["results"]) == 7
    shown = capspace("scores", "--store", store)
    assert "not comparable" in shown.out
    csv = tmp_path / "long.csv"
    assert capspace("scores", "--store", store, "--csv", csv).code == 0
    predicted = capspace("predict", csv, "--target", "bbh")
    assert predicted.code == 0
    assert "not comparable" in predicted.out.lower()  # as place says it


@pytest.mark.slow
def test_backtest_gain_space_efficiency_and_select(
    capspace: Command, zoo: Path, tmp_path: Path
) -> None:
    columns = ("--drop", "Agents", "--drop", "Agents, treated")
    split = ("--cutoff-flops", "3e22")
    out = tmp_path / "figures"
    run = capspace(
        "backtest", zoo, "--target-column", "Agents", *columns, *split, "--baselines",
        "--error-curve", "--components", "2", "--json", "--out", out,
    )  # fmt: skip
    selection = json.loads(run.out)
    assert selection["n_train"] + selection["n_test"] == 40
    for key in ("mse_train", "mse_test", "mae_test", "coverage", "width"):
        assert selection[key] is not None
    assert selection["mse_test"] < 0.02
    assert {"flops", "size", "MMLU", "all-benchmarks"} <= set(selection["baselines"])
    assert {m["side"] for m in selection["models"]} == {"train", "test"}
    assert (out / "target.png").exists()
    assert (out / "error-curve.svg").exists()

    by_family = capspace(
        "backtest", zoo, "--target-column", "Agents", *columns, "--by-family", "--components",
        "2", "--baselines", "--out", out,
    )  # fmt: skip
    assert "leave one family out" in by_family.out
    assert "Test error against other predictors" in by_family.out

    gained = json.loads(
        capspace(
            "gain", zoo, "--base", "Agents", "--treated", "Agents, treated",
            "--components", "2", *split, "--json",
        ).out
    )  # fmt: skip
    assert gained["side"] == "test"
    # both stand in the same table as the benchmarks, and neither helps to build the space
    assert not {"Agents", "Treated"} & set(gained["weights"]["base"])
    assert gained["coverage"] > 0.7
    shown = capspace(
        "gain", zoo, "--base", "Agents", "--treated", "Agents, treated",
        "--components", "2", *split, "--out", out,
    ).out  # fmt: skip
    assert "Gain of Agents, treated over Agents, test models; laws fitted" in shown
    best = max(gained["models"], key=lambda m: m["gain"])
    first = next(row for row in shown.splitlines() if row.startswith("org"))
    assert first.split()[0] == best["model"]
    assert f" {best['gain']:.3f} " in first
    assert "logits per unit of score" in shown

    fitted = json.loads(capspace("space", zoo, *columns, "--json").out)
    assert fitted["explained_variance_ratio"][0] > 0.8
    assert f"PC-1: {fitted['names'][0]}" in capspace("space", zoo, *columns).out
    many = capspace("space", zoo, "--components", "50", "--json")
    every = json.loads(many.out)
    assert f"{len(every['loadings'])} components, not 50: " in every["notes"][-1]
    laws = json.loads(
        capspace("efficiency", zoo, *columns, "--reference-family", "F1", "--json").out
    )
    assert laws["equivalent"]["family"] == "F1"
    shown = capspace("efficiency", zoo, *columns, "--reference-family", "F1", "--out", out).out
    assert "slope · log10(FLOPs)" in shown
    assert "Equivalent training FLOPs in F1 terms" in shown
    assert sum(row.startswith("org") for row in shown.splitlines()) == 40
    chosen = json.loads(
        capspace(
            "select", zoo, *columns, "--model-budget", "10", "--include", "F3", "--json",
            "--out", out,
        ).out
    )  # fmt: skip
    assert "F3" in chosen["units"]
    assert len(chosen["models"]) <= 10
    assert {"gain.png", "weights.svg", "selection.png"} <= {path.name for path in out.iterdir()}


@pytest.mark.slow
def test_ledger_freezes_shows_and_scores(capspace: Command, mine: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    add = ("ledger", "add", "bbh", "--name", "first", mine, "--ledger", ledger)
    assert "froze first" in capspace(*add).out
    truth = tmp_path / "truth.csv"
    truth.write_text("Model,bbh\nmine,0.45\n")
    scored = capspace(
        "ledger", "score", "first", mine, "--target-scores", truth, "--target-column", "bbh",
        "--ledger", ledger,
    )  # fmt: skip
    assert "when frozen" in scored.out
    shown = json.loads(capspace("ledger", "show", "--ledger", ledger, "--json").out)
    assert shown["scorings"][0]["results"][0]["truth"] == 0.45
    # The truth may stand beside the scores, too.
    header, row = mine.read_text().splitlines()
    mine.write_text(f"{header},bbh\n{row},0.45\n")
    column = ("--target-column", "bbh", "--ledger", ledger)
    assert "when frozen" in capspace("ledger", "score", "first", mine, *column).out
    assert capspace("ledger", "show", "--ledger", ledger).out.count("1 of 1 inside") == 2
    mine.write_text(MINE)
    assert "already holds" in capspace.refused(*add)


def test_names_of_strangers_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    options.console().print("a \x1b[31mred\x9b0m [bold]name\tand\n", markup=False)
    options.console().print(Group(Text("\x1b]0;t\x07", style="red"), Text("\x1b[31m\x9b")))
    options.print_table("\x1b]0;title\x07", ("Model",), [("\x1b[2J",), ("a\u202egnp\tb",)])
    shown = capsys.readouterr().out
    assert "[31mred" in shown
    assert "[bold]name" in shown
    assert "a\N{REPLACEMENT CHARACTER}gnp b" in shown
    assert not {"\x1b", "\x9b", "\x07", "\u202e", "\t"} & {*shown}


def test_refusals_tell_no_secret_and_command_no_terminal(
    capspace: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "hf_0123456789")
    line = capspace.refused("collect", "./nowhere-hf_0123456789-\x1b[2J")
    assert "nowhere-***-\N{REPLACEMENT CHARACTER}[2J: no such folder" in line


def test_models_of_one_name_are_shown_by_their_revisions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def result(revision: str, score: float) -> Result:
        return Result(
            key=revision, model="m", revision=revision, benchmark="ARC-C", score=score,
            stderr=0.1, n_items=9, n_shot=25, protocol="acc", source="here", comparable=True,
            identity="{}",
        )  # fmt: skip

    first, other = result("a" * 64, 0.25), result("b" * 64, 0.5)
    print_results([first])
    assert capsys.readouterr().out.startswith("m ")
    print_results([first, other])
    shown = capsys.readouterr().out
    assert "m @ aaaaaaaaaaaa" in shown
    assert "m @ bbbbbbbbbbbb" in shown


def test_lm_eval_command_line_knows_our_models(capspace: Command) -> None:
    run = capspace("lm-eval", "--help")
    assert run.code == 0
    ours, theirs = run.out.split("usage: ")
    assert "--answers-of" in ours
    assert theirs.startswith("lm-eval")


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["scores.csv", "empty"]),
        (MINE.replace("ARC-C", "ARCC"), ["ARCC", "ARC-C"]),
        (MINE.replace("0.62", "62"), ["mine", "MMLU", "62", "percent"]),
        (MINE + MINE.splitlines()[1].replace("0.62", "0.63") + "\n", ["mine", "MMLU", "0.63"]),
        ("Model,bbh\nmine,0.4\n", ["no known benchmark", "MMLU"]),
        (MINE.replace("0.62", "high"), ["MMLU", "high"]),
        (MINE.replace("0.62", "inf"), ["MMLU", "infinite"]),
    ],
    ids=["empty", "column", "percent", "disagree", "no-benchmark", "text", "infinite"],
)
def test_bad_score_table(capspace: Command, mine: Path, text: str, names: list[str]) -> None:
    mine.write_text(text)
    line = capspace.refused("predict", mine)
    for name in names:
        assert name in line


@pytest.mark.slow
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_budget_for_everything_draws_a_curve(
    capspace: Command, zoo: Path, tmp_path: Path
) -> None:
    few = ("--drop", "Agents", "--drop", "Agents, treated", "--components", "2")
    run = capspace("select", zoo, "--model-budget", "inf", *few, "--out", tmp_path / "figures")
    assert (run.code, run.err) == (0, "")
    assert (tmp_path / "figures" / "selection.png").is_file()


def test_a_name_of_several_lines_makes_no_second_line(capspace: Command, mine: Path) -> None:
    mine.write_text(MINE.replace("mine", '"mi\nne"').replace("0.62", "62"))
    assert "mi ne" in capspace.refused("predict", mine)


@pytest.mark.slow
def test_a_name_of_several_lines_is_one_line_in_what_is_printed(
    capspace: Command, mine: Path, tmp_path: Path
) -> None:
    mine.write_text(MINE.replace("mine", '"mi\n\u2028ne"'))
    ledger = ("--ledger", tmp_path / "ledger.jsonl")
    for words in (
        ("predict", mine, "--target", "bbh"),
        ("ledger", "add", "bbh", "--name", "my\nentry", *ledger),
        ("ledger", "show", *ledger),
    ):
        shown = capspace(*words)
        assert shown.code == 0, shown
        assert any("mi  ne" in line or "my entry" in line for line in shown.out.splitlines())
        assert not [line for line in shown.out.splitlines() if line.startswith(("ne", "entry"))]


@pytest.mark.parametrize(
    "words",
    [
        ("zoo", "plan", "no\nsuch.yaml"),
        ("collect", "no/model", "--panel", "no\nsuch.yaml"),
        ("predict", "no\nsuch.csv"),
    ],
    ids=["zoo", "panel", "table"],
)
def test_a_path_of_several_lines_is_refused_in_one(
    capspace: Command, words: tuple[str, ...]
) -> None:
    assert "no such." in capspace.refused(*words)


def test_each_wrong_field_of_a_file_still_has_its_line(capspace: Command, tmp_path: Path) -> None:
    path = tmp_path / "zoo.yaml"
    path.write_text("panels: smoke\ncheckpoints: [a/b]\nlimit: 0\nseed: -1\n")
    shown = capspace("zoo", "plan", path)
    assert shown.code == 2
    assert [line.split(": ")[-2] for line in shown.err.splitlines()] == ["limit", "seed"]


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (("collect", "no/model"), "--include-path"),
        (("place", "no/model"), "--out"),
        (("scores",), "--store"),
        (("scores",), "--csv"),
        (("ledger", "show"), "--ledger"),
        (("import",), "paths"),
        (("zoo", "plan"), "ZOO"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_an_empty_path_is_refused(capspace: Command, command: tuple[str, ...], option: str) -> None:
    line = capspace.refused(*command, *([option] if option.startswith("--") else []), "")
    assert "an empty text names no file or folder" in line
    assert option.upper() in line.upper()  # typer 0.26.1 writes arguments in capitals


def test_json_holds_no_raw_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\x7fb\x9bc\u2028d\x1be\u00e9"
    with options.only_json_on_stdout():
        options.print_json({name: [name]})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {name: [name]}
    assert not {"\x7f", "\x9b", "\u2028", "\x1b"} & {*shown}
    assert "\u00e9" in shown


@pytest.mark.slow
def test_tables_that_cannot_be_written(capspace: Command, mine: Path, tmp_path: Path) -> None:
    csv = tmp_path / "no" / "such.csv"
    for words in (("scores",), ("predict", mine, "--target", "bbh")):
        line = capspace.refused(*words, "--csv", csv)
        assert line == f"capspace: cannot write {csv}: No such file or directory"
        target = tmp_path / "kept.csv"
        target.write_text("as before")
        with files_no_longer_than(64):
            line = capspace.refused(*words, "--csv", target)
        assert line == f"capspace: cannot write {target}: File too large"
        assert target.read_text() == "as before"


def test_missing_score_table(capspace: Command, tmp_path: Path) -> None:
    assert "nowhere.csv" in capspace.refused("predict", tmp_path / "nowhere.csv")


@pytest.mark.slow
def test_unknown_names_come_with_near_matches(
    capspace: Command, mine: Path, zoo: Path, tiny_checkpoint: Path
) -> None:
    assert "'agentbench'" in capspace.refused("predict", mine, "--target", "agentbnech")
    assert "'classic-8'" in capspace.refused("panels", "clasic-8")
    assert "'classic-8'" in capspace.refused("place", tiny_checkpoint, "--panel", "classic8")
    assert "'bbh'" in capspace.refused("place", tiny_checkpoint, "--target", "bhb")
    assert "'Llama-2'" in capspace.refused("models", "--family", "Lama-2")
    assert "there are F0, F1, F2" in capspace.refused("efficiency", zoo)
    line = capspace.refused("backtest", zoo, "--target-column", "Agnets")
    assert "'Agents'" in line


def test_level_outside_its_range(capspace: Command, mine: Path) -> None:
    assert "level" in capspace.refused("predict", mine, "--level", "90")


def test_a_level_outside_its_range_is_not_frozen(capspace: Command, tmp_path: Path) -> None:
    ledger = tmp_path / "new" / "ledger.jsonl"
    line = capspace.refused("ledger", "add", "gsm8k", "--level", "2", "--ledger", ledger)
    assert "level is 2.0; it must lie between 0 and 1" in line
    assert not ledger.parent.exists()


def test_a_seed_below_zero(capspace: Command, zoo: Path) -> None:
    run = ("backtest", zoo, "--target-column", "Agents", "--random", "0.2")
    for command in (run, ("select", zoo, "--model-budget", "5")):
        assert "--seed" in capspace.refused(*command, "--seed", "-1")


def test_reference_with_fewer_models_than_parameters(
    capspace: Command, mine: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.csv"
    lines = [MINE.splitlines()[0] + ",bbh"]
    lines += [f"m{i}," + ",".join([f"0.{i + 3}"] * 8) + f",0.{i + 2}" for i in range(3)]
    own.write_text("\n".join(lines) + "\n")
    line = capspace.refused("predict", mine, "--reference", own, "--target", "bbh")
    assert "3 models" in line
    assert "parameters" in line


def test_malformed_panel(capspace: Command, tiny_checkpoint: Path, tmp_path: Path) -> None:
    panel = tmp_path / "panel.yaml"
    panel.write_text(
        "name: mine\nversion: 1\ndescription: x\nbenchmarks:\n"
        "- {name: A, tasks: [], n_shot: 0, metric: acc, chance: 0, source: here}\n"
    )
    line = capspace.refused("place", tiny_checkpoint, "--panel", panel)
    assert "panel.yaml" in line
    assert "benchmarks[0].tasks" in line


def test_checkpoints_that_cannot_be_used(
    capspace: Command, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    assert "org/no-such-model" in capspace.refused("collect", "org/no-such-model")
    assert "no-such-revision" in capspace.refused("collect", "org/model@no-such-revision")

    empty = tmp_path / "empty"
    empty.mkdir()
    assert "config.json" in capspace.refused("collect", empty)
    (empty / "config.json").write_text((tiny_checkpoint / "config.json").read_text())
    assert "weights" in capspace.refused("collect", empty)
    weights = load_file(tiny_checkpoint / "model.safetensors")
    torch.save(weights, empty / "pytorch_model.bin")
    assert "--allow-pickle" in capspace.refused("collect", empty)

    custom = tmp_path / "custom"
    custom.mkdir()
    for file in tiny_checkpoint.iterdir():
        (custom / file.name).write_bytes(file.read_bytes())
    config = json.loads((custom / "config.json").read_text())
    config["model_type"] = "mine"
    config["auto_map"] = {"AutoModelForCausalLM": "modeling.Mine"}
    (custom / "config.json").write_text(json.dumps(config))
    assert "--trust-remote-code" in capspace.refused("collect", custom)


def test_stores_that_cannot_be_used(
    capspace: Command, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    collect = ("collect", tiny_checkpoint, "--panel", "smoke", "--data-root", "embedded")
    assert str(file) in capspace.refused(*collect, "--store", file / "below")

    newer = tmp_path / "newer"
    with Store(newer):
        pass
    with sqlite3.connect(newer / "store.sqlite") as db:
        db.execute("PRAGMA user_version = 999")
    assert "newer" in capspace.refused("scores", "--store", newer)

    corrupt = tmp_path / "corrupt"
    corrupt.mkdir()
    (corrupt / "store.sqlite").write_bytes(os.urandom(8192))
    assert "store.sqlite" in capspace.refused("scores", "--store", corrupt)


@pytest.mark.parametrize(
    ("words", "what", "command"),
    [
        ("export --format nosuch", "value for .--format.: .nosuch. is .*every-eval-ever", "export"),
        ("zoo run x.yaml --executor pbs", "value for '--executor': .*'slurm'", "zoo run"),
        ("space t.csv --components 0", "value for '--components': .*1", "space"),
        ("scores --count many", "value for '--count': .*integer", "scores"),
        ("zoo run x.yaml --max-disk big", "'--max-disk'.*: 'big' is not a size such as", "zoo run"),
        ("space", "missing argument 'SCORES'", "space"),
        ("gain t.csv --base A", "missing option '--treated'", "gain"),
        ("space t.csv --component 3", "no such option: --component .*--components", "space"),
        ("space t.csv --components", "option '--components' requires an argument", ""),
        ("space t.csv another.csv", "unexpected extra argument.*another.csv", "space"),
        ("plcae org/model", "no such command 'plcae'", ""),
        ("store shrink", "no such command 'shrink'", "store"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_one_line_that_says_where_it_is_explained(
    capspace: Command, words: str, what: str, command: str
) -> None:
    line = capspace.refused(*words.split())
    assert re.search(what, line), line
    assert line.endswith(f"(see capspace {command} --help)".replace("  ", " "))


@pytest.mark.parametrize("group", ["", "zoo"])
def test_a_group_alone_shows_its_help(capspace: Command, group: str) -> None:
    run = capspace(*group.split())
    assert run.code == 2
    assert "Usage: capspace" in run.out + run.err


def test_data_root_without_the_data(
    capspace: Command, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    collect = ("collect", tiny_checkpoint, "--panel", "smoke", "--store", tmp_path / "store")
    run = capspace(*collect, "--data-root", root)
    assert run.code == 2
    line = run.err.splitlines()[-1]
    assert line.startswith("capspace: nothing could be measured")
    assert "cais/mmlu" in line
    assert str(root) in line


def test_a_folder_of_tasks_is_said_to_run_code(
    capspace: Command, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    run = capspace(
        "collect", tiny_checkpoint, "--panel", "smoke", "--data-root", tmp_path,
        "--store", tmp_path / "store", "--include-path", tmp_path,
    )  # fmt: skip
    assert "this runs the code" in run.err


@pytest.mark.slow
def test_report_folder_that_cannot_be_written(
    capspace: Command, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    run = capspace(
        "place", tiny_checkpoint, "--panel", "smoke", "--data-root", "embedded", "--limit", "1",
        "--store", tmp_path / "store", "--target", "bbh", "--out", file / "report",
    )  # fmt: skip
    assert run.code == 2
    assert f"cannot write the report to {file}" in run.err.splitlines()[-1]


@pytest.mark.slow
def test_splits_that_leave_a_side_empty_or_are_two(capspace: Command, zoo: Path) -> None:
    run = ("backtest", zoo, "--target-column", "Agents")
    assert "no test model" in capspace.refused(*run, "--cutoff-flops", "1e30")
    assert "one split" in capspace.refused(*run, "--by-family", "--top", "0.1")


@pytest.mark.slow
def test_a_target_that_is_also_a_column_of_the_space_is_dropped_and_said(
    capspace: Command, zoo: Path, tmp_path: Path
) -> None:
    run = capspace(
        "backtest", zoo, "--target-column", "GSM8K", "--components", "1", "--out", tmp_path
    )
    assert "GSM8K is the target and was dropped from the space" in run.out


@pytest.mark.slow
def test_a_family_without_a_law_is_named(capspace: Command, zoo: Path, tmp_path: Path) -> None:
    table = pd.read_csv(zoo).drop(columns=["Agents", "Agents, treated"])
    alone = table.iloc[[0]].assign(**{"Model": "org/alone", "Model Family": "Alone"})
    path = tmp_path / "scores.csv"
    pd.concat([table, alone]).to_csv(path, index=False)
    shown = capspace("efficiency", path, "--reference-family", "F1", "--out", tmp_path / "out").out
    (line,) = [line for line in shown.splitlines() if line.startswith("Alone: no law: ")]
    assert "only one model" in line


def test_a_panel_that_cannot_be_written_is_one_line(capspace: Command, tmp_path: Path) -> None:
    rows = [f"m{i},{i % 2},{i % 3 // 2},{i % 5 // 3},{i % 7 // 4}" for i in range(21)]
    items = ",".join(f"arc_challenge/{i}" for i in range(4))
    answers = tmp_path / "answers.csv"
    answers.write_text("\n".join([f"model,{items}", *rows]) + "\n")
    refused = capspace.refused(
        "panels", "shrink", "smoke", "--benchmark", "ARC-C", "--answers", answers, "--items", "3",
        "--out", answers / "few.yaml",
    )  # fmt: skip
    assert refused == f"capspace: cannot write {answers}/few.yaml: Not a directory"
