import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from commands import Notes

from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.errors import (
    BackendError,
    CheckpointError,
    CollectError,
    DataRootError,
    NothingMeasuredError,
    SettingsError,
)
from capspace.collect.harness.backends import load_model
from capspace.collect.run import panel_run as measuring
from capspace.collect.run.collect import collect_scores
from capspace.collect.runtime.progress import PlainProgress, SilentProgress
from capspace.collect.settings import LoadSettings
from capspace.collect.storage.store import Store
from capspace.tasks.errors import PanelError
from capspace.tasks.panel import Benchmark, Panel, load_panel

pytestmark = [
    pytest.mark.usefixtures("forked"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def two() -> Panel:
    return load_panel("smoke").select(["ARC-C", "Winogrande"])


def collect(model: Path | list[str], panel: Panel, store: Path, **changes: Any) -> Any:
    arguments: dict[str, Any] = {"data_root": "embedded", "device": "cpu", "limit": 3}
    models = [str(model)] if isinstance(model, Path) else model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, while they are imported
        return collect_scores(models, panel=panel, store=store, **arguments | changes)


@pytest.fixture(scope="module")
def measured(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The whole smoke panel on the embedded items, as ``quickstart`` measures it."""
    store = tmp_path_factory.mktemp("store")
    panel = load_panel("smoke")
    return store, collect(tiny_checkpoint, panel, store, limit=None)


def no_model(*arguments: object) -> None:
    pytest.fail("the model was loaded")


@pytest.mark.slow
def test_the_embedded_default_fills_every_cell_but_humaneval(measured: Any) -> None:
    _, collection = measured
    assert collection.n_measured == 7
    assert [m.benchmark for m in collection.missing] == ["HumanEval"]
    assert "--allow-code-execution" in collection.missing[0].reason
    scores = collection.table.wide().iloc[0]
    assert list(scores.index) == [
        "MMLU",
        "ARC-C",
        "HellaSwag",
        "Winogrande",
        "TruthfulQA",
        "GSM8K",
        "XWinograd",
    ]
    assert np.isfinite(scores).all()
    items = collection.table.scores.set_index("benchmark")["n_items"].to_dict()
    assert items["MMLU"] == 64
    assert items["XWinograd"] == 48
    for result in collection.results:
        assert not result.comparable
        assert "not comparable with published scores" in result.protocol
        assert "not comparable with published scores" in result.source


@pytest.mark.slow
def test_a_second_run_measures_nothing_and_loads_no_model(
    measured: Any, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, first = measured
    monkeypatch.setattr(measuring, "load_model", no_model)
    plans: list[tuple[str, int, int]] = []

    class Plans(SilentProgress):
        def model(self, name: str, n_missing: int, n_known: int) -> None:
            plans.append((name, n_missing, n_known))

    again = collect(tiny_checkpoint, load_panel("smoke"), store, limit=None, progress=Plans())
    assert again.n_measured == 0
    assert again.results == first.results
    assert plans == [("tiny-llama", 0, 7)]


@pytest.mark.slow
def test_batch_size_and_place_are_not_part_of_a_measurement(
    measured: Any, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, first = measured
    monkeypatch.setattr(measuring, "load_model", no_model)
    elsewhere = copytree(tiny_checkpoint, tmp_path / "renamed")
    again = collect(
        elsewhere, load_panel("smoke"), store, limit=None, batch_size=3, dtype="float32"
    )
    assert again.n_measured == 0
    assert {r.model for r in again.results} == {"renamed"}
    assert [r.score for r in again.results] == [r.score for r in first.results]


@pytest.mark.slow
def test_what_is_kept_leads_back_to_every_item(measured: Any) -> None:
    path, collection = measured
    result = next(r for r in collection.results if r.benchmark == "Winogrande")
    identity = json.loads(result.identity)
    assert identity["tasks"][0]["name"] == "winogrande"
    assert identity["model"]["checkpoint"].startswith("sha256:")
    assert (identity["n_shot"], identity["limit"]) == (2, None)
    assert result.provenance["device"] == "cpu"
    assert result.provenance["panel"] == "smoke v1"
    for name in ("capspace", "lm_eval", "torch", "transformers"):
        assert result.provenance[name][0].isdigit()
    assert result.provenance["seconds"] > 0
    assert result.provenance["max_length"] == 2048
    with Store(path) as store:
        samples = list(store.samples(result.key))
    assert len(samples) == result.n_items
    assert np.mean([s["acc"] for s in samples]) == pytest.approx(result.score)


@pytest.mark.slow
def test_a_limit_is_kept_apart_and_shows(tiny_checkpoint: Path, two: Panel, tmp_path: Path) -> None:
    three = collect(tiny_checkpoint, two, tmp_path, limit=3)
    four = collect(tiny_checkpoint, two, tmp_path, limit=4)
    assert (three.n_measured, four.n_measured) == (2, 2)
    assert [r.n_items for r in four.results] == [4, 4]
    assert all("limit 4" in r.protocol for r in four.results)
    with Store(tmp_path) as store:
        assert len(store.to_table()) == 4


@pytest.mark.slow
def test_new_weights_at_the_same_path_are_measured_again(
    checkpoint_maker: Any, two: Panel, tmp_path: Path
) -> None:
    scores = []
    for seed in (1, 2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint_maker.make_checkpoint(tmp_path / "model", seed=seed, hidden=16)
        collection = collect(tmp_path / "model", two, tmp_path / "store")
        assert collection.n_measured == 2
        scores.append([r.revision for r in collection.results])
    assert scores[0] != scores[1]


@pytest.mark.slow
def test_another_seed_backend_or_dtype_is_another_measurement(
    tiny_checkpoint: Path, two: Panel, tmp_path: Path
) -> None:
    single = two.select(["Winogrande"])
    for changes in ({}, {"seed": 7}, {"backend": "hf"}, {"dtype": "bfloat16"}):
        assert collect(tiny_checkpoint, single, tmp_path, limit=2, **changes).n_measured == 1
    with Store(tmp_path) as store:
        assert len(set(store.to_table().scores["protocol"])) == 4


_COLLECT = """
import signal
# A shell that starts tests in the background leaves SIGINT ignored in all its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
import os, sys
from pathlib import Path
from capspace.collect.runtime.progress import PlainProgress
from capspace.collect.run.collect import collect_scores
from capspace.tasks.panel import load_panel
asked = []
def watch(event, arguments):
    if event in ("socket.getaddrinfo", "socket.connect"):
        asked.append(f"{event} {arguments[1:] if event == 'socket.connect' else arguments}")
sys.addaudithook(watch)
panel = load_panel("smoke").select(["MMLU", "ARC-C", "HellaSwag", "Winogrande"])
done = collect_scores(
    sys.argv[1], panel=panel, store=sys.argv[2], data_root="embedded", device="cpu", limit=2,
    progress=PlainProgress(lambda line: print(line, flush=True)),
)
print("measured", done.n_measured)
print("asked", asked)
"""


def start(checkpoint: Path, store: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _COLLECT, str(checkpoint), str(store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "0"},
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_loses_no_finished_benchmark(
    how: signal.Signals, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    process = start(tiny_checkpoint, tmp_path)
    assert process.stdout is not None
    finished = []
    for line in process.stdout:
        if "±" in line:
            finished.append(line.split("] ")[1].split(":")[0])
        if len(finished) == 2:
            process.send_signal(how)
            break
    rest, _ = process.communicate()
    finished += [line.split("] ")[1].split(":")[0] for line in rest.splitlines() if "±" in line]
    assert process.returncode != 0
    with Store(tmp_path) as store:
        stored = [r.benchmark for r in store.results()]
    assert stored[: len(finished)] == finished
    assert len(stored) < 4
    if how != signal.SIGKILL:
        return

    out, err = start(tiny_checkpoint, tmp_path).communicate()
    assert f"measured {4 - len(stored)}" in out
    # Everything was there: weights in a folder, items in the package. Nothing went to a network.
    assert out.splitlines()[-1] == "asked []"
    assert err == ""


@pytest.mark.slow
def test_processes_started_together_measure_each_cell_and_one_keeps_it(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    script = tmp_path / "both.py"
    script.write_text(_COLLECT.replace('print("asked", asked)', "print(len(done.results))"))
    together = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*together, str(script), str(tiny_checkpoint), str(tmp_path / "store")],
        env=os.environ | {"ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert sorted(line for line in lines if line.startswith("measured")) == [
        "measured 0",
        "measured 4",
    ]
    assert len([line for line in lines if "±" in line]) == 4
    with Store(tmp_path / "store") as store:
        assert len(store.results()) == 4


@pytest.mark.slow
def test_a_cached_hub_checkpoint_is_measured_where_no_network_is(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    commit = "1234567890abcdef1234567890abcdef12345678"
    cached = tmp_path / "home" / "hub" / "models--org--tiny"
    copytree(tiny_checkpoint, cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    done = subprocess.run(
        [sys.executable, "-c", _COLLECT, "org/tiny", str(tmp_path / "store")],
        env=os.environ
        | {
            "HF_HOME": str(tmp_path / "home"),
            "HF_ENDPOINT": "http://127.0.0.1:9",
            "HF_TOKEN": "",
            "HF_HUB_OFFLINE": "0",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    # Once for the checkpoint's commit; nothing more is asked once nothing has answered.
    asked = done.stdout.splitlines()[-1]
    assert "measured 4" in done.stdout
    assert asked.count("socket.connect") <= 3
    with Store(tmp_path / "store") as store:
        identity = json.loads(store.results()[0].identity)
    assert identity["model"]["checkpoint"] == f"hub:org/tiny@{commit}"


class OneFails:
    """A task of a user's own that raises for every item, beside one that works."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "mine.yaml").write_text(
            "task: my_task\n"
            "dataset_path: allenai/winogrande\ndataset_name: winogrande_xl\n"
            "output_type: generate_until\nvalidation_split: validation\n"
            "doc_to_text: '{{sentence}}'\ndoc_to_target: answer\n"
            "process_results: !function mine.score\n"
            "metric_list: [{metric: luck, aggregation: mean, higher_is_better: true}]\n"
            "generation_kwargs: {until: ['.'], max_gen_toks: 2}\n"
        )
        (folder / "mine.py").write_text(
            "def score(doc, results):\n    raise KeyError('no such\\nkey')\n"
        )
        self.benchmark = Benchmark(
            name="Mine",
            tasks=("my_task",),
            folder="winogrande",
            n_shot=0,
            metric="luck",
            chance=None,
            source="here",
        )


@pytest.mark.slow
def test_a_task_that_raises_is_recorded_and_the_others_go_on(
    tiny_checkpoint: Path, two: Panel, tmp_path: Path
) -> None:
    own = OneFails(tmp_path / "own")
    panel = two.model_copy(update={"benchmarks": (own.benchmark, *two.benchmarks)})
    collection = collect(tiny_checkpoint, panel, tmp_path / "store", include_path=own.folder)
    assert [r.benchmark for r in collection.results] == ["ARC-C", "Winogrande"]
    (missing,) = collection.missing
    assert (missing.benchmark, missing.reason) == ("Mine", "KeyError: 'no such\\nkey'")
    with Store(tmp_path / "store") as store:
        assert [(f.benchmark, f.reason) for f in store.failures()] == [("Mine", missing.reason)]
        logs = "".join(p.read_text() for p in store.logs_path.iterdir())
    assert "Traceback" in logs
    assert "mine.py" in logs

    (own.folder / "mine.py").write_text("def score(doc, results):\n    return {'luck': 1.0}\n")
    again = collect(tiny_checkpoint, panel, tmp_path / "store", include_path=own.folder)
    assert again.n_measured == 1
    with Store(tmp_path / "store") as store:
        assert store.failures() == []


@pytest.mark.slow
def test_a_checkpoint_that_does_not_load_leaves_the_other_models_alone(
    tiny_checkpoint: Path, two: Panel, tmp_path: Path
) -> None:
    broken = copytree(tiny_checkpoint, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"not a tensor in sight")
    collection = collect([str(broken), str(tiny_checkpoint)], two, tmp_path / "store")
    assert {r.model for r in collection.results} == {"tiny-llama"}
    assert {(m.model, m.benchmark) for m in collection.missing} == {
        ("broken", "ARC-C"),
        ("broken", "Winogrande"),
    }
    assert all(m.reason.startswith("the checkpoint does not load: ") for m in collection.missing)
    with pytest.raises(NothingMeasuredError, match="ARC-C: the checkpoint does not load"):
        collect(broken, two, tmp_path / "store")


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_used_is_recorded_and_the_others_go_on(
    tiny_checkpoint: Path, two: Panel, tmp_path: Path
) -> None:
    empty = copytree(tiny_checkpoint, tmp_path / "empty")
    (empty / "model.safetensors").rename(tmp_path / "weights")
    store = tmp_path / "store"
    collection = collect([str(empty), str(tiny_checkpoint)], two, store)
    assert {r.model for r in collection.results} == {"tiny-llama"}
    assert {(m.model, m.benchmark) for m in collection.missing} == {
        ("empty", "ARC-C"),
        ("empty", "Winogrande"),
    }
    assert all("no weights" in m.reason for m in collection.missing)
    with Store(store) as opened:
        kept_failures = {(f.model, f.benchmark, f.reason) for f in opened.failures()}
    assert kept_failures == {(m.model, m.benchmark, m.reason) for m in collection.missing}
    with pytest.raises(CheckpointError, match="no weights"):
        collect(empty, two, store)

    (tmp_path / "weights").rename(empty / "model.safetensors")
    collect(empty, two, store, seed=7)
    with Store(store) as opened:
        assert opened.failures() == []


@pytest.mark.slow
def test_the_same_weights_by_another_name_say_where_their_scores_are(
    tiny_checkpoint: Path, two: Panel, tmp_path: Path
) -> None:
    collect(tiny_checkpoint, two, tmp_path / "store")
    notes = Notes()
    copy = copytree(tiny_checkpoint, tmp_path / "copy")
    collection = collect(copy, two, tmp_path / "store", progress=notes)
    assert collection.n_measured == 0
    assert [r.model for r in collection.results] == ["copy", "copy"]
    assert notes.lines == ["its scores are stored as those of tiny-llama: the same weights"]


def test_a_data_set_that_is_not_there_is_a_missing_cell(
    tiny_checkpoint: Path, two: Panel, tmp_path: Path
) -> None:
    from capspace.collect.harness.data_root import embedded_data_root

    part = tmp_path / "root" / "allenai" / "winogrande"
    copytree(embedded_data_root().path / "allenai" / "winogrande", part)
    collection = collect(tiny_checkpoint, two, tmp_path / "store", data_root=tmp_path / "root")
    (missing,) = collection.missing
    assert missing.benchmark == "ARC-C"
    assert missing.reason == f"data set allenai/ai2_arc: no folder {tmp_path}/root/allenai/ai2_arc"
    with Store(tmp_path / "store") as store:
        assert [(f.benchmark, f.reason) for f in store.failures()] == [("ARC-C", missing.reason)]
    # This root says nothing about itself: its items are taken for the benchmark's own.
    (result,) = collection.results
    assert "local data" in result.protocol
    with pytest.raises(NothingMeasuredError, match=r"ai2_arc: no folder"):
        collect(
            tiny_checkpoint, two.select(["ARC-C"]), tmp_path / "store", data_root=tmp_path / "root"
        )


@pytest.mark.slow
def test_pickled_weights_load_only_when_allowed(
    tiny_checkpoint: Path, two: Panel, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    folder = copytree(tiny_checkpoint, tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="--allow-pickle"):
        collect(folder, two, tmp_path / "store")
    pickled = collect(folder, two, tmp_path / "store", allow_pickle=True)
    safe = collect(tiny_checkpoint, two, tmp_path / "store")
    assert safe.n_measured == 2  # other files: another checkpoint, though the tensors are equal
    assert [r.score for r in pickled.results] == [r.score for r in safe.results]


def test_nothing_is_printed_but_what_the_display_is_told(
    tiny_checkpoint: Path,
    two: Panel,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # outside a git checkout, where lm-eval's own run complains
    collect(tiny_checkpoint, two, tmp_path)
    assert capfd.readouterr() == ("", "")
    (log,) = (tmp_path / "logs").iterdir()
    assert "lm_eval" in log.read_text()


def test_the_environment_names_store_and_data_root(
    tiny_checkpoint: Path, two: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPSPACE_DATA_ROOT", str(tmp_path / "nowhere"))
    with pytest.raises(DataRootError, match="nowhere: no such folder"):
        collect(tiny_checkpoint, two, tmp_path, data_root=None)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"limit": 0}, SettingsError, "limit: .* greater than 0, got 0"),
        ({"backend": "vlm"}, SettingsError, "backend: .* 'capspace', 'hf', .*, got 'vlm'"),
        ({"dtype": "int4"}, SettingsError, "dtype: .* 'auto', 'float32', .*, got 'int4'"),
        ({"batch_size": "many"}, SettingsError, "batch_size: .*, got 'many'"),
        ({"batch_size": 0}, SettingsError, "batch_size: .*, got 0"),
        ({"dtpye": "float32"}, SettingsError, "no setting 'dtpye'; did you mean 'dtype'"),
        ({"device": "abacus"}, BackendError, "device 'abacus' cannot be used here"),
        ({"device": "cuda:77"}, BackendError, "device 'cuda:77' cannot be used here"),
        ({"parallelize": True}, BackendError, "spread over GPUs, and the device is cpu"),
        ({"panel": "classic-9"}, PanelError, "did you mean 'classic-8'"),
    ],
)
def test_bad_input_is_one_clear_line(
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
    tiny_checkpoint: Path,
    two: Panel,
    tmp_path: Path,
) -> None:
    panel = changes.pop("panel", two)
    with pytest.raises(error, match=message) as caught:
        collect(tiny_checkpoint, panel, tmp_path, **changes)
    assert "\n" not in str(caught.value)


def test_all_models_are_resolved_before_any_is_measured(
    tiny_checkpoint: Path, two: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "load_model", no_model)
    with pytest.raises(CheckpointError, match="no such folder"):
        collect([str(tiny_checkpoint), str(tmp_path / "typo")], two, tmp_path)
    with pytest.raises(CollectError, match="no model given"):
        collect([], two, tmp_path)


@pytest.mark.parametrize("size", ["auto", "auto:4", 1, "16"])
def test_batch_sizes_that_are_taken(size: int | str) -> None:
    assert str(LoadSettings(batch_size=size).batch_size) == str(size)


@pytest.fixture
def lacking(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint without a head of its own, which its configuration asks for."""
    folder = copytree(tiny_checkpoint, tmp_path / "lacking")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    return folder


def test_a_checkpoint_that_lacks_weights_is_an_error_before_measuring(
    lacking: Path, two: Panel, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=r"lacking: 1 weight of the model .* lm_head\.weight"):
        collect(lacking, two, tmp_path / "store")
    with Store(tmp_path / "store") as store:
        assert store.results() == []


@pytest.mark.slow
def test_among_others_it_is_told_once_and_has_no_scores(
    lacking: Path, tiny_checkpoint: Path, two: Panel, tmp_path: Path
) -> None:
    notes = Notes()
    models = [str(lacking), str(tiny_checkpoint)]
    collection = collect(models, two, tmp_path / "store", progress=notes)
    assert {r.model for r in collection.results} == {"tiny-llama"}
    assert [(m.model, m.benchmark) for m in collection.missing] == [
        ("lacking", "ARC-C"),
        ("lacking", "Winogrande"),
    ]
    assert len({m.reason for m in collection.missing}) == 1
    assert len([line for line in notes.lines if "lm_head.weight" in line]) == 1


@pytest.mark.parametrize("backend", ["capspace", "hf"])
def test_a_chat_template_that_is_not_there_is_told_once(
    tiny_checkpoint: Path, two: Panel, tmp_path: Path, backend: str
) -> None:
    with pytest.raises(CheckpointError, match="tiny-llama: it has no chat template") as caught:
        collect(tiny_checkpoint, two, tmp_path / "store", chat_template=True, backend=backend)
    assert "\n" not in str(caught.value)


def test_what_is_done_otherwise_is_noted_before_the_first_benchmark(
    tiny_checkpoint: Path, two: Panel, tmp_path: Path
) -> None:
    folder = copytree(tiny_checkpoint, tmp_path / "renumbered")
    n_tokens = json.loads((folder / "config.json").read_text())["vocab_size"]
    (folder / "added_tokens.json").write_text(json.dumps({"<extra>": n_tokens + 9}))
    lines: list[str] = []
    progress = PlainProgress(lines.append)
    collect(folder, two.select(["ARC-C"]), tmp_path / "store", progress=progress)
    noted = next(i for i, line in enumerate(lines) if f"has id {n_tokens + 9} in added_" in line)
    assert noted < lines.index("[1/1] ARC-C: started")


def test_a_library_without_what_the_engine_needs_is_one_line(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import cache_utils

    monkeypatch.delattr(cache_utils, "DynamicLayer")
    for name in [n for n in sys.modules if n.startswith("capspace.collect.engine.")]:
        if name != "capspace.collect.engine.served":
            monkeypatch.delitem(sys.modules, name)
    with pytest.raises(BackendError, match=r"does not load here \(.*DynamicLayer.*--backend hf"):
        load_model(resolve(tiny_checkpoint), LoadSettings())
