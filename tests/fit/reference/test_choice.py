"""The columns of a user's scores choose the reference; other protocols are refused."""

import pandas as pd
import pytest

from capspace.fit import ScoreTable, choose_reference, load_reference
from capspace.fit.errors import TableError
from capspace.fit.reference.choice import (
    further_references,
    known_elsewhere,
    refuse_other_protocols,
)


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        (["GPQA-diamond", "MMLU-Pro", "IFEval", "AIME 2025"], "frontier-2026"),
        (["gpqa_diamond", "mmlu-pro", "aime_2025"], "frontier-2026"),
        (["MMLU", "GSM8K", "HumanEval"], "study-2024"),  # as many are frontier-2026's
        (["MMLU", "HellaSwag", "ARC-C"], "study-2024"),
        (["GPQA-diamond", "MATH level 5", "OTIS Mock AIME"], "epoch-2026"),
        (["leaderboard_bbh", "leaderboard_mmlu_pro"], "openllm-v2"),
        (["BBH"], "study-2024"),  # its target; one benchmark is too few for another
        (["something"], "study-2024"),
        ([], "study-2024"),
    ],
)
def test_the_reference_that_knows_most_columns_is_chosen(columns: list[str], name: str) -> None:
    choice = choose_reference(columns)
    assert choice.name == name
    assert choice.reason.startswith(f"{name} (models until 20")
    assert "\n" not in choice.reason


def test_a_target_decides_between_references() -> None:
    columns = ["GPQA-diamond", "MMLU-Pro", "MATH level 5"]
    assert choose_reference(columns).name in ("epoch-2026", "frontier-2026")
    assert choose_reference(columns, targets=["weirdml/v2"]).name == "epoch-2026"
    assert choose_reference(columns, targets=["Aider polyglot", "mmmu/val"]).name == "frontier-2026"


def table(scores: dict[str, float], protocol: str = "") -> ScoreTable:
    return ScoreTable.from_records(
        {"model": "mine", "benchmark": b, "score": s, "protocol": protocol}
        for b, s in scores.items()
    )


def test_a_benchmark_under_another_protocol_is_refused_in_one_line() -> None:
    frontier = load_reference("frontier-2026")
    stated = table({"MMLU-Pro": 0.4}, "lm-eval 0.4.12 leaderboard_mmlu_pro v0.1 acc")
    with pytest.raises(TableError, match=r"MMLU-Pro was .* another protocol \(log-lik") as caught:
        refuse_other_protocols(stated, frontier)
    assert "--reference openllm-v2" in str(caught.value)
    assert "\n" not in str(caught.value)
    refuse_other_protocols(table({"MMLU-Pro": 0.7}, "lm-eval mmlu_pro exact_match"), frontier)


def test_columns_of_other_references_are_named() -> None:
    reference = load_reference("epoch-2026")
    columns = ["GPQA-diamond", "MMLU-Pro", "IFEval", "unheard of"]
    assert known_elsewhere(columns, reference) == ["MMLU-Pro", "IFEval"]
    assert known_elsewhere(pd.Index(["GPQA-diamond"]), reference) == []
    assert known_elsewhere(["agentboard", "HumanEval+"], reference) == ["agentboard"]  # a target
    assert known_elsewhere(["HumanEval+", "HumanEvl"], reference, also=["HumanEval+"]) == [
        "HumanEval+"
    ]


@pytest.mark.parametrize(
    ("columns", "chosen", "names"),
    [
        (["MMLU", "ARC-C", "HellaSwag", "GSM8K"], "study-2024", []),
        (["MMLU", "GSM8K", "leaderboard_bbh", "leaderboard_musr"], "study-2024", []),
        (["MMLU", "leaderboard_bbh", "leaderboard_gpqa"], "study-2024", ["openllm-v2"]),
        (["GPQA-diamond", "MMLU-Pro", "MATH level 5"], "frontier-2026", []),
        (
            ["GPQA-diamond", "MMLU-Pro", "IFEval", "MATH level 5", "OTIS Mock AIME"],
            "frontier-2026",
            ["epoch-2026"],
        ),
    ],
    ids=["study", "no-anchor", "openllm", "one-new", "epoch"],
)
def test_others_answer_beside_it_by_benchmarks_of_their_own(
    columns: list[str], chosen: str, names: list[str]
) -> None:
    assert [choice.name for choice in further_references(columns, chosen)] == names
    assert further_references(columns, chosen, targets=["bbh"]) == []
