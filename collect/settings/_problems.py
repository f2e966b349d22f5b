"""What is wrong with settings is said in a line for each, without what may be a secret."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Collection, Iterable

from pydantic import ValidationError

from capspace.fit.errors import near_matches

from ..errors import SettingsError

__all__ = ["problem_lines", "refuse_unknown"]


_FIELD = re.compile("`([a-z_]+)`")


class _ShortRepr(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        """Python itself refuses to spell out very long numbers."""
        return super().repr_int(x, level) if x.bit_length() < 1000 else "a very long number"


_SHORT = _ShortRepr()
_MAY_HOLD_SECRETS = {"token", "endpoint"}
_SHORT.maxstring = _SHORT.maxother = 60


def problem_lines(error: ValidationError, *, spell: Callable[[str], str] = str) -> list[str]:
    """Return what is wrong with values of settings, each in a line that names its field.

    Parameters
    ----------
    error : ValidationError
        What validating a model of settings raised.
    spell : callable
        Spells a field's name as the user knows it.

    """
    lines = []
    for problem in error.errors():
        message = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:  # of several settings together, which the message names
            lines.append(_FIELD.sub(lambda field: spell(field[1]), message))
            continue
        name = str(problem["loc"][0])
        given = _SHORT.repr(problem["input"])
        is_quoted = isinstance(problem["input"], str) and given in message
        got = "" if name in _MAY_HOLD_SECRETS or is_quoted else f", got {given}"
        lines.append(f"{spell(name)}: {message}{got}")
    return list(dict.fromkeys(lines))


def refuse_unknown(values: Iterable[object], known: Collection[str]) -> None:
    """Refuse names that are no settings, with those that look like them.

    Raises
    ------
    SettingsError
        There is one.

    """
    for name in values:
        if name not in known:
            near = near_matches(str(name), known) or f"; there are {', '.join(known)}"
            raise SettingsError(f"there is no setting {name!r}{near}")
