"""A loaded tokenizer is checked for what would change a score, such as a token that it appends.

Nothing here imports a library when it is imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError

__all__ = [
    "RenumberedToken",
    "encodes_nothing",
    "renumbered_tokens",
    "stop_appending",
    "tokens_beyond",
]

_TEXTS = ("The cat sat on the mat.", "1 + 2", "x")


@dataclass(frozen=True)
class RenumberedToken:
    """A token that has another id once it is loaded than its file says."""

    token: str
    file: str
    id_in_file: int
    id_loaded: int | None


def encodes_nothing(tokenizer: Any) -> bool:
    """Return whether a tokenizer makes nothing, or only unknown tokens, of plain words."""
    ids = [i for text in _TEXTS for i in tokenizer.encode(text, add_special_tokens=False)]
    return not ids or set(ids) == {getattr(tokenizer, "unk_token_id", None)}


def stop_appending(tokenizer: Any) -> tuple[str, ...]:
    """Let a tokenizer put nothing behind the texts it encodes; return what it put there.

    Raises
    ------
    CheckpointError
        It cannot be brought to that.

    """
    appended = _appended(tokenizer)
    if not appended:
        return ()
    wanted = [tokenizer.encode(text)[: -len(appended)] for text in _TEXTS]
    names = tuple(map(str, tokenizer.convert_ids_to_tokens(appended)))
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        _edit_processor(backend)
    else:
        build = tokenizer.build_inputs_with_special_tokens
        tokenizer.build_inputs_with_special_tokens = lambda ids, pair=None: _cut(
            build(ids, pair), appended
        )
    if [tokenizer.encode(text) for text in _TEXTS] != wanted:
        raise CheckpointError(
            f"its tokenizer ({type(tokenizer).__name__}) puts {' '.join(names)} behind every text, "
            "and cannot be kept from it; save it with add_eos_token=False"
        )
    return names


def renumbered_tokens(tokenizer: Any, revision: str | None) -> list[RenumberedToken]:
    """Return the added tokens whose id is not the one that the tokenizer's files give them."""
    loaded = tokenizer.get_vocab()
    renumbered: dict[str, RenumberedToken] = {}
    for file, token, number in _numbered(str(tokenizer.name_or_path), revision):
        if loaded.get(token) != number and token not in renumbered:
            renumbered[token] = RenumberedToken(token, file, number, loaded.get(token))
    return list(renumbered.values())


def tokens_beyond(tokenizer: Any, n_rows: int) -> tuple[dict[int, str], dict[int, str]]:
    """Return the tokens that have no row in an embedding: those of the vocabulary, and added ones.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        A tokenizer.
    n_rows : int
        Rows of the embedding.

    """
    beyond = {number: token for token, number in tokenizer.get_vocab().items() if number >= n_rows}
    added = set(getattr(tokenizer, "added_tokens_decoder", {}))
    return (
        {n: beyond[n] for n in sorted(beyond) if n not in added},
        {n: beyond[n] for n in sorted(beyond) if n in added},
    )


def _appended(tokenizer: Any) -> list[int]:
    """Return the ids that stand behind every text."""
    behind = []
    for text in _TEXTS:
        bare = tokenizer.encode(text, add_special_tokens=False)
        whole = tokenizer.encode(text)
        behind.append(_behind(whole, bare, set(tokenizer.all_special_ids)))
    return behind[0] if all(ids == behind[0] for ids in behind) else []


def _behind(whole: list[int], bare: list[int], special: set[int]) -> list[int]:
    for start in range(len(whole) - len(bare), -1, -1):
        if bare and whole[start : start + len(bare)] == bare:
            return whole[start + len(bare) :]
    # A beginning may change how the text itself is cut; its end is then told by what is special.
    n = _n_special(whole, special) - _n_special(bare, special)
    return whole[len(whole) - n :] if n > 0 else []


def _n_special(ids: Sequence[int], special: set[int]) -> int:
    return next((n for n, i in enumerate(reversed(ids)) if i not in special), len(ids))


def _cut(ids: list[int], appended: list[int]) -> list[int]:
    return ids[: -len(appended)] if ids[-len(appended) :] == appended else ids


def _edit_processor(backend: Any) -> None:
    """Take what stands behind a text out of the post-processor of a fast tokenizer."""
    from tokenizers import Tokenizer

    if backend.post_processor is None:
        return
    processor = json.loads(backend.post_processor.__getstate__())
    # Only a whole tokenizer is read from text; of this one, its post-processor is taken.
    shell: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": _without_behind(processor),
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {}, "unk_token": ""},
    }
    backend.post_processor = Tokenizer.from_str(json.dumps(shell)).post_processor


def _without_behind(processor: dict[str, Any]) -> dict[str, Any]:
    match processor:
        case {"type": "Sequence", "processors": [*parts]}:
            return processor | {"processors": [_without_behind(part) for part in parts]}
        case {"type": "TemplateProcessing", "single": [*pieces]}:
            last = max(i for i, piece in enumerate(pieces) if "Sequence" in piece)
            return processor | {"single": pieces[: last + 1]}
        case {"type": "BertProcessing" | "RobertaProcessing", "cls": [token, number]}:
            text = {"Sequence": {"id": "A", "type_id": 0}}
            begin = {"SpecialToken": {"id": token, "type_id": 0}}
            return {
                "type": "TemplateProcessing",
                "single": [begin, text],
                "pair": [begin, text, {"Sequence": {"id": "B", "type_id": 0}}],
                "special_tokens": {token: {"id": token, "ids": [number], "tokens": [token]}},
            }
    return processor


def _numbered(name: str, revision: str | None) -> Iterable[tuple[str, str, int]]:
    """Yield file, token and id of each added token that a tokenizer's files name."""
    whole = _read(name, "tokenizer.json", revision).get("added_tokens") or ()
    for entry in whole:
        yield "tokenizer.json", str(entry["content"]), int(entry["id"])
    for token, number in _read(name, "added_tokens.json", revision).items():
        yield "added_tokens.json", token, int(number)
    config = _read(name, "tokenizer_config.json", revision).get("added_tokens_decoder") or {}
    for number, entry in config.items():
        yield "tokenizer_config.json", str(entry["content"]), int(number)


def _read(name: str, file: str, revision: str | None) -> dict[str, Any]:
    """Return a JSON file that a tokenizer was loaded from; nothing where it has none."""
    path: Any = Path(name) / file
    if not Path(name).is_dir():
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache(name, file, revision=revision)
    if not isinstance(path, str | Path) or not Path(path).is_file():
        return {}
    value = json.loads(Path(path).read_text(encoding="utf-8"))
    return value if isinstance(value, dict) else {}
