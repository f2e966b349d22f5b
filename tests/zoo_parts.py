"""Small real checkpoints and a small panel for the tests of the zoo."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import shutil
import warnings
from pathlib import Path
from types import ModuleType

import yaml
from checkout import ROOT

from capspace.tasks.panel import load_panel

CRASH = """\
import ctypes

from transformers import LlamaForCausalLM


class Model(LlamaForCausalLM):
    def forward(self, *args, **kwargs):
        ctypes.string_at(0)
"""
HANG = """\
import time

from transformers import LlamaForCausalLM


class Model(LlamaForCausalLM):
    def forward(self, *args, **kwargs):
        time.sleep(3600)
"""


def train_zoo() -> ModuleType:
    """``scripts/train_zoo`` as a module."""
    loader = importlib.machinery.SourceFileLoader("train_zoo", str(ROOT / "scripts" / "train_zoo"))
    spec = importlib.util.spec_from_loader("train_zoo", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def untrained(folder: Path, family: str, width: int, *, seed: int = 0) -> Path:
    """Write a tiny checkpoint with random weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, while they are imported
        import torch

        script = train_zoo()
        torch.manual_seed(seed)
        script.new_model(family, width).save_pretrained(folder)
        script.save_tokenizer(folder)
    return folder


def with_code(good: Path, folder: Path, code: str) -> Path:
    """Copy a checkpoint and give it model code of its own."""
    shutil.copytree(good, folder)
    (folder / "own_model.py").write_text(code)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "own_model.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def with_nan(good: Path, folder: Path) -> Path:
    """Copy a checkpoint and make one of its weights NaN."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(good, folder)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["model.norm.weight"][0] = float("nan")
    save_file(tensors, path, metadata={"format": "pt"})
    return folder


def small_panel(path: Path, names: list[str]) -> Path:
    """Write a panel of some procedural benchmarks."""
    panel = load_panel("procedural").select(names)
    content = panel.model_dump(mode="json") | {"name": "small"}
    path.write_text(yaml.safe_dump(content))
    return path
