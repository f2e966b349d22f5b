import json
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest
from checkout import ROOT

from capspace.collect.checkpoints.checkpoint import resolve

pytestmark = pytest.mark.usefixtures("forked")


@pytest.fixture(autouse=True)
def _old_libraries() -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.slow
def test_the_command_writes_a_small_checkpoint_that_can_be_resolved(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_checkpoint.py"), str(tmp_path / "tiny")],
        capture_output=True,
        text=True,
        check=True,
    )
    parameters = float(done.stdout.split(" of ")[1].split()[0])
    assert 0.1 < parameters < 1.0
    checkpoint = resolve(str(tmp_path / "tiny"))
    assert (checkpoint.name, checkpoint.dtype) == ("tiny", "float32")
    assert not checkpoint.pickled


def test_the_same_seed_gives_the_same_checkpoint(
    checkpoint_maker: ModuleType, tmp_path: Path
) -> None:
    texts = ["one and one is two, two and two is four. " * 20]
    made = [
        checkpoint_maker.make_checkpoint(
            tmp_path / name, seed=seed, hidden=16, vocabulary=300, texts=texts, train_steps=steps
        )
        for name, seed, steps in (("a", 1, 2), ("b", 1, 2), ("c", 2, 2), ("d", 1, 0))
    ]
    identities = [resolve(str(folder)).identity for folder in made]
    assert identities[0] == identities[1]
    assert len(set(identities)) == 3


def test_the_tokenizer_reads_back_what_it_wrote(tiny_checkpoint: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    text = "Question: Wo liegt Zürich? 東京 \n\tAnswer:"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert json.loads((tiny_checkpoint / "config.json").read_text())["vocab_size"] == len(tokenizer)
