"""Each component of a capability space is named after the abilities that its loadings set apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import FitError

__all__ = ["component_names"]

Array = NDArray[np.float64]

_COUNTS_FROM = 0.5
_GENERAL_FROM = 0.25
_MOST_ABILITIES = 2

# The beginnings of benchmarks' names, letters and digits only; the first that fits counts.
# fmt: off
_ABILITIES = (
    ("agents", (
        "agentbench", "agentboard", "bfcl", "tau", "toolbench", "toolathlon", "mcpatlas",
        "terminalbench", "webarena", "osworld", "browsecomp", "gaia",
    )),
    ("code", (
        "humaneval", "mbpp", "livecodebench", "bigcodebench", "swebench", "aider", "codeforces",
        "scicode", "evalplus",
    )),
    ("mathematics", (
        "gsm", "math", "minervamath", "hendrycksmath", "leaderboardmath", "aime", "otismockaime",
        "hmmt", "imo", "frontiermath", "mgsm", "asdiv", "svamp", "arithmetic", "usamo",
    )),
    ("commonsense", (
        "hellaswag", "winogrande", "xwinograd", "winograd", "piqa", "arce", "boolq", "openbookqa",
        "siqa", "socialiqa", "commonsenseqa", "copa", "storycloze", "lambada", "xstorycloze",
    )),
    ("truthfulness", ("truthfulqa", "factscore", "halueval")),
    ("reasoning", (
        "bbh", "bigbenchhard", "leaderboardbbh", "musr", "leaderboardmusr", "drop", "zebra",
        "arcagi", "crux", "logiqa", "livebench", "simplebench", "weirdml",
    )),
    ("science", ("gpqa", "leaderboardgpqa", "hle", "humanityslastexam", "sciq")),
    ("knowledge", (
        "mmlu", "leaderboardmmlu", "cmmlu", "ceval", "arc", "triviaqa", "nq", "naturalquestions",
        "simpleqa", "agieval", "race",
    )),
    ("following instructions", (
        "ifeval", "leaderboardifeval", "ifbench", "mtbench", "alpacaeval", "arenahard", "arena",
    )),
)
# fmt: on


def component_names(components: ArrayLike, benchmarks: Sequence[str]) -> tuple[str, ...]:
    """Name the components of a capability space by their loadings.

    Parameters
    ----------
    components : (k, p) array
        Loadings, such as ``CapabilitySpace.components_``.
    benchmarks : sequence of p str
        Their benchmarks; one that is not known counts as an ability of its own.

    Returns
    -------
    tuple of k str
        No two of them are the same.

    Raises
    ------
    FitError
        The loadings are not of these benchmarks.

    See Also
    --------
    CapabilitySpace : The space whose components are named.
    analyse_space : Fits a space and names its components.

    Notes
    -----
    A component is "general" where half of the benchmarks or more, of at least two abilities, load
    with a quarter of the largest loading, and all of these with one sign. Any other has the names
    of the two abilities of the largest squared loadings on its positive side, "against" those on
    its negative side; only loadings of half of the largest count. An ability that would stand on
    both sides gives way to its benchmarks, as all do where two components would have one name.

    Examples
    --------
    >>> from capspace.fit import component_names
    >>> loadings = [[0.5, 0.5, 0.5, 0.5], [-0.5, -0.5, 0.5, 0.5]]
    >>> component_names(loadings, ["HellaSwag", "Winogrande", "GSM8K", "HumanEval"])
    ('general', 'mathematics and code against commonsense')

    """
    loadings = np.asarray(components, dtype=float)
    if loadings.ndim != 2 or loadings.shape[1] != len(benchmarks):
        raise FitError(
            f"components have shape {loadings.shape}, expected (k, {len(benchmarks)}): a loading "
            "per benchmark"
        )
    names = [_name(row, benchmarks, by_ability=True) for row in loadings]
    taken: list[str] = []
    for i, row in enumerate(loadings):
        name = names[i]
        if name in taken:
            name = _name(row, benchmarks, by_ability=False)
        taken.append(f"{name} (PC-{i + 1})" if name in taken else name)
    return tuple(taken)


def _name(loadings: Array, benchmarks: Sequence[str], *, by_ability: bool) -> str:
    size = np.abs(loadings)
    if not size.max() > 0 or np.isnan(size).any():
        return "unnamed"
    abilities = [_ability(b) for b in benchmarks]
    if by_ability and (direction := _general(loadings, abilities)):
        return "general" if direction > 0 else "general, falling"
    counts = size >= _COUNTS_FROM * size.max()
    up, down = counts & (loadings > 0), counts & (loadings < 0)
    on_both = {abilities[i] for i in np.flatnonzero(up).tolist()}
    on_both &= {abilities[i] for i in np.flatnonzero(down).tolist()}
    labels = [
        a if by_ability and a not in on_both else b
        for a, b in zip(abilities, benchmarks, strict=True)
    ]
    sides = [_side(loadings, labels, side) for side in (up, down) if side.any()]
    if not up.any():
        return f"against {sides[0]}"
    return " against ".join(sides)


def _general(loadings: Array, abilities: Sequence[str]) -> int:
    """Return the sign that a general component has throughout; 0 where it is none."""
    high = np.abs(loadings) >= _GENERAL_FROM * np.abs(loadings).max()
    signs = np.sign(loadings[high])
    several = len({a for a, h in zip(abilities, high, strict=True) if h}) > 1
    return int(signs[0]) if several and 2 * high.sum() >= len(high) and np.ptp(signs) == 0 else 0


def _side(loadings: Array, labels: Sequence[str], side: NDArray[np.bool_]) -> str:
    """Return the labels of most squared loading on one side of a component."""
    weight: dict[str, float] = {}
    for i in np.flatnonzero(side).tolist():
        weight[labels[i]] = weight.get(labels[i], 0.0) + float(loadings[i] ** 2)
    most = sorted(weight, key=lambda label: -weight[label])[:_MOST_ABILITIES]
    return " and ".join(most)


def _ability(benchmark: str) -> str:
    plain = re.sub(r"[^a-z0-9]", "", benchmark.lower())
    for ability, beginnings in _ABILITIES:
        if plain.startswith(beginnings):
            return ability
    return benchmark
