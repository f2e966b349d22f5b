"""A result file is about one model, which its full name distinguishes from every other."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

__all__ = ["ADAPTERS", "ModelName", "UnnamedModelError", "name_of_argument", "named_model"]

ADAPTERS = ("peft", "delta", "lora_local_path")
"""Model arguments that name weights on top of the checkpoint's own."""

_PARTS = ("subfolder", "gguf_file")
_SNAPSHOT = re.compile(
    r"(?:^|[\\/])models--(?P<repo>[^\\/]+)[\\/]snapshots[\\/](?P<commit>[^\\/]+)"
    r"(?:[\\/](?P<rest>.+))?$"
)
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_OBJECT = re.compile(r"<.*>$|.*\bobject at 0x|\w+\(\s*\(", re.DOTALL)
_CLASS = re.compile(r"[A-Z]\w*(For[A-Z]\w+|LMHeadModel|HFLM)$|HFLM$|VLLM$|CUSTOM$", re.ASCII)
_OF_A_RUN = re.compile(r"(checkpoint-|global_step)\d+$", re.ASCII)
_RANDOM = re.compile(r"[a-z0-9]{8}$", re.ASCII)


@dataclass(frozen=True)
class ModelName:
    """A model as files are kept by: its whole name, and its revision or ""."""

    model: str
    revision: str = ""


class UnnamedModelError(ValueError):
    """A file does not say for certain which model it is about; the message says why.

    Parameters
    ----------
    reason : str
        Why what it says names none.
    words : str
        What it says.

    """

    def __init__(self, reason: str, words: str = "") -> None:
        super().__init__(f"{reason} {words[:100]!r}" if words else reason)
        self.about = (ModelName(words),) if words else ()

    def remedy(self, path: Path) -> str:
        """Return the message with what to do about it."""
        return f"{self}; say which: capspace import --answers-of NAME {path.name}"


def named_model(
    arguments: Mapping[str, JsonValue],
    *,
    own: str | None,
    stated: str | None,
    kind: str | None,
    sha: str | None,
) -> ModelName:
    """Return the model of a run of lm-eval or of a harness that writes like it.

    Parameters
    ----------
    arguments : mapping
        The run's model arguments.
    own : str or None
        The name in the run's configuration, where the harness has a field for it.
    stated : str or None
        The name beside the configuration. lm-eval draws eight letters where it knows none.
    kind : str or None
        lm-eval's field ``model``: a registered model class, a Python class, or a loaded model's
        path.
    sha : str or None
        The commit, which only a model of a Hub has.

    Raises
    ------
    UnnamedModelError
        None of them names one.

    """
    given, is_checkpoint = _given(arguments, own=own, stated=stated, kind=kind)
    name = name_of_argument(given, is_checkpoint=is_checkpoint and not sha)
    for part in _PARTS:
        if part in arguments:
            name = ModelName(f"{name.model}/{str(arguments[part]).strip('/')}", name.revision)
    for adapter in ADAPTERS:
        if adapter in arguments:
            on_top = name_of_argument(_text(arguments[adapter]))
            words = "@".join(filter(None, (on_top.model, on_top.revision)))
            name = ModelName(f"{name.model}+{words}", name.revision)
    return name


def name_of_argument(given: str, *, is_checkpoint: bool = True) -> ModelName:
    """Return a model by what stands for it: a Hub's name, a path, or a path in a Hub's cache.

    Parameters
    ----------
    given : str
        As a run was started with.
    is_checkpoint : bool
        False for a name that a Hub or a server knows, which may have any number of parts.

    Raises
    ------
    UnnamedModelError
        It is a Python object or class, or a path whose beginning is not known.

    """
    text = given.strip()
    if not text:
        raise UnnamedModelError("it does not say which model it is about")
    if _OBJECT.match(text) or _CLASS.match(text):
        raise UnnamedModelError("it names its model by a Python object,", text)
    if snapshot := _SNAPSHOT.search(text.rstrip("\\/")):
        parts = (
            snapshot["repo"].replace("--", "/", 1),
            (snapshot["rest"] or "").replace("\\", "/"),
        )
        return ModelName("/".join(filter(None, parts)), snapshot["commit"])
    if text.startswith(("/", "~")):
        whole = posixpath.normpath("/" + text.lstrip("/")) if text[0] == "/" else text.rstrip("/")
        if not whole.strip("/~."):
            raise UnnamedModelError("it states only that its model lies in", text)
        return ModelName(whole)
    if _WINDOWS.match(text):
        return ModelName(text.rstrip("\\/"))
    if "://" not in text and _is_relative(text.rstrip("/"), is_checkpoint):
        raise UnnamedModelError("it names its model by a folder that others may have too,", text)
    return ModelName(text.rstrip("/"))


def _is_relative(name: str, is_checkpoint: bool) -> bool:
    """Return whether a name is a path from a place that is not known, and no Hub's name."""
    parts = name.split("/")
    if parts[0].startswith("."):
        return True
    return is_checkpoint and (len(parts) > 2 or _OF_A_RUN.match(parts[-1]) is not None)


def _given(
    arguments: Mapping[str, JsonValue], *, own: str | None, stated: str | None, kind: str | None
) -> tuple[str, bool]:
    """Return what stands for a model, and whether it is a checkpoint rather than a server's."""
    if own:
        return own, True
    if "pretrained" in arguments:
        return _text(arguments["pretrained"]), True
    for argument in ("model", "path", "engine"):
        if argument in arguments:
            return _text(arguments[argument]), False
    is_drawn = kind is not None and _RANDOM.match(stated or "") is not None
    if stated and not is_drawn:
        return stated, True
    # A loaded model leaves its path there; a word without a slash is a class as good as always.
    if kind and "/" in kind:
        return kind, True
    raise UnnamedModelError("it does not say which model it is about")


def _text(value: JsonValue) -> str:
    is_word = isinstance(value, (str, int)) and not isinstance(value, bool)
    if not is_word:
        raise UnnamedModelError("it names its model by", repr(value))
    return str(value)
