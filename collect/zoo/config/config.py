"""``zoo.yaml``: which checkpoints to measure on what, and how."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from capspace.fit.table.facts import read_date
from capspace.tasks.errors import YamlError
from capspace.tasks.yaml_model import Lines, parse_model

from ...errors import ZooError

__all__ = ["Entry", "Facts", "Limits", "Settings", "ZooConfig", "ZooFile", "read_zoo"]

Text = Annotated[str, Field(min_length=1)]
_SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SECONDS = {"s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _bytes(value: Any) -> Any:
    found = re.fullmatch(r"\s*([\d.]+)\s*([kmgt]?)i?b?\s*", str(value).lower())
    if not found:
        raise ValueError("expected a size such as 200GB")
    return int(float(found[1]) * _SIZES[found[2]])


def _duration(value: Any) -> Any:
    """Return seconds from a number, "90m", or Slurm's ``[days-]hours:minutes:seconds``."""
    text = str(value).strip().lower()
    if found := re.fullmatch(r"([\d.]+)\s*(s|m|min|h|d|)", text):
        return float(found[1]) * _SECONDS[found[2]]
    if found := re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)", text):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return float(days * 86400 + hours * 3600 + minutes * 60 + seconds)
    raise ValueError("expected a time such as 90m, 4h or 04:00:00")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _family(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _date(value: Any) -> str:
    """Return an ISO date, month or year; YAML reads a day as a date and a year as a number."""
    return read_date(value, "it")


Bytes = Annotated[int, BeforeValidator(_bytes), Field(gt=0)]
Seconds = Annotated[float, BeforeValidator(_duration), Field(gt=0)]


class Settings(_Strict):
    """How a checkpoint is loaded and asked; null takes the default."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] | None = None
    backend: Text | None = None
    batch_size: Literal["auto"] | Annotated[int, Field(ge=1)] | None = None
    devices: Annotated[int, Field(ge=1)] | None = None
    """Accelerators for one checkpoint; by default as many as its weights need."""

    chat_template: bool | None = None
    trust_remote_code: bool | None = None
    allow_pickle: bool | None = None

    def over(self, base: Settings) -> Settings:
        """Return these settings with ``base`` where nothing is said."""
        said = self.model_dump(include=set(Settings.model_fields), exclude_none=True)
        return base.model_copy(update=said)


class Facts(_Strict):
    """What is known about a checkpoint; what is not given is counted where it can be."""

    family: Annotated[Text, BeforeValidator(_family)] | None = None
    parameters: Annotated[float, Field(gt=0)] | None = None
    training_tokens: Annotated[float, Field(gt=0)] | None = None
    training_flops: Annotated[float, Field(gt=0)] | None = None
    release_date: Annotated[Text, BeforeValidator(_date)] | None = None
    """ISO: 2024-04-18, or 2024-04 or 2024 where the day is not known."""

    tuning: Literal["base", "instruct"] | None = None


class Entry(Settings):
    """One entry of ``checkpoints``: a name, a pattern, a glob, or a file of names."""

    ref: Text | None = None
    """Hub name with ``@revision``, a folder, or a pattern: ``{a,b}``, ``*``, ``?``, ``[...]``."""

    file: Path | None = None
    """A text file with one ``ref`` a line; ``#`` begins a comment."""

    facts: Facts = Facts()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.ref is None) == (self.file is None):
            raise ValueError("give either ref or file")
        return self


def _entry(value: Any) -> Any:
    return {"ref": value} if isinstance(value, str) else value


class Limits(_Strict):
    """What bounds a run."""

    items: Annotated[int, Field(ge=1)] | None = None
    """Items per task; such scores are kept apart from full ones."""

    disk: Bytes | None = None
    """Room for what a local run downloads; finished checkpoints make way."""

    unit_time: Seconds = 3600.0
    """Work is cut into units of about this length at most."""

    timeout: Seconds | None = None
    """A unit that takes longer is ended; by default far beyond its estimate."""


class ZooConfig(_Strict):
    """The content of a ``zoo.yaml``."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] | None = None
    """By default the file's own name."""

    checkpoints: Annotated[
        tuple[Annotated[Entry, BeforeValidator(_entry)], ...], Field(min_length=1)
    ]
    panels: Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(min_length=1)]
    defaults: Settings = Settings()
    facts: Path | None = None
    """CSV of facts with a column ``model``; what an entry says itself counts more."""

    store: Path | None = None
    """Folder of the store; by default the user's own."""

    data: Text | None = None
    """Data root, or "embedded"; the Hub by default."""

    include_path: Path | None = None
    """Folder with lm-eval task definitions of your own; loading one runs the code it names."""

    seed: int | None = None
    allow_code_execution: bool = False
    limits: Limits = Limits()


class ZooFile(_Strict):
    """A ``zoo.yaml`` that was read: its content, its place and its line numbers."""

    path: Path
    config: ZooConfig
    lines: Lines

    @property
    def name(self) -> str:
        """The zoo's name."""
        return self.config.name or self.path.stem

    def beside(self, path: Path) -> Path:
        """Return a path of the file as absolute: relative ones start at the file's folder."""
        return (self.path.parent / path.expanduser()).absolute()

    def at(self, *field: str | int) -> str:
        """Return ``file:line`` of a field."""
        return f"{self.path}:{self.lines.get(field, 1)}"


def read_zoo(path: Path) -> ZooFile:
    """Read a ``zoo.yaml``.

    Raises
    ------
    ZooError
        The file cannot be read or has wrong fields: one line for each, with file, line and field.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ZooError(f"{path}: cannot read this zoo: {reason}") from None
    try:
        config, lines = parse_model(text, str(path), ZooConfig, kind="zoo")
    except YamlError as error:
        raise ZooError(str(error)) from None
    return ZooFile(path=path, config=config, lines=lines)
