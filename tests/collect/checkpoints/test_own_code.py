"""Code that comes with a checkpoint: asked for, hashed, and never taken from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from hub_server import resolve_all, serving

from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.errors import CheckpointError
from capspace.collect.harness.backends import load_model
from capspace.collect.settings import LoadSettings

TOKENIZER = """
from transformers import PreTrainedTokenizerFast
from .parts.words import WORDS

class Mine(PreTrainedTokenizerFast):
    words = WORDS
"""


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint of a known type, whose tokenizer alone has code, in two files."""
    made = copytree(tiny_checkpoint, tmp_path / "model")
    (made / "tokenization.py").write_text(TOKENIZER)
    (made / "parts").mkdir()
    (made / "parts" / "words.py").write_text("WORDS = 1\n")
    edit(made / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "tokenization.Mine"]})
    return made


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def identity(folder: Path) -> str:
    return resolve(str(folder), trust_remote_code=True).identity


def test_a_tokenizers_code_is_part_of_the_identity_where_it_runs(folder: Path) -> None:
    plain, trusted = resolve(str(folder)), resolve(str(folder), trust_remote_code=True)
    assert (plain.custom_code, trusted.custom_code) == (False, True)
    assert trusted.identity != plain.identity
    known = {plain.identity, trusted.identity}
    for name in ("tokenization.py", "parts/words.py"):
        (folder / name).write_text((folder / name).read_text() + "# edited\n")
        assert resolve(str(folder)).identity == plain.identity
        assert identity(folder) not in known
        known.add(identity(folder))


def test_a_custom_generate_is_code_too(tiny_checkpoint: Path, tmp_path: Path) -> None:
    made = copytree(tiny_checkpoint, tmp_path / "model")
    plain = identity(made)
    assert plain == resolve(str(made)).identity  # a permission that nothing asks for
    (made / "custom_generate").mkdir()
    (made / "custom_generate" / "generate.py").write_text("def generate(*args): ...\n")
    assert resolve(str(made)).identity == plain
    assert identity(made) != plain


@pytest.mark.parametrize(
    ("name", "auto_map"),
    [
        ("config.json", {"AutoModelForCausalLM": "org/other--modeling.Mine"}),
        ("tokenizer_config.json", {"AutoTokenizer": ["org/other--tokenization.Mine", None]}),
        ("tokenizer_config.json", ["org/other--tokenization.Mine", None]),
    ],
)
def test_code_of_another_repository_is_refused(folder: Path, name: str, auto_map: Any) -> None:
    edit(folder / name, auto_map=auto_map)
    with pytest.raises(CheckpointError, match=rf"{name} takes code from 'org/other' at no fixed"):
        identity(folder)
    assert not resolve(str(folder)).custom_code  # transformers' own code runs


@pytest.mark.filterwarnings("ignore")  # of lm-eval and its libraries
@pytest.mark.parametrize("trusted", [False, True])
def test_the_tokenizers_code_runs_only_with_permission(folder: Path, trusted: bool) -> None:
    pytest.importorskip("lm_eval")
    (folder / "tokenization.py").write_text(TOKENIZER.replace(".parts.words", ".words"))
    (folder / "words.py").write_text("WORDS = 1\n")
    checkpoint = resolve(str(folder), trust_remote_code=trusted)
    options = LoadSettings(backend="hf", device="cpu", trust_remote_code=True)
    model: Any = load_model(checkpoint, options)
    assert getattr(model.tokenizer, "words", None) == (1 if trusted else None)


@pytest.mark.slow
def test_a_hub_tokenizers_code_is_fetched_only_with_permission(
    folder: Path, tmp_path: Path
) -> None:
    with serving() as server:
        server.repository("org/model").add(folder, branch="main")
        (plain,) = resolve_all("org/model", endpoint=server.endpoint, cache=tmp_path / "cache")
        assert "tokenization.py" not in plain
        (trusted,) = resolve_all(
            "org/model", endpoint=server.endpoint, cache=tmp_path / "cache", trust=True
        )
        assert "tokenization.py" in trusted
