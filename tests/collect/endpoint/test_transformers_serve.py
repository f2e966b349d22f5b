"""A real server: transformers serve on a tiny chat checkpoint that thinks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_checkpoint import make_chat_checkpoint
from commands import Command, Notes
from transformers_server import transformers_server

from capspace.collect.errors import NothingMeasuredError
from capspace.collect.run.collect import collect_scores
from capspace.collect.runtime.log_capture import logged_to
from capspace.collect.storage.store import Store
from capspace.tasks.panel import load_panel

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("lm_eval_looks_up_once"),
    pytest.mark.filterwarnings("ignore"),  # of the server's libraries
]
NAMES = ["GPQA-diamond", "MMLU-Pro", "MATH-500", "IFEval"]


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path) -> Iterator[None]:
    with logged_to(tmp_path / "log"):
        yield


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that ends where its chat template's turn ends, as served ones do."""
    from transformers import AutoTokenizer

    # Of a special token the server's text would show nothing.
    folder = make_chat_checkpoint(tmp_path_factory.mktemp("models") / "chat", special=False)
    path = folder / "generation_config.json"
    own = json.loads(path.read_text())
    own["eos_token_id"] = AutoTokenizer.from_pretrained(folder).eos_token_id
    path.write_text(json.dumps(own))
    return folder


@pytest.fixture(scope="module")
def url(chat: Path) -> Iterator[str]:
    with transformers_server(chat) as server:
        yield server


def test_greedy_answers_equal_the_local_run_alone_and_eight_at_once(
    chat: Path, url: str, tmp_path: Path
) -> None:
    for package in ("langdetect", "immutabledict", "math_verify"):
        pytest.importorskip(package, reason=f"{package}, of lm-eval[ifeval,math], is not installed")
    panel = load_panel("modern").select(NAMES)
    settings_of: dict[str, dict[str, Any]] = {
        "local": {"device": "cpu", "batch_size": 3},
        "alone": {"endpoint": url, "concurrency": 1, "tokenizer": chat},
        "together": {"endpoint": f"{url}/v1/", "answers_of": "org/chat"},
    }
    responses = {}
    for name, settings in settings_of.items():
        store, notes = tmp_path / name, Notes()
        done = collect_scores(
            str(chat), panel=panel, store=store, data_root="embedded", progress=notes,
            thinking="on", max_gen_toks=10, **settings,
        )  # fmt: skip
        assert done.missing == ()
        with Store(store) as opened:
            samples = {r.benchmark: list(opened.samples(r.key)) for r in done.results}
        responses[name] = (
            {r.benchmark: (r.score, r.provenance["unfinished"]) for r in done.results},
            {name: [s["resps"] for s in samples[name]] for name in NAMES},
        )
    assert responses["local"] == responses["alone"] == responses["together"]
    assert done.results[0].model == "org/chat"
    assert "; endpoint; " in done.results[0].protocol
    answers = [answer for s in samples["MMLU-Pro"] for answer in s["answers"]]
    assert {answer["finish_reason"] for answer in answers} == {"stop", "length"}
    assert all(answer["n_tokens"] <= answer["budget"] == 10 for answer in answers)
    assert any("</think>" in answer["text"] for answer in answers)  # the raw text, thought included
    identity = json.loads(done.results[0].identity)["model"]
    assert identity["checkpoint"] == f"endpoint:{url}/v1#{chat}"
    assert ["answers_of", '"org/chat"'] in identity["backend_settings"]


def test_what_a_real_server_does_not_give_is_one_line(
    capspace: Command, chat: Path, url: str, tmp_path: Path
) -> None:
    def refused(*more: object, model: object = chat) -> str:
        run = capspace("collect", "--endpoint", url, "--model", model, "--store", tmp_path, *more)
        assert run.code == 2, run.err
        return run.err.strip().splitlines()[-1]

    data = ("--data-root", "embedded", "--panel", "modern", "--chat-template")
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
