"""Compare ``ItemResponse`` with other packages of item response theory, where these are installed.

``girth`` and ``py-irt`` estimate items; ``catsim`` takes estimated items and asks each model one
after another, each the most informative at the ability estimated so far. On planted answers the
root mean square errors of the items' parameters; on real ones, with families left out by fifths,
the mean absolute error of the full score by p-IRT from each package's parameters, in points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from time import process_time

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from capspace.fit.items import ItemResponse, Responses, RidgeFromMean
from capspace.fit.items._candidates import family_folds

Floats = NDArray[np.float64]
Parameters = tuple[Floats, Floats]
"""Discrimination and difficulty (n_items,)."""

EPOCHS = 2000
"""Of py-irt's variational inference, as its command line has it."""


def ours(answers: Floats) -> Parameters:
    """Return the parameters by capspace."""
    model = ItemResponse().fit(answers)
    return model.discrimination_, model.difficulty_


def by_girth(answers: Floats) -> Parameters:
    """Return the parameters by girth's marginal maximum likelihood."""
    from girth import twopl_mml

    made = twopl_mml(answers.T.astype(int))
    return np.asarray(made["Discrimination"]), np.asarray(made["Difficulty"])


def by_py_irt(answers: Floats) -> Parameters:
    """Return the parameters by py-irt's variational inference (means of the posterior)."""
    import json
    import tempfile
    from pathlib import Path

    from py_irt.config import IrtConfig
    from py_irt.training import IrtModelTrainer

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "answers.jsonlines")
        rows = (
            {"subject_id": str(i), "responses": {str(j): int(v) for j, v in enumerate(row)}}
            for i, row in enumerate(answers)
        )
        file.write_text("\n".join(map(json.dumps, rows)) + "\n")
        config = IrtConfig(model_type="2pl", priors="hierarchical", epochs=EPOCHS)
        trainer = IrtModelTrainer(config=config, data_path=file, verbose=False)
        trainer.train(device="cpu")
        made = trainer.irt_model.export()
    order = [int(trainer._dataset.ix_to_item_id[i]) for i in range(answers.shape[1])]
    a, b = np.empty(len(order)), np.empty(len(order))
    a[order], b[order] = np.asarray(made["disc"]).ravel(), np.asarray(made["diff"]).ravel()
    return a, b


def peers() -> Iterator[tuple[str, Callable[[Floats], Parameters]]]:
    """Yield the packages that are installed."""
    yield "capspace", ours
    for name, module, fit in (("girth", "girth", by_girth), ("py-irt", "py_irt", by_py_irt)):
        if find_spec(module) is not None:
            yield name, fit


def on_scale(parameters: Parameters) -> ItemResponse:
    """Return a model with these parameters, which estimates full scores."""
    model = ItemResponse()
    model.fit(np.array([[0.0, 1.0], [1.0, 0.0]]))  # its grid of abilities
    a, b = parameters
    model.discrimination_, model.difficulty_, model.easiness_ = a, b, -a * b
    model.n_features_in_ = len(a)
    return model


def asked_by_catsim(parameters: Parameters, known: Floats, n_items: int) -> Floats:
    """Return the expected responses (n_models, n_items) after catsim asked each model n items."""
    from catsim import ItemBank
    from catsim.estimation import NumericalSearchEstimator
    from catsim.selection import MaxInfoSelector

    a, b = parameters
    bank = ItemBank(np.column_stack([a, b, np.zeros_like(a), np.ones_like(a)]), validate=False)
    select, estimate = MaxInfoSelector(), NumericalSearchEstimator()
    expected = np.empty_like(known)
    for i, row in enumerate(known):
        asked: list[int] = []
        right: list[bool] = []
        ability = 0.0
        for _ in range(n_items):
            item = select.select(item_bank=bank, administered_items=asked, est_theta=ability)
            asked.append(int(item))
            right.append(bool(row[int(item)]))
            ability = float(
                estimate.estimate(
                    item_bank=bank,
                    administered_items=asked,
                    response_vector=right,
                    est_theta=ability,
                )
            )
        expected[i] = expit(a * (ability - b))
        expected[i, asked] = right
    return expected


def planted_errors(n_models: int = 200, n_items: int = 200, n_draws: int = 3) -> None:
    """Print how near each package comes to the parameters of planted answers."""
    errors: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        ability, difficulty = rng.normal(size=(n_models, 1)), rng.normal(size=n_items)
        discrimination = np.exp(0.4 * rng.normal(size=n_items))
        p = expit(discrimination * (ability - difficulty))
        answers = (rng.random(p.shape) < p).astype(float)
        for name, fit in peers():
            began = process_time()
            a, b = fit(answers)
            off = (np.sqrt(np.mean((x - y) ** 2)) for x, y in
                   ((a, discrimination), (b, difficulty)))  # fmt: skip
            errors.setdefault(name, []).append((*off, process_time() - began))
    for name, rows in errors.items():
        a_off, b_off, seconds = np.mean(rows, axis=0)
        print(
            f"planted {n_models} × {n_items}, {name}: discrimination {a_off:.2f}, difficulty "
            f"{b_off:.2f}, {seconds:.2f} CPU s",
            flush=True,
        )


def score_errors(name: str, responses: Responses, n_items: int) -> None:
    """Print the errors of full scores on models whose families were left out."""
    truth = responses.values @ responses.weights
    errors: dict[str, list[Floats]] = {}
    seconds: dict[str, float] = {}
    for fold, left_out in enumerate(family_folds(responses.families, 5, 0)):
        training, known = responses.of(~left_out), responses.values[left_out]
        at = np.random.default_rng(fold).choice(responses.n_items, n_items, replace=False)
        ridge = RidgeFromMean(weights=np.full(n_items, 1 / n_items))
        ridge.fit(training.values[:, at], training.values @ training.weights)
        made = {"random items, ridge to the mean": ridge.predict(known[:, at])}
        for package, fit in peers():
            began = process_time()
            parameters = fit(training.values)
            model = on_scale(parameters)
            made[f"random items, p-IRT by {package}"] = (
                model.expected_responses(known[:, at], items=at) @ responses.weights
            )
            seconds[package] = seconds.get(package, 0.0) + process_time() - began
            if package == "capspace" and find_spec("catsim") is not None:
                began = process_time()
                asked = asked_by_catsim(parameters, known, n_items)
                made["items by catsim, one after another"] = asked @ responses.weights
                seconds["catsim"] = seconds.get("catsim", 0.0) + process_time() - began
        for how, scores in made.items():
            errors.setdefault(how, []).append(np.abs(scores - truth[left_out]))
    for how, parts in errors.items():
        print(f"{name}, {n_items} items, {how}: {100 * np.concatenate(parts).mean():.1f}")
    print(f"{name}: CPU s " + ", ".join(f"{p} {s:.1f}" for p, s in seconds.items()), flush=True)
