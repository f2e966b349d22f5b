"""Costs are read with their units, and prices name benchmarks that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from capspace.fit import Cost, FitError, TableError, UnknownNameError, parse_cost
from capspace.fit.decide.cost import parse_prices, read_prices

BENCHMARKS = ["MMLU", "GSM8K", "AIME 2025"]


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("120gpu-hours", 120, "device-hours"),
        ("90min", 1.5, "device-hours"),
        ("2h", 2, "device-hours"),
        ("3 GPU-days", 72, "device-hours"),
        ("$1,250", 1250, "usd"),
        ("250 usd", 250, "usd"),
        ("12.5eur", 12.5, "eur"),
        ("3e6tokens", 3e6, "tokens"),
        ("40M tokens", 4e7, "tokens"),
        ("90m", 1.5, "device-hours"),
    ],
)
def test_a_cost_is_a_number_and_its_unit(text: str, amount: float, unit: str) -> None:
    cost = parse_cost(text)
    assert (cost.amount, cost.unit) == (pytest.approx(amount), unit)


def test_currencies_are_shown_in_capitals() -> None:
    assert [str(Cost(250, unit)) for unit in ("usd", "eur", "tokens")] == [
        "250 USD",
        "250 EUR",
        "250 tokens",
    ]


@pytest.mark.parametrize("text", ["", "cheap", "5", "-3h", "0h", "3 parsecs", "1e999h", "nan usd"])
def test_what_is_no_cost_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(FitError, match="cost ") as refused:
        parse_cost(text)
    assert "\n" not in str(refused.value)


def test_costs_show_themselves_in_a_unit_that_fits() -> None:
    shown = [str(Cost(*c)) for c in ((0.05, "device-hours"), (3, "device-hours"), (2e9, "tokens"))]
    assert shown == ["3 GPU-minutes", "3 GPU-hours", "2,000 million tokens"]


def test_prices_name_benchmarks_as_tables_do() -> None:
    prices = parse_prices(["AIME_2025=2h", "mmlu=1h"], BENCHMARKS)
    assert prices == {"AIME 2025": Cost(2, "device-hours"), "MMLU": Cost(1, "device-hours")}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["MMLU"], "BENCHMARK=COST"),
        (["=2h"], "BENCHMARK=COST"),
        (["MMUL=2h"], "did you mean 'MMLU'"),
        (["MMLU=2h", "MMLU=3h"], "two prices"),
        (["MMLU=much"], "expected a number with its unit"),
    ],
)
def test_wrong_prices_are_refused(texts: list[str], message: str) -> None:
    with pytest.raises(FitError, match=message):
        parse_prices(texts, BENCHMARKS)


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        ("- MMLU\n", TableError, "a line per benchmark"),
        ("", TableError, "a line per benchmark"),
        ("MMUL: 2h\n", UnknownNameError, "did you mean 'MMLU'"),
        ("MMLU: 2\n", TableError, "MMLU: cost '2'"),
        ("MMLU: 2h\nMMLU: 3h\n", TableError, "twice"),
        ("MMLU: 2h\nmmlu: 3h\n", TableError, "two prices"),
    ],
)
def test_wrong_files_of_prices_are_named(
    tmp_path: Path, content: str, kind: type[FitError], message: str
) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(content)
    with pytest.raises(kind, match=message) as refused:
        read_prices(file, BENCHMARKS)
    assert "prices.yaml" in str(refused.value)


def test_a_file_of_prices_is_read(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("MMLU: 2gpu-hours\nGSM8K: 30min\n")
    assert read_prices(file, BENCHMARKS)["GSM8K"] == Cost(0.5, "device-hours")
