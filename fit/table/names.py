"""Two spellings of a model's name may mean one model, surely or likely."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["NameMatch", "match_names", "spelled_twice", "sure_matches"]

_SPELLING = {"hf", "pytorch", "transformers"}
_BRANDS = {"meta", "facebook", "google", "microsoft", "openai", "anthropic", "alibaba", "nvidia"}
_VARIANTS = {
    *("base", "chat", "instruct", "instruction", "it", "sft", "dpo", "orpo", "ppo", "rlhf", "grpo"),
    *("thinking", "reasoning", "lora", "qlora", "peft", "adapter", "merged", "tuned", "finetuned"),
    *("finetune", "ft", "deduped", "uncensored", "preview", "final", "gptq", "awq", "gguf", "ggml"),
    *("mlx", "onnx", "quantized", "bnb", "safetensors"),
}
_FOLDERS = {"models", "model", "checkpoints", "checkpoint", "ckpt", "weights", "output", "runs"}
_UNITS = {"billion": "b", "bn": "b", "million": "m"}
_END = r"(?![a-z\d])"
_WORD = re.compile(
    rf"(?P<date>20\d\d[-_.]\d\d(?:[-_.]\d\d)?{_END}|(?:\d{{8}}|\d{{6}}|\d{{4}}){_END})"
    rf"|(?P<version>v\d+(?:[._]\d+)*{_END})"
    rf"|(?P<active>a\d+(?:[._]\d+)?b{_END})"  # parameters used per token: A14B
    rf"|(?P<context>\d+k{_END})"  # length of context: 200K
    rf"|(?P<format>\d+bits?{_END}|(?:fp|bf|int|nf|float|bfloat|exl)\d+{_END})"
    r"|(?P<word>\d+|[^\W\d_]+)"
)
_RELEASES = ("date", "version", "active", "context")
_SHOWN = 4
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_HUB_CACHE = re.compile(r"models--(?P<organisation>.+?)--(?P<leaf>[^/]+)")


@dataclass(frozen=True)
class NameMatch:
    """A known name that a name may stand for.

    Attributes
    ----------
    name : str
        The known name.
    is_sure : bool
        Whether only spelling differs; else the two are likely one model, or variants of one.
    reason : str
        How the two differ; "" for the same text.

    """

    name: str
    is_sure: bool
    reason: str


@dataclass(frozen=True)
class _Parts:
    """A name taken apart.

    Attributes
    ----------
    organisation : tuple of str
        Its words; empty where none is given.
    essence : tuple of str
        Words and numbers of family, version and size: what must agree.
    size_at : int
        Where the number of parameters ends in ``essence``; 0 where none is given.
    variants : frozenset of str
        Words of tuning and format.
    releases : frozenset of (kind, text)
        Version or date behind the name, length of context, active parameters, revision.
    commit : str
        The commit behind ``@``, if one is given.
    folders : tuple of str
        The folders above, where the name is a path.

    """

    organisation: tuple[str, ...]
    essence: tuple[str, ...]
    size_at: int
    variants: frozenset[str]
    releases: frozenset[tuple[str, str]]
    commit: str
    folders: tuple[str, ...]


def match_names(name: str, known: Iterable[str]) -> tuple[NameMatch, ...]:
    """Return which of the known names mean the model that ``name`` means.

    Parameters
    ----------
    name : str
        As users write it: a Hub name with or without organisation and revision, a folder.
    known : iterable of str
        Names to compare with.

    Returns
    -------
    tuple of NameMatch
        The sure matches; where there is none, the likely ones. Empty for a name like no other.

    Notes
    -----
    Spelling is: case, separators, the organisation where one side lacks it, ``hf``, ``@main`` or a
    commit, and the folders above. A match is likely where family, version and size agree and one
    side adds words of tuning or format (``chat``, ``GPTQ``), a release (``v0.1``, ``0424``,
    ``200K``, ``@step1000``) or words behind the size, or where only the organisation differs. Two
    sizes, two versions, two dates or two revisions are two models.

    Examples
    --------
    >>> match_names("Llama-2-7B", ["meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-70b-hf"])
    (NameMatch(name='meta-llama/Llama-2-7b-hf', is_sure=True, reason='another spelling'),)

    """
    names = list(known)
    if name in names:
        return (NameMatch(name, True, ""),)
    matches = [m for other in names if (m := _match(name, other)) is not None]
    return tuple([m for m in matches if m.is_sure] or matches)


def spelled_twice(names: Iterable[str], others: Iterable[str] | None = None) -> dict[str, str]:
    """Return which names are surely an earlier one (or one of ``others``) in another spelling."""
    alike: dict[str, list[str]] = {}
    for other in others or ():
        alike.setdefault(_key(other), []).append(other)
    spelled = {}
    for name in names:
        group = alike.setdefault(_key(name), [])
        matches = [m for m in match_names(name, group) if m.is_sure]
        if matches:
            spelled[name] = matches[0].name
        elif others is None:
            group.append(name)
    return spelled


def sure_matches(names: Iterable[str], others: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return for each name the ``others`` that surely are the same model in another spelling."""
    alike: dict[str, list[str]] = {}
    for other in others:
        alike.setdefault(_key(other), []).append(other)
    return {
        name: tuple(m.name for m in match_names(name, alike.get(_key(name), ())) if m.is_sure)
        for name in names
    }


def _key(name: str) -> str:
    """Return what all sure spellings of a name share, for looking them up: numbers and variants."""
    parts = _parts(name)
    numbers = [w for w in parts.essence if w.isdigit()]
    return " ".join([*numbers, *sorted(parts.variants), *sorted(t for _, t in parts.releases)])


def _match(name: str, known: str) -> NameMatch | None:
    own, other = _parts(name), _parts(known)
    difference = _difference(own, other)
    if difference is not None:
        return NameMatch(known, not difference, difference or "another spelling")
    for folder in own.folders:
        if _difference(_parts(folder), other) == "":
            return NameMatch(known, False, f"it lies in a folder {folder!r}")
    return None


def _difference(own: _Parts, other: _Parts) -> str | None:
    """Return how two names differ: "" in spelling only, None where they mean two models."""
    added = _added_words(own, other)
    if added is None or (own.commit and other.commit and own.commit != other.commit):
        return None
    releases = own.releases ^ other.releases
    kinds = [kind for kind, _ in releases]
    if len(kinds) > len(set(kinds)):  # both have one of a kind, and not the same
        return None
    if releases and not (
        _is_telling(own.essence)
        or own.releases & other.releases
        or own.organisation == other.organisation != ()
    ):
        return None  # "tiny-llama" is not TinyLlama v1.1
    words = [*added, *sorted(own.variants ^ other.variants), *sorted(text for _, text in releases)]
    if words:
        shown = [*words[:_SHOWN], "…"] if len(words) > _SHOWN else words
        return f"only {', '.join(shown)} tells them apart"
    if own.organisation and other.organisation and own.organisation != other.organisation:
        return "it has the name of another organisation's" if _is_telling(own.essence) else None
    return ""


def _added_words(own: _Parts, other: _Parts) -> tuple[str, ...] | None:
    """Return what one name adds behind the size that both have; None where they do not agree."""
    mine, its = _forms(own, other), _forms(other, own)
    if mine & its or {_joined(f) for f in mine} & {_joined(f) for f in its}:
        return ()
    for words, others in ((a, b) for a in mine for b in its):
        short, long = sorted((words, others), key=len)
        sized = own.size_at if short in mine else other.size_at
        if sized and len(short) < len(long) and long[: len(short)] == short:
            rest = long[len(short) :]
            return None if rest[0].isdigit() else rest
    return None


def _forms(parts: _Parts, other: _Parts) -> set[tuple[str, ...]]:
    """Return the essence, and without an organisation or a brand in front of it."""
    essence, organisation = parts.essence, other.organisation
    forms = {essence}
    if len(essence) > 1 and essence[0] in _BRANDS:
        forms.add(essence[1:])
    n = len(organisation)
    if n and not parts.organisation and essence[:n] == organisation and len(essence) > n:
        forms.add(essence[n:])
    return forms


def _joined(essence: tuple[str, ...]) -> str:
    """Return the essence with nothing between words, so that GPT-J is GPTJ."""
    return re.sub(r"(?<=[^\W\d]) (?=[^\W\d])", "", " ".join(essence))


def _is_telling(essence: tuple[str, ...]) -> bool:
    """Whether a name says which model it is without its organisation, unlike 'm1' or 'small'."""
    return any(w.isdigit() for w in essence) and any(len(w) > 2 and w.isalpha() for w in essence)


@lru_cache(maxsize=1 << 14)
def _parts(name: str) -> _Parts:
    text, _, revision = name.strip().replace("\\", "/").partition("@")
    organisation, leaf, folders = _split(text)
    kinds = _words(leaf)
    words = [word for word, _ in kinds]
    ends = [i for i, w in enumerate(words) if w in ("b", "m") and i and words[i - 1].isdigit()] or [
        -1
    ]
    essence: list[str] = []
    variants: set[str] = set()
    releases: list[tuple[str, str]] = []
    size_at = 0
    for i, (word, kind) in enumerate(kinds):
        if word in _SPELLING:
            continue
        if kind == "version" and i < ends[-1]:
            essence += re.findall(r"\d+", word)  # Llama-v2-7B
        elif kind == "format" or word in _VARIANTS:
            variants.add(word)
        elif kind in _RELEASES and essence:
            releases.append((kind, word.replace("_", ".")))
        else:
            essence.append(word)
        if i == ends[-1]:
            size_at = len(essence)
    revision = "" if revision.lower() == "main" else revision.strip("/")
    commit = revision.lower() if _COMMIT.fullmatch(revision.lower()) else ""
    if revision and not commit:
        releases.append(("revision", f"@{revision}"))
    return _Parts(
        tuple(word for word, _ in _words(organisation)),
        tuple(essence),
        size_at,
        frozenset(variants),
        frozenset(releases),
        commit,
        folders,
    )


def _split(text: str) -> tuple[str, str, tuple[str, ...]]:
    """Return organisation, name, and the folders above."""
    if cached := _HUB_CACHE.search(text):
        return cached["organisation"], cached["leaf"], ()
    parts = [p for p in text.split("/") if p not in ("", ".", "..", "~")] or [text]
    leaf, above = parts[-1], parts[:-1]
    if not above and "__" in leaf:  # how lm-eval names its folders of results
        organisation, _, leaf = leaf.partition("__")
        return organisation, leaf, ()
    if len(above) == 1 and not text.startswith(("/", ".", "~")) and above[0] not in _FOLDERS:
        return above[0], leaf, ()
    return "", leaf, tuple(above)


def _words(text: str) -> list[tuple[str, str]]:
    """Return the words and numbers of a name, in small letters, each with its kind."""
    text = text.lower()
    text = re.sub(rf"(?<![\da-z.])(\d+)([bm])(\d+){_END}", r"\1.\3\2", text)  # 7b1 is 7.1B
    text = re.sub(r"(?<=\d)\.0(?!\d)", "", text)  # 2.0 is 2
    return [
        (_UNITS.get(match[0], match[0]), str(match.lastgroup)) for match in _WORD.finditer(text)
    ]
