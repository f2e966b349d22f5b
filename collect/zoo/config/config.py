"""A ``zoo.yaml`` says which checkpoints are measured, on what, and how."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from capspace.fit.table.facts import read_release_date
from capspace.tasks.errors import YamlError
from capspace.tasks.yaml_model import NOT_HERE, Lines, parse_model

from ...errors import ZooError
from ...harness.data_root import EMBEDDED, default_data_root
from ...settings import Count, IsNumber, NamesPlace, RunSettings

__all__ = [
    "DiskSpace",
    "Entry",
    "Facts",
    "Limits",
    "ZooConfig",
    "ZooFile",
    "ZooSettings",
    "read_zoo",
]

Text = Annotated[str, Field(min_length=1)]
_LONGEST = 1e9  # seconds, of which it is 30 years
_MOST_DIGITS = 30
_SECONDS = {"s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _duration(value: Any) -> Any:
    """Return seconds from a number, "90m", or Slurm's ``[days-]hours:minutes:seconds``."""
    text = str(value).strip().lower()
    if match := re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)\s*(s|m|min|h|d|)", text):
        return float(match[1]) * _SECONDS[match[2]]
    if match := re.fullmatch(r"(?:([0-9]+)-)?([0-9]+):([0-9]{2}):([0-9]{2})", text):
        days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return days * 86400 + hours * 3600 + minutes * 60 + seconds
    raise ValueError("expected a time such as 90m, 4h or 04:00:00")


def _finite(value: Any) -> Any:
    if len(re.findall(r"[0-9]", str(value)[:1000])) > _MOST_DIGITS:
        raise ValueError(f"expected a number of at most {_MOST_DIGITS} digits")
    return value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _family(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _date(value: Any) -> str:
    """Return an ISO date, month or year; YAML reads a day as a date and a year as a number."""
    return read_release_date(value, "it")


Amount = Annotated[float, IsNumber, Field(gt=0, allow_inf_nan=False)]
DiskSpace = Annotated[ByteSize, BeforeValidator(_finite), IsNumber, Field(gt=0)]
Seconds = Annotated[float, BeforeValidator(_duration), Field(gt=0, le=_LONGEST)]


class ZooSettings(RunSettings):
    """How a zoo's checkpoints are loaded and measured; a zoo hands out the devices itself."""

    devices: Count | None = None
    """Accelerators for one checkpoint; by default as many as its weights need."""

    @model_validator(mode="before")
    @classmethod
    def _revised(cls, values: Any) -> Any:
        """Leave out what is null; an unknown name is a wrong field of the file, with its line."""
        if not isinstance(values, dict):
            return values
        return {
            name: value
            for name, value in values.items()
            if value is not None or name not in ZooSettings.model_fields
        }

    @field_validator("device", "parallelize", mode="before")
    @classmethod
    def _devices_are_handed_out(cls, value: Any) -> Any:
        raise PydanticCustomError(
            NOT_HERE, "a zoo hands out the devices; `devices` says how many one checkpoint takes"
        )

    @field_validator("until", "budget", mode="before")
    @classmethod
    def _all_items(cls, value: Any) -> Any:
        raise PydanticCustomError(
            NOT_HERE, "a zoo measures the same items of all checkpoints; `limit` says how many"
        )

    @field_validator("token", mode="before")
    @classmethod
    def _no_secrets(cls, value: Any) -> Any:
        raise PydanticCustomError(
            NOT_HERE, "no secret belongs in this file; `hf auth login` saves a token"
        )

    def given_settings(self) -> dict[str, Any]:
        """Return the settings that were given, by name, without other fields of a file."""
        return {n: v for n, v in self.given().items() if n in ZooSettings.model_fields}

    def for_run(self) -> RunSettings:
        """Return what ``collect_scores`` takes."""
        given = {n: v for n, v in self.given().items() if n in RunSettings.model_fields}
        return RunSettings.of(**given)


class Facts(_Strict):
    """Facts about a checkpoint; those that are not given are counted where they can be."""

    family: Annotated[Text, BeforeValidator(_family)] | None = None
    parameters: Amount | None = None
    training_tokens: Amount | None = None
    training_flops: Amount | None = None
    release_date: Annotated[Text, BeforeValidator(_date)] | None = None
    """ISO: 2024-04-18, or 2024-04 or 2024 where the day is not known."""

    tuning: Literal["base", "instruct"] | None = None


class Entry(ZooSettings):
    """One entry of ``checkpoints``: a name, a pattern, a glob, or a file of names.

    Settings that it gives count for its checkpoints instead of the zoo's.
    """

    ref: Text | None = None
    """Hub name with ``@revision``, a folder, or a pattern: ``{a,b}``, ``*``, ``?``, ``[...]``; with
    an ``endpoint``, the model's name there."""

    file: Annotated[Path, NamesPlace] | None = None
    """A text file with one ``ref`` a line; ``#`` begins a comment."""

    facts: Facts = Facts()

    @field_validator(
        "data_root", "include_path", "limit", "seed", "allow_code_execution", mode="before"
    )
    @classmethod
    def _one_for_all(cls, value: Any) -> Any:
        raise PydanticCustomError(
            NOT_HERE, "it is one for the whole zoo; put it at the top of the file"
        )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.ref is None) == (self.file is None):
            raise ValueError("give either ref or file")
        return self


def _entry(value: Any) -> Any:
    return {"ref": value} if isinstance(value, str) else value


class Limits(_Strict):
    """What limits a run."""

    disk: DiskSpace | None = None
    """Disk space for what a local run downloads, such as 200GB; checkpoints that are finished are
    removed to make room."""

    unit_time: Seconds = 3600.0
    """Longest work unit, about; work is cut into units of this length."""

    timeout: Seconds | None = None
    """Longest time for one unit before it is ended; by default far beyond its estimate."""


class ZooConfig(ZooSettings):
    """The content of a ``zoo.yaml``: what is measured, and the settings for all checkpoints."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] | None = None
    """By default the file's own name."""

    checkpoints: Annotated[
        tuple[Annotated[Entry, BeforeValidator(_entry)], ...], Field(min_length=1)
    ]
    panels: Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(min_length=1)]
    facts: Annotated[Path, NamesPlace] | None = None
    """CSV of facts with a column ``model``; an entry's own facts take precedence."""

    store: Annotated[Path, NamesPlace] | None = None
    """Folder of the store; by default the user's own."""

    limits: Limits = Limits()


class ZooFile(_Strict):
    """A ``zoo.yaml`` that was read: its content, its path and its line numbers."""

    path: Path
    config: ZooConfig
    lines: Lines
    notices: tuple[str, ...] = ()
    """A line for each field that stands there under an old name."""

    @property
    def name(self) -> str:
        """The zoo's name."""
        return self.config.name or self.path.stem

    @property
    def settings(self) -> ZooSettings:
        """The settings for all checkpoints; paths are absolute."""
        changes: dict[str, Any] = {}
        root = self.config.data_root
        if root is None:
            changes["data_root"] = default_data_root()
        elif root != EMBEDDED:
            changes["data_root"] = self.beside(Path(root))
        if self.config.include_path is not None:
            changes["include_path"] = self.beside(self.config.include_path)
        return ZooSettings.of(**{**self.config.given_settings(), **changes})

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
    notices: list[str] = []

    def revise(content: dict[str, Any], lines: Lines) -> None:
        notices.extend(_rename(content, lines, str(path)))

    try:
        config, lines = parse_model(text, str(path), ZooConfig, kind="zoo", revise=revise)
    except YamlError as error:
        raise ZooError(*error.args) from None
    return ZooFile(path=path, config=config, lines=lines, notices=tuple(notices))


def _rename(content: dict[str, Any], lines: Lines, where: str) -> Iterator[str]:
    """Give fields under old names their new ones; yield a line for each.

    Raises
    ------
    ZooError
        A field is there under both.

    """
    for (*outer, key), new in list(_old_names(content)):
        place = (*outer, str(key))
        number = lines.get(place, lines[place[:1]])  # of an alias
        line = f"{where}:{number}: `{'.'.join(place)}` is the old name of `{new}`"
        if new in content:
            raise ZooError(f"{line}, which is there too; keep one")
        if outer:
            around = dict(content[outer[0]])  # an alias may stand for the same mapping elsewhere
            content[new] = around.pop(key)
            content[outer[0]] = around
        else:
            content[new] = content.pop(key)
        lines[(new,)] = number
        yield f"{line}, and still read"
    if content.get("defaults") == {}:
        del content["defaults"]


def _old_names(content: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield the fields that stand under an old name, by their place, and the new name."""
    if "data" in content:
        yield ("data",), "data_root"
    limits, defaults = content.get("limits"), content.get("defaults")
    if isinstance(limits, dict) and "items" in limits:
        yield ("limits", "items"), "limit"
    if isinstance(defaults, dict):
        others = ZooConfig.model_fields.keys() - ZooSettings.model_fields
        yield from ((("defaults", key), str(key)) for key in defaults if str(key) not in others)
