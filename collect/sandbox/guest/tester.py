"""In the test's sandbox the test calls the sample's functions, and alone decides the verdict."""

import os
from collections.abc import Callable
from typing import Any

from . import wire
from ._confine import confine


class SampleError(Exception):
    """The sample's function raised, or the sample is gone."""


def remote(name: str, incoming: int, outgoing: int) -> Callable[..., Any]:
    """Return a function that is called in the sample's sandbox."""

    def call(*arguments: Any, **named: Any) -> Any:
        request = {"name": name, "arguments": wire.encode(arguments), "named": wire.encode(named)}
        try:
            wire.send(outgoing, request)
            reply = wire.receive(incoming)
        except (EOFError, OSError):
            raise SampleError("ended before it answered") from None
        if "error" in reply:
            raise SampleError(f"raised {reply['error']}")
        return wire.decode(reply["value"])

    return call


def main(incoming: int, outgoing: int) -> None:
    """Test the sample and write the verdict to the first standard output there was."""
    setup = wire.receive(0)
    verdict = os.dup(1)
    confine(setup["limits"])
    namespace: dict[str, Any] = {"__name__": "test"}
    passed, reason = False, ""
    try:
        first = wire.receive(incoming)
        if "error" in first:
            raise SampleError(f"raised {first['error']} when it was defined")
        exec(compile(setup["preamble"], "preamble.py", "exec"), namespace)  # noqa: S102 - its purpose
        for name in setup["names"]:
            namespace[name] = remote(name, incoming, outgoing)
        exec(compile(setup["test"], "test.py", "exec"), namespace)  # noqa: S102 - its purpose
        passed = True
    except EOFError:
        reason = "ended before it answered"
    except SampleError as error:
        reason = str(error)
    except BaseException as error:
        reason = f"test: {type(error).__name__}"
    wire.send(verdict, {"passed": passed, "reason": str(reason)[:200]})
