"""A store that version 0.1.0 wrote opens, says the same, and is resumed without a measurement.

Nothing that version 0.1.0 put into these identities has changed since.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import store_v010

from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.exchange.exporting import export_scores
from capspace.collect.exchange.importing import import_scores
from capspace.collect.run import panel_run
from capspace.collect.run.collect import collect_scores
from capspace.collect.run.collection import Collection
from capspace.collect.storage.journal import open_journal
from capspace.collect.storage.maintenance import check_store, store_info
from capspace.collect.storage.store import Store
from capspace.collect.zoo.driver import import_outcomes
from capspace.collect.zoo.status import zoo_status
from capspace.collect.zoo.work.folder import ZooFolder
from capspace.tasks.panel import Panel, load_panel

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
same_lm_eval = pytest.mark.skipif(
    version("lm_eval") != "0.4.13", reason="the stored identities name lm-eval 0.4.13"
)

HASH = "8d3d4a07ad696de89672fcb4d218134114dc570a7e11891e09025f70a623b465"
CHOICE = "lm-eval 0.4.13 v010_choice v1.0 acc; capspace float32; local data"
ANSWER = "lm-eval 0.4.13 v010_answer v2.0 exact_match (first-word); capspace float32; local data"
SCORES = {
    ("Choice", CHOICE): (0.4, 5, 2),
    ("Choice", f"{CHOICE}; limit 2; seed 7"): (0.5, 2, 2),
    ("Choice", f"{CHOICE}; chat template"): (0.4, 5, 2),
    ("Answer", ANSWER): (0.0, 3, 0),
    ("Answer", f"{ANSWER}; limit 2; seed 7"): (0.0, 2, 0),
    ("Answer", f"{ANSWER}; chat template"): (0.0, 3, 0),
}
RUNS = [{}, {"limit": 2, "seed": 7}, {"chat_template": True}]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("v010")
    store_v010.write_inputs(folder)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(store_v010.restore(tmp_path / "store")) as opened:
        yield opened


def collect(inputs: Path, store: Store, **run: Any) -> Collection:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, while they are imported
        return collect_scores(
            str(inputs / store_v010.CHECKPOINT),
            panel=Panel.model_validate(store_v010.PANEL),
            store=store,
            data_root=inputs / "data",
            include_path=inputs / "tasks",
            device="cpu",
            **run,
        )


def test_its_scores_samples_answers_and_failures_are_all_there(store: Store) -> None:
    results = store.results()
    assert {(r.benchmark, r.protocol): (r.score, r.n_items, r.n_shot) for r in results} == SCORES
    assert {(r.model, r.revision) for r in results} == {(store_v010.CHECKPOINT, HASH)}
    assert check_store(store) == []
    assert [len(list(store.samples(r.key))) for r in results] == [r.n_items for r in results]
    (failure,) = store.failures()
    assert (failure.benchmark, failure.revision) == ("Nowhere", HASH)
    assert len(store.to_table().scores) == len(SCORES)
    with open_journal(store.path) as journal:
        assert sum(journal.info().n_responses.values()) == 56
        assert journal.take_notices() == []
    assert store_info(store).n_results == {store_v010.CHECKPOINT: len(SCORES)}


@pytest.mark.parametrize("form", ["csv", "lm-eval", "every-eval-ever"])
def test_its_scores_are_exported_and_imported_again(
    store: Store, tmp_path: Path, form: str
) -> None:
    results = store.results()
    paths = export_scores(results, store=store, form=form, out=tmp_path / "out")
    assert paths
    with Store(tmp_path / "imported") as other:
        import_scores([tmp_path / "out"], store=other, panel=load_panel("smoke").select(["ARC-C"]))
        scores = sorted((r.score, r.n_items) for r in other.results())
    assert scores == sorted((r.score, r.n_items) for r in results)


@pytest.mark.slow
@same_lm_eval
def test_the_same_runs_measure_nothing_and_load_no_model(
    inputs: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resolve(str(inputs / store_v010.CHECKPOINT)).revision == HASH
    monkeypatch.setattr(
        panel_run, "load_model", lambda *_, **__: pytest.fail("the model was loaded")
    )
    before = store.results()
    for run in RUNS:
        collection = collect(inputs, store, **run)
        assert collection.n_measured == 0
        assert [r.benchmark for r in collection.results] == ["Choice", "Answer"]
        assert all(result in before for result in collection.results)
        assert [gap.benchmark for gap in collection.missing] == ["Nowhere"]
    assert store.results() == before


@pytest.mark.slow
@same_lm_eval
def test_a_score_that_is_gone_is_made_again_of_the_answers_that_were_given(
    inputs: Path, store: Store
) -> None:
    before = {r.key: r for r in store.results()}
    store.remove(before)
    for run in RUNS:
        collection = collect(inputs, store, **run)
        assert collection.n_measured == 2
        for result in collection.results:
            counts = result.provenance["requests"]
            assert counts["n_known"] == counts["n_requests"] > 0
    after = {r.key: r for r in store.results()}
    assert after.keys() == before.keys()
    for key, result in after.items():
        old = before[key]
        assert (result.score, result.identity, result.protocol, result.comparable) == (
            old.score, old.identity, old.protocol, old.comparable,
        )  # fmt: skip


def test_what_workers_of_a_zoo_measured_is_taken_into_the_store(
    store: Store, tmp_path: Path
) -> None:
    before = {r.benchmark: r for r in store.results() if r.protocol in (CHOICE, ANSWER)}
    with Store(tmp_path / "zoo-store") as zoo_store:
        folder = ZooFolder(store_v010.restore_zoo(zoo_store.path))
        status = zoo_status("zoo", folder, zoo_store)
        assert (status.n_cells, status.n_done, status.is_finished) == (2, 2, True)
        assert [(gap.benchmark, gap.skipped) for gap in status.unmeasurable] == [("Nowhere", False)]
        assert import_outcomes(folder, zoo_store).n_results == 2
        for result in zoo_store.results():
            old = before[result.benchmark]
            assert (result.key, result.score, result.identity) == (old.key, old.score, old.identity)
        assert import_outcomes(folder, zoo_store).n_results == 0
        (unit,) = folder.read_work().units
        assert unit.settings.data_root is not None
