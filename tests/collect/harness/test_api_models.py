"""Models behind an API, asked through lm-eval's own classes: their answers are kept like others."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("lm_eval", reason="lm-eval's command line needs the collect extra")

from commands import Command, Ran
from completions_server import completions_server
from lm_eval_parts import n_kept, results

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("lm_eval_looks_up_once"),
    pytest.mark.filterwarnings("ignore"),  # of lm-eval and its libraries
]


def test_answers_of_a_server_are_kept_and_a_run_goes_on_when_it_is_back(
    capspace: Command, tiny_checkpoint: Path, fault_tasks: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    with completions_server(tiny_checkpoint) as server:

        def run(out: str, *more: object) -> Ran:
            return capspace(
                "lm-eval", "run", "--model", "local-completions", "--model_args", "model=tiny",
                f"tokenizer={tiny_checkpoint}", "tokenizer_backend=huggingface", "max_retries=1",
                f"base_url={server.url}/completions", "auth_token=hf_s3cret",
                "--tasks", "fault_choice,fault_answer", "--include_path", fault_tasks,
                "--limit", "60", "--output_path", tmp_path / out, "--log_samples", *more,
            )  # fmt: skip

        recorded = ("--answers-of", "tiny on this machine", "--store", store)
        assert "an empty name" in run("a", "--answers-of", "", "--store", store).err
        unnamed = run("a", "--store", store)
        assert unnamed.code == 0, unnamed.err
        assert "does not say which checkpoint answers; --answers-of NAME stores them" in unnamed.err
        assert not list(store.glob("journal/*.sqlite"))
        asked, server.prompts[:] = sorted(server.prompts), []

        server.dies_after = 150
        died = run("b", *recorded)
        assert died.code == 2, died.err
        last = died.err.strip().splitlines()[-1]
        assert last.startswith("capspace: tiny on this machine: its server gave no response (503")
        n_before = n_kept(store)
        assert 0 < n_before <= 150

        server.dies_after = None
        again = run("b", *recorded)
        assert again.code == 0, again.err
        assert f"{n_before:,} of 300 responses were known; all are stored" in again.err
        assert results(tmp_path / "b") == results(tmp_path / "a")
        assert sorted({*server.prompts}) == sorted({*asked})
        n_asked = len(server.prompts)
        assert n_asked <= 300 + 150 - n_before  # what was answered and not yet kept is asked again
        assert run("b", *recorded).code == 0
        assert len(server.prompts) == n_asked
    data = b"".join(p.read_bytes() for p in store.rglob("*") if p.is_file())
    assert b"s3cret" not in data


def test_conversations_reach_a_chat_server_as_they_are(
    capspace: Command, tiny_checkpoint: Path, fault_tasks: Path, tmp_path: Path
) -> None:
    with completions_server(tiny_checkpoint) as server:

        def run(out: str, *more: object) -> list[str]:
            server.prompts.clear()
            done = capspace(
                "lm-eval", "run", "--model", "local-chat-completions", "--model_args",
                "model=tiny", f"base_url={server.url}/chat/completions", "num_concurrent=4",
                "--tasks", "fault_answer", "--include_path", fault_tasks, "--limit", "20",
                "--apply_chat_template", "--output_path", tmp_path / out, "--log_samples", *more,
            )  # fmt: skip
            assert done.code == 0, done.err
            return sorted(server.prompts)

        plain = run("a", "--no-record")
        assert len(plain) == 20
        recorded = ("--answers-of", "tiny", "--store", tmp_path / "store")
        assert run("b", *recorded) == plain
        assert run("c", *recorded) == []
    assert results(tmp_path / "b") == results(tmp_path / "a") == results(tmp_path / "c")
