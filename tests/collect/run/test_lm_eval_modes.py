"""lm-eval's own command in modes: the same answers and scores as ``capspace collect``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from chat_checkpoint import DELIMITER, make_chat_checkpoint

from capspace.collect.errors import HarnessError, SettingsError
from capspace.collect.harness.backends import register_models
from capspace.collect.harness.data_root import embedded_data_root
from capspace.collect.harness.served_data import data_from
from capspace.collect.run.collect import collect_scores
from capspace.collect.run.lm_eval_command import recorded_runs
from capspace.collect.run.lm_eval_modes import _evaluation_in_mode, without_mode
from capspace.collect.runtime.log_capture import logged_to
from capspace.collect.settings import RunSettings
from capspace.collect.storage.mode import Mode
from capspace.collect.storage.store import Store
from capspace.tasks.panel import Benchmark, Panel

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once")

TASKS = [f"mmlu_pro_{s}" for s in ("biology", "business", "health", "law", "math", "physics")]
PRO = Benchmark(
    name="Pro", tasks=tuple(TASKS), folder="mmlu_pro", n_tasks=len(TASKS), n_shot=0,
    metric="exact_match", filter="custom-extract", aggregate="weighted", chance=0.1, source="s",
)  # fmt: skip
PANEL = Panel(name="one", version=1, description="d", benchmarks=(PRO,))


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path) -> Iterator[None]:
    with logged_to(tmp_path / "log"):
        yield


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_chat_checkpoint(tmp_path_factory.mktemp("models") / "chat")


@pytest.fixture(scope="module")
def manager() -> Any:
    """lm-eval's index of two folders: that of all its tasks takes ten seconds."""
    import lm_eval.tasks

    folder = Path(lm_eval.tasks.__file__).parent
    paths = [folder / "mmlu_pro", folder / "leaderboard" / "musr"]
    return lm_eval.tasks.TaskManager(include_path=paths, include_defaults=False)


def run(
    manager: Any, store: Path | None, model: str, tasks: list[str] = TASKS, **arguments: Any
) -> tuple[dict[str, Any], list[str]]:
    """Measure as ``capspace lm-eval run`` does; return lm-eval's results and what was said."""
    import lm_eval.evaluator

    register_models()
    lines: list[str] = []
    with (
        warnings.catch_warnings(),
        data_from(embedded_data_root()),
        recorded_runs(store=store, say=lines.append),
    ):
        warnings.simplefilter("ignore")
        results = lm_eval.evaluator.simple_evaluate(
            model=model, model_args=arguments, tasks=tasks, task_manager=manager, num_fewshot=0,
            device="cpu", batch_size=3, bootstrap_iters=0, random_seed=0, numpy_random_seed=1234,
            torch_random_seed=1234, fewshot_random_seed=1234,
        )  # fmt: skip
    return results, lines


@pytest.mark.slow
@pytest.mark.parametrize("model", ["capspace", "hf"])
def test_a_thinking_model_has_the_answers_and_scores_of_collect(
    manager: Any, chat: Path, tmp_path: Path, model: Any
) -> None:
    store = tmp_path / "store"
    done = collect_scores(
        str(chat), panel=PANEL, store=store, data_root="embedded", device="cpu", backend=model,
        thinking="on", max_gen_toks=9,
    )  # fmt: skip
    (score,) = done.results
    with Store(store) as opened:
        answers = {s["doc"]["question"]: s["resps"] for s in opened.samples(score.key)}
    runs: list[tuple[Path | None, dict[str, Any]]] = [
        (store, {"thinking": "on"}),
        (None, {"enable_thinking": True, "think_end_token": DELIMITER}),  # as lm-eval names them
    ]
    for place, arguments in runs:
        results, lines = run(
            manager, place, model, pretrained=str(chat), max_gen_toks=9, **arguments
        )
        per_task = [results["results"][t]["exact_match,custom-extract"] for t in TASKS]
        assert sum(per_task) / len(TASKS) == pytest.approx(score.score)
        assert 0 < score.score < 1
        samples = [s for t in TASKS for s in results["samples"][t]]
        assert {s["doc"]["question"]: s["resps"] for s in samples} == answers
        assert results["unfinished"] == score.provenance["unfinished"] > 0.05
        assert any("count as wrong; the scores are not comparable" in line for line in lines)
        assert "its chat template is applied, which the mode implies" in lines
        known = [line for line in lines if "responses were known" in line]
        assert [line.split(";")[0] for line in known] == (
            [] if place is None else [f"{len(TASKS)} of {len(TASKS)} responses were known"]
        )


@pytest.mark.slow
def test_thinking_off_and_chat_are_modes_of_a_run_too(
    manager: Any, chat: Path, tmp_path: Path
) -> None:
    for arguments in ({"thinking": "off"}, {"chat_template": True}):
        settings: dict[str, Any] = {**arguments, "max_gen_toks": 4}
        done = collect_scores(
            str(chat), panel=PANEL, store=tmp_path, data_root="embedded", device="cpu", **settings
        )
        results, lines = run(manager, tmp_path, "capspace", pretrained=str(chat), **settings)
        (line,) = (line for line in lines if "responses were known" in line)
        assert line.startswith("4 of 6 responses were known; all but 2 that came back empty")
        assert "unfinished" not in results
        per_task = [results["results"][t]["exact_match,custom-extract"] for t in TASKS]
        assert sum(per_task) / len(TASKS) == pytest.approx(done.results[0].score)
    _, lines = run(manager, tmp_path, "capspace", pretrained=str(chat), max_gen_toks=4)
    assert any("measured in plain mode: its scores collapse" in line for line in lines)


def test_log_likelihoods_are_refused_before_anything_is_generated(
    manager: Any, chat: Path, tmp_path: Path
) -> None:
    tasks = [TASKS[0], "leaderboard_musr_murder_mysteries"]
    with pytest.raises(HarnessError, match="a model that thinks first has none of"):
        run(manager, tmp_path, "capspace", tasks, pretrained=str(chat), thinking="on")
    assert not list(tmp_path.glob("journal/*.sqlite"))


@pytest.mark.parametrize("wanted", [True, False])
def test_items_that_nobody_wants_are_checked_and_left_out(wanted: bool) -> None:
    sample = {"doc_id": 0, "metrics": ["acc"], "resps": [["42"]], "acc": 1.0}
    given: list[Any] = []

    def evaluate(**settings: Any) -> dict[str, Any] | None:
        given.append(settings["log_samples"])
        rank = settings["lm"].rank
        return None if rank else {"results": {}, "samples": {"t": [dict(sample)]}}

    lines: list[str] = []
    mode = Mode.of(RunSettings(thinking="on"))
    evaluated = _evaluation_in_mode(evaluate, mode=mode, say=lines.append)
    for rank in (0, 1):  # lm-eval gives results to the first process alone
        lm = SimpleNamespace(think_end="</think>", generate_until=None, rank=rank)
        results = evaluated(lm, task_dict={}, log_samples=wanted)
        expected = {"results": {}, "unfinished": 0.0} | (
            {"samples": {"t": [sample]}} if wanted else {}
        )
        assert results == (None if rank else expected)
    assert given == [True, True]
    assert lines == []


def test_settings_of_a_mode_are_taken_out_of_the_arguments() -> None:
    given = {"pretrained": "org/model", "think_end_token": 266, "temperature": 0.5, "dtype": "auto"}
    rest, settings = without_mode("hf-auto", given)
    assert rest == {"pretrained": "org/model", "dtype": "auto"}
    assert settings == RunSettings(think_end="266", temperature=0.5)
    assert without_mode("vllm", given) == (given, None)
    for wrong, message in (
        (
            {"thinking": "on", "enable_thinking": True},
            "enable_thinking is the setting thinking, wh",
        ),
        ({"chat_template_args": {"enable_thinking": True}}, "enable_thinking is the setting think"),
        ({"thinking": "maybe"}, "thinking: Input should be 'default', 'on' or 'off'"),
    ):
        with pytest.raises(SettingsError, match=message):
            without_mode("capspace", wrong)
