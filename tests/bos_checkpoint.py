"""A checkpoint whose tokenizer puts a token before every text, as Llama's does."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

BOS = "<|endoftext|>"


def with_bos(plain: Path, folder: Path) -> Path:
    """Copy a checkpoint of ``scripts/make_checkpoint.py`` whose tokenizer then begins each text."""
    copytree(plain, folder)
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    begin = {"SpecialToken": {"id": BOS, "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    (number,) = (t["id"] for t in tokenizer["added_tokens"] if t["content"] == BOS)
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [begin, text],
        "pair": [begin, text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {BOS: {"id": BOS, "ids": [number], "tokens": [BOS]}},
    }
    path.write_text(json.dumps(tokenizer))
    return folder
