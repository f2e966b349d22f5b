"""The panel modern: offline, end to end, and where lm-eval's own grading is not right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_checkpoint import make_chat_checkpoint
from commands import Command
from documentation import documented
from lm_eval.api.model import LM

from capspace.collect.harness.data_root import embedded_data_root
from capspace.collect.harness.harness import Harness
from capspace.collect.harness.sentence_data import sentence_data_from
from capspace.collect.harness.served_data import data_from
from capspace.collect.run.collect import collect_scores
from capspace.collect.runtime.log_capture import logged_to
from capspace.collect.storage.identity import HARNESS_SEEDS
from capspace.collect.storage.protocol import Protocol
from capspace.collect.storage.store import Store
from capspace.tasks.panel import Benchmark, load_panel

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once")


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path) -> Iterator[None]:
    with logged_to(tmp_path / "log"):
        yield


def test_every_benchmark_generates_and_has_room_for_a_thought() -> None:
    panel = load_panel("modern")
    harness = Harness(panel.benchmarks, data_root=embedded_data_root())
    for benchmark in panel.benchmarks:
        assert harness.generates(benchmark), benchmark.name
        assert benchmark.generation.get("max_gen_toks", 32768) >= 8192  # AIME's own is the latter
    assert panel["MMLU-Pro"].items == 1000
    assert panel["AIME 2025"].repeats == 4
    from capspace.fit import load_reference

    names = {b.name for b in panel.benchmarks} - {"HumanEval+", "MBPP+"}
    assert names <= set(load_reference("frontier-2026").benchmarks)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["capspace", "hf"])
def test_aime_has_four_samples_of_each_item(tmp_path: Path, backend: str) -> None:
    """The whole panel's answers through both backends are compared where it is served, too."""
    chat = make_chat_checkpoint(tmp_path / "chat", drawn=["\\boxed{1}"])
    panel = load_panel("modern").select(["AIME 2025"])
    done = collect_scores(
        str(chat), panel=panel, store=tmp_path, data_root="embedded", device="cpu",
        backend=backend, thinking="on", max_gen_toks=10, batch_size=3,
    )  # fmt: skip
    (result,) = done.results
    with Store(tmp_path) as opened:
        (*_, texts) = (s["resps"][0] for s in opened.samples(result.key))
    assert {*texts} <= {"The answer is (B) ", "The answer is \\boxed{1}"}
    assert len(texts) == 4
    assert result.score == pytest.approx(sum("boxed" in text for text in texts) / 4 / 3)
    protocol = Protocol.parse(result.protocol)
    assert protocol is not None
    mode = protocol.mode
    assert (mode.n_samples, mode.temperature, mode.max_gen_toks) == (4, 0.6, 10)


@pytest.mark.slow
def test_without_thoughts_lm_evals_own_run_has_the_same_answers_and_scores(
    tmp_path: Path, capspace: Command
) -> None:
    """Where there is no thought to cut, lm-eval is right; its class, and its own tasks."""
    for package in ("langdetect", "immutabledict"):
        pytest.importorskip(package, reason=f"{package}, of lm-eval[ifeval,math], is not installed")
    import lm_eval.tasks
    from lm_eval import simple_evaluate

    pro = sorted((embedded_data_root().path / "TIGER-Lab/MMLU-Pro").glob("*.jsonl"))
    chat = make_chat_checkpoint(tmp_path / "chat", corpus=pro)  # which reads them by the word
    whole = load_panel("modern")
    # GPQA comes first, whose options lm-eval shuffles after whatever was drawn before.
    chosen = tuple(whole[name] for name in ("GPQA-diamond", "IFEval", "AIME 2025", "MMLU-Pro"))
    panel = whole.model_copy(update={"benchmarks": chosen})
    few = tmp_path / "few.yaml"
    few.write_text(json.dumps(panel.model_dump(mode="json")))
    words = documented("docs/how-to/thinking.md", "--thinking off")
    here = {"org/thinker": chat, "modern": few}
    run = capspace(
        *(here.get(word, word) for word in words), "--data-root", "embedded", "--device", "cpu",
        "--backend", "hf", "--batch-size", "4", "--max-gen-toks", "10", "--temperature", "0",
        "--n-samples", "1", "--store", tmp_path / "store",
    )  # fmt: skip
    assert run.code == 0, run.err
    folder = Path(lm_eval.tasks.__file__).parent
    manager = lm_eval.tasks.TaskManager(
        include_path=[str(folder / str(b.folder)) for b in chosen], include_defaults=False
    )

    def theirs(batch_size: int, *benchmarks: Benchmark) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return lm-eval's scores and responses by task."""
        with data_from(embedded_data_root()), sentence_data_from(embedded_data_root()):
            done = simple_evaluate(
                model="hf", model_args={"pretrained": str(chat), "enable_thinking": False},
                batch_size=batch_size, device="cpu", tasks=[t for b in benchmarks for t in b.tasks],
                task_manager=manager, apply_chat_template=True, bootstrap_iters=0,
                gen_kwargs={"max_gen_toks": 10, "temperature": 0, "do_sample": False},
            )  # fmt: skip
        return done["results"], {t: [s["resps"] for s in o] for t, o in done["samples"].items()}

    scores, responses = theirs(1, *chosen)
    with Store(tmp_path / "store") as opened:
        ours = {r.benchmark: (r.score, [*opened.samples(r.key)]) for r in opened.results()}
    assert ours.keys() == {b.name for b in chosen}
    for benchmark in chosen:
        score, own = ours[benchmark.name]
        name = f"{benchmark.metric},{benchmark.filter}"
        assert score == pytest.approx(
            sum(scores[task][name] for task in benchmark.tasks) / len(benchmark.tasks)
        )
        tasks = {s["task"] for s in own}
        assert len(tasks) == benchmark.n_tasks
        for task in tasks:
            assert [s["resps"] for s in own if s["task"] == task] == responses[task]
        assert any(text for s in own for ((text,),) in [s["resps"]])
    # Beside others it is wrong here, too: a text goes on behind its end for as long as they do.
    together = theirs(4, *chosen[:2])[1]
    assert all(together[task] != responses[task] for task in together)


class Scripted(LM):
    """Gives one answer to everything."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def generate_until(self, requests: list[Any]) -> list[str]:
        return [self.text] * len(requests)

    loglikelihood = loglikelihood_rolling = generate_until


def score(benchmark: Benchmark, text: str) -> list[float]:
    harness = Harness([benchmark], data_root=embedded_data_root())
    result = harness.evaluate(Scripted(text), benchmark, seeds=HARNESS_SEEDS)
    assert result is not None
    samples = [s for s in result.samples if s["filter"] == benchmark.filter]
    return [float(s[benchmark.metric]) for s in samples]


@pytest.mark.slow
def test_a_boxed_answer_in_prose_is_found_where_lm_evals_grader_does_not() -> None:
    pytest.importorskip("math_verify", reason="math-verify, of lm-eval[math], is not installed")
    ours = load_panel("modern")["MATH-500"]
    text = "We have $7^2 = 49$ and $3 \\cdot 4 = 12$, so the value is \\boxed{37}."
    assert score(ours, text) == [1, 0, 0, 0]
    theirs = ours.model_copy(
        update={"tasks": ("hendrycks_math500",), "folder": "hendrycks_math", "generation": {}}
    )
    assert score(theirs, text) == [0, 0, 0, 0]
    assert score(ours, "It is $\\dfrac{3}{4}$.") == [0, 0, 0, 1]


@pytest.mark.slow
def test_gpqas_letter_is_found_by_the_panels_filter_and_not_by_the_strict_one() -> None:
    ours = load_panel("modern")["GPQA-diamond"]
    by_letter = [score(ours, f"So (A) is wrong, and it must be ({c})") for c in "BC"]
    assert any(sum(right) for right in by_letter)
    assert all(sum(column) <= 1 for column in zip(*by_letter, strict=True))
    strict = ours.model_copy(update={"filter": "strict-match"})
    assert score(strict, "it must be (B)") == [0, 0, 0]
