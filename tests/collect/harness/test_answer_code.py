"""No task is measured whose grading runs a model's text as code."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("lm_eval", reason="tasks come with the collect extra")

from capspace.collect.errors import HarnessError
from capspace.collect.harness.harness import Harness
from capspace.collect.harness.unsafe_graders import evaluator_of_responses
from capspace.tasks.panel import Benchmark, load_panel, panel_names

pytestmark = pytest.mark.filterwarnings("ignore")  # of lm-eval and its libraries


def grading(folder: Path, **files: str) -> str | None:
    """Return what ``mine.score``, given as a task's grading function, runs text by."""
    for name, source in files.items():
        (folder / f"{name}.py").write_text(source)
    return evaluator_of_responses({"process_results": f"{folder}/mine.score"})


@pytest.mark.parametrize(
    ("mine", "by"),
    [
        ("def score(doc, results):\n    return {'a': eval(results[0])}\n", "eval"),
        ("def score(d, r):\n    return run(r)\ndef run(r):\n    exec(r[0])\n", "exec"),
        ("def score(d, r):\n    import sympy\n    return sympy.sympify(r[0])\n", "sympify"),
        (
            "from sympy.parsing.sympy_parser import parse_expr as p\n"
            "parsers = [p]\n"
            "def score(d, r):\n    return [f(r) for f in parsers]\n",
            "parse_expr",
        ),
    ],
)
def test_a_grader_that_runs_text_is_found(tmp_path: Path, mine: str, by: str) -> None:
    assert grading(tmp_path, mine=mine) == f"{by} in {tmp_path}/mine.py"


@pytest.mark.parametrize(
    "imports",
    [
        "from other import run",
        "from .other import run",
        "from other import *",
        "import other\nrun = other.run",
        "from . import other\nrun = other.run",
    ],
)
def test_it_is_found_in_another_file(tmp_path: Path, imports: str) -> None:
    code = grading(
        tmp_path,
        mine=f"{imports}\ndef score(d, r):\n    return run(r)\n",
        other="def run(r):\n    return eval(r)\n",
    )
    assert code == f"eval in {tmp_path}/other.py"


def test_what_never_sees_an_answer_may_run_text(tmp_path: Path) -> None:
    mine = (
        "import ast, re\n"
        "def docs(items):\n    return [eval(i) for i in items]\n"
        "def score(d, r):\n    re.compile('x')\n    return ast.literal_eval(r[0])\n"
    )
    assert grading(tmp_path, mine=mine) is None


def test_a_file_that_is_not_python_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"mine\.py is not Python"):
        grading(tmp_path, mine="def score(:\n")


@pytest.mark.parametrize(
    ("task", "folder", "reason"),
    [
        ("non_greedy_robustness_math_algebra", "score", r"parse_expr in .*math_grader\.py"),
        ("cruxeval_output", "cruxeval", "outside a sandbox"),
    ],
)
def test_lm_evals_own_tasks_that_run_text_are_refused(task: str, folder: str, reason: str) -> None:
    benchmark = Benchmark(
        name="It", tasks=(task,), folder=folder, n_shot=0, metric="m", chance=None, source="here"
    )
    with pytest.raises(HarnessError, match=reason):
        Harness([benchmark]).tasks(benchmark)


@pytest.mark.parametrize("name", panel_names())
def test_no_panel_has_such_a_task(name: str) -> None:
    panel = load_panel(name)
    harness = Harness(panel.benchmarks)
    for benchmark in panel.benchmarks:
        assert harness.tasks(benchmark)
