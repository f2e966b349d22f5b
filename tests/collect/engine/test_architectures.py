"""Every causal language model of the installed transformers stays in its column of the list.

What is tried here is what the engine tries when it loads a model. ``scripts/sweep_architectures``
also compares all scores and texts with the model's own, writes the list, and runs weekly.
"""

from __future__ import annotations

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

ROOT = Path(__file__).resolve().parents[3]
SHARES = 8
"""Tests that the types are divided among, so that several processes can take them."""


def load_script() -> Any:
    loader = SourceFileLoader("sweep_architectures", str(ROOT / "scripts/sweep_architectures"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


SWEEP = load_script()
LISTED: dict[str, dict[str, Any]] = SWEEP.read_list(transformers.__version__)
"""A type that the installed version lacks is passed over: a version has a list of its own."""
SERVED = ("served", "scores alone")

pytestmark = [
    pytest.mark.cpu_only("scripts/sweep_architectures makes its models on the CPU"),
    pytest.mark.skipif(
        not LISTED,
        reason=f"there is no list for transformers {transformers.__version__}: "
        "scripts/sweep_architectures --update writes one",
    ),
]


def is_plain(name: str) -> bool:
    """Return whether all layers of a type are alike for the engine: two of them show its column."""
    return LISTED[name] == {"outcome": "served", "reason": ""}


def test_every_causal_class_is_listed() -> None:
    unknown = sorted(set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) - set(LISTED))
    assert unknown == [], (
        f"transformers {transformers.__version__} has causal classes that the engine was never "
        f"tried with: run scripts/sweep_architectures --only {','.join(unknown)} --update and "
        "read what it adds to tests/collect/engine/architectures.json"
    )


def test_the_list_gives_a_reason_for_each_that_is_not_served() -> None:
    columns = {entry["outcome"] for entry in LISTED.values()}
    assert columns <= {*SERVED, "not served", "not built"}
    assert all(entry["reason"] for entry in LISTED.values() if entry["outcome"] != "served")
    n_served = sum(entry["outcome"] in SERVED for entry in LISTED.values())
    assert n_served > len(LISTED) / 2


def small_configs() -> dict[str, Any]:
    """Return the configurations that the sweep builds, as deep as it does."""
    built = sorted(
        name
        for name in set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) & set(LISTED)
        if LISTED[name]["outcome"] != "not built"
    )
    return {name: SWEEP.small_config(name, 2 if is_plain(name) else 4) for name in built}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of transformers, about sizes that no release has
def test_every_class_is_built_with_what_makes_it_special() -> None:
    """Its kinds of layers, as its defaults or its code have them, and windows that cut a text."""
    configs = small_configs()
    lost = {name: SWEEP.lost_kinds(config) for name, config in configs.items()}
    assert not {name: kinds for name, kinds in lost.items() if kinds}
    windows = {name: SWEEP.long_windows(config) for name, config in configs.items()}
    assert not {name: settings for name, settings in windows.items() if settings}
    shared = "num_kv_shared_layers"
    texts = [config.get_text_config(decoder=True) for config in configs.values()]
    assert all(getattr(text, shared) for text in texts if hasattr(text, shared))


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("lfm2", ["full_attention", "conv"]),
        ("minimax_m3_vl_text", ["full_attention", "minimax_m3_sparse", "sparse", "dense"]),
        ("gemma3n_text", ["sliding_attention", "full_attention"]),
    ],
)
def test_kinds_of_layers_that_a_default_lacks_are_known(name: str, kinds: list[str]) -> None:
    if name not in transformers.CONFIG_MAPPING:
        pytest.skip(f"transformers {transformers.__version__} has no {name}")
    kind = transformers.CONFIG_MAPPING[name]
    config = kind(num_hidden_layers=2)
    known = [each for part in SWEEP.known_kinds(kind).values() for each in part]
    stated = [each for part in SWEEP.layer_kinds(config).values() for each in part]
    assert known == kinds
    assert SWEEP.lost_kinds(config) == [each for each in kinds if each not in stated] != []
    assert SWEEP.lost_kinds(SWEEP.small_config(name)) == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of transformers, about sizes that no release has
@pytest.mark.parametrize("share", range(SHARES))
def test_no_causal_class_changes_its_column(share: int) -> None:
    names = sorted(set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) & set(LISTED))[share::SHARES]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # all is small
    try:
        judged = {
            name: SWEEP.judge(name, against_own=False, depth=2 if is_plain(name) else 4)
            for name in names
        }
    finally:
        torch.set_num_threads(threads)
    changed = SWEEP.changes({name: LISTED[name] for name in names}, judged)
    assert not changed, "\n".join(
        [
            *changed,
            "if that is right, run scripts/sweep_architectures --only NAMES --update, which "
            "compares all scores and texts, and commit the list",
        ]
    )
