"""Write small inputs that the how-to pages take for granted; every number is made up here.

    python scripts/documentation/examples.py FILE ...

FILE is one of aa.json (as Artificial Analysis answers), data_overall.csv (as BFCL publishes),
scores.csv and others.csv (tables of models), and answers.csv (their answers to single items).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

N_MODELS = 36
ABILITY = np.linspace(-1.5, 2.0, N_MODELS)
NAMES = [f"lab-{n % 9}/model-{n}" for n in range(N_MODELS)]
DATES = [f"2025-{1 + n // 3:02d}-01" for n in range(N_MODELS)]


def score(slope: float, middle: float, seed: int) -> np.ndarray:
    """Return a fraction per model that grows with its ability."""
    noise = np.random.default_rng(seed).normal(0, 0.1, N_MODELS)
    return np.round(1 / (1 + np.exp(-slope * (ABILITY - middle) + noise)), 3)


def aa() -> str:
    """Return scores as Artificial Analysis answers them."""
    columns = {"gpqa": score(1.2, 0.0, 0), "mmlu_pro": score(1.4, -0.6, 1)}
    columns |= {"aime_25": score(2.0, 0.8, 2), "tau2": score(1.5, 0.5, 3)}
    models = [
        {
            "name": name,
            "release_date": DATES[n],
            "model_creator": {"name": name.partition("/")[0]},
            "evaluations": {key: float(values[n]) for key, values in columns.items()},
        }
        for n, name in enumerate(NAMES)
    ]
    return json.dumps({"data": models})


def bfcl() -> str:
    """Return scores as BFCL publishes them."""
    single, turns = score(1.0, -1.0, 4), score(1.3, 0.4, 5)
    table = pd.DataFrame({"Rank": range(1, N_MODELS + 1), "Model": [f"{n} (FC)" for n in NAMES]})
    table["Model Link"] = "https://example.org"
    percent = {"Overall Acc": (single + turns) / 2, "Non-Live AST Acc": single}
    percent |= {"Live Acc": single - 0.01, "Multi Turn Acc": turns}
    percent |= {"Web Search Acc": score(1.0, 1.0, 6), "Memory Acc": score(1.0, 0.8, 7)}
    percent |= {"Relevance Detection": single, "Irrelevance Detection": single}
    for column, values in percent.items():
        table[column] = [f"{100 * value:.2f}%" for value in values]
    return table.assign(Organization="Lab", License="MIT").to_csv(index=False)


def scores() -> str:
    """Return a table of two models' scores."""
    return pd.DataFrame(
        {
            "Model": ["mine", "other"],
            "release_date": "2025-09",
            "GPQA-diamond": [0.58, 0.51],
            "MMLU-Pro": [0.74, 0.70],
            "AIME 2025": [0.49, 0.44],
            "IFEval": [0.82, 0.80],
            "MMLU": [0.70, 0.66],
            "HellaSwag": [0.84, 0.82],
            "GSM8K": [0.68, 0.60],
            "parameters": [8e9, 7e9],
        }
    ).to_csv(index=False)


def others() -> str:
    """Return a table of models with a direct score, and by majorities of 5 and of 20 answers."""
    direct = score(1.2, 0.4, 9)
    return pd.DataFrame(
        {
            "Model": NAMES,
            "Model Family": [name.partition("/")[0] for name in NAMES],
            "MMLU": score(1.0, 0.0, 6),
            "HellaSwag": score(0.7, -1.5, 7),
            "GSM8K": score(1.3, 0.2, 8),
            "direct": direct,
            "vote@5": score(1.3, 0.1, 10),
            "vote@20": score(1.3, 0.0, 11),
        }
    ).to_csv(index=False)


def answers() -> str:
    """Return answers of models to the twenty items of ARC-C that are embedded."""
    hardness = np.linspace(-1.5, 1.5, 20)
    chances = 1 / (1 + np.exp(hardness - ABILITY[:, None]))
    right = (np.random.default_rng(12).random(chances.shape) < chances).astype(int)
    columns = [f"arc_challenge/{i}" for i in range(20)]
    table = pd.DataFrame(right, columns=columns)
    table.insert(0, "family", [name.partition("/")[0] for name in NAMES])
    table.insert(0, "model", NAMES)
    return table.to_csv(index=False)


FILES = {
    "aa.json": aa,
    "data_overall.csv": bfcl,
    "scores.csv": scores,
    "others.csv": others,
    "answers.csv": answers,
}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(FILES[name]())
