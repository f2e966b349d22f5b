"""YAML is read with the line of every field; scalars mean what they mean to PyYAML."""

from __future__ import annotations

from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.resolver import VersionedResolver

__all__ = [
    "DuplicateKeyError",
    "Lines",
    "MarkedYAMLError",
    "Place",
    "YAMLError",
    "line_numbers",
    "load_marked",
]

Place = tuple[str | int, ...]
Lines = dict[Place, int]

_TAG = "tag:yaml.org,2002:"


class _Resolver(VersionedResolver):
    """Which plain scalars are numbers, booleans, dates: as in the files that PyYAML reads."""

    versioned_resolver = yaml.SafeLoader.yaml_implicit_resolvers
    processing_version = (1, 1)


_SCALARS = {
    f"{_TAG}{name}": getattr(SafeConstructor, f"construct_yaml_{name}")
    for name in ("null", "bool", "int", "float", "binary", "timestamp", "str")
}


class _Constructor(RoundTripConstructor):
    """Mappings and lists know their lines; scalars are plain, and other tags are refused."""

    yaml_constructors = {  # noqa: RUF012 # as in the base class
        None: SafeConstructor.construct_undefined,
        **_SCALARS,
        f"{_TAG}map": RoundTripConstructor.construct_yaml_map,
        f"{_TAG}seq": RoundTripConstructor.construct_yaml_seq,
    }

    def check_mapping_key(
        self, node: Any, key_node: Any, mapping: CommentedMap, key: Any, value: Any
    ) -> bool:
        if key in mapping:
            first = mapping.lc.key(key)[0] + 1
            raise DuplicateKeyError(
                problem=f"{key_node.value!r} is there twice; it was first given on line {first}",
                problem_mark=key_node.start_mark,
            )
        return True


def load_marked(text: str) -> Any:
    """Return the content of a YAML file; its mappings and lists have ``.lc``, their lines.

    Raises
    ------
    DuplicateKeyError
        A mapping has a key twice.
    MarkedYAMLError
        It is not YAML, or has a tag that is unknown; it knows the place.
    YAMLError, ValueError
        It has a character that no YAML file may have; or a date that there is not.

    """
    loader = YAML(typ="rt", pure=True)
    loader.Resolver = _Resolver
    loader.Constructor = _Constructor
    return loader.load(text)


def line_numbers(content: Any) -> Lines:
    """Return the line of each field, counted from 1, by its path of names and indices.

    What an alias repeats has the line where it stands.
    """
    lines: Lines = {(): content.lc.line + 1}
    _mark(content, (), lines, set())
    return lines


def _mark(value: Any, at: Place, lines: Lines, seen: set[int]) -> None:
    if id(value) in seen or not isinstance(value, CommentedMap | CommentedSeq):
        return
    seen.add(id(value))
    for key, (line, *_) in (value.lc.data or {}).items():
        name = (*at, key if isinstance(value, CommentedSeq) else str(key))
        lines[name] = line + 1
        _mark(value[key], name, lines, seen)
