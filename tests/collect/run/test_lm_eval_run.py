"""lm-eval's own command keeps every answer, under the identity that its arguments name."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch

pytest.importorskip("lm_eval", reason="lm-eval's command line needs the collect extra")

from commands import Command
from journal_parts import fill, shard_of, spoil
from lm_eval_parts import n_kept, results

from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.engine.arithmetic import ARITHMETIC
from capspace.collect.errors import BackendError, CheckpointError
from capspace.collect.harness.backends import identity_settings
from capspace.collect.harness.harness import Harness
from capspace.collect.run.cells import measurement
from capspace.collect.run.lm_eval_command import _run_recorded, lm_eval_main
from capspace.collect.run.lm_eval_modes import ModeOfRun
from capspace.collect.run.run_checks import refuse_pickled_run
from capspace.collect.run.run_identity import identify, identify_by_name
from capspace.collect.settings import RunSettings
from capspace.collect.storage.identity import ModelIdentity
from capspace.collect.storage.journal import Journal
from capspace.tasks.panel import load_panel

pytestmark = [
    pytest.mark.usefixtures("forked", "lm_eval_looks_up_once"),
    pytest.mark.filterwarnings("ignore"),  # of lm-eval and its libraries
]


def identity(checkpoint: Path, model: str = "hf", **arguments: Any) -> ModelIdentity:
    return identify(model, {"pretrained": str(checkpoint), **arguments}).identity


@pytest.mark.parametrize(("model", "backend"), [("hf", "hf"), ("capspace", "capspace")])
def test_identity_is_the_one_of_collect(tiny_checkpoint: Path, model: str, backend: str) -> None:
    checkpoint = resolve(str(tiny_checkpoint))
    settings = identity_settings(backend, "bfloat16")
    assert identity(tiny_checkpoint, model, dtype="bfloat16", revision="main") == ModelIdentity(
        checkpoint=checkpoint.identity,
        dtype="bfloat16",
        backend=backend,
        backend_settings=settings,
    )
    assert (("arithmetic", ARITHMETIC) in settings) == (model == "capspace")
    assert identity(tiny_checkpoint, "huggingface") == identity(tiny_checkpoint, "hf")


def test_scores_that_were_wrong_before_have_an_identity_of_their_own(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    """A length of the checkpoint's own was not followed, nor a half log-softmax; hf's ever were."""
    folder = tmp_path / "limited"
    copytree(tiny_checkpoint, folder)
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"max_new_tokens": 9}))
    plain = (("arithmetic", ARITHMETIC),)
    assert identity(folder, "capspace").backend_settings == (*plain, ("texts", "2"))
    assert identity(folder, "hf").backend_settings == ()
    half = identity(tiny_checkpoint, "capspace", softmax_dtype="bfloat16")
    assert half.backend_settings == (*plain, ("softmax", "2"), ("softmax_dtype", '"bfloat16"'))
    as_weights = identity(tiny_checkpoint, "capspace", dtype="float16")
    assert as_weights.backend_settings == (*plain, ("softmax", "2"))
    mixed = identity(tiny_checkpoint, "capspace", mixed_precision_dtype="bfloat16")
    assert ("softmax", "2") in mixed.backend_settings
    as_before = identity(
        tiny_checkpoint, "capspace", dtype="float16", mixed_precision_dtype="float32"
    )
    assert ("softmax", "2") in as_before.backend_settings  # autocast to single is none
    unstated = tmp_path / "unstated"
    copytree(tiny_checkpoint, unstated)
    config = json.loads((unstated / "config.json").read_text())
    without = {key: value for key, value in config.items() if key not in ("dtype", "torch_dtype")}
    (unstated / "config.json").write_text(json.dumps(without))
    by_weights = identity(unstated, "capspace")
    assert (by_weights.dtype, by_weights.backend_settings) == ("auto", (*plain, ("softmax", "2")))
    single = identity(tiny_checkpoint, "capspace", dtype="float16", softmax_dtype="float32")
    assert single.backend_settings == (*plain, ("softmax_dtype", '"float32"'))

    panel = load_panel("classic-8").select(["ARC-C", "GSM8K"])
    harness = Harness(panel.benchmarks)
    choice, text = (
        measurement(resolve(str(folder)), benchmark, harness, RunSettings()).model
        for benchmark in panel.benchmarks
    )
    assert choice.backend_settings == plain
    assert text == identity(folder, "capspace")


@pytest.mark.parametrize("argument", ["dtype", "softmax_dtype", "mixed_precision_dtype"])
def test_a_type_of_torch_is_the_one_of_its_name(tiny_checkpoint: Path, argument: str) -> None:
    by_name = identity(tiny_checkpoint, "capspace", **{argument: "bfloat16"})
    assert identity(tiny_checkpoint, "capspace", **{argument: torch.bfloat16}) == by_name
    assert by_name != identity(tiny_checkpoint, "capspace")


def test_what_can_move_an_answer_is_told_apart_and_nothing_else(tiny_checkpoint: Path) -> None:
    plain = identity(tiny_checkpoint)
    for without_effect in (
        {"batch_size": 3},
        {"parallelize": True},
        {"device": "cuda:1", "max_batch_size": 9},
        {"max_length": None},
    ):
        assert identity(tiny_checkpoint, **without_effect) == plain
    told_apart = [
        {"dtype": "float16"},
        {"max_length": 64},
        {"max_length": 65},
        {"add_bos_token": True},
        {"enable_thinking": False},
        {"chat_template_args": {"a": 1}},
        {"softmax_dtype": "float32"},
    ]
    keys = {identity(tiny_checkpoint, **arguments).key for arguments in told_apart}
    assert len(keys | {plain.key}) == len(told_apart) + 1
    arguments = {"pretrained": str(tiny_checkpoint)}
    templates = {
        identify("hf", arguments, chat_template=template).identity.key
        for template in (False, True, "tool_use")
    }
    assert len(templates) == 3


@pytest.mark.parametrize(
    ("model", "arguments", "reason"),
    [
        ("local-completions", {}, "--model local-completions does not say which checkpoint"),
        ("vllm", {"lora_local_path": "x"}, "what the model argument lora_local_path stands for"),
        ("hf", {"peft": "org/adapter"}, "what the model argument peft stands for"),
        ("hf", {"tokenizer": "other"}, "what the model argument tokenizer stands for"),
        ("hf", {"load_in_4bit": True}, "what the model argument load_in_4bit stands for"),
        ("capspace", {"delta": "x"}, "what the model argument delta stands for"),
        ("hf", {"dtype": "torch.half"}, "dtype: Input should be"),
        ("hf", {"use_safetensors": False}, "use_safetensors=False may load other weights"),
        ("hf", {"use_safetensors": 1}, "use_safetensors=1 may load other weights"),
        ("vllm", {"load_format": "pt"}, "load_format=pt may load other weights"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(
    tiny_checkpoint: Path, model: str, arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BackendError, match=reason):
        identify(model, {"pretrained": str(tiny_checkpoint), **arguments})


def test_no_message_tells_the_value_of_an_unknown_argument(tiny_checkpoint: Path) -> None:
    with pytest.raises(BackendError, match="the model argument token ") as refused:
        identify("hf", {"pretrained": str(tiny_checkpoint), "token": "hf_s3cret"})
    assert "s3cret" not in str(refused.value)


@pytest.fixture
def both_formats(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint that comes as safetensors and, with other weights, as a pickle."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    folder = copytree(tiny_checkpoint, tmp_path / "both")
    weights = load_file(folder / "model.safetensors")
    torch.save({name: 2 * w for name, w in weights.items()}, folder / "pytorch_model.bin")
    return folder


def test_weights_that_are_pickles_are_refused(both_formats: Path) -> None:
    both = {"pretrained": str(both_formats)}
    refuse_pickled_run("hf", both)
    for model, other in [
        ("hf", {"use_safetensors": False}),
        ("vllm", {"load_format": "pt"}),
    ]:
        with pytest.raises(CheckpointError, match=r"may load weights that are pickles.*leave it"):
            refuse_pickled_run(model, both | other)
    (both_formats / "model.safetensors").unlink()
    for model in ("hf", "capspace", "vllm", "sglang", "mamba_ssm"):
        with pytest.raises(CheckpointError, match=r"the weights are pickles.*--allow-pickle"):
            refuse_pickled_run(model, both)
    refuse_pickled_run("local-completions", both)  # a server's, which this process does not load


@pytest.mark.slow
def test_no_model_class_runs_a_checkpoint_s_code_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_eval import evaluator

    asked: list[Any] = []
    monkeypatch.setattr(evaluator, "simple_evaluate", lambda **settings: asked.append(settings))
    for more in ((), ("trust_remote_code=True",)):
        lm_eval_main(
            ["run", "--model", "sglang", "--model_args", "pretrained=org/model", *more,
             "--tasks", "arc_easy"],
            store=None, allow_pickle=True, say=print,
        )  # fmt: skip
    assert [settings["model_args"]["trust_remote_code"] for settings in asked] == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize("revision", ["5e12345", "0012345"])
def test_a_revision_that_became_a_number_is_refused(
    monkeypatch: pytest.MonkeyPatch, revision: str
) -> None:
    from lm_eval import evaluator

    asked: list[Any] = []
    monkeypatch.setattr(evaluator, "simple_evaluate", lambda **settings: asked.append(settings))

    def run(given: str) -> None:
        lm_eval_main(
            ["run", "--model", "dummy", "--model_args", given, "--tasks", "arc_easy"],
            store=None, say=print,
        )  # fmt: skip

    with pytest.raises(BackendError, match=r"revision=(inf|12345): lm-eval reads the value as a"):
        run(f"pretrained=org/model,revision={revision}")
    run(json.dumps({"pretrained": "org/model", "revision": revision}))
    assert [settings["model_args"]["revision"] for settings in asked] == [revision]


def test_pickles_on_top_of_a_checkpoint_are_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    model = {"pretrained": str(tiny_checkpoint)}
    refuse_pickled_run("hf", model | {"delta": str(tiny_checkpoint)})
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(CheckpointError, match=r"the weights are pickles.*--allow-pickle"):
        refuse_pickled_run("hf", model | {"delta": str(tmp_path)})
    for adapter in (str(tmp_path), "org/not-on-this-machine", "no/such/folder"):
        with pytest.raises(CheckpointError, match=r"no adapter_model.safetensors.*--allow-pickle"):
            refuse_pickled_run("hf", model | {"peft": adapter})
    (tmp_path / "adapter_model.safetensors").touch()
    refuse_pickled_run("hf", model | {"peft": str(tmp_path)})


@pytest.mark.slow
@pytest.mark.parametrize("more", ["--no-record", "--log_samples"])
def test_a_run_that_would_load_pickles_ends_in_one_line(
    capspace: Command, both_formats: Path, fault_tasks: Path, tmp_path: Path, more: str
) -> None:
    (both_formats / "model.safetensors").unlink()
    given = words(both_formats, fault_tasks, tmp_path / "store", tmp_path / "out", more)
    run = capspace(*given)
    assert run.code == 2
    line = run.err.splitlines()[-1]  # after lm-eval's own
    assert line.startswith(f"capspace: {both_formats}: the weights are pickles")
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_a_run_that_is_allowed_to_loads_pickles(
    capspace: Command, both_formats: Path, fault_tasks: Path, tmp_path: Path
) -> None:
    (both_formats / "model.safetensors").unlink()
    run = capspace(
        *words(both_formats, fault_tasks, tmp_path / "store", tmp_path / "out"),
        "--limit", "2", "--allow-pickle",
    )  # fmt: skip
    assert run.code == 0, run.err
    assert "0 of 8 responses were known" in run.err


@pytest.mark.parametrize("model", ["vllm", "sglang"])
def test_other_engines_of_a_checkpoint_are_told_apart(tiny_checkpoint: Path, model: str) -> None:
    plain = identity(tiny_checkpoint, model)
    assert plain.checkpoint == identity(tiny_checkpoint, "hf").checkpoint
    assert (plain.backend, plain.dtype) == (model, "auto")
    spread = {"tensor_parallel_size": 2, "tp_size": 2, "gpu_memory_utilization": 0.8}
    assert identity(tiny_checkpoint, model, **spread) == plain
    for setting in ({"quantization": "fp8"}, {"max_model_len": 99}, {"load_format": "dummy"}):
        assert identity(tiny_checkpoint, model, **setting).key != plain.key


def test_what_a_user_names_is_told_apart_by_its_arguments_and_keeps_no_secret() -> None:
    def named(name: str = "served", **arguments: Any) -> ModelIdentity:
        return identify_by_name(name, "local-completions", arguments).identity

    plain = named(model="m")
    assert named(model="m", base_url="http://x", auth_token="hf_s3cret", timeout=9) == plain  # noqa: S106 - made up
    others = [
        named("another", model="m"),
        named(model="n"),
        named(model="m", max_gen_toks=9),
        named(model="m", their_key="hf_s3cret"),
        identify_by_name("served", "dummy", {"model": "m"}).identity,
    ]
    assert len({plain.key, *(other.key for other in others)}) == 6
    assert "s3cret" not in repr(others)
    with pytest.raises(BackendError, match="an empty name"):
        named(" ")


def test_model_that_is_not_named_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="names no pretrained"):
        identify("hf", {})
    with pytest.raises(CheckpointError, match="no such folder"):
        identify("hf", {"pretrained": str(tmp_path / "nothing")})


def words(checkpoint: Path, tasks: Path, store: Path, out: Path, *more: object) -> list[str]:
    """Return a command that measures 300 multiple-choice items with lm-eval's own class."""
    given = [
        "lm-eval", "run", "--model", "hf", "--model_args", f"pretrained={checkpoint}",
        "dtype=float32", "--tasks", "fault_choice", "--include_path", tasks, "--device", "cpu",
        "--batch_size", "8", "--limit", "300", "--output_path", out, "--log_samples",
        "--store", store, *more,
    ]  # fmt: skip
    return [str(word) for word in given]


@pytest.mark.slow
def test_killed_run_goes_on_and_ends_with_the_same_scores_and_samples(
    capspace: Command, tiny_checkpoint: Path, fault_tasks: Path, tmp_path: Path
) -> None:
    whole = capspace(*words(tiny_checkpoint, fault_tasks, tmp_path / "whole", tmp_path / "a"))
    assert whole.code == 0, whole.err
    assert "capspace: 0 of 1,200 responses were known; all are stored in" in whole.err

    store, out = tmp_path / "store", tmp_path / "b"
    program = "from capspace.collect.cli import main; main()"
    command = [sys.executable, "-c", program, *words(tiny_checkpoint, fault_tasks, store, out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while run.poll() is None and not any(
            p.stat().st_size > 8000 for p in (store / "journal").glob("live-*.sqlite")
        ):
            threading.Event().wait(0.005)
        run.kill()
    assert run.returncode == -signal.SIGKILL
    known = n_kept(store)
    assert 8 <= known < 1200

    again = capspace(*words(tiny_checkpoint, fault_tasks, store, out))
    assert again.code == 0, again.err
    assert f"capspace: {known:,} of 1,200 responses were known" in again.err
    assert results(out) == results(tmp_path / "a")

    plain = capspace(*words(tiny_checkpoint, fault_tasks, store, tmp_path / "c", "--no-record"))
    assert plain.code == 0, plain.err
    assert "were known" not in plain.err
    ours, theirs = results(out)[0]["fault_choice"], results(tmp_path / "c")[0]["fault_choice"]
    assert ours == theirs


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"use_cache": "cache"}, "--use_cache puts them into lm-eval's own cache"),
        ({"torch_random_seed": None}, "--seed leaves torch without one"),
    ],
)
def test_a_run_whose_responses_cannot_be_stored_is_lm_evals_own(
    settings: dict[str, Any], line: str, tmp_path: Path
) -> None:
    lines: list[str] = []
    given = {"model": "hf", "model_args": {"pretrained": "none"}, "torch_random_seed": 1}
    run = _run_recorded(lambda **passed: passed, tmp_path, None, ModeOfRun(), lines.append)
    assert run(**{**given, **settings}) == {**given, **settings}
    assert lines == [f"responses are not stored: {line}"]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_the_journal_had_to_repair_is_said_after_the_run(
    capspace: Command, tiny_checkpoint: Path, fault_tasks: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "store" / "journal"
    with Journal(folder) as journal:
        fill(journal, 2)
    damaged = shard_of(folder)
    spoil(damaged)
    done = capspace(
        "lm-eval", "run", "--model", "hf", "--model_args", f"pretrained={tiny_checkpoint}",
        "--tasks", "fault_choice", "--include_path", fault_tasks, "--limit", "2", "--device", "cpu",
        "--store", tmp_path / "store",
    )  # fmt: skip
    assert done.code == 0, done.err
    lines = [line for line in done.err.splitlines() if line.startswith("capspace: ")]
    assert [damaged.name in line for line in lines[-2:]] == [True, False]
    assert lines[-1].startswith("capspace: 0 of ")


@pytest.mark.slow
def test_run_that_cannot_be_told_apart_is_not_kept_and_says_so(
    capspace: Command, fault_tasks: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    run = capspace(
        "lm-eval", "run", "--model", "dummy", "--tasks", "fault_choice", "--include_path",
        fault_tasks, "--limit", "5", "--store", store,
    )  # fmt: skip
    assert run.code == 0, run.err
    line = (
        "capspace: responses are not stored: --model dummy does not say which checkpoint answers;"
    )
    assert line in run.err
    assert "fault_choice" in run.out
    assert not list(store.glob("journal/*.sqlite"))


@pytest.mark.slow
def test_chosen_items_have_the_examples_of_the_whole_run(
    capspace: Command, fault_tasks: Path, tmp_path: Path
) -> None:
    def asked(name: str, *more: str) -> dict[int, Any]:
        out = tmp_path / name
        done = capspace(
            "lm-eval", "run", "--model", "dummy", "--tasks", "fault_choice", "--include_path",
            fault_tasks, "--num_fewshot", "2", "--output_path", out, "--log_samples", *more,
            "--store", tmp_path / "store",
        )  # fmt: skip
        assert done.code == 0, done.err
        assert ("--cache_requests is ignored" in done.err) == ("--cache_requests" in more)
        return {s["doc_id"]: (s["doc"], s["arguments"]) for s in results(out)[1]}

    first = asked("first", "--limit", "12")
    assert sorted(first) == list(range(12))
    chosen = asked("chosen", "--samples", '{"fault_choice": [9, 2, 5]}', "--cache_requests", "true")
    assert chosen == {i: first[i] for i in (2, 5, 9)}
    assert asked("alone", "--samples", '{"fault_choice": [9]}', "--no-record") == {9: first[9]}


@pytest.mark.slow
def test_tasks_read_their_data_from_a_data_root(capspace: Command, tmp_path: Path) -> None:
    def run(root: object, task: str) -> Any:
        return capspace(
            "lm-eval", "run", "--model", "dummy", "--tasks", task, "--limit", "4", "--output_path",
            tmp_path / "out", "--log_samples", "--no-record", "--data-root", root,
        )  # fmt: skip

    done = run("embedded", "winogrande")
    assert done.code == 0, done.err
    assert "capspace: data: " in done.err
    assert "not comparable" in done.err
    assert len(results(tmp_path / "out")[1]) == 4
    lacking = run("embedded", "boolq")
    assert lacking.code == 2
    assert "data set " in lacking.err.splitlines()[-1]
    assert "no such folder" in capspace.refused("lm-eval", "run", "--data-root", tmp_path / "gone")
