"""A cost is an amount of device time, tokens or money; prices assign costs to benchmarks."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import FitError, TableError, UnknownNameError, near_matches

__all__ = ["Cost", "parse_cost", "parse_prices", "read_prices", "unit_words"]

HOURS, TOKENS = "device-hours", "tokens"

_TIME = {
    **dict.fromkeys(("s", "sec", "second"), 1 / 3600),
    **dict.fromkeys(("m", "min", "minute"), 1 / 60),
    **dict.fromkeys(("h", "hour"), 1.0),
    **dict.fromkeys(("d", "day"), 24.0),
}
_MONEY = {"$": "usd", "usd": "usd", "dollar": "usd", "€": "eur", "eur": "eur", "euro": "eur"}
_NUMBER = r"(?P<number>[0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*(?P<factor>[kmbKMB](?=\s*tok))?"
_FACTORS = {"k": 1e3, "m": 1e6, "b": 1e9}
_EXAMPLES = "such as 120gpu-hours, 90min, 250usd or 3e6tokens"


@dataclass(frozen=True, order=True)
class Cost:
    """What something costs.

    Attributes
    ----------
    amount : float
        Not negative.
    unit : str
        "device-hours" for times, "tokens", or a currency such as "usd".

    See Also
    --------
    parse_cost : Reads one from a text.
    judge_run : Weighs the cost of a run.

    Examples
    --------
    >>> from capspace.fit.decide.cost import parse_cost
    >>> str(parse_cost("90min")), str(parse_cost("$250"))
    ('1.5 GPU-hours', '250 USD')

    """

    amount: float
    unit: str

    def __str__(self) -> str:
        amount, unit = self.amount, self.unit
        if unit == HOURS:
            if 0 < amount < 1 / 60:
                amount, unit = 3600 * amount, "GPU-seconds"
            elif 0 < amount < 1:
                amount, unit = 60 * amount, "GPU-minutes"
        elif unit == TOKENS and amount >= 1e6:
            amount, unit = amount / 1e6, "million tokens"
        digits = f"{amount:,.0f}" if amount >= 100 else f"{amount:.3g}"
        return f"{digits} {unit_words(unit)}"

    def __mul__(self, factor: float) -> Cost:
        return Cost(self.amount * factor, self.unit)

    __rmul__ = __mul__


def unit_words(unit: str) -> str:
    """Return a unit of costs as users are shown it.

    Examples
    --------
    >>> from capspace.fit.decide.cost import unit_words
    >>> unit_words("device-hours"), unit_words("usd")
    ('GPU-hours', 'USD')

    """
    if unit == HOURS:
        return "GPU-hours"
    return unit.upper() if unit in _MONEY.values() else unit


def parse_cost(text: str) -> Cost:
    """Return the cost that a text states.

    Parameters
    ----------
    text : str
        A number and its unit: ``120gpu-hours``, ``90min``, ``2h``, ``250usd``, ``$250``,
        ``3e6tokens``, ``40M tokens``.

    Raises
    ------
    FitError
        It is no positive number with a known unit.

    See Also
    --------
    Cost : What is returned.
    judge_run, next_evaluations : Take costs as such texts.

    Examples
    --------
    >>> from capspace.fit.decide.cost import parse_cost
    >>> parse_cost("40M tokens")
    Cost(amount=40000000.0, unit='tokens')

    """
    plain = str(text).strip().lower().replace(",", "")
    sign = next((s for s in "$€" if plain.startswith(s)), "")
    match = re.fullmatch(rf"{_NUMBER}\s*(?P<unit>[a-z$€-]*)", plain[len(sign) :].strip())
    unit = None if match is None else _unit(sign or match["unit"])
    if match is None or unit is None:
        raise FitError(f"cost {text!r}: expected a number with its unit, {_EXAMPLES}")
    factor, name = unit
    amount = float(match["number"]) * factor * _FACTORS.get(match["factor"] or "", 1.0)
    if not (0 < amount < math.inf):
        raise FitError(f"cost {text!r}: it must be a finite number above 0")
    return Cost(amount, name)


def _unit(text: str) -> tuple[float, str] | None:
    """Return the factor and the name of a unit; None where it is not known."""
    plain = re.sub(r"^(gpu|cpu|device|tpu)[-\s]?", "", text)
    single = plain if plain in _TIME else plain.removesuffix("s")
    if single in _TIME:
        return _TIME[single], HOURS
    if single in ("token", "tok"):
        return 1.0, TOKENS
    return (1.0, _MONEY[single]) if single in _MONEY else None


def parse_prices(texts: Collection[str], benchmarks: Collection[str]) -> dict[str, Cost]:
    """Return the prices of benchmarks from texts ``BENCHMARK=COST``.

    Raises
    ------
    FitError
        A text is no such pair, or a benchmark has two prices.
    UnknownNameError
        A benchmark is not among those that predictions start from.

    """
    prices: dict[str, Cost] = {}
    for text in texts:
        name, equals, cost = text.rpartition("=")
        if not equals or not name.strip():
            raise FitError(f"price {text!r}: expected BENCHMARK=COST, as in MMLU=2gpu-hours")
        known = _known(name, benchmarks, f"price {text!r}")
        if known in prices:
            raise FitError(f"{known} has two prices; give one")
        prices[known] = parse_cost(cost)
    return prices


def read_prices(path: Path, benchmarks: Collection[str]) -> dict[str, Cost]:
    """Read the prices of benchmarks from a YAML file, a mapping of benchmark to cost.

    Raises
    ------
    TableError
        The file cannot be read, or is no such mapping; the message names it.
    UnknownNameError
        A benchmark is not among those that predictions start from.

    """
    from ..reference._yaml_files import read_yaml

    content = read_yaml(path)
    if not isinstance(content, Mapping) or not content:
        raise TableError(f"{path}: expected a line per benchmark, as in 'MMLU: 2gpu-hours'")
    prices: dict[str, Cost] = {}
    for name, cost in content.items():
        known = _known(str(name), benchmarks, str(path))
        if known in prices:
            raise TableError(f"{path}: {known} has two prices; give one")
        try:
            prices[known] = parse_cost(str(cost))
        except FitError as error:
            raise TableError(f"{path}: {known}: {error}") from None
    return prices


def _known(name: str, benchmarks: Collection[str], where: str) -> str:
    from ..table.readers import canonical_benchmark

    known = canonical_benchmark(name.strip(), list(benchmarks))
    if known not in benchmarks:
        raise UnknownNameError(
            f"{where}: {name.strip()!r} is no benchmark that this prediction starts from"
            f"{near_matches(name, benchmarks)}; it has {', '.join(benchmarks)}"
        )
    return known
