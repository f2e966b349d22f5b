"""The engine's benchmark measures from a file of requests what it measures from items."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT
from lm_eval.api.instance import Instance

SCRIPT = [sys.executable, str(ROOT / "scripts" / "bench_engine")]
TEXTS = [f"question {i} of a few: what is it, and why? " * 5 for i in range(6)]
SETTINGS = {"until": ["z"], "max_gen_toks": 4}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that gives a module of the benchmark."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return lambda name: import_module(f"engine_bench.{name}")


@pytest.fixture
def requests() -> dict[str, list[Instance]]:
    """Return two tasks of three items with two choices each, and three items with texts."""
    scored = [
        Instance("loglikelihood", {}, (TEXTS[i], f" {choice}"), j, (f"task {i % 2}", i // 2, 1))
        for i in range(6)
        for j, choice in enumerate("AB")
    ]
    texts = [Instance("generate_until", {}, (TEXTS[i], SETTINGS), 0, ("t", i, 1)) for i in range(3)]
    return {"mmlu": scored, "gsm8k": texts}


@pytest.fixture
def file(bench: Any, requests: dict[str, list[Instance]], tmp_path: Path) -> Path:
    path = tmp_path / "requests.jsonl.gz"
    bench("request_file").write_requests(path, bench("items").make_tokenizer(TEXTS), requests)
    return path


def test_requests_come_back_as_they_were(
    bench: Any, requests: dict[str, list[Instance]], file: Path, tmp_path: Path
) -> None:
    tokenizer, again = bench("request_file").read_requests(file)
    own = bench("items").make_tokenizer(TEXTS)
    assert tokenizer.encode(TEXTS[0]) == own.encode(TEXTS[0])
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<s>", "</s>")
    assert again.keys() == requests.keys()
    for name, group in requests.items():
        assert [r.args for r in again[name]] == [r.args for r in group]
        assert [r.task_name for r in again[name]] == [r.task_name for r in group]
        assert [r.doc_id for r in again[name]] == [r.doc_id for r in group]
    bench("request_file").write_requests(tmp_path / "again.gz", tokenizer, again)
    assert (tmp_path / "again.gz").read_bytes() == file.read_bytes()


def test_the_first_items_are_those_of_each_task(
    bench: Any, requests: dict[str, list[Instance]]
) -> None:
    first = bench("request_file").of_first_items(requests["mmlu"], 2)
    assert [(r.task_name, r.doc_id) for r in first[::2]] == [
        *(("task 0", 0), ("task 1", 0), ("task 0", 1), ("task 1", 1))
    ]
    assert len(first) == 8


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no gzip", "holds no requests"),
        (gzip.compress(b"no JSON"), "holds no requests"),
        (gzip.compress(b""), "holds no requests"),
        (gzip.compress(b'{"format": "of before"}\n'), "of this version: write them again"),
    ],
    ids=["no gzip", "no JSON", "empty", "of before"],  # gzip writes the time into its bytes
)
def test_a_file_of_something_else_is_refused(
    bench: Any, content: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "requests.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        bench("request_file").read_requests(path)


def test_of_experts_those_that_a_token_takes_are_counted(bench: Any) -> None:
    import transformers

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 8}
    sizes |= {"moe_intermediate_size": 8, "num_key_value_heads": 2, "vocab_size": 32}

    def count(n_experts: int, taken: int) -> float:
        config = transformers.Qwen3MoeConfig(
            **sizes, num_experts=n_experts, num_experts_per_tok=taken
        )
        model = transformers.AutoModelForCausalLM.from_config(config)
        return float(bench("running").working_parameters(model))

    router = 16
    assert count(4, 2) - count(2, 2) == 2 * router
    assert count(4, 2) - count(4, 1) == 3 * 16 * 8


@pytest.mark.slow
def test_it_measures_from_the_file_alone(file: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    command = [
        *SCRIPT,
        "--requests",
        str(file),
        "--sizes",
        "tiny",
        "--items",
        "2",
        "--repeats",
        "1",
    ]
    done = subprocess.run(
        [*command, "--rows", str(rows), "--data-root", str(tmp_path / "none")],
        **{"capture_output": True, "text": True, "check": False},
    )
    assert done.returncode == 0, done.stderr
    written = [json.loads(line) for line in rows.read_text().splitlines()]
    assert [(row["case"], row["requests"]) for row in written] == [("mmlu", 8), ("gsm8k", 2)]
    assert all(row["ratio"] > 0 for row in written)
    assert "| mmlu | 8 |" in done.stdout
    done = subprocess.run(
        [*command, "--rows", str(rows), "--minutes", "0"], capture_output=True, check=False
    )
    assert done.returncode == 0
    assert json.loads(rows.read_text().splitlines()[-1])["left_out"] == "no time is left"


@pytest.fixture
def as_on_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is asked of a card have an answer, and models stay on the CPU."""
    import torch

    for name in ("empty_cache", "reset_peak_memory_stats", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 2**20)


@pytest.mark.slow
@pytest.mark.usefixtures("as_on_a_card")
@pytest.mark.parametrize("name", ["mmlu", "gsm8k"])
def test_a_row_of_a_card_has_its_figures(bench: Any, file: Path, name: str) -> None:
    tokenizer, requests = bench("request_file").read_requests(file)
    model = bench("models").make_model("tiny", "cpu")
    row = bench("running").run_case(name, requests[name], model, tokenizer, 1, rate=1e12)
    assert row["batch"] in (3, 4, 12)  # beyond the requests a batch is one of them all
    assert row["peak"] == (1.0, 1.0)
    assert row["tokens_per_second"] > 0
    assert 0 < row["share"] < 1
    assert " tokens/s, " in bench("running").table([row])


@pytest.mark.slow
@pytest.mark.usefixtures("as_on_a_card")
def test_texts_are_timed_with_graphs_and_without(
    bench: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from capspace.collect.engine import lm
    from capspace.collect.engine.generation.recording import Recording, traced

    monkeypatch.setattr(lm, "graphs_on", lambda device: Recording(traced))
    tokenizer, requests = bench("request_file").read_requests(file)
    for request in requests["gsm8k"]:
        request.args[1]["max_gen_toks"] = 20
    model = bench("models").make_model("tiny", "cpu")
    row = bench("running").run_graphs("gsm8k", requests["gsm8k"], model, tokenizer)
    assert row["differ"] == 0
    assert 0 < row["replayed_steps"] < row["steps"]
    assert row["unrecorded_reason"] is None
    assert row["ratio"] == row["engine"] / row["with_graphs"]
