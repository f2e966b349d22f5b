"""In the sample's sandbox the model's program runs, and its functions are called for the test."""

import os
from typing import Any

from . import wire
from ._confine import confine


def main(incoming: int, outgoing: int) -> None:
    """Answer calls until the other side goes away."""
    setup = wire.receive(0)
    confine(setup["limits"])
    # What the program may patch is taken hold of before it runs.
    receive, send, encode, decode = wire.receive, wire.send, wire.encode, wire.decode
    leave = os._exit
    namespace: dict[str, Any] = {"__name__": "sample"}
    try:
        exec(compile(setup["program"], "sample.py", "exec"), namespace)  # noqa: S102 - its purpose
        functions = {name: namespace[name] for name in setup["names"]}
    except BaseException as error:
        send(outgoing, {"error": type(error).__name__})
        leave(1)
    send(outgoing, {"ready": True})
    while True:
        try:
            call = receive(incoming)
        except EOFError:
            leave(0)
        try:
            arguments, named = decode(call["arguments"]), decode(call["named"])
            reply = {"value": encode(functions[call["name"]](*arguments, **named))}
        except BaseException as error:
            reply = {"error": type(error).__name__}
        send(outgoing, reply)
