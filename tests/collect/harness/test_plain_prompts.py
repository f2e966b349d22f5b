"""A document has the prompt of lm-eval's plain run, whatever it is measured together with."""

from __future__ import annotations

import importlib.util
import json
import logging
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("lm_eval", reason="prompts are built by lm-eval, of the collect extra")

from capspace.collect.errors import HarnessError
from capspace.collect.harness._plain_prompts import _renew_generators, plain_prompts
from capspace.collect.harness._random_code import random_code
from capspace.collect.harness.data_root import DataRoot, embedded_data_root
from capspace.collect.harness.definition import definition_hash
from capspace.collect.harness.harness import Harness
from capspace.collect.recorder.request_order import request_keys
from capspace.collect.storage.identity import HARNESS_SEEDS
from capspace.tasks.panel import Benchmark, load_panel

pytestmark = pytest.mark.filterwarnings("ignore")  # of lm-eval and its libraries

FEWSHOT = HARNESS_SEEDS.fewshot
GPQA = ("gpqa_main_zeroshot", "gpqa_main_n_shot", "gpqa_main_cot_n_shot", "leaderboard_gpqa_main")
N_ITEMS = 24


@pytest.fixture(autouse=True)
def _quiet_and_own_stream(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.CRITICAL)
    before = random.getstate()
    yield
    random.setstate(before)


def fresh_machine(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let ``datasets`` cache in a folder that holds nothing yet."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)


def benchmark(task: str, folder: str, n_shot: int = 0) -> Benchmark:
    return Benchmark(
        name="It",
        tasks=(task,),
        folder=folder,
        n_shot=n_shot,
        metric="acc",
        chance=None,
        source="here",
    )


def prompts(task: Any, n_shot: int, **part: Any) -> dict[int, list[Any]]:
    """Build documents as lm-eval does, and return what is asked of each by its index."""
    task.set_config(key="num_fewshot", value=n_shot)
    task.set_fewshot_seed(FEWSHOT)
    task.build_all_requests(**part)
    by_shots: dict[int, list[Any]] = {}
    for instance in task.instances:
        by_shots.setdefault(instance.doc_id, []).append(instance.args)
    return by_shots


class Drawn:
    """A benchmark's task, loaded by lm-eval alone or in capspace's way."""

    def __init__(self, harness: Harness, benchmark: Benchmark) -> None:
        self._harness, self._benchmark = harness, benchmark

    def plain(self, **part: Any) -> dict[int, list[Any]]:
        return prompts(self._load(), self._benchmark.n_shot, **part)

    def ours(self, *, seed: int = 0, **part: Any) -> dict[int, list[Any]]:
        with plain_prompts(seed, HARNESS_SEEDS.numpy):
            return prompts(self._load(), self._benchmark.n_shot, **part)

    def _load(self) -> Any:
        (task,) = self._harness._load(self._benchmark)
        return task


OWN = """
task: own_questions
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/questions.jsonl}}}}
test_split: test
fewshot_split: test
output_type: loglikelihood
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task whose examples are its own items, some of which are there twice."""
    folder = tmp_path_factory.mktemp("own")
    items = [{"question": f"{i % 9} + 1?", "answer": f"{i % 9 + 1}"} for i in range(12)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(i) + "\n" for i in items))
    (folder / "own.yaml").write_text(OWN.format(folder=folder))
    return folder


@pytest.fixture(params=["ARC-C", "Winogrande", "MMLU", "own"])
def drawn(request: pytest.FixtureRequest, own_folder: Path) -> Drawn:
    """Examples of another split, of several inputs, the first n, and of the items themselves."""
    if request.param == "own":
        own = benchmark("own_questions", "none", 2)
        return Drawn(Harness([own], include_path=own_folder), own)
    chosen = load_panel("smoke")[request.param]
    chosen = chosen.model_copy(update={"tasks": chosen.tasks[:1], "n_tasks": 1, "n_shot": 2})
    return Drawn(Harness([chosen], data_root=embedded_data_root()), chosen)


@pytest.mark.slow
def test_any_share_of_a_run_has_the_prompts_of_the_plain_whole_run(drawn: Drawn) -> None:
    whole = drawn.plain()
    assert len(whole) > 6
    assert drawn.ours() == whole
    for n_processes in (2, 3):
        shares = [drawn.ours(rank=r, world_size=n_processes) for r in range(n_processes)]
        assert [sorted(share) for share in shares] == [
            list(range(r, len(whole), n_processes)) for r in range(n_processes)
        ]
        assert {i: asked for share in shares for i, asked in share.items()} == whole
    for rank, world_size in ((0, 1), (1, 2), (2, 3)):
        limited = drawn.ours(limit=5, rank=rank, world_size=world_size)
        assert limited == {i: whole[i] for i in range(rank, 5, world_size)}


@pytest.mark.slow
def test_an_item_subset_has_the_prompts_of_the_plain_whole_run(drawn: Drawn) -> None:
    whole, last = drawn.plain(), len(drawn.plain()) - 1
    assert drawn.ours(samples=[4]) == {0: whole[4]}
    assert drawn.ours(samples=[last, 2, 5, 2]) == {0: whole[2], 1: whole[5], 2: whole[last]}
    halves = [drawn.ours(samples=[1, 3, 4], rank=rank, world_size=2) for rank in range(2)]
    assert halves == [{0: whole[1], 2: whole[4]}, {1: whole[3]}]


def test_lm_eval_itself_gives_a_document_other_examples_in_company(own_folder: Path) -> None:
    own = benchmark("own_questions", "none", 2)
    task = Drawn(Harness([own], include_path=own_folder), own)
    assert task.plain(rank=1, world_size=2)[1] != task.plain()[1]
    assert task.plain(samples=[4])[0] != task.plain()[4]


def test_a_task_that_draws_twice_for_a_document_is_refused(own_folder: Path) -> None:
    own = benchmark("own_questions", "none", 2)
    harness = Harness([own], include_path=own_folder)
    with plain_prompts(0, 0):
        (task,) = harness._load(own)
        once = task.fewshot_context
        task.fewshot_context = lambda *a, **b: (once(*a, **b), once(*a, **b))[0]
        with pytest.raises(HarnessError, match="own_questions does not draw its examples once"):
            prompts(task, 2, rank=1, world_size=2)
        (task,) = harness._load(own)
        first, others = task.fewshot_context, iter(range(99))
        task.fewshot_context = lambda *a, **b: "" if next(others) else first(*a, **b)
        with pytest.raises(HarnessError, match="own_questions does not draw its examples once"):
            prompts(task, 2)


@pytest.fixture(scope="module")
def gpqa_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Invented items in the columns of GPQA, laid out as on the Hub."""
    root = tmp_path_factory.mktemp("hub")
    items = [
        {
            "Question": f"What is {i} times {i}?",
            "Correct Answer": str(i * i),
            **{f"Incorrect Answer {k}": str(i * i + k) for k in (1, 2, 3)},
        }
        for i in range(N_ITEMS)
    ]
    for name in ("gpqa_main", "gpqa_diamond"):
        folder = root / "Idavidrein" / "gpqa" / name
        folder.mkdir(parents=True)
        (folder / "train.jsonl").write_text("".join(json.dumps(i) + "\n" for i in items))
    return root


@pytest.fixture(params=GPQA)
def gpqa(request: pytest.FixtureRequest, gpqa_root: Path) -> Drawn:
    folder = "leaderboard" if "leaderboard" in request.param else "gpqa"
    n_shot = 2 if request.param.endswith("n_shot") else 0
    chosen = benchmark(request.param, folder, n_shot)
    return Drawn(Harness([chosen], data_root=DataRoot(gpqa_root)), chosen)


@pytest.mark.slow
def test_the_order_of_options_is_the_seeds_alone(
    gpqa: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_machine(monkeypatch, tmp_path / "first")
    here = gpqa.ours()
    # Another machine, on which lm-eval has left its own order; and in other company.
    fresh_machine(monkeypatch, tmp_path / "second")
    random.seed(99)
    gpqa.plain()
    assert gpqa.ours() == here
    assert gpqa.ours(limit=3) == {i: here[i] for i in range(3)}
    halves = [gpqa.ours(rank=rank, world_size=2) for rank in range(2)]
    assert halves[0] | halves[1] == here
    assert gpqa.ours(samples=[7])[0] == here[7]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpqa_main_zeroshot", "leaderboard_gpqa_main"])
def test_the_order_of_a_seed_is_that_of_a_fresh_plain_run(
    name: str, gpqa_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = benchmark(name, "leaderboard" if "leaderboard" in name else "gpqa")
    task = Drawn(Harness([chosen], data_root=DataRoot(gpqa_root)), chosen)
    orders = []
    for seed in (0, 7):
        fresh_machine(monkeypatch, tmp_path / str(seed))
        random.seed(seed)
        orders.append(task.plain())
        assert task.ours(seed=seed) == orders[-1]
    assert orders[0] != orders[1]


def test_what_is_asked_is_what_is_scored(
    gpqa_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_machine(monkeypatch, tmp_path)
    chosen = benchmark("gpqa_main_n_shot", "gpqa", 2)
    harness = Harness([chosen], data_root=DataRoot(gpqa_root))
    with plain_prompts(0, 0):
        (task,) = harness._load(chosen)
        prompts(task, 2)
        scored = dict(task.doc_iterator())
    assert all(dict(i.doc) == scored[i.doc_id] for i in task.instances)
    # The generator of this task is its module's: 42 is its seed, and not what went before.
    with plain_prompts(5, 5):
        (again,) = harness._load(chosen)
    assert list(again.eval_docs) == [scored[i] for i in range(N_ITEMS)]


RANDOM_PROMPT = """
task: own_random_prompt
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/questions.jsonl}}}}
test_split: test
output_type: loglikelihood
doc_to_text: !function chance.text
doc_to_target: "{{{{answer}}}}"
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


def test_a_prompt_that_is_drawn_as_it_is_made_is_the_seeds_alone(
    own_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text(RANDOM_PROMPT.format(folder=own_folder))
    (tmp_path / "chance.py").write_text(
        "import random\n\n\ndef text(doc):\n    return f'{doc[\"question\"]} {random.random()}'\n"
    )
    chosen = benchmark("own_random_prompt", "none")
    task = Drawn(Harness([chosen], include_path=tmp_path), chosen)
    random.seed(99)
    whole = task.ours()
    assert task.ours() == whole
    assert task.ours(seed=1) != whole
    halves = [task.ours(rank=rank, world_size=2) for rank in range(2)]
    assert halves[0] | halves[1] == whole
    assert task.ours(samples=[9, 3]) == {0: whole[3], 1: whole[9]}


SAMPLED = """
task: {task}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/questions.jsonl}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
repeats: 2
generation_kwargs: {{do_sample: true, temperature: 0.7, until: ["."]}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""


def test_a_sampled_text_is_the_same_draw_alone_and_in_company(
    own_folder: Path, tmp_path: Path
) -> None:
    def requests(name: str, **part: Any) -> list[Any]:
        (tmp_path / f"{name}.yaml").write_text(SAMPLED.format(task=name, folder=own_folder))
        chosen = benchmark(name, "none")
        with plain_prompts(0, 0):
            (task,) = Harness([chosen], include_path=tmp_path)._load(chosen)
            prompts(task, 0, **part)
        return [i for i in task.instances for _ in range(i.repeats)]

    alone = request_keys("generate_until", requests("first_texts"))
    assert len(set(alone)) == len(alone) == 2 * 12
    assert request_keys("generate_until", requests("first_texts", samples=[4])) == alone[8:10]
    both = requests("first_texts") + requests("second_texts")
    assert request_keys("generate_until", both) == 2 * alone


@pytest.mark.parametrize(
    ("code", "draws"),
    [
        pytest.param("import random\ndef f(d):\n    random.shuffle(d)\n", True, id="global"),
        pytest.param("from random import sample as s\ndef f(d):\n    s(d, 2)\n", True, id="name"),
        pytest.param("import numpy as np\ndef f(d):\n    np.random.rand()\n", True, id="numpy"),
        pytest.param(
            "import random\nr = random.Random(4)\ndef f(d):\n    r.shuffle(d)\n", True, id="module"
        ),
        pytest.param("import uuid\ndef f(d):\n    uuid.uuid4()\n", True, id="uuid"),
        pytest.param("import uuid\ndef f(d):\n    uuid.UUID(d)\n", False, id="uuid-of-a-text"),
        pytest.param("from other import g\ndef f(d):\n    return g(d)\n", True, id="elsewhere"),
        pytest.param("def f(d):\n    return d.shuffle()\n", True, id="data-set"),
        pytest.param("def f(d):\n    return d.shuffle(seed=3)\n", False, id="data-set-with-seed"),
        pytest.param(
            "import random\ndef f(d):\n    random.Random(d).shuffle(d)\n", False, id="seed-inside"
        ),
        pytest.param(
            "import random\ndef f(d):\n    return d\ndef g(d):\n    random.random()\n",
            False,
            id="not-reached",
        ),
    ],
)
def test_code_that_draws_is_found_without_running_it(
    tmp_path: Path, code: str, draws: bool
) -> None:
    (tmp_path / "mine.py").write_text(code)
    (tmp_path / "other.py").write_text("import random\ndef g(d):\n    return random.choice(d)\n")
    named = {"process_docs": f"{tmp_path}/mine.f"}
    assert random_code(named).prepares == draws
    assert random_code({"doc_to_text": f"{tmp_path}/mine.f"}).renders == draws
    assert random_code({"doc_to_text": "{{ options | random }}, a random choice"}).renders
    assert not random_code({"doc_to_text": "{{ options }} | a random choice"})
    examples = SimpleNamespace(process_docs=f"{tmp_path}/mine.f")  # as lm-eval has them once loaded
    assert random_code({"fewshot_config": examples}).prepares == draws


def test_generators_of_a_module_are_as_they_were_when_it_was_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "drawing.py"
    file.write_text(
        "import random\nimport numpy as np\n"
        "a, b, c = random.Random(1), np.random.RandomState(2), np.random.default_rng(3)\n"
    )
    spec = importlib.util.spec_from_file_location("drawing", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "drawing", module)
    spec.loader.exec_module(module)

    def drawn() -> list[float]:
        return [module.a.random(), module.b.random_sample(), module.c.random()]

    first = drawn()
    assert drawn() != first
    _renew_generators(frozenset({file}))
    assert drawn() == first


def test_only_tasks_that_draw_their_items_have_another_identity(gpqa_root: Path) -> None:
    smoke = load_panel("smoke")
    harness = Harness(smoke.benchmarks, data_root=embedded_data_root())
    for plain in smoke.benchmarks:
        for task in harness.tasks(plain):
            assert task.definition == definition_hash(harness._index.config(task.name))
    chosen = benchmark("gpqa_main_zeroshot", "gpqa")
    harness = Harness([chosen], data_root=DataRoot(gpqa_root))
    (task,) = harness.tasks(chosen)
    assert task.definition != definition_hash(harness._index.config(task.name))


def test_a_class_that_states_its_own_configuration_is_drawn_by_the_seed_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made without one, as lm-eval makes tasks that are classes of their own."""
    items = [{"q": f"{i} + 1?", "a": str(i + 1)} for i in range(20)]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(i) + "\n" for i in items))
    file = tmp_path / "own_class.py"
    file.write_text(
        "import random\nfrom lm_eval.api.task import ConfigurableTask\n"
        "from lm_eval.config.task import TaskConfig\n"
        "class Own(ConfigurableTask):\n"
        "    CONFIG = TaskConfig(\n"
        "        task='own_class', dataset_path='json', test_split='test',\n"
        f"        dataset_kwargs={{'data_files': {{'test': '{tmp_path}/items.jsonl'}}}},\n"
        "        output_type='loglikelihood', doc_to_target='{{a}}',\n"
        "        doc_to_text=lambda doc: f'{random.random()} {doc[\"q\"]}',\n"
        "        metric_list=[{'metric': 'acc', 'aggregation': 'mean'}])\n"
        "    def __init__(self, config=None):\n"
        "        super().__init__()\n"
    )
    spec = importlib.util.spec_from_file_location("own_class", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "own_class", module)
    spec.loader.exec_module(module)

    def drawn(seed: int) -> dict[int, list[Any]]:
        with plain_prompts(seed, seed):
            return prompts(module.Own(), 0)

    random.seed(5)
    first = drawn(1)
    assert len(first) == len(items)
    assert drawn(1) == first
    assert drawn(2) != first
