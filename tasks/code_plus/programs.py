"""HumanEval+ and MBPP+: the program that a chat model's answer holds, and its test."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Sequence
from typing import Any

__all__ = ["humaneval_programs", "mbpp_programs", "pass_at_1"]

_BLOCK = re.compile(r"```[^\n`]*\n(.*?)(?:```|\Z)", re.DOTALL)

# The tests import numpy for two names. The sandbox has the standard library alone, and values reach
# the test as plain data, so that this does what NumPy would.
_NUMPY = '''
import math as _math
import sys as _sys
import types as _types


class _Array:
    """No value that reaches a test is one."""


def _allclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    if isinstance(a, (list, tuple)) or isinstance(b, (list, tuple)):
        pair = [x if isinstance(x, (list, tuple)) else None for x in (a, b)]
        if pair[0] is None or pair[1] is None:
            each = pair[0] if pair[1] is None else pair[1]
            other = b if pair[1] is None else a
            return all(_allclose(x, other, rtol, atol) for x in each)
        if len(a) != len(b):
            raise ValueError("operands could not be broadcast together")
        return all(_allclose(x, y, rtol, atol) for x, y in zip(a, b))
    if a == b:
        return True
    if not all(_math.isfinite(abs(x)) for x in (a, b)):
        return False
    return abs(a - b) <= atol + rtol * abs(b)


_numpy = _types.ModuleType("numpy")
_numpy.ndarray = _Array
_numpy.float32 = _numpy.float64 = float
_numpy.inf, _numpy.nan = _math.inf, _math.nan
_numpy.allclose = _allclose
_sys.modules["numpy"] = _numpy
'''


def humaneval_programs(
    resps: Sequence[Sequence[str]], docs: Sequence[dict[str, Any]]
) -> list[list[dict[str, Any]]]:
    """Return per item and answer the program with its test, for the sandbox to judge."""
    return [
        [
            {
                # What the prompt defines may be called; what the answer defines replaces it.
                "program": f"{doc['prompt']}\n{_code(answer, doc['entry_point'])}",
                "test": f"{doc['test']}\ncheck({doc['entry_point']})",
                "names": [doc["entry_point"]],
                "preamble": f"{_NUMPY}\n{doc['prompt']}",
            }
            for answer in answers
        ]
        for answers, doc in zip(resps, docs, strict=True)
    ]


def mbpp_programs(
    resps: Sequence[Sequence[str]], docs: Sequence[dict[str, Any]]
) -> list[list[dict[str, Any]]]:
    """Return per item and answer the program with its test, for the sandbox to judge."""
    programs = []
    for answers, doc in zip(resps, docs, strict=True):
        names = _tested(doc)
        imports = "\n".join(doc.get("test_imports") or ())
        programs.append(
            [
                {
                    "program": _code(answer, names[0]),
                    "test": f"{imports}\n{doc['test']}",
                    "names": names,
                    "preamble": _NUMPY,
                }
                for answer in answers
            ]
        )
    return programs


def pass_at_1(doc: dict[str, Any], results: Sequence[Sequence[dict[str, Any]]]) -> dict[str, float]:
    """Return the share of an item's programs that passed."""
    (verdicts,) = results
    return {"pass@1": sum(verdict["passed"] for verdict in verdicts) / len(verdicts)}


def _code(answer: str, name: str) -> str:
    """Return the last code block that defines a function, else the last, else the whole answer."""
    blocks = _BLOCK.findall(answer)
    defining = [block for block in blocks if re.search(rf"\bdef\s+{re.escape(name)}\b", block)]
    return str((defining or blocks or [answer])[-1])


def _tested(doc: dict[str, Any]) -> list[str]:
    """Return the functions that an item's tests call and its reference solution defines."""
    defined = [
        node.name for node in ast.walk(ast.parse(doc["code"])) if isinstance(node, ast.FunctionDef)
    ]
    called = {
        node.func.id
        for test in doc["test_list"]
        for node in ast.walk(ast.parse(test))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    } - set(dir(builtins))
    names = [name for name in defined if name in called]
    if not names:
        raise ValueError(f"MBPP+ item {doc.get('task_id')}: its tests call none of {defined}")
    return names
