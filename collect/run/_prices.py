"""Benchmarks cost what the user states, else an estimate from tokens and the model's size."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capspace.fit.errors import FitError

if TYPE_CHECKING:
    from capspace.fit.decide import Cost
    from capspace.fit.reference import Reference
    from capspace.fit.table import ScoreTable
    from capspace.tasks.workload import Mode, TypicalWorkload

__all__ = ["benchmark_prices", "device_hours", "parse_parameters"]

# As the zoo's cost model guesses for a GPU of which nothing was measured yet.
_FLOPS_PER_SECOND = 4e13
_SECONDS_PER_ITEM = 2e-3
_SUFFIXES = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


def benchmark_prices(
    reference: Reference,
    table: ScoreTable,
    *,
    model: str,
    given: Collection[str],
    file: Path | None,
    parameters: str | None,
    unit: str | None = None,
) -> tuple[dict[str, Cost], list[str]]:
    """Return the prices of a reference's benchmarks, and where they come from, a line each.

    Parameters
    ----------
    reference : Reference
        Whose benchmarks are priced.
    table : ScoreTable
        Facts of the model: parameters, and mode.
    model : str
        Of the table.
    given : collection of str
        BENCHMARK=COST, which go before the file's prices.
    file : path or None
        A YAML file of prices.
    parameters : str or None
        Such as 8e9 or 8B; the table's by default.
    unit : str or None
        Of the run; prices of another unit are none. None takes the unit of the given prices, else
        time where the size of the model is known, else tokens.

    """
    from capspace.fit.decide.cost import HOURS, TOKENS, Cost, parse_prices, read_prices

    names = list(reference.benchmarks)
    prices = {} if file is None else read_prices(file, names)
    prices |= parse_prices(given, names)
    own = next(iter(prices.values())).unit if prices else None
    size = _size(table, model, parameters)
    wanted = unit or own or (TOKENS if size is None else HOURS)
    notes: list[str] = []
    if wanted == HOURS and size is None:
        notes.append(
            "the model's size is not known; state it, as in --parameters 8e9, to estimate times"
        )
    if wanted not in (HOURS, TOKENS) or (wanted == HOURS and size is None):
        return prices, notes
    mode = _mode(table, model, reference)
    guessed = _workloads(names, prices, mode)
    for name, work in guessed.items():
        amount = work.tokens if wanted == TOKENS else device_hours(work, size or 0.0)
        prices[name] = Cost(amount, wanted)
    if guessed and wanted == HOURS:
        from capspace.fit.report.words import size as size_words

        notes.append(
            f"times without a price are estimates for {size_words(size or 0.0)} parameters in "
            f"{mode} mode on one GPU, right within a factor of five; state your own with "
            "--price NAME=COST"
        )
    elif guessed:
        notes.append(
            f"costs without a price are typical numbers of tokens in {mode} mode, where each "
            "generated token counts as 20 prompt tokens"
        )
    return prices, notes


def device_hours(work: TypicalWorkload, n_parameters: float) -> float:
    """Return the hours that a benchmark takes one GPU, right within a factor of five."""
    seconds = work.n_items * _SECONDS_PER_ITEM + 2 * n_parameters * work.tokens / _FLOPS_PER_SECOND
    return seconds / 3600


def parse_parameters(text: str) -> float:
    """Return a number of parameters, written as 8e9 or 8B.

    Raises
    ------
    FitError
        It is no positive number.

    """
    plain = text.strip().lower().replace(",", "")
    factor = _SUFFIXES.get(plain[-1:], 1.0)
    try:
        value = float(plain.rstrip("kmbt")) * factor
    except ValueError:
        value = 0.0
    if not 1 <= value < 1e16:
        raise FitError(f"--parameters {text!r}: expected a number such as 8e9 or 8B")
    return value


def _workloads(
    names: Collection[str], prices: Mapping[str, Any], mode: Mode
) -> dict[str, TypicalWorkload]:
    from capspace.tasks.workload import typical_workloads

    known = typical_workloads(mode)
    return {name: known[name] for name in names if name in known and name not in prices}


def _size(table: ScoreTable, model: str, parameters: str | None) -> float | None:
    if parameters is not None:
        return parse_parameters(parameters)
    value = table.fact(model, "parameters")
    return float(value) if value is not None and value == value and float(value) > 0 else None


def _mode(table: ScoreTable, model: str, reference: Reference) -> Mode:
    """Return how the model answers; where it does not say, as the reference's models mostly do."""
    stated = str(table.fact(model, "mode") or "")
    if stated in ("plain", "chat", "thinking"):
        return stated  # type: ignore[return-value] # one of the three
    return "chat" if reference.kind == "vendor-reported" else "plain"
