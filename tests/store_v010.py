"""What the store of version 0.1.0 in ``tests/store_v010`` was measured on, and that store itself.

Every byte of the checkpoint, the data and the task definitions is made here with Python's standard
library alone, so that no version of torch, transformers or tokenizers changes what an identity is
the hash of. The store was collected by the version 0.1.0 of capspace (commit c0fda57) in three
runs, with ``checkpoint``, ``data`` and ``tasks`` in one folder::

    python -c "import store_v010, pathlib; store_v010.write_inputs(pathlib.Path('.'))"
    options="--panel panel.yaml --store store --data-root data --include-path tasks --device cpu"
    capspace collect tiny-0.1.0 $options
    capspace collect tiny-0.1.0 $options --limit 2 --seed 7
    capspace collect tiny-0.1.0 $options --chat-template
    python -c "import store_v010, pathlib; store_v010.keep(pathlib.Path('store'))"

A zoo of the same checkpoint and panel, in a store of its own, was measured by one worker::

    capspace zoo run zoo.yaml  # checkpoints: [tiny-0.1.0], panels: [panel.yaml], store: zoo-store
    python -c "import store_v010, pathlib; store_v010.keep_zoo(pathlib.Path('zoo-store'))"
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

__all__ = [
    "CHECKPOINT",
    "PANEL",
    "SAVED",
    "keep",
    "keep_zoo",
    "restore",
    "restore_zoo",
    "write_inputs",
]

SAVED = Path(__file__).resolve().parent / "store_v010"
CHECKPOINT = "tiny-0.1.0"

PANEL: dict[str, Any] = {
    "name": "v010",
    "version": 1,
    "description": "A choice with examples, an answer, and a task that is nowhere.",
    "benchmarks": [
        {
            "name": "Choice",
            "tasks": ["v010_choice"],
            "n_shot": 2,
            "metric": "acc",
            "chance": 0.25,
            "source": "made up",
        },
        {
            "name": "Answer",
            "tasks": ["v010_answer"],
            "n_shot": 0,
            "metric": "exact_match",
            "filter": "first-word",
            "chance": 0,
            "source": "made up",
        },
        {
            "name": "Nowhere",
            "tasks": ["v010_nowhere"],
            "n_shot": 0,
            "metric": "acc",
            "chance": 0,
            "source": "made up",
        },
    ],
}

_TASKS = {
    "v010_choice": """\
task: v010_choice
dataset_path: made/choice
training_split: train
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: ["one", "two", "three", "four"]
doc_to_target: answer
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.0}
""",
    "v010_answer": """\
task: v010_answer
dataset_path: made/answer
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["."], max_gen_toks: 4, do_sample: false}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
filter_list:
  - name: first-word
    filter: [{function: regex, regex_pattern: "(\\\\w+)"}, {function: take_first}]
metadata: {version: 2.0}
""",
}
_WIDTH, _INNER, _LAYERS, _HEADS = 16, 32, 1, 2
_END = "<|end|>"


def write_inputs(folder: Path) -> Path:
    """Write checkpoint, data, tasks and panel; return the checkpoint's folder."""
    (folder / "tasks").mkdir(parents=True, exist_ok=True)
    for name, text in _TASKS.items():
        (folder / "tasks" / f"{name}.yaml").write_text(text, encoding="utf-8")
    for dataset, split, n in (("choice", "train", 4), ("choice", "test", 5), ("answer", "test", 3)):
        place = folder / "data" / "made" / dataset / f"{split}.jsonl"
        place.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            json.dumps({"question": f"What is {split} {i} and {'so ' * i}on?", "answer": i % 4})
            for i in range(n)
        ]
        place.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "panel.yaml").write_text(json.dumps(PANEL), encoding="utf-8")  # JSON is YAML
    return _write_checkpoint(folder / CHECKPOINT)


def _write_checkpoint(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    vocabulary = [*_byte_letters(), _END]
    end = len(vocabulary) - 1
    special = {"id": end, "content": _END, "special": True, "normalized": False}
    flags = {"single_word": False, "lstrip": False, "rstrip": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    files = {
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": len(vocabulary),
            "hidden_size": _WIDTH,
            "intermediate_size": _INNER,
            "num_hidden_layers": _LAYERS,
            "num_attention_heads": _HEADS,
            "num_key_value_heads": _HEADS,
            "head_dim": _WIDTH // _HEADS,
            "hidden_act": "silu",
            "max_position_embeddings": 512,
            "rms_norm_eps": 1e-6,
            "rope_theta": 10000.0,
            "bos_token_id": end,
            "eos_token_id": end,
            "pad_token_id": end,
            "tie_word_embeddings": True,
            "torch_dtype": "float32",
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": _END,
            "eos_token": _END,
            "pad_token": _END,
            "model_max_length": 512,
            "clean_up_tokenization_spaces": False,
            "chat_template": "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n"
            "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}",
        },
        "tokenizer.json": {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [special | flags],
            "normalizer": None,
            "pre_tokenizer": byte_level | {"use_regex": True},
            "post_processor": None,
            "decoder": byte_level | {"use_regex": True},
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": False,
                "vocab": {letter: i for i, letter in enumerate(vocabulary)},
                "merges": [],
            },
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(_weights(len(vocabulary)))
    return folder


def _byte_letters() -> list[str]:
    """Return the letter that a byte-level tokenizer writes for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(len(others))]


def _weights(n_tokens: int) -> bytes:
    """Return a safetensors file of weights drawn from SHA-256: eight bytes, a header, the data."""
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (n_tokens, _WIDTH)}
    for layer in range(_LAYERS):
        name = f"model.layers.{layer}."
        for part in "qkvo":
            shapes[f"{name}self_attn.{part}_proj.weight"] = (_WIDTH, _WIDTH)
        shapes[f"{name}mlp.gate_proj.weight"] = (_INNER, _WIDTH)
        shapes[f"{name}mlp.up_proj.weight"] = (_INNER, _WIDTH)
        shapes[f"{name}mlp.down_proj.weight"] = (_WIDTH, _INNER)
        shapes[f"{name}input_layernorm.weight"] = (_WIDTH,)
        shapes[f"{name}post_attention_layernorm.weight"] = (_WIDTH,)
    shapes["model.norm.weight"] = (_WIDTH,)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, shape in sorted(shapes.items()):
        n = 1
        for length in shape:
            n *= length
        values = [1.0] * n if len(shape) == 1 else _drawn(name, n)
        packed = struct.pack(f"<{n}f", *values)
        header[name] = {
            "dtype": "F32",
            "shape": list(shape),
            "data_offsets": [len(data), len(data) + len(packed)],
        }
        data += packed
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def _drawn(name: str, n: int) -> list[float]:
    """Return n numbers between -0.5 and 0.5 that the name decides."""
    raw = hashlib.shake_256(name.encode()).digest(2 * n)
    return [value / 65536 - 0.5 for (value,) in struct.iter_unpack("<H", raw)]


def keep(store: Path) -> None:
    """Write a store as texts into ``SAVED``."""
    SAVED.mkdir(exist_ok=True)
    with closing(sqlite3.connect(store / "store.sqlite")) as db:
        # Where files lie on the machine that measured is nobody's business, and is hashed again.
        dump = [line for line in db.iterdump() if not line.startswith('INSERT INTO "file_stamps"')]
        marks = [
            f"PRAGMA {name} = {db.execute(f'PRAGMA {name}').fetchone()[0]};"
            for name in ("application_id", "user_version")
        ]
    (SAVED / "store.sql").write_text("\n".join([*dump, *marks]) + "\n", encoding="utf-8")
    for samples in sorted((store / "samples").iterdir()):
        text = gzip.decompress(samples.read_bytes())
        (SAVED / samples.name.removesuffix(".gz")).write_bytes(text)
    for shard in sorted((store / "journal").rglob("*.sqlite")):
        # The name of a sealed file carries the hash of its bytes: they are kept as they are.
        place = shard.relative_to(store / "journal").as_posix().replace("/", "__")
        packed = base64.encodebytes(gzip.compress(shard.read_bytes(), mtime=0))
        (SAVED / f"{place}.gz.b64").write_bytes(packed)


def restore(store: Path) -> Path:
    """Write the kept store as version 0.1.0 left it."""
    for folder in ("samples", "journal", "logs"):
        (store / folder).mkdir(parents=True)
    with closing(sqlite3.connect(store / "store.sqlite")) as db:
        db.executescript((SAVED / "store.sql").read_text(encoding="utf-8"))
    for path in sorted(SAVED.iterdir()):
        if path.suffix == ".jsonl":
            packed = gzip.compress(path.read_bytes(), mtime=0)
            (store / "samples" / f"{path.name}.gz").write_bytes(packed)
        elif path.suffix == ".b64":
            shard = store / "journal" / path.name.removesuffix(".gz.b64").replace("__", "/")
            shard.parent.mkdir(parents=True, exist_ok=True)
            shard.write_bytes(gzip.decompress(base64.decodebytes(path.read_bytes())))
    return store


def keep_zoo(store: Path) -> None:
    """Write the files of a zoo into ``SAVED``: orders, attempts and what workers measured."""
    for pattern in ("orders.json", "units/*.done", "cells/*.json"):
        for path in (store / "zoo" / "zoo").glob(pattern):
            place = SAVED / "zoo" / path.relative_to(store / "zoo" / "zoo")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())


def restore_zoo(store: Path) -> Path:
    """Write the kept zoo beside a store that has taken in nothing of it; return its folder."""
    return Path(shutil.copytree(SAVED / "zoo", store / "zoo" / "zoo"))
