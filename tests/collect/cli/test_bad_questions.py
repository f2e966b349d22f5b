"""Commands that decide refuse what they cannot answer in one line, and write nothing."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from all_commands import COMMANDS
from commands import Command
from typer.models import CommandInfo
from typer.utils import get_params_from_function

from capspace.collect.storage.store import Store

BBH = ("--target", "bbh")
COST = ("--cost", "120gpu-hours")
NO_STORE = ("--store", "none")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    with Store(tmp_path / "empty"):
        pass
    (tmp_path / "scores.csv").write_text("model,MMLU,HellaSwag,GSM8K\nmine,0.62,0.81,0.40\n")
    (tmp_path / "modern.csv").write_text(
        "model,GPQA-diamond,MMLU-Pro,release_date\nmine,0.66,0.78,2025-09\n"
    )
    (tmp_path / "gated.csv").write_text("model,GPQA-diamond,release_date\nmine,0.66,2025-09\n")
    (tmp_path / "late.csv").write_text(
        "model,GPQA-diamond,MMLU-Pro,release_date\nfirst,0.66,,2025-09\nlate,0.66,0.78,2031-09\n"
    )
    (tmp_path / "percent.csv").write_text("model,MMLU,HellaSwag,GSM8K\nmine,62,0.81,0.40\n")
    (tmp_path / "zoo.yaml").write_text("panels: [smoke]\ncheckpoints: [no-such]\n")
    (tmp_path / "other.csv").write_text("model,Nothing-known\nmine,0.5\n")
    return tmp_path


QUESTIONS_ABOUT_A_STORE = [
    (("scores", "mine"), "no scores of 'mine'"),
    (("scores", "--receipt", "mine", "MMLU"), "no scores of 'mine'"),
    (("export",), "no scores to export"),
    (("export", "mine"), "no scores of 'mine'"),
    (("zoo", "status", "zoo.yaml"), "this zoo was never run with the store"),
    (("zoo", "retry", "zoo.yaml"), "this zoo was never run with the store"),
    (("zoo", "cancel", "zoo.yaml"), "this zoo was never run with the store"),
    (("zoo", "fit", "zoo.yaml"), "this zoo was never run with the store"),
    (("zoo", "export", "zoo.yaml", "out"), "this zoo was never run with the store"),
    (("store", "check"), "there is no store"),
    (("store", "compact"), "there is no store"),
    (("store", "remove", "mine"), "nothing of 'mine': there is no store"),
]
MEASURING = [
    (("import", "no-such.csv"), "no such file"),
    (("place", "no-such"), "unknown model 'no-such'"),
    (("place", "no-such", "--until", "5%"), "unknown model 'no-such'"),
    (("collect", "no-such"), "unknown model 'no-such'"),
    *(
        ((*words, "--benchmark", name), f"panel classic-8 has no benchmark '{name}'; {near}")
        for words in (("collect", "no-such"), ("place", "no-such"))
        for name, near in (
            ("MMUL", "did you mean 'MMLU'?"),
            ("gsm8k", "did you mean 'GSM8K'?"),
            ("IFEval", "panel modern has it"),
            ("Q", "it has MMLU, ARC-C, HellaSwag, "),
        )
    ),
    (("zoo", "plan", "zoo.yaml", "--compute-budget", "lots"), "--compute-budget 'lots'"),
    (("zoo", "run", "zoo.yaml", "--compute-budget", "lots"), "--compute-budget 'lots'"),
    (("twin", "no-such"), "unknown model 'no-such'"),
    (("twin", "no-such", "--against", "scores.csv"), "unknown model 'no-such'"),
    (("twin", "no-such", "--against", "published"), "no score that a whole benchmark of no-such"),
]
OTHERS = [
    (("verdict", "scores.csv", *BBH), "the cost of the run is not given: add --cost"),
    (("verdict", "scores.csv", *COST), "name the evaluation that would be run"),
    (("verdict", "scores.csv", "--target", "agentboard", *COST), "agentboard"),
    (
        ("predict", "scores.csv", "--target", "agentboard", "--csv", "out.csv"),
        "agentboard: refused by its back-test: 11 models could be tested; 12 are needed; "
        "--force predicts all the same",
    ),
    (("predict", "percent.csv", *BBH), "these look like percentages: divide by 100"),
    (("verdict", "percent.csv", *BBH, *COST), "these look like percentages: divide by 100"),
    (("predict", "scores.csv", *BBH, "--level", "1.5"), "level is 1.5"),
    (("predict", "empty", *BBH), "empty: the store has no score to predict from"),
    (("lift", "empty"), "empty: the store has no score to predict from"),
    (
        ("predict", "modern.csv", "--target", "swe-bench-pro/vendor"),
        "swe-bench-pro/vendor: refused by its back-test: the trend baseline does as well",
    ),
    *(
        (
            (*words, "gated.csv", "--target", "hle/no-tools"),
            "hle/no-tools: no number is given: fewer than 2 of the reference's cheap "
            "benchmarks are known; ",
        )
        for words in (("predict",), ("verdict", *COST))
    ),
    (
        ("predict", "late.csv", "--target", "hle/no-tools", "--json"),
        "hle/no-tools: no number is given: first: fewer than 2 of the reference's cheap "
        "benchmarks are known; late: the model was released more than 6 months after",
    ),
    (("verdict", "other.csv", *BBH, *COST), "MMLU"),
    (("verdict", "empty", *BBH, *COST), "empty"),
    (("next", "scores.csv", "--target", "agentboard"), "agentboard"),
    (("next", "scores.csv", *BBH, "--max-items", "0"), "0"),
    (("next", "other.csv", *BBH), "MMLU"),
    (("next", "empty", *BBH), "empty"),
    (("lift", "other.csv"), "MMLU"),
    (("lift", "empty"), "the store has no score to predict from"),
    (("predict", "other.csv"), "unknown column 'Nothing-known'"),
    (("twin", "mine", "--store", "empty", "--against", "no.json"), "no.json: no such file"),
    (("verdict", "scores.csv", *BBH, *COST, "--price", "Foo=3h"), "'Foo' is no benchmark"),
    (("place", "no-such-model", "--until", "soon"), "the tolerance is 'soon'"),
    (("place", "no-such-model", "--budget", "30min"), "--budget bounds what --until asks for"),
    (
        ("panels", "shrink", "smoke", "--answers", "empty", "--benchmark", "arcc"),
        "panel smoke has no benchmark 'arcc'; did you mean 'ARC-C'",
    ),
    (
        ("panels", "shrink", "smoke", "--items", "10", "--answers", "empty"),
        "no answers to the single items",
    ),
]
has_collect = pytest.mark.skipif(find_spec("lm_eval") is None, reason="measures through lm-eval")


def test_every_command_of_a_store_is_tried_without_one() -> None:
    def has_a_store(command: CommandInfo) -> bool:
        assert command.callback is not None
        return "store" in get_params_from_function(command.callback)

    tried = {*QUESTIONS_ABOUT_A_STORE, *MEASURING}
    words = {" ".join(arguments[:n]) for arguments, _ in tried for n in (1, 2)}
    of_a_store = {" ".join(path) for path, command in COMMANDS.items() if has_a_store(command)}
    assert of_a_store - words == {"store info", "lm-eval"}


def test_what_an_absent_store_holds_is_shown_and_none_is_made(
    capspace: Command, tmp_path: Path
) -> None:
    where = tmp_path / "none"
    run = capspace("store", "info", "--store", where)
    assert (run.code, run.out.splitlines()[0]) == (0, str(where))
    assert "no score and no response is stored here yet" in run.out
    made = json.loads(capspace("store", "info", "--store", where, "--json").out)
    assert (made["n_results"], made["n_responses"]) == ({}, {})
    run = capspace("scores", "--store", where)
    assert (run.code, run.out) == (
        0, f"nothing has been measured yet; the store is {where}\n"
    )  # fmt: skip
    assert not where.exists()


@has_collect
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_zoo_of_no_usable_checkpoint_leaves_no_folder(
    capspace: Command, files: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(files)
    before = sorted(files.rglob("*"))
    run = capspace("zoo", command, "zoo.yaml", "--store", "none")
    progress, why = run.err.splitlines()
    assert (run.code, progress) == (2, "resolving 1 checkpoint")
    assert why.startswith("capspace: no checkpoint of this zoo can be used; unknown model")
    assert sorted(files.rglob("*")) == before


@pytest.mark.slow
@has_collect
@pytest.mark.parametrize(
    "words", [("place", "model"), ("collect", "model"), ("zoo", "plan", "zoo.yaml")]
)
def test_a_checkpoint_that_is_refused_after_its_files_were_read_leaves_no_folder(
    capspace: Command, files: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    from zoo_parts import untrained

    monkeypatch.chdir(files)
    untrained(files / "model", "wren", 16)
    (files / "zoo.yaml").write_text("panels: [smoke]\ncheckpoints: [model]\nchat_template: true\n")
    before = sorted(files.rglob("*"))
    template = () if words[0] == "zoo" else ("--chat-template",)
    run = capspace(*words, *template, "--store", "none")
    assert run.code == 2
    assert "chat template" in run.err
    assert sorted(files.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        *(((*words, *NO_STORE), why) for words, why in QUESTIONS_ABOUT_A_STORE),
        *(pytest.param((*words, *NO_STORE), why, marks=has_collect) for words, why in MEASURING),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in OTHERS),
    ],
)
def test_it_is_refused_in_one_line_and_nothing_is_written(
    capspace: Command,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    why: str,
) -> None:
    monkeypatch.chdir(files)
    before = sorted(files.rglob("*"))
    assert why in capspace.refused(*arguments)
    assert sorted(files.rglob("*")) == before


@pytest.mark.slow
def test_one_target_is_listed_where_one_of_several_models_has_a_number(
    capspace: Command, tmp_path: Path
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(
        "model,GPQA-diamond,MMLU-Pro,release_date\nfirst,0.66,,2025-09\nmine,0.66,0.78,2025-09\n"
    )
    run = capspace("predict", path, "--target", "hle/no-tools", "--json")
    assert run.code == 0, run.err
    first, mine = json.loads(run.out)["predictions"]
    assert first["mean"] is None
    assert first["gate"].startswith("fewer than 2")
    assert 0 < mine["mean"] < 1


def test_too_few_scores_to_contradict_each_other_give_no_alarm(
    capspace: Command, tmp_path: Path
) -> None:
    scores = {"MMLU": 0.0062, "HellaSwag": 0.81, "GSM8K": 0.4, "ARC-C": 0.6, "Winogrande": 0.75}
    n_alarms = []
    for n in (2, 5):
        some, table = dict(list(scores.items())[:n]), tmp_path / f"{n}.csv"
        table.write_text(f"model,{','.join(some)}\nmine,{','.join(map(str, some.values()))}\n")
        run = capspace("predict", table, *BBH, "--json")
        assert run.code == 0, run.err
        n_alarms.append(len(json.loads(run.out)["alarms"]))
    assert n_alarms == [0, 1]


def test_what_the_best_tenth_reach_is_not_known_at_another_level(
    capspace: Command, files: Path
) -> None:
    reached = {}
    for level in ("0.9", "0.8"):
        for words in (("predict",), ("verdict", *COST)):
            command, *more = words
            shown = capspace(command, files / "scores.csv", *BBH, *more, "--level", level, "--json")
            document = json.loads(shown.out)
            (made,) = document["predictions"] if command == "predict" else [document]
            reached[command, level] = made["attainable"]
    assert 0.4 < reached["predict", "0.9"] < 1
    assert reached["predict", "0.9"] == pytest.approx(reached["verdict", "0.9"], abs=1e-6)
    assert reached["predict", "0.8"] is None
    assert reached["verdict", "0.8"] is None
