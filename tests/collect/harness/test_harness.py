import math
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.errors import DataRootError, HarnessError
from capspace.collect.harness.backends import load_model
from capspace.collect.harness.data_root import DataRoot, embedded_data_root
from capspace.collect.harness.harness import Harness
from capspace.collect.runtime.log_capture import logged_to
from capspace.collect.settings import LoadSettings
from capspace.collect.storage.identity import HARNESS_SEEDS, Seeds
from capspace.tasks.panel import Benchmark, Panel, load_panel

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once")

SOAK = "CAPSPACE_SOAK" in os.environ
LIMIT = 20 if SOAK else 3
TOKENS = 256 if SOAK else 64
"""Of a generated text; 256 is lm-eval's own."""

MEASURED_ALIKE = [
    "MMLU",
    "ARC-C",
    "HellaSwag",
    "Winogrande",
    "TruthfulQA",
    "GSM8K",
    "XWinograd",
]


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path) -> Iterator[None]:
    with logged_to(tmp_path / "log"):
        yield


@pytest.fixture(scope="module")
def lm(tiny_checkpoint: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, while they are imported
        return load_model(
            resolve(str(tiny_checkpoint)), LoadSettings(backend="hf", device="cpu", batch_size=8)
        )


@pytest.fixture(scope="module")
def smoke() -> Panel:
    return load_panel("smoke")


def by_lm_eval_alone(
    checkpoint: Path, names: list[str], n_shot: int, limit: int, folders: list[str | None]
) -> Any:
    """Measure with lm-eval and nothing of ours, as ``lm-eval run`` does."""
    import lm_eval.tasks
    from lm_eval import simple_evaluate

    builtin = Path(lm_eval.tasks.__file__).parent
    return simple_evaluate(
        model="hf",
        model_args={"pretrained": str(checkpoint)},
        tasks=list(names),
        num_fewshot=n_shot,
        limit=limit,
        batch_size=8,
        device="cpu",
        bootstrap_iters=0,
        task_manager=lm_eval.tasks.TaskManager(
            include_defaults=False, include_path=[builtin / str(f) for f in folders]
        ),
    )


def alike(name: str) -> Benchmark:
    """Return a benchmark of classic-8; of MMLU's 57 subjects four where the test is to be short."""
    benchmark = load_panel("classic-8")[name]
    if SOAK or name != "MMLU":
        return benchmark
    return changed(benchmark, tasks=load_panel("smoke")["MMLU"].tasks, n_tasks=4)


@pytest.fixture(scope="module")
def shorter_texts() -> Iterator[None]:
    """Let lm-eval generate texts of fewer tokens, whoever asks."""
    from lm_eval.models.huggingface import HFLM

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HFLM, "max_gen_toks", TOKENS)
        yield


@pytest.fixture(scope="module")
def lm_eval_alone(
    tiny_checkpoint: Path,
    hub: Path,
    tmp_path_factory: pytest.TempPathFactory,
    shorter_texts: None,
) -> dict[str, Any]:
    """Return lm-eval's own metrics and samples of classic-8, items found by working directory."""
    output: dict[str, Any] = {"results": {}, "samples": {}}
    benchmarks = [alike(name) for name in MEASURED_ALIKE]
    with pytest.MonkeyPatch.context() as patch, logged_to(tmp_path_factory.mktemp("l") / "log"):
        patch.chdir(hub)
        # One at a time: with others beside it a request has other neighbours in its batch, and its
        # last bits change.
        for benchmark in benchmarks:
            results = by_lm_eval_alone(
                tiny_checkpoint, [*benchmark.tasks], benchmark.n_shot, LIMIT, [benchmark.folder]
            )
            output["results"] |= results["results"]
            output["samples"] |= results["samples"]
    return output


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURED_ALIKE)
def test_scores_are_exactly_those_of_lm_eval_alone(
    name: str, lm: Any, hub: Path, lm_eval_alone: dict[str, Any]
) -> None:
    benchmark = alike(name)
    harness = Harness([benchmark], data_root=DataRoot(hub))
    ours = harness.evaluate(lm, benchmark, seeds=HARNESS_SEEDS, limit=LIMIT)
    assert ours is not None
    key = f"{benchmark.metric},{benchmark.filter}"
    tasks = [part["task"] for part in ours.tasks]
    theirs = {task: lm_eval_alone["results"][task][key] for task in tasks}
    assert {part["task"]: part["score"] for part in ours.tasks} == theirs
    assert len(theirs) == benchmark.n_tasks
    assert ours.score == pytest.approx(sum(theirs.values()) / len(theirs), abs=1e-15)
    assert ours.n_items == len({(s["task"], s["doc_id"]) for s in ours.samples})
    assert LIMIT * (benchmark.n_tasks - 1) < ours.n_items <= LIMIT * benchmark.n_tasks

    # Not only the scores, which could agree by chance: every prompt and every answer.
    answered = [(s["task"], s["doc_id"], s["arguments"], s["resps"]) for s in ours.samples]
    assert answered == [
        (task, s["doc_id"], s["arguments"], s["resps"])
        for task in tasks
        for s in lm_eval_alone["samples"][task]
    ]


def test_each_task_counts_once_whatever_its_size(lm: Any, smoke: Panel) -> None:
    benchmark = smoke["XWinograd"]
    harness = Harness([benchmark], data_root=embedded_data_root())
    result = harness.evaluate(lm, benchmark, seeds=HARNESS_SEEDS)
    assert result is not None
    scores = [part["score"] for part in result.tasks]
    errors = [part["stderr"] for part in result.tasks]
    assert len(scores) == 6
    assert result.score == pytest.approx(sum(scores) / 6)
    assert result.stderr == pytest.approx(math.sqrt(sum(e**2 for e in errors)) / 6)
    assert result.n_items == sum(part["n_items"] for part in result.tasks) == len(result.samples)


def test_one_item_has_no_stderr(lm: Any, smoke: Panel) -> None:
    benchmark = smoke["Winogrande"]
    harness = Harness([benchmark], data_root=embedded_data_root())
    result = harness.evaluate(lm, benchmark, seeds=HARNESS_SEEDS, limit=1)
    assert result is not None
    assert result.n_items == 1
    assert math.isnan(result.stderr)


@pytest.mark.slow
def test_progress_counts_items_and_the_bars_are_lm_evals_again_afterwards(
    lm: Any, smoke: Panel, capfd: pytest.CaptureFixture[str]
) -> None:
    import lm_eval.models.huggingface
    from tqdm import tqdm

    benchmark = smoke["MMLU"]
    harness = Harness([benchmark], data_root=embedded_data_root())
    seen: list[tuple[int, int]] = []
    harness.evaluate(
        lm,
        benchmark,
        seeds=HARNESS_SEEDS,
        limit=3,
        items_done=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (12, 12)
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {12}
    assert lm_eval.models.huggingface.tqdm is tqdm
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_the_fewshot_seed_draws_other_examples(lm: Any, smoke: Panel) -> None:
    benchmark = smoke["ARC-C"]
    harness = Harness([benchmark], data_root=embedded_data_root())

    def prompts(seed: int) -> list[str]:
        result = harness.evaluate(lm, benchmark, seeds=Seeds.of(seed), limit=4)
        assert result is not None
        return [str(s["arguments"]) for s in result.samples]

    assert prompts(1) == prompts(1)
    assert prompts(1) != prompts(2)


def test_identity_of_tasks_needs_neither_model_nor_torch(smoke: Panel) -> None:
    harness = Harness(smoke.benchmarks, data_root=embedded_data_root())
    tasks = harness.tasks(smoke["MMLU"])
    assert [t.name for t in tasks] == list(smoke["MMLU"].tasks)
    assert all(t.version == "1.0" and len(t.definition) == len(t.data) == 64 for t in tasks)
    assert len({t.definition for t in tasks}) == len({t.data for t in tasks}) == 4
    assert {t.data for t in Harness(smoke.benchmarks).tasks(smoke["MMLU"])} == {"hub"}


def test_groups_and_tags_become_their_leaves() -> None:
    panel = load_panel("classic-8")
    names = [t.name for t in Harness(panel.benchmarks).tasks(panel["MMLU"])]
    assert len(set(names)) == 57
    assert {"mmlu_anatomy", "mmlu_formal_logic"} <= set(names)


def test_a_group_that_changes_its_tasks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "group: mine_changed\ntask: [{task: arc_easy, num_fewshot: 3}]\n"
    )
    mine = load_panel("smoke")["ARC-C"].model_copy(update={"tasks": ("mine_changed",)})
    with pytest.raises(HarnessError, match="group 'mine_changed' changes its tasks in place; name"):
        Harness([mine], include_path=tmp_path).tasks(mine)


def own_task(folder: Path, **changes: str) -> Benchmark:
    """Write a task of a user's own, on the embedded items, and return its benchmark."""
    folder.mkdir(exist_ok=True)
    fields = {
        "task": "my_winogrande",
        "dataset_path": "allenai/winogrande",
        "dataset_name": "winogrande_xl",
        "output_type": "generate_until",
        "validation_split": "validation",
        "doc_to_text": "'{{sentence}}'",
        "doc_to_target": "answer",
        "process_results": "!function mine.score",
        "metric_list": "[{metric: luck, aggregation: mean, higher_is_better: true}]",
        "generation_kwargs": "{until: ['.'], max_gen_toks: 2}",
    }
    (folder / "mine.yaml").write_text("".join(f"{k}: {v}\n" for k, v in (fields | changes).items()))
    (folder / "mine.py").write_text("def score(doc, results):\n    return {'luck': 1.0}\n")
    return Benchmark(
        name="Mine",
        tasks=("my_winogrande",),
        folder="winogrande",
        n_shot=0,
        metric="luck",
        chance=None,
        source="here",
    )


def test_a_users_own_task_is_found_and_its_code_is_part_of_its_identity(
    lm: Any, tmp_path: Path
) -> None:
    benchmark = own_task(tmp_path / "mine")

    def harness(folder: Path) -> Harness:
        return Harness([benchmark], data_root=embedded_data_root(), include_path=folder)

    (first,) = harness(tmp_path / "mine").tasks(benchmark)
    result = harness(tmp_path / "mine").evaluate(lm, benchmark, seeds=HARNESS_SEEDS, limit=2)
    assert result is not None
    assert result.score == 1.0

    own_task(tmp_path / "moved")
    assert harness(tmp_path / "moved").tasks(benchmark) == (first,)
    (tmp_path / "moved" / "mine.py").write_text(
        "def score(doc, results):\n    return {'luck': 0}\n"
    )
    assert harness(tmp_path / "moved").tasks(benchmark)[0].definition != first.definition
    own_task(tmp_path / "asked", doc_to_text="'Q: {{sentence}}'")
    assert harness(tmp_path / "asked").tasks(benchmark)[0].definition != first.definition


@pytest.mark.parametrize("root", [None, "embedded"])
def test_files_of_a_tasks_own_are_part_of_its_identity(
    lm: Any, tmp_path: Path, root: str | None
) -> None:
    items = tmp_path / "items.jsonl"
    items.write_text('{"sentence": "one", "answer": "1"}\n{"sentence": "two", "answer": "2"}\n')
    benchmark = own_task(
        tmp_path / "mine",
        dataset_path="json",
        dataset_name="null",
        validation_split="train",
        dataset_kwargs=f"{{data_files: {items}}}",
    )

    def harness() -> Harness:
        data_root = None if root is None else embedded_data_root()
        return Harness([benchmark], data_root=data_root, include_path=tmp_path / "mine")

    (before,) = harness().tasks(benchmark)
    result = harness().evaluate(lm, benchmark, seeds=HARNESS_SEEDS)
    assert result is not None
    assert [s["doc"]["sentence"] for s in result.samples] == ["one", "two"]
    items.write_text(items.read_text().replace("two", "three"))
    (after,) = harness().tasks(benchmark)
    assert (after.definition, after.data != before.data) == (before.definition, True)


def test_a_score_that_is_not_a_number_is_an_error(lm: Any, tmp_path: Path) -> None:
    benchmark = own_task(tmp_path / "mine")
    (tmp_path / "mine" / "mine.py").write_text(
        "def score(doc, results):\n    return {'luck': float('nan')}\n"
    )
    harness = Harness([benchmark], data_root=embedded_data_root(), include_path=tmp_path / "mine")
    with pytest.raises(HarnessError, match="task my_winogrande: luck,none is nan"):
        harness.evaluate(lm, benchmark, seeds=HARNESS_SEEDS, limit=2)


def changed(benchmark: Benchmark, **changes: object) -> Benchmark:
    return Benchmark.model_validate(benchmark.model_dump() | changes)


def test_what_lm_eval_cannot_give_is_said(lm: Any, smoke: Panel) -> None:
    root = embedded_data_root()
    wrong = changed(smoke["ARC-C"], metric="f1")
    with pytest.raises(HarnessError, match=r"gives no f1,none; it gives acc,none; acc_norm,none"):
        Harness([wrong], data_root=root).evaluate(lm, wrong, seeds=HARNESS_SEEDS, limit=1)
    fixed = changed(smoke["TruthfulQA"], n_shot=3)
    with pytest.raises(HarnessError, match="fixes its examples at 0, the panel asks for 3"):
        Harness([fixed], data_root=root).evaluate(lm, fixed, seeds=HARNESS_SEEDS, limit=1)
    fewer = changed(smoke["XWinograd"], n_tasks=5)
    with pytest.raises(HarnessError, match=r"xwinograd is 6 tasks in lm-eval .* n_tasks: 5"):
        Harness([fewer]).tasks(fewer)


@pytest.mark.slow
def test_an_unknown_task_names_near_matches_from_all_of_lm_eval(smoke: Panel) -> None:
    unknown = changed(smoke["Winogrande"], tasks=["winogrand"])
    with pytest.raises(HarnessError, match=r"has no task 'winogrand'; did you mean 'winogrande'"):
        Harness([unknown]).tasks(unknown)


@pytest.mark.slow
def test_a_panel_reaches_no_task_by_its_path(lm: Any, tmp_path: Path) -> None:
    benchmark = own_task(tmp_path / "mine")
    (tmp_path / "mine" / "mine.py").write_text("raise SystemExit('this must not run')")
    by_path = changed(benchmark, tasks=[str(tmp_path / "mine" / "mine.yaml")])
    with pytest.raises(HarnessError, match="has no task"):
        Harness([by_path], data_root=embedded_data_root()).tasks(by_path)
    with pytest.raises(HarnessError, match="no such folder to take tasks from"):
        Harness([benchmark], include_path=tmp_path / "none").tasks(benchmark)


def test_a_missing_data_set_is_named(smoke: Panel, tmp_path: Path) -> None:
    harness = Harness(smoke.benchmarks, data_root=DataRoot(tmp_path))
    with pytest.raises(DataRootError, match=rf"openai/gsm8k: no folder {tmp_path}/openai/gsm8k"):
        harness.tasks(smoke["GSM8K"])
