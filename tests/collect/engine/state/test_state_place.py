"""A checkpoint with recurrent layers is placed by the engine, with the scores of lm-eval's path."""

from __future__ import annotations

import warnings
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
import transformers
from state_models import GATED, SIZES, needs_states
from transformers import AutoConfig, AutoModelForCausalLM

pytest.importorskip("datasets", reason="a whole run reads data sets, whose package is not here")

from capspace.collect.run._place import place_collection
from capspace.collect.run.collect import collect_scores
from capspace.tasks.panel import load_panel

pytestmark = [
    pytest.mark.cpu_only("its checkpoint is measured by whole runs, on the CPU"),
    pytest.mark.slow,
    needs_states,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_it_has_the_scores_of_hf(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = copytree(tiny_checkpoint, tmp_path / "tiny-qwen3_5")
    former = AutoConfig.from_pretrained(folder)
    tokens = {
        f"{kind}_token_id": getattr(former, f"{kind}_token_id") for kind in ("bos", "eos", "pad")
    }
    sizes = SIZES | GATED | tokens | {"vocab_size": former.vocab_size, "num_hidden_layers": 3}
    torch.manual_seed(0)
    config = transformers.Qwen3_5TextConfig(**sizes)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    panel = load_panel("smoke").select(["ARC-C", "TruthfulQA", "GSM8K"])
    here: dict[str, Any] = {"data_root": "embedded", "device": "cpu", "limit": 2}
    placed = {}
    for backend in ("capspace", "hf"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries, while they are imported
            measured = collect_scores(
                [str(folder)], panel=panel, store=tmp_path / backend, backend=backend, **here
            )
        placed[backend] = place_collection(measured)
    ours, theirs = (placed[name].collection for name in ("capspace", "hf"))
    assert len(ours.results) == 3
    for mine, other in zip(ours.results, theirs.results, strict=True):
        assert mine.benchmark == other.benchmark
        assert mine.score == pytest.approx(other.score, abs=1e-4)
        assert mine.provenance["engine"]["unsupported_reason"] is None
    expected = {p.target: p.mean for p in placed["hf"].placement.predictions}
    means = {p.target: p.mean for p in placed["capspace"].placement.predictions}
    assert means == pytest.approx(expected, abs=1e-4, nan_ok=True)
