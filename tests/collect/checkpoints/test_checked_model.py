"""A model is the checkpoint named, whole and with its own tokenizer, or it is not loaded."""

import json
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("lm_eval", reason="models are loaded by the collect extra")

from lm_eval.api.instance import Instance

from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.checkpoints.loading import _described, _peft_model
from capspace.collect.checkpoints.tokenizer_checks import _behind
from capspace.collect.errors import CheckpointError, HarnessError
from capspace.collect.harness.backends import load_model
from capspace.collect.settings import LoadSettings

pytestmark = pytest.mark.filterwarnings("ignore")  # of lm-eval and its libraries

BACKENDS = ("capspace", "hf")
PAIRS = [("The cat sat", " on the mat"), ("One and two", " is three"), ("a b c", " d")]


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return copytree(tiny_checkpoint, tmp_path / "model")


def edit(path: Path, **changes: object) -> None:
    """Set keys of a JSON file; None takes one away."""
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def load(folder: Path, backend: str = "hf", **settings: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = LoadSettings(backend=backend, device="cpu", batch_size=2)
        return load_model(resolve(str(folder)), options, **settings)


def requests(kind: str, *arguments: tuple[Any, ...]) -> list[Any]:
    return [Instance(kind, {}, args, i) for i, args in enumerate(arguments)]


def score(lm: Any, *pairs: tuple[str, str]) -> list[float]:
    return [value for value, _ in lm.loglikelihood(requests("loglikelihood", *pairs))]


@pytest.fixture(scope="module")
def scores(tiny_checkpoint: Path) -> list[float]:
    """What the checkpoint as it is answers."""
    lm = load(tiny_checkpoint)
    assert (lm.notes, lm.identity_settings, lm.missing_weights) == ([], {}, [])
    return score(lm, *PAIRS)


def change_weights(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def without(*parts: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda weights: {n: w for n, w in weights.items() if not any(p in n for p in parts)}


def shard(folder: Path) -> None:
    """Put the weights into two files with an index, of which one lacks a layer's norm."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    parts = [("layers.0", {}), ("", {})]
    for name, weight in weights.items():
        next(part for mark, part in parts if mark in name)[name] = weight
    names = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    del parts[0][1]["model.layers.0.input_layernorm.weight"]
    places = {}
    for file, (_, part) in zip(names, parts, strict=True):
        save_file(part, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def narrowed(weights: dict[str, Any]) -> dict[str, Any]:
    name = "model.layers.0.mlp.down_proj.weight"
    return weights | {name: weights[name][:, :-2].contiguous()}


def under_another_prefix(weights: dict[str, Any]) -> dict[str, Any]:
    return {f"decoder.{n}": w for n, w in weights.items()}


MISSING = {
    "a layer": (
        lambda f: change_weights(f, without("layers.1.mlp")),
        r"model: 3 weights of the model are not in its files, first model\.layers\.1\.mlp\.",
    ),
    "an untied head": (
        lambda f: edit(f / "config.json", tie_word_embeddings=False),
        r"1 weight of the model is not in its files: lm_head\.weight; missing weights would be",
    ),
    "one of a shard": (shard, r"1 weight .*: model\.layers\.0\.input_layernorm\.weight"),
    "another shape": (
        lambda f: change_weights(f, narrowed),
        # The shapes themselves with transformers 5.
        r"1 weight .*: model\.layers\.0\.mlp\.down_proj\.weight \(in (the file \(\d|another shape)",
    ),
    "another prefix": (
        lambda f: change_weights(f, under_another_prefix),
        r"\d+ weights of the model are not .* in the files have no place in .*, first .*deco",
    ),
    "more layers than there are": (
        lambda f: edit(f / "config.json", num_hidden_layers=12, layer_types=None),
        r"90 weights .* first model\.layers\.2\.input_layernorm\.weight",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), MISSING.values(), ids=MISSING)
def test_a_model_whose_files_lack_weights_is_not_loaded(
    folder: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_tied_weights_and_buffers_that_are_computed_are_not_missing(
    folder: Path, scores: list[float]
) -> None:
    import torch

    def older(weights: dict[str, Any]) -> dict[str, Any]:
        frequencies = {
            f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.ones(4) for i in (0, 1)
        }
        head = {"lm_head.weight": weights["model.embed_tokens.weight"].clone()}
        return weights | frequencies | head

    change_weights(folder, older)
    lm = load(folder)
    assert lm.notes == []
    assert score(lm, *PAIRS) == scores


def test_weights_that_the_model_has_no_place_for_are_named(folder: Path) -> None:
    edit(folder / "config.json", num_hidden_layers=1, layer_types=None)
    (note,) = load(folder).notes
    assert (
        "9 weights of its files have no place in the model and are not used, first model.l" in note
    )


def quantised(weights: dict[str, Any]) -> dict[str, Any]:
    """Return weights as ModelOpt stores them: eight bits each, and a scale for a layer."""
    import torch

    changed = dict(weights)
    for name, weight in weights.items():
        if name.endswith("_proj.weight"):
            scale = weight.abs().max() / 448
            changed[name] = (weight / scale).to(torch.float8_e4m3fn)
            changed[f"{name}_scale"] = scale.float()
    return changed


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_whose_scales_would_be_left_out_are_refused(folder: Path, backend: str) -> None:
    change_weights(folder, quantised)
    words = "quantised by a method that its configuration does not state; .* first model.layers.0."
    with pytest.raises(CheckpointError, match=words):
        load(folder, backend)


def test_scales_of_layers_that_are_left_out_are_no_fault(folder: Path, scores: list[float]) -> None:
    """As of layers that predict further tokens, which many models have behind their last one."""

    def with_another(weights: dict[str, Any]) -> dict[str, Any]:
        last = {n.replace("layers.1.", "layers.2."): t for n, t in quantised(weights).items()}
        return weights | {n: t.clone() for n, t in last.items() if "layers.2." in n}

    change_weights(folder, with_another)
    lm = load(folder)
    assert any("have no place in the model" in note for note in lm.notes)
    assert score(lm, *PAIRS) == scores


def append_end(folder: Path, processor: str) -> None:
    """Let the tokenizer put its last token behind every text, in one of the ways there are."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    before = content["post_processor"]
    end = content["added_tokens"][0]
    name, number = end["content"], end["id"]
    text = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": name, "type_id": 0}}]
    template = {
        "type": "TemplateProcessing",
        "single": text,
        "pair": [*text, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {name: {"id": name, "ids": [number], "tokens": [name]}},
    }
    roberta = {"type": "RobertaProcessing", "sep": [name, number], "cls": [name, number],
               "trim_offsets": True, "add_prefix_space": False}  # fmt: skip
    bert = {"type": "BertProcessing", "sep": [name, number], "cls": [name, number]}
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
              "use_regex": True}  # fmt: skip
    levels = [*([before] if before else []), bytes_, template]
    content["post_processor"] = {
        "template": template,
        "sequence": {"type": "Sequence", "processors": levels},
        "roberta": roberta,
        "bert": bert,
    }[processor]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("processor", ["template", "sequence"])
def test_a_token_behind_every_text_is_left_out(
    folder: Path, scores: list[float], backend: str, processor: str
) -> None:
    append_end(folder, processor)
    assert resolve(str(folder)).identity_settings == (("appended_tokens", "removed"),)
    lm = load(folder, backend)
    assert score(lm, *PAIRS) == pytest.approx(scores, rel=1e-5)
    (note,) = [n for n in lm.notes if "behind" in n]
    assert note.endswith("puts <|endoftext|> behind every text; requests are encoded without it")
    # Batches are encoded by another way than single texts.
    ids, _ = lm.tok_batch_encode(["The cat sat", "a b c"])
    assert ids[:, -1].tolist() != [lm.eot_token_id] * 2


@pytest.mark.parametrize("processor", ["roberta", "bert"])
def test_a_token_on_both_sides_stays_before_the_text(folder: Path, processor: str) -> None:
    append_end(folder, processor)
    lm = load(folder)
    bare = lm.tok_encode("The cat", add_special_tokens=False)
    assert lm.tok_encode("The cat") == [lm.eot_token_id, *bare]
    assert lm.identity_settings == {"appended_tokens": "removed"}


def test_a_text_for_an_encoder_ends_as_its_tokenizer_says(folder: Path) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    tiny = {"d_model": 8, "d_ff": 8, "d_kv": 8, "num_layers": 1, "num_heads": 1}
    config = T5Config(vocab_size=n_rows(folder), decoder_start_token_id=0, **tiny)
    append_end(folder, "template")
    T5ForConditionalGeneration(config).save_pretrained(folder)
    lm = load(folder)
    assert (lm.backend, lm.identity_settings) == ("seq2seq", {})
    assert lm.tokenizer.encode("a")[-1] == lm.tokenizer.eos_token_id
    assert score(lm, PAIRS[0])[0] < 0


def test_a_tokenizer_of_python_puts_nothing_behind_either() -> None:
    from transformers import PreTrainedTokenizer

    from capspace.collect.checkpoints.tokenizer_checks import stop_appending

    class Letters(PreTrainedTokenizer):  # type: ignore[misc]  # untyped there
        """A letter a token, and an end behind the text."""

        def __init__(self) -> None:
            super().__init__(eos_token="\x00")  # noqa: S106 - no password

        @property
        def vocab_size(self) -> int:
            return 128

        def get_vocab(self) -> dict[str, int]:
            return {chr(i): i for i in range(128)} | self.added_tokens_encoder

        def _tokenize(self, text: str, **_: Any) -> list[str]:
            return list(text)

        def _convert_token_to_id(self, token: str) -> int:
            return ord(token)

        def _convert_id_to_token(self, index: int) -> str:
            return chr(index)

        def build_inputs_with_special_tokens(
            self, token_ids_0: list[int], token_ids_1: list[int] | None = None
        ) -> list[int]:
            return [*token_ids_0, *(token_ids_1 or []), self.eos_token_id]

    tokenizer = Letters()
    assert tokenizer.encode("ab") == [97, 98, 0]
    assert stop_appending(tokenizer) == ("\x00",)
    assert tokenizer.encode("ab") == [97, 98]
    assert tokenizer(["ab", "c"])["input_ids"] == [[97, 98], [99]]
    assert stop_appending(tokenizer) == ()


class Stubborn:
    """Appends a token to every text, and has nothing that could be edited."""

    all_special_ids = (0,)
    backend_tokenizer = SimpleNamespace(post_processor=None)

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [*map(ord, text), *([0] if add_special_tokens else [])]

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return ["<end>" for _ in ids]


def test_a_tokenizer_that_cannot_be_kept_from_appending_is_refused(tiny_checkpoint: Path) -> None:
    message = r"its tokenizer \(Stubborn\) puts <end> behind every text, and cannot be kept from"
    lm = load(tiny_checkpoint)
    lm.tokenizer = Stubborn()
    with pytest.raises(CheckpointError, match=rf"^{tiny_checkpoint.name}: {message}"):
        lm._stop_appending()


@pytest.mark.parametrize(
    ("whole", "bare", "behind"),
    [
        ([1, 5, 6, 0], [5, 6], [0]),
        ([1, 7, 0, 0], [5, 6], [0, 0]),  # the beginning changed how the text is cut
        ([1, 7], [5, 6], []),
        ([0, 0], [], [0, 0]),
    ],
)
def test_what_stands_behind_a_text_is_seen_however_it_is_cut(
    whole: list[int], bare: list[int], behind: list[int]
) -> None:
    assert _behind(whole, bare, {0, 1}) == behind


def test_what_is_wrong_in_a_tokenizer_s_files_is_not_called_their_lack(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", added_tokens_decoder={"x": {"content": "<extra>"}})
    with pytest.raises(ValueError, match="invalid literal for int"):
        load(folder)


def test_a_tokenizer_without_plain_words_is_one_line(folder: Path) -> None:
    path = folder / "tokenizer.json"
    model = {"type": "WordLevel", "vocab": {"<unk>": 0}, "unk_token": "<unk>"}
    edit(path, model=model, added_tokens=[])
    edit(folder / "tokenizer_config.json", unk_token="<unk>")  # noqa: S106 - no password
    with pytest.raises(CheckpointError, match="model: its tokenizer knows no plain words"):
        load(folder)


def test_a_begin_token_without_a_row_is_refused(folder: Path) -> None:
    rows = n_rows(folder)
    add_tokens(folder, ("<begin>", rows))
    edit(folder / "tokenizer_config.json", bos_token="<begin>")  # noqa: S106 - no password
    with pytest.raises(CheckpointError, match=rf"embedding {rows:,} rows: none for .*<begin>"):
        load(folder)


def test_a_chat_template_of_another_name_is_one_line(folder: Path) -> None:
    templates = [{"name": name, "template": "{{ messages }}"} for name in ("default", "tools")]
    edit(folder / "tokenizer_config.json", chat_template=templates)
    with pytest.raises(CheckpointError, match="no chat template 'mine'; there are default, tools"):
        load(folder, chat_template="mine")


def test_a_model_that_does_not_show_its_embedding_is_not_judged_by_it(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = load(tiny_checkpoint)
    (whole,) = lm.loglikelihood_rolling(requests("loglikelihood_rolling", ("The cat sat",)))
    assert -100 < whole < 0
    monkeypatch.setattr(lm, "_model", SimpleNamespace())
    lm._require_rows()
    assert lm.notes == []


def test_a_weight_without_stated_shapes_is_named() -> None:
    assert _described("lm_head.weight") == "lm_head.weight (in another shape)"


@pytest.fixture
def no_special(folder: Path) -> Path:
    edit(folder / "tokenizer_config.json", bos_token=None, eos_token=None, pad_token=None)
    return folder


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_tokenizer_without_bos_and_eos_serves_what_needs_neither(
    no_special: Path, scores: list[float], backend: str
) -> None:
    lm = load(no_special, backend)
    assert score(lm, *PAIRS) == pytest.approx(scores, rel=1e-5)
    for kind, arguments in (("loglikelihood", ("", " text")), ("loglikelihood_rolling", ("text",))):
        with pytest.raises(HarnessError, match="names neither a BOS nor an EOS token"):
            getattr(lm, kind)(requests(kind, arguments))
    asked = requests("generate_until", ("The cat", {"until": ["\n"], "max_gen_toks": 3}))
    if getattr(lm, "shares_prefixes", False):
        assert len(lm.generate_until(asked)) == 1
    else:
        assert any("names no EOS token" in note for note in lm.notes)  # before any is asked for
        with pytest.raises(HarnessError, match="names no EOS token"):
            lm.generate_until(asked)


@pytest.mark.parametrize("type_", ["llama", "gpt2", "qwen2"])
def test_no_tokenizer_is_one_line(folder: Path, type_: str) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    # transformers makes an empty tokenizer for some types, and goes on.
    edit(folder / "config.json", model_type=type_, architectures=None)
    with pytest.raises(CheckpointError, match=r"no tokenizer: none of tokenizer\.json, ") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def add_tokens(folder: Path, *tokens: tuple[str, int]) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    content["added_tokens"] += [
        {"id": number, "content": token, "special": True, **flags} for token, number in tokens
    ]
    path.write_text(json.dumps(content))


def n_rows(folder: Path) -> int:
    rows: int = json.loads((folder / "config.json").read_text())["vocab_size"]
    return rows


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_token_without_a_row_is_refused_where_it_is_in_a_prompt(
    folder: Path, scores: list[float], backend: str
) -> None:
    rows = n_rows(folder)
    add_tokens(folder, ("<extra>", rows), ("<more>", rows + 1))
    edit(folder / "tokenizer_config.json", pad_token="<extra>")  # noqa: S106 - no password
    lm = load(folder, backend)
    assert f"{rows + 2:,} tokens, its embedding {rows:,} rows: none for 2 added" in lm.notes[0]
    assert score(lm, *PAIRS) == pytest.approx(scores, rel=1e-5)
    with pytest.raises(HarnessError, match=rf"token {rows + 1} \('<more>'\)"):
        score(lm, PAIRS[0], ("a <more> b", " c"))
    # Of another length each, so that one is padded: with a token that has a row.
    prompts = [(text, {"until": ["\n"], "max_gen_toks": 2}) for text in ("The cat sat on", "a")]
    assert len(lm.generate_until(requests("generate_until", *prompts))) == 2


def test_a_vocabulary_larger_than_the_embedding_is_not_loaded(folder: Path) -> None:
    rows = n_rows(folder) - 100
    edit(folder / "config.json", vocab_size=rows)
    change_weights(
        folder,
        lambda weights: {
            n: w[:rows].clone() if w.shape[0] == rows + 100 else w for n, w in weights.items()
        },
    )
    message = rf"its tokenizer has {rows + 100:,} tokens, its embedding {rows:,} rows: none for"
    with pytest.raises(CheckpointError, match=message):
        load(folder)


@pytest.mark.parametrize("file", ["tokenizer.json", "added_tokens.json", "tokenizer_config.json"])
def test_a_token_that_is_renumbered_is_told(folder: Path, file: str) -> None:
    rows = n_rows(folder)
    if file == "tokenizer.json":
        add_tokens(folder, ("<extra>", rows + 5))
    elif file == "tokenizer_config.json":
        edit(folder / file, added_tokens_decoder={str(rows + 5): {"content": "<extra>"}})
    else:
        (folder / file).write_text(json.dumps({"<extra>": rows + 5}))
    note = load(folder).notes[0]  # transformers 4 leaves out what tokenizer.json does not name
    assert re.search(rf"token '<extra>' has id {rows + 5} in {file} and ({rows}|no id) once", note)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_chat_template_that_is_not_there_is_one_line(folder: Path, backend: str) -> None:
    with pytest.raises(CheckpointError, match="model: it has no chat template, and one was asked"):
        load(folder, backend, chat_template=True)
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    assert load(folder, backend, chat_template=True).notes == []


def test_processes_on_cpus_load_by_the_plain_name(tiny_checkpoint: Path) -> None:
    import torch

    lm = load(tiny_checkpoint)
    for device, plain in (("cpu:0", "cpu"), ("cpu", "cpu"), ("meta", "meta")):
        lm._device = torch.device(device)
        loading = lm._get_accelerate_args(parallelize=False, device_map=None)
        assert loading["device_map"] == {"": plain}


def test_adapters_are_unknown_without_their_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    assert _peft_model() is None


def test_a_tokenizer_that_ends_texts_unlike_its_files_say_is_refused(folder: Path) -> None:
    """Its class puts a token behind every text, and no file of the checkpoint tells."""
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    with pytest.raises(CheckpointError, match="a token behind every text, which its files do not"):
        load(folder)
