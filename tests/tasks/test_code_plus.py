"""HumanEval, its plus and MBPP+: programs of models' answers, and the embedded items."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT

from capspace.collect.sandbox.judging import Sample, judge, judge_all

PROGRAMS = runpy.run_path(str(ROOT / "tasks" / "code_plus" / "programs.py"))
BODIES = runpy.run_path(str(ROOT / "tasks" / "humaneval" / "programs.py"))
HUB = ROOT / "tasks" / "data" / "hub"

needs_sandbox = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap is not installed (apt install bubblewrap)"
)

# As EvalPlus grades: the results of many inputs, compared by a function that imports numpy.
TEST = """
import numpy as np

def near(out, exp, atol):
    if isinstance(exp, float) or (isinstance(exp, (list, tuple)) and isinstance(exp[0], float)):
        atol = 1e-6
    if isinstance(out, np.ndarray) or (out != exp and atol):
        assert np.allclose(out, exp, rtol=1e-07, atol=atol)
    else:
        assert out == exp

def check(candidate):
    for given, exp in ((([1.0, 2.0],), [0.5, 1.0]), (([],), [])):
        near(candidate(*given), exp, 0) if exp else None
"""
HALVES = {
    "prompt": 'def halves(xs: list) -> list:\n    """Return half of each."""\n',
    "entry_point": "halves",
    "test": TEST,
}


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def samples(kind: str, pairs: list[tuple[dict[str, Any], str]]) -> list[Sample]:
    made = PROGRAMS[f"{kind}_programs"]([[a] for _, a in pairs], [doc for doc, _ in pairs])
    return [Sample(**{**p, "names": tuple(p["names"])}) for (p,) in made]


@needs_sandbox
@pytest.mark.slow
def test_reference_solutions_of_the_embedded_items_pass_and_nothing_else_does() -> None:
    human = rows(HUB / "evalplus/humanevalplus/test.jsonl")
    mbpp = rows(HUB / "evalplus/mbppplus/test.jsonl")
    whole = [f"```python\n{d['prompt']}{d['canonical_solution']}```" for d in human]
    inside = [f"Here:\n```python\n{d['code']}\n```\nDone." for d in mbpp]
    right = [
        *samples("humaneval", list(zip(human, whole, strict=True))),
        *samples("mbpp", list(zip(mbpp, inside, strict=True))),
    ]
    assert all(v.passed for v in judge_all(right))
    empty = [
        *samples("humaneval", [(d, "") for d in human]),
        *samples("mbpp", [(d, "") for d in mbpp]),
    ]
    assert not any(v.passed for v in judge_all(empty))


@needs_sandbox
@pytest.mark.parametrize(
    ("answer", "passed"),
    [
        ("```python\ndef halves(xs):\n    return [x / 2 + 1e-9 for x in xs]\n```", True),
        ("```python\ndef halves(xs):\n    return [x / 2 + 1e-3 for x in xs]\n```", False),
        ("First:\n```\n1/0\n```\n```py\ndef halves(xs):\n    return [x / 2 for x in xs]", True),
        ("    return [x / 2 for x in xs]\n", True),
    ],
    ids=["near enough", "too far", "an open block, the last that defines it", "a completion"],
)  # fmt: skip
def test_an_answer_of_any_form_is_judged_by_tests_that_import_numpy(
    answer: str, passed: bool
) -> None:
    (sample,) = samples("humaneval", [(HALVES, answer)])
    verdict = judge(sample)
    assert verdict.passed == passed, verdict.reason
    assert passed or verdict.reason == "test: AssertionError"


def test_the_function_under_test_is_the_references_own() -> None:
    doc = {
        "task_id": 1,
        "code": "import math\ndef helper(x):\n    return x\ndef area(r):\n    return helper(r)\n",
        "test_list": ["assert math.isclose(area(2), 2)", "assert set(area(1)) == set([1])"],
        "test": "assert area(1) == 1",
        "test_imports": ["import math"],
    }
    (((program,),)) = PROGRAMS["mbpp_programs"]([["x = 1"]], [doc])
    assert program["names"] == ["area"]
    assert program["test"].startswith("import math\n")
    with pytest.raises(ValueError, match="item 1: its tests call none of"):
        PROGRAMS["mbpp_programs"]([["x"]], [{**doc, "test_list": ["assert other(1)"]}])


def test_a_program_is_the_prompt_and_the_answer_and_an_item_the_share_that_passed() -> None:
    answers = ["```python\ndef halves(xs):\n    return xs\n```", "    return []\n"]
    ((first, second),) = PROGRAMS["humaneval_programs"]([answers], [HALVES])
    assert first["program"] == f"{HALVES['prompt']}\ndef halves(xs):\n    return xs\n"
    assert second["program"] == f"{HALVES['prompt']}\n    return []\n"
    assert first["test"].endswith("\ncheck(halves)")
    assert first["names"] == ["halves"]
    ((plain,),) = BODIES["from_answers"]([["    return []\n"]], [HALVES])
    assert plain == {
        "program": HALVES["prompt"] + "    return []\n",
        "test": first["test"],
        "names": ["halves"],
        "preamble": HALVES["prompt"],
    }
    verdicts = [[{"passed": True}, {"passed": False}, {"passed": False}, {"passed": True}]]
    for graded in (PROGRAMS, BODIES):
        assert graded["pass_at_1"](HALVES, verdicts) == {"pass@1": 0.5}
