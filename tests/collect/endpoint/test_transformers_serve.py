"""A real server: transformers serve on a tiny chat checkpoint that thinks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import requests
from chat_checkpoint import make_chat_checkpoint
from commands import Command
from documentation import documented
from endpoint_faults import survives
from scripted_server import Answered
from transformers_server import transformers_server

pytest.importorskip("transformers.cli", reason="this transformers has another server")

from capspace.collect.endpoint import connection
from capspace.collect.errors import NothingMeasuredError
from capspace.collect.harness.data_root import embedded_data_root
from capspace.collect.run.collect import collect_scores
from capspace.collect.runtime.log_capture import logged_to
from capspace.collect.storage.protocol import Protocol
from capspace.collect.storage.store import Store
from capspace.tasks.panel import Panel, load_panel

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("lm_eval_looks_up_once"),
    pytest.mark.filterwarnings("ignore"),  # of the server's libraries
]


def runnable(panel: Panel) -> Panel:
    """Return what of a panel this machine can grade; tests of the rest say that they skip."""
    names = [b.name for b in panel.benchmarks]
    if find_spec("if_verifiable") is None:
        names.remove("IFBench")
    return panel.select([n for n in names if shutil.which("bwrap") or not panel[n].executes_code])


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path) -> Iterator[None]:
    with logged_to(tmp_path / "log"):
        yield


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "chat"
    words = sorted((embedded_data_root().path / "TIGER-Lab/MMLU-Pro").glob("*.jsonl"))
    # Of a special token the server's text would show nothing.
    return make_chat_checkpoint(folder, special=False, ends_turns=True, corpus=words)


@pytest.fixture(scope="module")
def url(chat: Path) -> Iterator[str]:
    with transformers_server(chat) as server:
        yield server


def test_greedy_answers_equal_both_local_runs_alone_and_eight_at_once(
    capspace: Command, chat: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the README's own commands, on few items and with a budget that suits the model."""
    for package in ("langdetect", "immutabledict", "math_verify"):
        pytest.importorskip(package, reason=f"{package}, of lm-eval[ifeval,math], is not installed")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    names = [b.name for b in runnable(load_panel("modern")).benchmarks]
    few = ["--panel", tmp_path / "few.yaml", "--concurrency", "1", "--tokenizer", chat]
    two = load_panel("modern").select(["GPQA-diamond", "IFEval"])
    (tmp_path / "few.yaml").write_text(json.dumps({**two.model_dump(mode="json"), "name": "few"}))
    thinker, served = (documented("README.md", which) for which in ("--thinking on ", "--endpoint"))
    commands: dict[str, list[Any]] = {
        "local": [*thinker, "--device", "cpu", "--batch-size", "3"],
        "hf": [*thinker, "--device", "cpu", "--batch-size", "4", "--backend", "hf"],
        "together": [*served, "--allow-code-execution"],
        "alone": [*served, *few],
    }
    places = {"org/thinker": chat, "http://localhost:8000/v1": url}
    responses = {}
    for name, words in commands.items():
        # AIME, too, is greedy: a model of known answers cannot be sampled.
        run = capspace(
            *(places.get(word, word) for word in words), "--data-root", "embedded", "--store",
            tmp_path / name, "--max-gen-toks", "10", "--temperature", "0", "--n-samples", "1",
        )  # fmt: skip
        assert len(names) < 8 or run.code == 0, run.err
        with Store(tmp_path / name) as opened:
            results = {r.benchmark: r for r in opened.results()}
            samples = {b: list(opened.samples(r.key)) for b, r in results.items()}
        assert {*results} == {*(names if name != "alone" else ("GPQA-diamond", "IFEval"))}
        responses[name] = {
            b: (r.score, r.provenance["unfinished"], [s["resps"] for s in samples[b]])
            for b, r in results.items()
        }
        if name == "together":
            answers = [answer for s in samples["MMLU-Pro"] for answer in s["answers"]]
        elif name == "hf":
            protocol = Protocol.parse(results["MMLU-Pro"].protocol)
    assert responses["local"] == responses["hf"] == responses["together"]
    assert responses["alone"].items() <= responses["local"].items()
    assert protocol is not None
    mode = protocol.mode
    assert (mode.n_items, mode.thinking, mode.temperature) == (1000, "on", 0)
    result = results["IFEval"]
    assert result.model == "org/thinker@1a2b3c4"
    assert "; endpoint; " in result.protocol
    assert {answer["finish_reason"] for answer in answers} == {"stop", "length"}
    assert all(answer["n_tokens"] <= answer["budget"] == 10 for answer in answers)
    assert any("</think>" in answer["text"] for answer in answers)  # the raw text, thought included
    identity = json.loads(result.identity)["model"]
    assert identity["checkpoint"] == f"endpoint:{url}/v1#{chat}"
    assert ["answers_of", '"org/thinker@1a2b3c4"'] in identity["backend_settings"]


def test_aimes_four_samples_differ_and_are_the_same_in_each_run(tmp_path: Path) -> None:
    """By the panel's own settings, at a server that samples; one of two answers is right."""
    chat = make_chat_checkpoint(
        tmp_path / "chat", special=False, ends_turns=True, drawn=["\\boxed{1}"]
    )
    panel = load_panel("modern").select(["AIME 2025"])
    given: dict[str, Any] = {"data_root": "embedded", "thinking": "on", "max_gen_toks": 10}
    runs = []
    with transformers_server(chat) as url:
        given |= {"endpoint": url, "concurrency": 1}
        for name in ("a", "b"):
            store = tmp_path / name
            done = collect_scores(str(chat), panel=panel, store=store, **given)
            (result,) = done.results
            with Store(store) as opened:
                samples = [*opened.samples(result.key)]
            runs.append((result.score, [s["resps"][0] for s in samples]))
            assert "temperature 0.6; top_p 0.95; 4 samples" in result.protocol
    texts = [text for _, items in runs for item in items for text in item]
    assert {*texts} == {"", "The answer is (B) ", "The answer is \\boxed{1}"}
    assert runs[0] == runs[1]
    score, items = runs[0]
    assert [len(item) for item in items] == [4, 4, 4]
    n_right = sum("boxed" in text for text in items[2])  # the item whose answer is 1
    assert score == pytest.approx(n_right / 12)
    assert 0 < n_right < 4


def test_a_run_survives_kill_9_a_restarted_server_and_failing_requests(
    chat: Path, url: str, fault_tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails, and begins anew, stands between the client and the server."""
    monkeypatch.setattr(connection, "_FIRST_WAIT", 0.001)

    def forwarded(route: str, asked: dict[str, Any]) -> Answered:
        answer = requests.post(f"{url}/v1{route}", json={**asked, "model": str(chat)}, timeout=60)
        return Answered({**answer.json(), "model": asked["model"]}, answer.status_code)

    survives(forwarded, fault_tasks, tmp_path, n_items=24, temperature=0)


def test_the_leaderboards_generated_benchmarks_are_measured_and_the_others_skipped(
    chat: Path, url: str, tmp_path: Path
) -> None:
    """Their equality with lm-eval's own group is shown where the panel runs on this machine."""
    for package in ("langdetect", "immutabledict", "math_verify", "antlr4"):
        pytest.importorskip(package, reason=f"{package}, of lm-eval[ifeval,math], is not installed")
    panel = load_panel("openllm-v2")
    generated = ["leaderboard_ifeval", "leaderboard_math_hard"]
    given: dict[str, Any] = {
        "data_root": "embedded", "limit": 1, "max_gen_toks": 8, "chat_template": True
    }  # fmt: skip
    local = collect_scores(
        str(chat), panel=panel.select(generated), store=tmp_path / "a", device="cpu", **given
    )
    behind = collect_scores(str(chat), panel=panel, store=tmp_path / "b", endpoint=url, **given)
    answers = []
    for done, store in ((local, "a"), (behind, "b")):
        assert [r.benchmark for r in done.results] == generated
        with Store(tmp_path / store) as opened:
            answers.append([(r.score, [s["resps"] for s in opened.samples(r.key)])
                          for r in done.results])  # fmt: skip
    assert answers[0] == answers[1]
    assert {gap.benchmark for gap in behind.missing} == {
        b.name for b in panel.benchmarks if b.name not in generated
    }
    assert {gap.reason for gap in behind.missing} == {
        "skipped: chat completions give no log-probabilities of given answers"
    }


def test_what_a_real_server_does_not_give_is_one_line(
    capspace: Command, chat: Path, url: str, tmp_path: Path
) -> None:
    def refused(*more: object, model: object = chat) -> str:
        run = capspace("collect", "--endpoint", url, "--model", model, "--store", tmp_path, *more)
        assert run.code == 2, run.err
        return run.err.strip().splitlines()[-1]

    single = load_panel("modern").select(["GPQA-diamond"]).model_dump(mode="json")
    (tmp_path / "one.yaml").write_text(json.dumps({**single, "name": "one"}))
    data = ("--data-root", "embedded", "--panel", tmp_path / "one.yaml", "--chat-template")
    # It samples only where the checkpoint's own settings say so.
    assert "the server ignores the temperature: at 0.7 it gave 8 times the same text" in refused(
        *data, "--temperature", "0.7", "--max-gen-toks", "9"
    )
    top_k = refused(*data, "--temperature", "0.7", "--top-k", "3")
    assert "status 422: Unexpected fields in the request: {'top_k'}" in top_k
    pinned = refused(*data, model="other")
    assert f"status 400: Server is pinned to '{chat}'; requested 'other'." in pinned
    with pytest.raises(
        NothingMeasuredError,
        match=r"^nothing could be measured; ARC-C: skipped: "
        r"the endpoint gives no log-probabilities of a prompt: it returns no log-",
    ):
        collect_scores(
            str(chat), panel=load_panel("classic-8").select(["ARC-C"]), data_root="embedded",
            store=tmp_path, endpoint=url,
        )  # fmt: skip
