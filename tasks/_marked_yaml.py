"""YAML is read with the line of every field; scalars mean what they mean to PyYAML."""

from __future__ import annotations

import re
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.resolver import VersionedResolver

__all__ = [
    "DuplicateKeyError",
    "Lines",
    "MarkedYAMLError",
    "Place",
    "RefusedError",
    "YAMLError",
    "line_numbers",
    "load_marked",
]

Place = tuple[str | int, ...]
Lines = dict[Place, int]

_TAG = "tag:yaml.org,2002:"
_CLOCK = re.compile(r"[0-9]+:[0-5][0-9]:[0-5][0-9]")
_OTHER_BASE = re.compile(r"[-+]?0[0-9a-fA-FxXb_]+|.*:.*")


class RefusedError(MarkedYAMLError):
    """It is YAML, with something that means another thing than it seems to, or that has no end."""


class _Resolver(VersionedResolver):
    """Which plain scalars are numbers, booleans, dates: as in the files that PyYAML reads."""

    versioned_resolver = yaml.SafeLoader.yaml_implicit_resolvers
    processing_version = (1, 1)


def _construct_int(constructor: SafeConstructor, node: ScalarNode) -> int | str:
    """Return a decimal number, and hours:minutes:seconds as the text that stands there."""
    if _CLOCK.fullmatch(node.value):
        return str(node.value)
    number: int = SafeConstructor.construct_yaml_int(constructor, node)
    if _OTHER_BASE.fullmatch(node.value):
        _refuse_number(node, number)
    return number


def _construct_float(constructor: SafeConstructor, node: ScalarNode) -> float:
    number: float = SafeConstructor.construct_yaml_float(constructor, node)
    if ":" in node.value:
        _refuse_number(node, number)
    return number


def _refuse_number(node: ScalarNode, number: float) -> None:
    raise RefusedError(
        problem=f"YAML reads {node.value:.60} as the number {number}; write it as a plain decimal, "
        "or in quotes where it is a text",
        problem_mark=node.start_mark,
    )


_SCALARS = {
    **{
        f"{_TAG}{name}": getattr(SafeConstructor, f"construct_yaml_{name}")
        for name in ("null", "bool", "binary", "timestamp", "str")
    },
    f"{_TAG}int": _construct_int,
    f"{_TAG}float": _construct_float,
}


class _Constructor(RoundTripConstructor):
    """Mappings and lists know their lines; scalars are plain, and other tags are refused."""

    yaml_constructors = {  # noqa: RUF012 # as in the base class
        None: SafeConstructor.construct_undefined,
        **_SCALARS,
        f"{_TAG}map": RoundTripConstructor.construct_yaml_map,
        f"{_TAG}seq": RoundTripConstructor.construct_yaml_seq,
    }

    def construct_document(self, node: Node) -> Any:
        _refuse_cycles(node, set(), set())
        return super().construct_document(node)

    def construct_mapping(  # type: ignore[override]  # as in the base class
        self, node: Any, maptyp: CommentedMap, deep: bool = False
    ) -> Any:
        merges = [key.start_mark for key, _ in node.value if key.tag == f"{_TAG}merge"]
        super().construct_mapping(node, maptyp, deep=deep)
        own = maptyp.lc.data or {}
        for key in maptyp if merges else ():
            if key not in own:  # it has the place of the merge key that brings it
                place = [merges[0].line, merges[0].column]
                maptyp._yaml_set_kv_line_col(key, [*place, *place])

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


def _refuse_cycles(node: Node, outer: set[int], done: set[int]) -> None:
    """Refuse a mapping or list that holds itself, which would never end."""
    if isinstance(node, ScalarNode) or id(node) in done:
        return
    if id(node) in outer:
        raise RefusedError(
            problem=f"the anchor &{node.anchor} refers to itself; write out what it stands for",
            problem_mark=node.start_mark,
        )
    outer.add(id(node))
    parts = (
        [p for pair in node.value for p in pair] if isinstance(node, MappingNode) else node.value
    )
    for part in parts:
        _refuse_cycles(part, outer, done)
    outer.remove(id(node))
    done.add(id(node))


def load_marked(text: str) -> Any:
    """Return the content of a YAML file; its mappings and lists have ``.lc``, their lines.

    Raises
    ------
    DuplicateKeyError
        A mapping has a key twice.
    RefusedError
        A number is not decimal, or an anchor refers to itself.
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
