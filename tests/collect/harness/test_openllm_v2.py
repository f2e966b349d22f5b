"""The panel openllm-v2 on its embedded items, beside lm-eval's own group."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from chat_checkpoint import make_chat_checkpoint
from commands import Command
from completions_server import completions_server
from documentation import documented

from capspace.collect.errors import DataRootError, HarnessError
from capspace.collect.harness import sentence_data as sentences
from capspace.collect.harness.data_root import DataRoot, embedded_data_root
from capspace.collect.harness.evaluation import read_evaluation
from capspace.collect.harness.harness import Harness
from capspace.collect.harness.served_data import data_from
from capspace.collect.run.collect import collect_scores
from capspace.collect.runtime.log_capture import logged_to
from capspace.collect.storage.store import Store
from capspace.tasks.panel import Benchmark, Panel, load_panel

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once")

SOAK = "CAPSPACE_SOAK" in os.environ
SHORT = {"max_gen_toks": 8}
METRICS = {
    "leaderboard_bbh": "acc_norm",
    "leaderboard_gpqa": "acc_norm",
    "leaderboard_math_hard": "exact_match",
    "leaderboard_mmlu_pro": "acc",
    "leaderboard_musr": "acc_norm",
}


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path) -> Iterator[None]:
    with logged_to(tmp_path / "log"):
        yield


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that reads the panel's prompts by the word: by the byte they take minutes."""
    items = sorted((embedded_data_root().path / "SaylorTwift/bbh").rglob("*.jsonl"))
    return make_chat_checkpoint(
        tmp_path_factory.mktemp("models") / "chat", corpus=items, ends_turns=True
    )


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load_panel("openllm-v2")


def graders() -> None:
    for package in ("langdetect", "immutabledict", "math_verify", "antlr4"):
        pytest.importorskip(package, reason=f"{package}, of lm-eval[ifeval,math], is not installed")


def test_each_chance_level_is_one_over_the_choices_that_lm_eval_offers() -> None:
    import lm_eval.tasks

    folder = Path(lm_eval.tasks.__file__).parent / "leaderboard" / "bbh_mc"
    configs = [yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml")]
    offered = {c["task"]: 1 / len(c["doc_to_choice"]) for c in configs if "doc_to_choice" in c}
    stated = load_panel("openllm-v2")["leaderboard_bbh"].task_chance
    assert stated == pytest.approx(offered, abs=1e-5)


def test_the_columns_are_those_of_the_reference() -> None:
    from capspace.fit import load_reference

    known = load_reference("openllm-v2").benchmarks
    assert {b.name for b in load_panel("openllm-v2").benchmarks} == set(known)


def chosen(sample: dict[str, Any]) -> Any:
    """Return a sample's text, or which of its answers is the most probable."""
    responses = [each[0] for each in sample["resps"]]
    if isinstance(responses[0], str):
        return responses
    values = [float(value) for value, _ in responses]
    return values.index(max(values))


def options(sample: dict[str, Any]) -> list[str]:
    """Return the options of an item of GPQA in their order."""
    return [sample["doc"][f"choice{k}"] for k in range(1, 5)]


@pytest.mark.slow
def test_the_panel_runs_offline_and_has_lm_evals_scores(
    panel: Panel, chat: Path, tmp_path: Path, capspace: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through both backends, on a chat checkpoint, with its template and examples as turns."""
    graders()
    import lm_eval.tasks
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    words = documented("docs/how-to/thinking.md", "--panel openllm-v2")
    runs, samples = {}, {}
    for backend in ("capspace", "hf"):
        run = capspace(
            *(str(chat) if word == "org/chat" else word for word in words), "--backend", backend,
            "--device", "cpu", "--data-root", "embedded", "--limit", "1", "--max-gen-toks",
            SHORT["max_gen_toks"], "--store", tmp_path / backend,
        )  # fmt: skip
        assert run.code == 0, run.err
        with Store(tmp_path / backend) as opened:
            runs[backend] = {r.benchmark: r for r in opened.results()}
            samples[backend] = {b: [*opened.samples(r.key)] for b, r in runs[backend].items()}
    assert runs["hf"].keys() == {b.name for b in panel.benchmarks}
    scores = [{name: r.score for name, r in results.items()} for results in runs.values()]
    assert scores[0] == scores[1]
    answers = [{b: [*map(chosen, own)] for b, own in each.items()} for each in samples.values()]
    assert answers[0] == answers[1]
    ours, own_samples = runs["hf"], samples["hf"]
    model = HFLM(str(chat), batch_size=1, device="cpu")
    folder = Path(lm_eval.tasks.__file__).parent / "leaderboard"
    manager = lm_eval.tasks.TaskManager(include_path=[str(folder)], include_defaults=False)
    caches = (tmp_path / str(number) for number in count())

    def theirs(*tasks: str) -> dict[str, Any]:
        # The cache of ``datasets`` would give each run the order of GPQA's options of the first.
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", next(caches))
        with data_from(embedded_data_root()):
            done: dict[str, Any] = simple_evaluate(
                model=model, tasks=list(tasks), task_manager=manager, apply_chat_template=True,
                bootstrap_iters=0, limit=1, gen_kwargs=dict(SHORT),
            )  # fmt: skip
        return done

    def same(results: dict[str, Any], names: Iterable[str]) -> None:
        """Compare each task that lm-eval has run, and the group where it has run all of it."""
        for name in names:
            metric = f"{METRICS[name]},none"
            parts = {part["task"]: part["score"] for part in ours[name].tasks}
            run = parts.keys() & results.keys()
            assert run
            assert {task: results[task][metric] for task in run} == {t: parts[t] for t in run}
            if name in results:
                assert run == parts.keys()
                assert ours[name].score == pytest.approx(results[name][metric])

    bbh, gpqa, ifeval = "leaderboard_bbh", "leaderboard_gpqa", "leaderboard_ifeval"
    computed = [bbh, "leaderboard_math_hard", "leaderboard_mmlu_pro", "leaderboard_musr"]
    done = theirs(ifeval, *computed)
    same(done["results"], computed)
    assert len(ours[bbh].tasks) == 24
    own = {s["task"]: s for name in (ifeval, *computed) for s in own_samples[name]}
    assert {task: chosen(s) for task, (s,) in done["samples"].items()} == {
        task: chosen(sample) for task, sample in own.items()
    }
    strict = [
        done["results"][ifeval][f"{level}_level_strict_acc,none"] for level in ("prompt", "inst")
    ]
    assert ours[ifeval].score == pytest.approx(sum(strict) / 2)
    # The order of GPQA's options is that of lm-eval's run of a task alone. In the group, the order
    # of a task depends on how many options were shuffled before, of the tasks loaded earlier.
    alone, tasks = {}, [part["task"] for part in ours[gpqa].tasks]
    for task in tasks:
        done = theirs(task)
        same(done["results"], [gpqa])
        alone[task] = options(done["samples"][task][0])
    assert alone == {sample["task"]: options(sample) for sample in own_samples[gpqa]}
    group = theirs(gpqa)["samples"]
    company = {task: options(group[task][0]) for task in tasks}
    assert [company[task] == alone[task] for task in tasks] == [True, False, False]
    assert all(sorted(company[task]) == sorted(alone[task]) for task in tasks)

    chances, parts = panel[bbh].task_chance, ours[bbh].tasks
    by_hand = [
        max(0.0, (t["score"] - chances[t["task"]]) / (1 - chances[t["task"]])) for t in parts
    ]
    assert [t["normalised"] for t in parts] == pytest.approx(by_hand)
    assert ours[bbh].provenance["normalised"] == pytest.approx(sum(by_hand) / 24)
    assert "on the scale of the Open LLM Leaderboard" in run.err
    assert not any(r.comparable for r in ours.values())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of transformers
def test_behind_a_server_that_gives_log_probabilities_the_whole_panel_is_alike(
    panel: Panel, chat: Path, tmp_path: Path
) -> None:
    """In plain mode, as chat completions have no log-probabilities of given answers."""
    graders()
    measured: list[dict[str, Any]] = []
    with completions_server(chat) as server:
        here = {"device": "cpu", "batch_size": 8}
        places: list[dict[str, Any]] = [here, {"endpoint": server.url}]
        if SOAK:  # the engine's responses are compared with those of hf above, in another mode
            places.append({**here, "backend": "hf"})
        for place in places:
            store = tmp_path / str(len(measured))
            done = collect_scores(
                str(chat), panel=panel, store=store, data_root="embedded", limit=1, **SHORT, **place
            )
            assert done.missing == ()
            with Store(store) as opened:
                measured.append({
                    r.benchmark: (
                        r.score,
                        r.provenance["normalised"],
                        {s["task"]: chosen(s) for s in opened.samples(r.key)},
                    )
                    for r in done.results
                })  # fmt: skip
    assert all(each == measured[0] for each in measured[1:])
    assert {name: len(answers) for name, (_, _, answers) in measured[1].items()} == {
        name: b.n_tasks or 1 for name, b in ((b.name, b) for b in panel.benchmarks)
    }


def evaluated(benchmark: Benchmark, samples: list[dict[str, Any]], **metrics: float) -> Any:
    return read_evaluation(
        benchmark,
        {
            "results": {"t": {f"{name},none": value for name, value in metrics.items()}},
            "n-shot": {"t": 0},
            "n-samples": {"t": {"effective": len(samples)}},
            "samples": {"t": samples},
            "config": {},
        },
    )


def test_the_mean_of_two_metrics_has_the_standard_error_of_correlated_parts() -> None:
    benchmark = load_panel("openllm-v2")["leaderboard_ifeval"]
    rows = [([True, True], True), ([True, False], False), ([False], False), ([True, True], True)]
    samples = [
        {"doc_id": i, "arguments": [], "filter": "none", "prompt_level_strict_acc": whole,
         "inst_level_strict_acc": each}
        for i, (each, whole) in enumerate(rows * 50)
    ]  # fmt: skip
    result = evaluated(benchmark, samples, prompt_level_strict_acc=0.5, inst_level_strict_acc=5 / 7)
    assert result.score == pytest.approx((0.5 + 5 / 7) / 2)
    import numpy as np

    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(2000):
        chosen = [rows[i % 4] for i in rng.integers(0, 200, 200)]
        instructions = [right for each, _ in chosen for right in each]
        drawn.append((np.mean([whole for _, whole in chosen]) + np.mean(instructions)) / 2)
    assert result.stderr == pytest.approx(np.std(drawn), rel=0.06)


def test_tasks_are_weighted_by_their_items_where_the_panel_says_so() -> None:
    benchmark = load_panel("openllm-v2")["leaderboard_musr"]
    sample = {"doc_id": 0, "arguments": []}
    results = {
        "results": {"a": {"acc_norm,none": 1.0, "acc_norm_stderr,none": 0.1},
                    "b": {"acc_norm,none": 0.0, "acc_norm_stderr,none": 0.2}},
        "n-shot": {"a": 0, "b": 0},
        "n-samples": {"a": {"effective": 1}, "b": {"effective": 3}},
        "samples": {"a": [sample], "b": [sample]},
        "config": {},
    }  # fmt: skip
    plain = benchmark.model_copy(update={"task_chance": {"a": 0.5, "b": 0.2}})
    result = read_evaluation(plain, results)
    assert result.score == 0.25
    assert result.stderr == pytest.approx(((0.25 * 0.1) ** 2 + (0.75 * 0.2) ** 2) ** 0.5)
    assert result.normalised == 0.5  # 1 and 0, each once
    each_once = plain.model_copy(update={"aggregate": "mean"})
    assert read_evaluation(each_once, results).score == 0.5


TASK = """
task: {name}
custom_dataset: !function data.rows
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{q}}}}"
doc_to_choice: ["a", "b"]
doc_to_target: 0
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
metadata: {{version: 1.0}}
"""


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "from datasets.exceptions import DatasetNotFoundError\n"
            "def rows(**k):\n"
            "    raise DatasetNotFoundError(\"Dataset 'org/exam' is a gated dataset on the Hub. "
            'You must be authenticated to access it.")\n',
            r"^Mine: its data set org/exam is gated: accept its terms at https://\S+/org/exam and "
            r"log in with 'hf auth login' \(or set HF_TOKEN\), or name a folder .* --data-root$",
        ),
        ("def rows(**k):\n    import no_such_package\n", r"not installed \(no_such_package\)"),
    ],
)
def test_what_keeps_a_task_from_loading_is_one_line(
    tmp_path: Path, code: str, message: str
) -> None:
    (tmp_path / "mine.yaml").write_text(TASK.format(name="mine"))
    (tmp_path / "data.py").write_text(code)
    mine = Benchmark(name="Mine", tasks=("mine",), n_shot=0, metric="acc", chance=0.5, source="s")
    with pytest.raises(HarnessError, match=message) as caught:
        Harness([mine], include_path=tmp_path).workload(mine)
    assert "\n" not in str(caught.value)


def test_ifeval_without_the_data_that_splits_sentences_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    folder = tmp_path / "wis-k" / "instruction-following-eval"
    folder.mkdir(parents=True)
    own = embedded_data_root().path / "wis-k/instruction-following-eval/train.jsonl"
    (folder / "train.jsonl").write_text(own.read_text())
    benchmark = load_panel("openllm-v2")["leaderboard_ifeval"]
    harness = Harness([benchmark], data_root=DataRoot(tmp_path))
    with pytest.raises(DataRootError, match=r"punkt_tab, which is not here: run 'python -m nltk"):
        harness.workload(benchmark)
    with sentences.sentence_data_from(embedded_data_root()):
        assert nltk.data.path[0].endswith("nltk_data")
    assert nltk.data.path == [str(tmp_path)]
    # without a data root and with a network, lm-eval downloads it
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    config = harness._index.config("leaderboard_ifeval")
    sentences.require_sentence_data(config, None)
    with pytest.raises(DataRootError, match="punkt_tab"):
        sentences.require_sentence_data(config, DataRoot(tmp_path))


def test_the_place_of_the_data_that_splits_sentences_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nltk

    monkeypatch.setenv("NLTK_DATA", "/own")
    monkeypatch.setattr(nltk.data, "path", ["/own"])
    folder = tmp_path / f"a{os.pathsep}b" / "nltk_data"  # which the variable cannot name
    (folder / "tokenizers/punkt_tab/english").mkdir(parents=True)
    with sentences.sentence_data_from(DataRoot(folder.parent)):
        assert nltk.data.path == [str(folder), "/own"]
        assert os.environ["NLTK_DATA"] == f"{folder}{os.pathsep}/own"
    assert (nltk.data.path, os.environ["NLTK_DATA"]) == (["/own"], "/own")


def test_what_splits_sentences_is_part_of_ifevals_identity(tmp_path: Path) -> None:
    benchmark = load_panel("openllm-v2")["leaderboard_ifeval"]
    (own,) = Harness([benchmark], data_root=embedded_data_root()).tasks(benchmark)
    root = tmp_path / "root"
    for folder in ("wis-k", "nltk_data"):
        for path in (embedded_data_root().path / folder).rglob("*.*"):
            if path.is_file():
                copy = root / path.relative_to(embedded_data_root().path)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
    (same,) = Harness([benchmark], data_root=DataRoot(root)).tasks(benchmark)
    assert same == own
    words = root / "nltk_data/tokenizers/punkt_tab/english/abbrev_types.txt"
    words.write_text(words.read_text() + "etcet\n")
    (other,) = Harness([benchmark], data_root=DataRoot(root)).tasks(benchmark)
    assert other.data != own.data


def test_every_embedded_item_has_an_answer_that_its_task_offers() -> None:
    import lm_eval.tasks

    folder = Path(lm_eval.tasks.__file__).parent / "leaderboard" / "bbh_mc"
    for path in folder.glob("*.yaml"):
        config = yaml.safe_load(path.read_text())
        if "doc_to_choice" not in config:
            continue
        file = embedded_data_root().path / "SaylorTwift/bbh" / config["dataset_name"] / "test.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        assert len(rows) == 3
        assert all(row["target"] in config["doc_to_choice"] for row in rows), path.name
        assert all("Options:" not in r["input"] or r["target"].strip("()") for r in rows)
