"""The commands ``verdict`` and ``next``: in words, as JSON, and refused in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands import Command
from store_parts import RESULT

from capspace.collect.run._prices import device_hours, parse_parameters
from capspace.collect.storage.store import Store
from capspace.fit import FitError
from capspace.tasks.workload import TypicalWorkload

TABLE = "model,MMLU,HellaSwag,GSM8K,parameters (B)\nmine,0.62,0.81,0.40,7\n"
BBH = ("--target", "bbh", "--cost", "120gpu-hours")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "scores.csv"
    path.write_text(TABLE)
    return path


def test_a_threshold_outside_the_interval_saves_the_run(capspace: Command, table: Path) -> None:
    shown = capspace("verdict", table, *BBH, "--threshold", "0.7")
    assert "SKIP: BBH of mine" in shown.out
    assert "below 0.7 with a probability of more than 99%" in shown.out
    assert "120 GPU-hours" in shown.out
    assert "track record: such verdicts on 75 models left out" in shown.out


@pytest.mark.slow
def test_an_open_question_is_answered_by_cheaper_benchmarks_first(
    capspace: Command, table: Path
) -> None:
    shown = json.loads(capspace("verdict", table, *BBH, "--threshold", "0.5", "--json").out)
    assert shown["decision"] == "measure first"
    assert shown["measure_first"][0] == "HumanEval"
    (step, *_) = shown["steps"]
    assert 0 < step["answered"] < 1
    assert step["unit"] == "device-hours"
    assert step["cost"] < 1
    assert 0 < shown["expected_saving"] < 120
    assert step["expected_width"]["bbh"] < shown["upper"] - shown["lower"]
    printed = capspace("verdict", table, *BBH, "--threshold", "0.5").out
    assert "HumanEval *" in printed
    assert "* measure first" in printed.splitlines()
    assert "HumanEval runs code that the model writes" in printed
    assert "--allow-code-execution" in printed
    following = " ".join(capspace("next", table, "--target", "bbh").out.split())
    assert "HumanEval runs code that the model writes" in following


@pytest.mark.slow
def test_what_is_advised_comes_with_the_command_that_measures_it(
    capspace: Command, table: Path
) -> None:
    verdict, question = ("verdict", table, *BBH), ("--threshold", "0.5")
    names = "--benchmark HumanEval"
    words = f"--panel classic-8 {names} --allow-code-execution"
    command = f"capspace collect PATH-OF-mine {words}"
    shown = json.loads(capspace(*verdict, *question, "--json").out)
    assert shown["commands"] == [command]
    assert (
        f"PATH-OF-mine stands for the checkpoint, whose folder or Hub name {table} lacks"
        in shown["notes"]
    )
    printed = capspace(*verdict, *question).out.splitlines()
    where = printed.index(f"  {command}")
    assert printed[where - 1] == "to measure what is advised:"
    assert printed[where + 1] == f"then add its score to {table} and ask again"
    skipped = capspace(*verdict, "--threshold", "0.7").out
    assert "to measure what is advised" not in skipped
    for max_items, limit in (("100", ["--limit", "100"]), ("2000", [])):  # it has 164
        following = capspace("next", table, "--target", "bbh", "--max-items", max_items, "--json")
        (line,) = json.loads(following.out)["commands"]
        assert line.split()[5:] == ["--benchmark", "HumanEval", *limit, "--allow-code-execution"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mmlu", "arc", "named"),
    [
        ("1.0,,2", "0.5,,9", "MMLU (2 items), ARC-C (9 items)"),
        ("0.5,0.3,", "0.5,,10", "MMLU (3 items)"),
        ("1.0,0.3,", "0.5,,10", "MMLU (by its stderr)"),
        ("0.6,,14042", "0.5,0.01,", None),
    ],
)
def test_scores_on_too_few_items_are_named(
    capspace: Command, tmp_path: Path, mmlu: str, arc: str, named: str | None
) -> None:
    table = tmp_path / "few.csv"
    table.write_text(
        f"model,benchmark,score,stderr,n_items\nmine,MMLU,{mmlu}\nmine,ARC-C,{arc}\n"
        "mine,HellaSwag,0.8,,\n"
    )
    line = f"measured on too few items to say much: {named}; measure 10 or more"
    for words in (("verdict", *BBH, "--threshold", "0.9"), ("next", "--target", "bbh")):
        notes = json.loads(capspace(words[0], table, *words[1:], "--json").out)["notes"]
        few = [note for note in notes if "too few items" in note]
        assert few == ([] if named is None else [line])


def test_a_verdict_from_so_few_items_alone_is_refused(capspace: Command, tmp_path: Path) -> None:
    table = tmp_path / "few.csv"
    rows = "model,benchmark,score,n_items\nmine,MMLU,1.0,3\nmine,HellaSwag,0.667,3\n"
    table.write_text(rows)
    words = ("verdict", table, *BBH, "--threshold", "0.9")
    assert (
        "bbh: no verdict from so few items: MMLU (3 items), HellaSwag (3 items); measure 10 or "
        "more of one (`capspace next` says which); --force decides all the same"
    ) in capspace.refused(*words)
    forced = json.loads(capspace(*words, "--force", "--json").out)
    assert any(note.startswith("measured on too few items") for note in forced["notes"])
    assert capspace("next", table, "--target", "bbh").code == 0
    table.write_text(rows.replace("0.667,3", "0.7,10"))
    assert capspace(*words).code == 0


def test_the_command_takes_the_mode_of_the_model(capspace: Command, tmp_path: Path) -> None:
    path = tmp_path / "modern.csv"
    path.write_text(
        "model,GPQA-diamond,MMLU-Pro,release_date,mode\norg/mine,0.66,0.78,2025-03,thinking\n"
    )
    prices = ("--price", "AIME 2025=1usd", "--json")
    shown = json.loads(capspace("next", path, "--target", "mcpmark/vendor", *prices).out)
    assert shown["path"][0]["benchmark"] == "AIME 2025"
    (command,) = shown["commands"]
    assert command == (
        "capspace collect org/mine --panel modern --benchmark 'AIME 2025' --thinking on"
    )


def test_the_advised_benchmark_narrows_the_verdict_that_is_asked_again(
    capspace: Command, tmp_path: Path
) -> None:
    question = ("--target", "bbh", "--cost", "120h", "--threshold", "0.5", "--json")
    table = tmp_path / "scores.csv"
    scores, widths = {"MMLU": 0.62, "HellaSwag": 0.81, "GSM8K": 0.4, "parameters (B)": 7.0}, []
    for _ in range(2):
        table.write_text(f"model,{','.join(scores)}\nmine,{','.join(map(str, scores.values()))}\n")
        shown = json.loads(capspace("verdict", table, *question).out)
        widths.append(shown["upper"] - shown["lower"])
        scores |= {name: 0.25 for name in shown["measure_first"][:1]}
    assert "HumanEval" in scores
    assert widths[1] < widths[0]


def test_what_cheaper_benchmarks_cannot_answer_is_run(capspace: Command, table: Path) -> None:
    shown = json.loads(capspace("verdict", table, *BBH, "--tolerance", "0.01", "--json").out)
    assert (shown["decision"], shown["measure_first"]) == ("run", [])
    assert "no prior measurement saves more" in shown["reason"]


@pytest.mark.slow
def test_the_default_question_is_said(capspace: Command, table: Path) -> None:
    line = "the default question is whether the score is known to ±0.05"
    assert line in capspace("verdict", table, *BBH).out
    assert line not in capspace("verdict", table, *BBH, "--tolerance", "0.05").out


def test_an_assumed_release_date_is_said(capspace: Command, tmp_path: Path) -> None:
    path = tmp_path / "modern.csv"
    path.write_text("model,GPQA-diamond,MMLU-Pro\nmine,0.66,0.78\n")
    question = ("--target", "mcpmark/vendor", "--reference", "frontier-2026")
    prices = ("--price", "IFEval=1usd")
    line = capspace.refused("verdict", path, *question, "--cost", "250usd")
    assert "give the date in a column release_date or with --release-date" in line
    dated = (*question, "--release-date", "2025-09")
    shown = capspace("verdict", path, *dated, "--cost", "250usd", *prices).out
    assert "(weak)" in shown
    assert "weak: 15 models tested, 20 wanted" in shown
    assert "250 USD" in shown
    path.write_text("model,GPQA-diamond,MMLU-Pro,release_date\nmine,0.66,0.78,2025-03\n")
    both = capspace("next", path, *dated, *prices).out
    assert "the column release_date states the date of the model and takes precedence" in both


def test_dear_benchmarks_are_not_measured_first(capspace: Command, table: Path) -> None:
    prices = [f"--price={name}=500h" for name in ("HumanEval", "ARC-C", "Winogrande")]
    prices += [f"--price={name}=500h" for name in ("XWinograd", "TruthfulQA")]
    question = ("--threshold", "0.5", "--json")
    shown = json.loads(capspace("verdict", table, *BBH, *prices, *question).out)
    assert shown["decision"] == "run"


def test_prices_in_another_unit_are_not_weighed(capspace: Command, table: Path) -> None:
    run = ("--target", "bbh", "--cost", "250usd", "--threshold", "0.5")
    shown = json.loads(capspace("verdict", table, *run, "--price", "ARC-C=1h", "--json").out)
    assert shown["decision"] == "run"
    assert any("not in USD as the run's: ARC-C" in note for note in shown["notes"])
    assert any("nothing says what they cost: Winogrande" in note for note in shown["notes"])
    assert "saves more than it costs" not in shown["reason"]
    assert "as the prices of ARC-C are not in USD and nothing says what" in shown["reason"]


@pytest.mark.parametrize(
    ("rows", "prices", "reason"),
    [
        # neither a size nor a price is known
        (
            "model,MMLU,HellaSwag\nmine,0.62,0.81\n",
            (),
            "no measurement before was weighed, as nothing says what ARC-C, Winogrande, "
            "TruthfulQA, GSM8K, XWinograd, HumanEval would cost",
        ),
        # every price is in another unit
        (
            "model,MMLU,HellaSwag,ARC-C,Winogrande,TruthfulQA,GSM8K,XWinograd\n"
            "mine,0.62,0.81,0.6,0.75,0.45,0.4,0.8\n",
            ("--price", "HumanEval=5usd"),
            "no measurement before was weighed, as the prices of HumanEval are not in GPU-hours",
        ),
        # every benchmark is measured
        (
            "model,MMLU,HellaSwag,ARC-C,Winogrande,TruthfulQA,GSM8K,XWinograd,HumanEval\n"
            "mine,0.62,0.81,0.6,0.75,0.45,0.4,0.8,0.3\n",
            (),
            "nothing is left to measure before: every benchmark from which bbh is predicted is "
            "measured already",
        ),
    ],
)
def test_a_run_before_which_nothing_was_weighed_says_why(
    capspace: Command, tmp_path: Path, rows: str, prices: tuple[str, ...], reason: str
) -> None:
    table = tmp_path / "scores.csv"
    table.write_text(rows)
    question = ("--tolerance", "0.01", *prices, "--json")
    shown = json.loads(capspace("verdict", table, *BBH, *question).out)
    assert shown["decision"] == "run"
    assert shown["reason"].endswith(f"; {reason}")
    assert "device-hours" not in " ".join([shown["reason"], *shown["notes"]])


def test_a_benchmark_of_several_languages_on_few_items_is_measured_further(
    capspace: Command, tmp_path: Path
) -> None:
    table = tmp_path / "scores.csv"
    for n_items, is_open in (("50", True), ("4449", False)):
        table.write_text(
            "model,benchmark,score,n_items\nmine,MMLU,0.62,\nmine,HellaSwag,0.81,\n"
            f"mine,XWinograd,0.8,{n_items}\n"
        )
        prices = ("--price", "XWinograd=2h", "--price", "ARC-C=1h", "--json")
        shown = json.loads(capspace("next", table, "--target", "bbh", *prices).out)
        steps = {s["benchmark"]: s for s in shown["single"]}
        assert ("XWinograd" in steps) is is_open
        if is_open:
            assert steps["XWinograd"]["n_items"] == 4449
            assert steps["XWinograd"]["cost"] == pytest.approx(2 * (1 - 50 / 4449))


@pytest.mark.slow
def test_the_next_benchmark_saves_most_width_for_its_cost(
    capspace: Command, table: Path, tmp_path: Path
) -> None:
    args = ("next", table, "--target", "bbh", "--target", "gsm8k-cot")
    shown = json.loads(capspace(*args, "--json").out)
    assert shown["targets"] == ["bbh", "gsm8k-cot"]
    assert shown["path"][0]["benchmark"] == shown["single"][0]["benchmark"] == "HumanEval"
    rates = [s["saved"] / s["cost"] for s in shown["single"]]
    assert rates == sorted(rates, reverse=True)
    words = capspace(*args, "--out", tmp_path / "figures").out
    assert "HumanEval" in words
    assert "GPU-minutes" in words
    assert "of them narrow the intervals to " in words
    assert "width of the 2 intervals together" in words
    assert "Expected width" not in words  # one definition for several targets: the share saved
    first = shown["single"][0]
    ratios = [first["expected_width"][t] / shown["width"][t] for t in shown["targets"]]
    saved = 1 - (sum(r**2 for r in ratios) / 2) ** 0.5
    assert first["saved"] == pytest.approx(saved)
    assert f"{saved:.1%}" in next(line for line in words.splitlines() if "HumanEval" in line)
    single = capspace("next", table, "--target", "bbh").out
    assert "Expected width" in single
    assert "HumanEval narrows the width to " in single
    places = [line.split()[-1] for line in words.splitlines() if line.endswith(tuple("123456789–"))]
    assert places[:2] == ["1", "2"]
    assert " -" not in "".join(line for line in words.splitlines() if "%" in line)
    assert (tmp_path / "figures" / "cost-and-width.png").is_file()


def test_prices_come_from_a_file_and_fewer_items_cost_less(
    capspace: Command, table: Path, tmp_path: Path
) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text("ARC-C: 10usd\nHumanEval: 1usd\n")
    args = ("next", table, "--target", "bbh", "--prices", prices, "--max-items", "586", "--json")
    single = {s["benchmark"]: s for s in json.loads(capspace(*args).out)["single"]}
    assert single["ARC-C"]["cost"] == pytest.approx(5)
    assert (single["HumanEval"]["cost"], single["HumanEval"]["n_items"]) == (1, 164)
    assert single["Winogrande"]["cost"] is None


@pytest.mark.slow
def test_bad_input_is_one_line(capspace: Command, table: Path, tmp_path: Path) -> None:
    verdict = ("verdict", table, *BBH)
    both = ("--threshold", "0.5", "--tolerance", "0.1")
    assert "one of the two" in capspace.refused(*verdict, *both)
    assert "between 0 and 1" in capspace.refused(*verdict, "--threshold", "50")
    assert "cost 'much'" in capspace.refused("verdict", table, "--target", "bbh", "--cost", "much")
    assert "--cost" in capspace.refused("verdict", table, "--target", "bbh")
    assert "refused by its back-test" in capspace.refused(
        "verdict", table, "--target", "agentboard", "--cost", "5h"
    )
    assert "'agentbench'" in capspace.refused(
        "verdict", table, "--target", "agentbnech", "--cost", "5h"
    )
    assert "--parameters 'big'" in capspace.refused("next", table, "--parameters", "big")
    assert "did you mean 'MMLU'" in capspace.refused("next", table, "--price", "MMUL=2h")
    assert "say too little" in capspace.refused("next", table, "--max-items", "3")
    assert "unknown model 'other'" in capspace.refused("next", table, "other")
    assert "one at a time" in capspace.refused("verdict", table, "--cost", "5h")
    several = tmp_path / "several.csv"
    several.write_text(TABLE + "other,0.5,0.7,0.2,7\n")
    assert "name the one to decide about" in capspace.refused("next", several)
    empty = tmp_path / "empty.csv"
    empty.write_text("model,MMLU\n")
    assert "empty.csv" in capspace.refused("next", empty)


@pytest.mark.slow
def test_a_store_stands_for_its_scores(capspace: Command, table: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert "a folder without a store" in capspace.refused("next", tmp_path)
    identity = json.dumps({"model": {}, "limit": None})
    with Store(store) as opened:
        opened.put_all(
            replace(
                RESULT, key=b.ljust(64), benchmark=b, score=s, identity=identity,
                stderr=0.0, provenance={"parameters": 7_000_000_000},
            )
            for b, s in (("MMLU", 0.62), ("HellaSwag", 0.81), ("GSM8K", 0.4), ("Odd", 0.5))
        )  # fmt: skip
    question = ("--target", "bbh", "--cost", "120h", "--threshold", "0.7", "--json")
    by_store, by_table = (
        json.loads(capspace("verdict", scores, *question).out) for scores in (store, table)
    )
    by_laws = json.loads(capspace("predict", store, "--target", "bbh", "--json").out)
    assert by_laws["predictions"][0]["mean"] == pytest.approx(by_store["mean"])
    card = {}
    for scores in (store, table):
        lifts = json.loads(capspace("lift", scores, "--json").out)["lifts"]
        card[scores] = {lift["intervention"]["name"]: lift["mean"] for lift in lifts}
    assert card[store]
    # the numbers of items are known of the store alone
    assert card[store] == pytest.approx(card[table], abs=0.002)
    assert by_store["decision"] == by_table["decision"] == "skip"
    # the store also states numbers of items, whose sampling error the mean follows a little
    assert by_store["mean"] == pytest.approx(by_table["mean"], abs=0.002)
    assert "no score of 'other'" in capspace.refused("next", store, "other")
    priced = [  # by the size of the model: as it was measured, and as the table states it
        json.loads(capspace("next", scores, "--target", "bbh", "--json").out)["single"][0]
        for scores in (store, table)
    ]
    assert priced[0]["unit"] == "device-hours"
    assert priced[0]["cost"] == pytest.approx(priced[1]["cost"])


@pytest.mark.slow
def test_a_second_run_of_a_store_needs_no_choice(capspace: Command, tmp_path: Path) -> None:
    """By another backend or on more items: a note says which of the scores are used."""
    first = [
        replace(RESULT, key=b.ljust(64), benchmark=b, score=s, identity='{"model": {}}')
        for b, s in (("MMLU", 0.62), ("HellaSwag", 0.81), ("GSM8K", 0.4))
    ]
    tried = [
        replace(r, key=f"{r.benchmark} tried".ljust(64), score=0.1, n_items=20,
                protocol=r.protocol.replace("hf", "capspace") + "; limit 20")
        for r in first
    ]  # fmt: skip
    alone, both = tmp_path / "alone", tmp_path / "both"
    for folder, results in ((alone, first), (both, [*first, *tried])):
        with Store(folder) as store:
            store.put_all(results)
    for words in (("predict",), ("verdict", "--target", "bbh", "--cost", "120h")):
        command, *options = words
        documents = [capspace(command, folder, *options, "--json") for folder in (alone, both)]
        for document in documents:
            assert json.loads(document.out) == json.loads(documents[0].out)
        note = "note: org/model was measured several times on GSM8K, HellaSwag, MMLU: the scores by"
        assert [note in " ".join(d.err.split()) for d in documents] == [False, True]


@pytest.mark.slow
def test_a_revision_is_named_as_the_table_of_a_store_names_it(
    capspace: Command, tmp_path: Path
) -> None:
    measured = replace(RESULT, benchmark="MMLU", identity='{"model": {}}')
    with Store(tmp_path) as store:
        store.put_all([
            replace(measured, score=0.62),
            replace(measured, key="b" * 64, score=0.3, revision="fedcba9876543210" * 4),
            replace(measured, key="c" * 64, model="org/other"),
        ])  # fmt: skip
    question = ("--target", "bbh", "--cost", "120h", "--json")
    means = [
        json.loads(capspace("verdict", tmp_path, f"org/model@{short}", *question).out)["mean"]
        for short in ("01234567", "fedcba98")
    ]
    assert means[0] > means[1]
    line = capspace.refused("verdict", tmp_path, "org/model", *question)
    assert "org/model@01234567" in line
    assert "no score of 'org/none'" in capspace.refused("verdict", tmp_path, "org/none", *question)


def test_an_empty_store_is_one_line(capspace: Command, tmp_path: Path) -> None:
    with Store(tmp_path / "store"):
        pass
    line = capspace.refused("next", tmp_path / "store")
    assert "the store has no score to predict from; capspace collect" in line


def test_nothing_left_to_measure_and_no_price_are_one_line(
    capspace: Command, tmp_path: Path
) -> None:
    names = ["MMLU", "ARC-C", "HellaSwag", "Winogrande", "TruthfulQA", "GSM8K", "XWinograd"]
    full = tmp_path / "full.csv"
    full.write_text(
        f"model,{','.join(names)},HumanEval\nmine,0.62,0.6,0.81,0.75,0.45,0.4,0.8,0.3\n"
    )
    assert "is measured" in capspace.refused("next", full, "--target", "bbh")
    own = tmp_path / "own.csv"
    own.write_text("model,GSM8K,bbh\n" + "".join(f"m{i},0.{i},0.{i}\n" for i in range(1, 9)))
    scores = tmp_path / "scores.csv"
    scores.write_text("model,MMLU\nmine,0.5\n")
    args = ("next", scores, "--target", "bbh", "--price", "MMLU=5usd")
    assert "no benchmark has a price" in capspace.refused(*args)


def test_times_are_those_of_the_zoos_cost_model() -> None:
    from capspace.collect.harness.harness import Workload
    from capspace.collect.zoo.planning.cost import Throughput

    work = TypicalWorkload(100, 500, 40)
    zoo = Throughput.guess("cuda").cell(Workload(100, 4 * 100 * 500, 100 * 40), 8e9)
    assert device_hours(work, 8e9) == pytest.approx(zoo.seconds / 3600)


@pytest.mark.parametrize(("text", "value"), [("8e9", 8e9), ("8B", 8e9), ("350m", 3.5e8)])
def test_parameters_are_read(text: str, value: float) -> None:
    assert parse_parameters(text) == value


@pytest.mark.parametrize("text", ["", "big", "-1", "0", "nan"])
def test_no_number_of_parameters_is_refused(text: str) -> None:
    with pytest.raises(FitError, match="--parameters"):
        parse_parameters(text)


@pytest.mark.slow
def test_scores_that_are_not_comparable_are_named_as_predict_names_them(
    capspace: Command, tmp_path: Path
) -> None:
    path = tmp_path / "long.csv"
    path.write_text(
        "model,benchmark,score,n_items,comparable\n"
        "mine,MMLU,0.62,500,no\nmine,HellaSwag,0.81,500,no\nmine,GSM8K,0.4,500,yes\n"
        "other,ARC-C,0.4,500,no\n"
    )

    def notes(*words: object) -> list[str]:
        shown = capspace(*words, "--json")
        assert shown.code == 0, shown.err
        (line,) = [n for n in json.loads(shown.out)["notes"] if n.startswith("mine: Not compar")]
        assert line in " ".join(capspace(*words).out.split())
        return [line]

    line = notes("predict", path, "--target", "bbh")
    assert "MMLU, HellaSwag were measured on other items" in line[0]
    assert notes("verdict", path, "mine", *BBH, "--threshold", "0.5") == line
    assert notes("next", path, "mine", "--target", "bbh") == line
    assert notes("lift", path) == line


@pytest.mark.slow
def test_a_refusal_names_the_option_that_decides_all_the_same(
    capspace: Command, table: Path, tmp_path: Path
) -> None:
    question = ("--target", "agentboard", "--cost", "5h")
    refused = capspace.refused("verdict", table, *question)
    assert "agentboard: refused by its back-test: " in refused
    assert refused.endswith("; --force decides all the same")
    assert capspace("verdict", table, *question, "--force").code == 0
    pytest.importorskip("lm_eval", reason="place measures through lm-eval")
    store = tmp_path / "store"
    line = capspace.refused("place", tmp_path / "no-model", *question, "--store", store)
    assert line == refused.removesuffix("; --force decides all the same")
    assert not store.exists()
