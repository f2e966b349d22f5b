"""What is exported is imported again as it was, in every format."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from commands import Command
from import_parts import run_file, sample, samples_file

pytest.importorskip("lm_eval", reason="import compares with the installed lm-eval's tasks")

from capspace.collect.exchange.exporting import EXPORT_FORMATS, export_scores
from capspace.collect.exchange.importing import import_scores
from capspace.collect.storage.digests import canonical_json
from capspace.collect.storage.result import Result
from capspace.collect.storage.store import Store
from capspace.tasks.panel import Panel, load_panel

XWINOGRAD = [f"xwinograd_{language}" for language in ("en", "fr", "jp", "pt", "ru", "zh")]
COMMIT = "607a30d783dfa663caf39e06633721c8d4cfcd7e"


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load_panel("classic-8").select(["ARC-C", "XWinograd"])


def record(result: Result) -> tuple[object, ...]:
    """Return what a result states, with unknown numbers that are equal to themselves."""
    stderr = None if math.isnan(result.stderr) else pytest.approx(result.stderr)
    return (
        result.model,
        result.revision,
        result.benchmark,
        pytest.approx(result.score, abs=1e-12),
        stderr,
        result.n_items,
        result.n_shot,
        result.protocol,
    )


def records(store: Store) -> list[tuple[object, ...]]:
    return sorted((record(result) for result in store.results()), key=lambda r: str((*r[:3], r[7])))


def measured(**changes: Any) -> Result:
    """Return a result as a measurement here leaves it."""
    identity = {
        "harness": "lm-eval 0.4.13",
        "model": {"checkpoint": "sha256:1", "dtype": "float32", "backend": "hf"},
        "metric": "acc_norm",
        "filter": "none",
        "limit": None,
        "seeds": {"python": 0, "numpy": 1234, "torch": 1234, "fewshot": 1234},
        "tasks": [{"name": "arc_challenge", "version": "1.0"}],
    }
    values: dict[str, Any] = {
        "key": "ab12",
        "model": "checkpoint-1000",  # a local folder, which an import would not take as a name
        "revision": "0" * 64,
        "benchmark": "ARC-C",
        "score": 1.0,
        "stderr": 0.01,
        "n_items": 1,
        "n_shot": 25,
        "protocol": "lm-eval 0.4.13 arc_challenge v1.0 acc_norm; hf float32",
        "source": "measured",
        "comparable": True,
        "identity": canonical_json(identity),
        "tasks": ({"task": "arc_challenge", "score": 1.0, "stderr": 0.01, "n_items": 1},),
        "measured_at": "2026-01-02T03:04:05.678+00:00",
    }
    return Result(**values | changes)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, panel: Panel) -> Store:
    """A store with results of every kind that there are."""
    folder = tmp_path_factory.mktemp("full")
    store = Store(folder / "store")
    store.put(measured(), [sample(0, right=True, task="arc_challenge")])
    stamp = "2025-05-06T07-08-09.123456"
    file = run_file(
        folder / f"one/results_{stamp}.json", {"acc_norm,none": 1.0, "acc,none": 0.0}, n_items=1
    )
    samples_file(file, [sample(0, right=True, acc=0.0)])
    whole = run_file(
        folder / "whole/results_1.json", model_args="pretrained=/exp/sft/last,dtype=float16"
    )
    stated = json.loads(whole.read_text())
    stated |= {
        "results": {
            t: {"acc,none": 0.5 + i / 100, "acc_stderr,none": 0.01} for i, t in enumerate(XWINOGRAD)
        },
        "versions": dict.fromkeys(XWINOGRAD, 1.0),
        "n-shot": dict.fromkeys(XWINOGRAD, 0),
        "n-samples": {t: {"effective": 10} for t in XWINOGRAD},
        "date": 1.7e9,
    }
    whole.write_text(json.dumps(stated))
    odd = [
        run_file(
            folder / "a/results_1.json",
            {"acc,none": 0.1},
            model_args="pretrained=m,revision=0012345",
        ),
        run_file(
            folder / "b/results_1.json",
            {"acc,none": 0.2},
            model_args=f"pretrained=m,revision={COMMIT}",
        ),
        run_file(
            folder / "c/results_1.json",
            {"f1,strict": 0.3},
            model_args="pretrained=org/m,peft=org/lora",
        ),
        run_file(
            folder / "d/results_1.json",
            {"acc,none": 0.4},
            config={"limit": 100.0},
            chat_template="x",
        ),
    ]
    table = folder / "table.csv"
    table.write_text(
        "model,revision,benchmark,score,n_shot,protocol\n"
        "NA,5e12345,MMLU,0.5,5,a paper's\nnull,,ARC-C,0.25,,\n"
        "org/t,,ARC-C,0.75,25,lm-eval 0.4.9 arc_challenge v1.0 acc_norm; hf float16\n"
        "org/t,,ppl,12.5,,\n"
    )
    done = import_scores([file, whole, *odd, table], store=store, panel=panel)
    assert not any("left out" in note or "samples" in note for note in done.notes), done.notes
    assert {r.benchmark for r in store.results()} >= {
        "ARC-C",
        "XWinograd",
        "ARC-C (imported)",
        "ppl",
    }
    return store


@pytest.mark.slow
@pytest.mark.parametrize("form", EXPORT_FORMATS)
def test_every_format_gives_back_what_was_exported(
    full: Store, panel: Panel, tmp_path: Path, form: str
) -> None:
    out = tmp_path / f"out.{form}"
    export_scores(full.results(), store=full, form=form, out=out)
    other = Store(tmp_path / "other")
    import_scores([out], store=other, panel=panel)
    assert records(other) == records(full)
    # And once more, by way of every format.
    for again in EXPORT_FORMATS:
        out = tmp_path / f"again.{again}"
        export_scores(other.results(), store=other, form=again, out=out)
        third = Store(tmp_path / again)
        import_scores([out], store=third, panel=panel)
        assert records(third) == records(full), again


@pytest.mark.parametrize("form", ["lm-eval", "every-eval-ever"])
def test_dates_of_runs_come_along(full: Store, panel: Panel, tmp_path: Path, form: str) -> None:
    export_scores(full.results(), store=full, form=form, out=tmp_path / "out")
    other = Store(tmp_path / "other")
    import_scores([tmp_path / "out"], store=other, panel=panel)
    dates = {r.model: r.provenance["run_date"] for r in other.results()}
    assert dates["checkpoint-1000"] == "2026-01-02T03:04:05.678+00:00"
    assert dates["/exp/sft/last"] == "2023-11-14T22:13:20.000+00:00"
    assert dates["NA"] == ""  # that of the first import is none of a run
    assert {r.measured_at for r in other.results(model="checkpoint-1000")} == {
        dates["checkpoint-1000"]
    }


def test_samples_come_along_in_lm_evals_layout(full: Store, panel: Panel, tmp_path: Path) -> None:
    export_scores(full.results(), store=full, form="lm-eval", out=tmp_path / "out")
    other = Store(tmp_path / "other")
    import_scores([tmp_path / "out"], store=other, panel=panel)

    def samples(store: Store) -> dict[tuple[str, str], list[Any]]:
        return {
            (r.model, r.benchmark): list(store.samples(r.key))
            for r in store.results()
            if store.samples_file(r.key).exists()
        }

    assert samples(other) == samples(full)
    assert len(samples(full)) == 3


def test_items_of_every_eval_ever_are_left_and_said(
    full: Store, panel: Panel, tmp_path: Path
) -> None:
    export_scores(full.results(), store=full, form="every-eval-ever", out=tmp_path / "out")
    done = import_scores([tmp_path / "out"], store=Store(tmp_path / "other"), panel=panel)
    assert any("its items are not read: scores only" in note for note in done.notes)


def test_import_of_ones_own_export_changes_no_score(
    full: Store, panel: Panel, tmp_path: Path
) -> None:
    export_scores(full.results(), store=full, form="csv", out=tmp_path / "out.csv")
    before = full.to_table().scores
    with Store(tmp_path / "copy") as copy:
        copy.put_all(full.results())
        done = import_scores([tmp_path / "out.csv"], store=copy, panel=panel)
        assert not any("both" in note for note in done.notes)
        columns = ["model", "revision", "benchmark", "score", "protocol"]
        again = copy.to_table().scores[columns]
    pd.testing.assert_frame_equal(
        again.sort_values(columns).reset_index(drop=True),
        before[columns].sort_values(columns).reset_index(drop=True),
    )


def test_commands_give_back_every_eval_ever(capspace: Command, full: Store, tmp_path: Path) -> None:
    out, other = tmp_path / "eee", tmp_path / "other"
    capspace("export", "--format", "every-eval-ever", "--out", out, "--store", full.path)
    capspace("import", out, "--store", other)
    assert len(Store(other).results()) == len(full.results())
