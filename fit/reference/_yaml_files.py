"""A reference's YAML files are read; unreadable or duplicate entries are named in the error."""

from __future__ import annotations

from importlib.resources.abc import Traversable

import yaml

from ..errors import TableError

__all__ = ["read_yaml"]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where it is built
# What constructors of PyYAML raise for dates, numbers and tags that mean nothing.
_NO_VALUES = (ValueError, LookupError, AttributeError, ArithmeticError, TypeError)


def read_yaml(file: Traversable) -> object:
    """Return the content of a YAML file.

    Raises
    ------
    TableError
        It cannot be opened, is not YAML in UTF-8, has a value that there is not, such as
        2026-02-30, or a mapping of it has a key twice.

    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TableError(f"{file}: not a text file in UTF-8") from None
    except OSError as error:
        raise TableError(f"{file}: cannot be read ({error.strerror or error})") from None
    try:
        loader = _LOADER(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _refuse_twice(node, file)
            content: object = loader.construct_document(node)
            return content
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise TableError(f"{file}: not YAML ({_first_line(error)})") from None
    except RecursionError:
        raise TableError(f"{file}: not YAML that can be read (nested too deeply)") from None
    except _NO_VALUES as error:
        raise TableError(f"{file}: a value cannot be read ({_first_line(error)})") from None


def _refuse_twice(root: yaml.Node, file: Traversable) -> None:
    """Refuse a mapping that has a key twice; an alias is looked at where its anchor stands."""
    waiting, seen = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, _ in node.value:
                name, line = str(key.value), key.start_mark.line + 1
                if name in lines:
                    raise TableError(
                        f"{file}: {name!r:.60} is there twice, on lines {lines[name]} and {line}"
                    )
                lines[name] = line
            inside = [part for pair in node.value for part in pair]
        else:
            inside = node.value if isinstance(node, yaml.SequenceNode) else []
        new = [part for part in inside if id(part) not in seen]
        seen.update(map(id, new))
        waiting += new


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
