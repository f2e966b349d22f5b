"""A shrunk panel measures its items alone, and a full run reuses their responses."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Command
from store_parts import RESULT

from capspace.collect.errors import HarnessError, NothingMeasuredError
from capspace.collect.harness.data_root import chosen_data_root
from capspace.collect.harness.estimates import estimated_score
from capspace.collect.harness.harness import Harness
from capspace.collect.run.collect import collect_scores
from capspace.collect.run.item_responses import stored_responses
from capspace.collect.storage.store import Store
from capspace.fit.errors import TooFewItemsError
from capspace.tasks.panel import Panel, load_panel

pytestmark = [
    pytest.mark.usefixtures("forked"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
N_ITEMS = 6


def collect(model: Path, panel: Panel, store: Path, **more: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, while they are imported
        return collect_scores(
            str(model), panel=panel, store=store, data_root="embedded", device="cpu", **more
        )


def planted_store(store: Path, whole: Path) -> None:
    """Fill a store with 24 models that answer the items of another store's one score."""
    rng = np.random.default_rng(0)
    with Store(whole) as opened, Store(store) as made:
        (result,) = opened.results()
        samples = list(opened.samples(result.key))
        hardness = rng.normal(size=len(samples))
        for i, ability in enumerate(rng.normal(size=24)):
            right = rng.random(len(samples)) < 1 / (1 + np.exp(hardness - ability))
            own = [
                {**sample, "acc_norm": float(value)}
                for sample, value in zip(samples, right, strict=True)
            ]
            name = f"maker{i % 6}/model-{i}"
            made.put(replace(result, key=f"{i:064x}", model=name, revision=f"{i:040x}"), own)


@pytest.mark.slow
def test_a_panel_is_shrunk_measured_and_reused(
    tiny_checkpoint: Path, tmp_path: Path, capspace: Command
) -> None:
    arc = load_panel("smoke").select(["ARC-C"])
    whole = collect(tiny_checkpoint, arc, tmp_path / "whole").results[0]
    planted_store(tmp_path / "zoo", tmp_path / "whole")
    path = tmp_path / "few.yaml"
    made = capspace(
        "panels", "shrink", "smoke", "--benchmark", "ARC-C", "--items", N_ITEMS,
        "--answers", tmp_path / "zoo", "--out", path, "--json",
    )  # fmt: skip
    assert made.code == 0, made.err
    (row,) = json.loads(made.out)["benchmarks"]
    assert (row["n_items"], row["n_all"]) == (N_ITEMS, whole.n_items)
    assert (row["n_models"], row["n_families"]) == (24, 6)

    panel = load_panel(path)
    estimate = panel["ARC-C"].estimate
    assert estimate is not None
    assert estimate.error == pytest.approx(row["error"], rel=1e-3)
    few = collect(tiny_checkpoint, panel, tmp_path / "few").results[0]
    assert few.n_items == N_ITEMS
    assert f"estimated from {N_ITEMS} items" in few.protocol
    items = estimate.tasks["arc_challenge"]
    with Store(tmp_path / "whole") as store:
        right = {s["doc_id"]: s["acc_norm"] for s in store.samples(whole.key)}
        prompts = {s["doc_id"]: s["arguments"] for s in store.samples(whole.key)}
    by_hand = estimate.score({"arc_challenge": [right[i] for i in items.positions]})
    assert few.score == pytest.approx(by_hand)
    assert few.stderr > max(estimate.error, math.sqrt(few.score * (1 - few.score) / whole.n_items))
    with Store(tmp_path / "few") as store:
        own = {s["doc_id"]: s["arguments"] for s in store.samples(few.key)}
    assert own == {i: prompts[i] for i in items.positions}

    full = collect(tiny_checkpoint, arc, tmp_path / "few").results[0]
    assert full.key == whole.key
    assert full.score == whole.score
    requests = few.provenance["requests"]["n_requests"]
    assert full.provenance["requests"]["n_known"] == requests
    with Store(tmp_path / "few") as store:  # by all items, no estimate of that is left
        assert [r.key for r in store.results()] == [full.key]

    again = capspace.refused(
        "panels",
        "shrink",
        "smoke",
        "--answers",
        tmp_path / "zoo",
        "--out",
        path,
        "--items",
        N_ITEMS,
    )
    assert "few.yaml already exists" in again
    with Store(tmp_path / "whole") as store:
        samples = [s for s in store.samples(whole.key) if s["doc_id"] in items.positions]
    assert estimated_score(panel["ARC-C"], estimate, samples)[0] == pytest.approx(by_hand)
    changed = samples[0] | {"doc_hash": "0" * 64}
    with pytest.raises(HarnessError, match=r"item \d+ of arc_challenge is another document"):
        estimated_score(panel["ARC-C"], estimate, [changed, *samples[1:]])
    tasks = {"arc_challenge": items.model_copy(update={"of": 9999})}
    other = panel["ARC-C"].model_copy(
        update={"estimate": estimate.model_copy(update={"tasks": tasks})}
    )
    harness = Harness([other], data_root=chosen_data_root("embedded"))
    with pytest.raises(HarnessError, match="was made for the 9,999 items of arc_challenge"):
        harness.workload(other)
    assert harness.workload(panel["ARC-C"]).n_requests == requests


def table(path: Path, n_models: int = 24, n_items: int = 40, task: str = "arc_challenge/") -> Path:
    rng = np.random.default_rng(0)
    hardness = rng.normal(size=n_items)
    lines = ["model," + ",".join(f"{task}{i}" for i in range(n_items))]
    for i, ability in enumerate(rng.normal(size=n_models)):
        right = rng.random(n_items) < 1 / (1 + np.exp(hardness - ability))
        lines.append(f"m{i}," + ",".join(str(int(value)) for value in right))
    path.write_text("\n".join(lines) + "\n")
    return path


def shrunk(capspace: Command, by: Path, *more: object) -> str:
    return capspace.refused(
        "panels", "shrink", "classic-8", "--benchmark", "ARC-C", "--answers", by, *more
    )


def test_what_cannot_be_shrunk_is_refused_in_a_line(tmp_path: Path, capspace: Command) -> None:
    file = tmp_path / "answers.csv"
    assert "100 items of 40 are no fewer than all" in shrunk(capspace, table(file))
    few = shrunk(capspace, table(file, n_models=7), "--items", 5)
    assert "too few models to choose items by: 7 models of 7 families; at least 20" in few
    (tmp_path / "families.csv").write_text("model,family\nm0,a\n")
    kin = shrunk(capspace, table(file), "--items", 5, "--families", tmp_path / "families.csv")
    assert "--families is for a store; a table has a column family" in kin
    other = shrunk(capspace, table(file, task="arc_easy/"), "--items", 5)
    assert "'arc_easy/0' is no item of arc_challenge" in other
    parts = capspace.refused(
        "panels", "shrink", "classic-8", "--benchmark", "MMLU", "--answers",
        table(file, task="mmlu_anatomy/"),
    )  # fmt: skip
    assert "of MMLU there is no item of mmlu_" in parts
    file.write_text("model,arc_challenge/0,arc_challenge/2\na,1,0\n")
    assert "items up to 2, but not 1" in shrunk(capspace, file, "--items", 1)
    file.write_text("model,arc_challenge/0,arc_challenge/0\na,1,0\n")
    assert "two columns are called 'arc_challenge/0'" in shrunk(capspace, file, "--items", 1)
    for columns in ("arc_challenge/0,arc_challenge/1,arc_challenge/01", "1,0,arc_challenge/1"):
        first, second = (name for name in columns.split(",") if name.endswith("1"))
        file.write_text(f"model,{columns}\na,1,0,1\n")
        line = f"{file}: columns {first!r} and {second!r} are one item; give it once"
        assert line in shrunk(capspace, file, "--items", 1)
    file.write_text("model,item,response\na,arc_challenge/1,1\na,arc_challenge/01,0\n")
    assert "'arc_challenge/01' are one item" in shrunk(capspace, file, "--items", 1)
    file.write_text("model,arc_challenge/0\na,62.5\n")
    assert "the response is 62.5; each is 0 for wrong" in shrunk(capspace, file, "--items", 1)
    assert "a folder without a store" in shrunk(capspace, tmp_path)
    with Store(tmp_path / "store"):
        pass
    nothing = shrunk(capspace, tmp_path / "store")
    assert "has no answers to the single items of ARC-C" in nothing
    assert not list(tmp_path.glob("*.yaml"))


def test_scores_without_usable_answers_choose_no_items(tmp_path: Path) -> None:
    arc = load_panel("classic-8")["ARC-C"]
    stored = replace(
        RESULT,
        benchmark=arc.name,
        n_shot=arc.n_shot,
        protocol=f"lm-eval 0.4.13 arc_challenge v1.0 {arc.metric}; hf bfloat16",
    )
    sample = {"task": "arc_challenge", "doc_id": 0, "filter": arc.filter, arc.metric: 1.0}
    with Store(tmp_path) as store:
        cases: dict[str, list[dict[str, Any]] | None] = {
            "no-value": [{**sample, arc.metric: "right"}],
            "other-filter": [{**sample, "filter": "other"}],
            "no-samples": None,
        }
        for i, (name, samples) in enumerate(cases.items()):
            store.put(replace(stored, key=f"{i:064x}", model=f"org/{name}"), samples)
        store.put(replace(stored, key="b" * 64, benchmark="HellaSwag"), [sample])
        with pytest.raises(TooFewItemsError, match="has no answers to the single items of ARC-C"):
            stored_responses(store, arc, {})
        store.put(replace(stored, key="c" * 64), [sample])
        known = stored_responses(store, arc, {})
    assert (known.responses.models, known.places) == (["org/model"], [("arc_challenge", 0)])


def test_items_of_one_task_may_be_numbered_and_others_stay_whole(
    tmp_path: Path, capspace: Command
) -> None:
    file, out = table(tmp_path / "answers.csv", task=""), tmp_path / "few.yaml"
    made = capspace(
        "panels", "shrink", "classic-8", "--benchmark", "ARC-C", "--items", 5, "--answers", file,
        "--out", out,
    )  # fmt: skip
    assert made.code == 0, made.err
    assert "5 of 40" in made.out
    panel = load_panel(out)
    assert panel.name == "classic-8-5"
    shown = capspace("panels", out)
    assert "estimated from 5 of 40 items" in shown.out

    table(file)
    two = ("--benchmark", "ARC-C", "--benchmark", "HellaSwag", "--items", 5, "--answers", file)
    made = capspace("panels", "shrink", "classic-8", *two, "--out", tmp_path / "two.yaml")
    assert "no responses to items of HellaSwag" in made.out
    assert load_panel(tmp_path / "two.yaml")["HellaSwag"].is_whole
    again = ("panels", "shrink", tmp_path / "two.yaml", "--items", 5, "--answers", file)
    assert "ARC-C already has only some of its items" in capspace.refused(
        *again, "--benchmark", "ARC-C"
    )
    made = capspace("panels", "shrink", "classic-8", *two, "--out", tmp_path / "3.yaml", "--json")
    rows = {row["benchmark"]: row for row in json.loads(made.out)["benchmarks"]}
    assert rows["HellaSwag"] == {
        "benchmark": "HellaSwag",
        "n_items": None,
        "reason": "no responses to items of HellaSwag",
    }
    assert rows["ARC-C"]["n_items"] == 5


def test_an_estimate_and_a_limit_exclude_each_other(
    tiny_checkpoint: Path, tmp_path: Path, capspace: Command
) -> None:
    file, out = table(tmp_path / "answers.csv"), tmp_path / "few.yaml"
    chosen = ("--benchmark", "ARC-C", "--items", 5, "--answers", file, "--out", out)
    assert capspace("panels", "shrink", "smoke", *chosen).code == 0
    with pytest.raises(NothingMeasuredError, match="leave out limit"):
        collect(tiny_checkpoint, load_panel(out), tmp_path / "store", limit=2)
