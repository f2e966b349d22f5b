"""vLLM and SGLang, by lm-eval's own classes; neither runs here."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any, Literal

import pytest

from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.errors import BackendError, SettingsError
from capspace.collect.harness.backends import load_model
from capspace.collect.harness.other_engines import engine_arguments
from capspace.collect.run.lm_eval_arguments import engine_settings
from capspace.collect.settings import RunSettings

CLASSES = {"vllm": ("vllm_causallms", "VLLM"), "sglang": ("sglang_causallms", "SGLangLM")}


@pytest.mark.parametrize("name", CLASSES)
def test_lm_evals_class_takes_what_it_is_given(
    name: Literal["vllm", "sglang"], tiny_checkpoint: Path
) -> None:
    """By its source: importing it wants the engine."""
    module, class_name = CLASSES[name]
    spec = importlib.util.find_spec("lm_eval")
    assert spec is not None
    (folder,) = spec.submodule_search_locations or ()
    tree = ast.parse(Path(folder, "models", f"{module}.py").read_text())
    (cls,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == class_name)
    (init,) = (n for n in cls.body if isinstance(n, ast.FunctionDef) and n.name == "__init__")
    taken = {argument.arg for argument in init.args.args}
    settings = RunSettings(backend=name, batch_size=4, backend_args={"max_gen_toks": 9})
    given = engine_arguments(resolve(str(tiny_checkpoint)), settings)
    assert given.keys() <= taken
    assert given["trust_remote_code"] is False
    assert given["max_gen_toks"] == 9


@pytest.mark.parametrize("name", CLASSES)
def test_an_engine_that_is_not_installed_is_one_line(
    name: Literal["vllm", "sglang"], tiny_checkpoint: Path
) -> None:
    if importlib.util.find_spec(name) is not None:
        pytest.skip(f"{name} is installed here")
    message = f"--backend {name}: the package {name} is not installed here; install it, or measure"
    with pytest.raises(BackendError, match=message):
        load_model(resolve(str(tiny_checkpoint)), RunSettings(backend=name))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backend": "vllm", "thinking": "on"}, "takes no mode: it grades thoughts whose end is"),
        ({"backend": "sglang", "reasoning_effort": "low"}, "serve the model, and give its endp"),
        ({"backend": "vllm", "parallelize": True}, "parallelize is for capspace and hf"),
        (
            {"backend_args": {"tp_size": 2}},
            "backend_args are those of vllm and sglang, not of caps",
        ),
        ({"backend": "vllm", "backend_args": "[1]"}, "backend_args: expected a JSON object"),
    ],
    ids=["thinking", "effort", "parallelize", "ours", "no object"],
)
def test_settings_that_an_engine_does_not_take_are_one_line(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        RunSettings.of(**settings)


def test_arguments_that_move_a_response_are_in_the_identity() -> None:
    given = {"tensor_parallel_size": 2, "quantization": "awq", "max_model_len": 4096}
    assert engine_settings(given) == (("max_model_len", "4096"), ("quantization", '"awq"'))
    for name, value, message in (
        ("pretrained", "a", "pretrained is set by the checkpoint"),
        ("tokenizer", "a", "tokenizer is set by the checkpoint"),
        ("load_format", "gguf", "may load other weights than those hashed"),
        ("hf_overrides", {}, "what hf_overrides stands for is not known"),
    ):
        with pytest.raises(BackendError, match=message):
            engine_settings({name: value})
