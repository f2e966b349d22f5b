"""The engine's tests run where they are told to, and nothing in them stays on the CPU unseen."""

from __future__ import annotations

import re
import subprocess
import sys

import device
import pytest
import torch
from checkout import ROOT
from torch.utils import backend_registration

PYTEST = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
ENGINE = "tests/collect/engine"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*PYTEST, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(pytest.UsageError, match=r"^--device moon: there are cpu, cuda, elsewhere$"):
        device.choose("moon")


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(pytest.UsageError, match=r"^--device cuda: no GPU that torch can use"):
        device.choose("cuda")


MIXED = """
import device, pytest, torch, transformers

device.choose("elsewhere")
there, here = device.tensor([1, 2]), torch.tensor([1, 2])
with pytest.raises(RuntimeError, match="of tensors on elsewhere and on cpu"):
    there + here
with pytest.raises(RuntimeError, match="numpy"):
    there.numpy()
assert (there + 1).tolist() == (there + torch.tensor(1)).tolist() == [2, 3]
there[:1].zero_()
assert there.cpu().tolist() == [0, 2]
config = transformers.LlamaConfig(
    vocab_size=50, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
)
model = device.widened(transformers.LlamaForCausalLM(config))
assert {p.device.type for p in model.parameters()} == {"elsewhere"}
with torch.inference_mode():
    logits = model(there[None]).logits
    with pytest.raises(RuntimeError, match="of tensors on elsewhere and on cpu"):
        model(here[None])
with torch.inference_mode():
    own = model.to("cpu")(torch.tensor([[0, 2]])).logits
    torch.testing.assert_close(logits.cpu(), own)
    half = device.placed(model).to(torch.bfloat16)(there[None]).logits
assert half.dtype == half.held.dtype == torch.bfloat16
"""


needs_elsewhere = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason=f"torch {torch.__version__} cannot have a device that stands for another",
)


@needs_elsewhere
@pytest.mark.slow
def test_the_device_that_stands_for_a_gpu_refuses_tensors_of_the_cpu() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MIXED],
        **{"capture_output": True, "text": True, "check": False},
        cwd=ROOT / "tests",
    )
    assert done.returncode == 0, done.stderr


@needs_elsewhere
@pytest.mark.slow
def test_the_engine_s_tests_pass_there() -> None:
    """All models and tensors of these tests are on the device, and all that the engine makes."""
    files = [f"{ENGINE}/attention/test_attention.py", f"{ENGINE}/test_as_hf.py"]
    done = run(*files, "--device", "elsewhere", "-k", "dense or test_attention")
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"2\d passed, 1 skipped", done.stdout)
