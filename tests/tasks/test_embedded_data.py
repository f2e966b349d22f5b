"""The embedded items: columns, answers, and that lm-eval's built-in tasks read them."""

from __future__ import annotations

import ast
import gzip
import json
import operator
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT

from capspace.collect.harness.data_root import embedded_data_root

HUB = ROOT / "tasks" / "data" / "hub"
REAL_HUB = ROOT.parent / "shared" / "data" / "hub"

SUBJECTS = ("computer_security", "elementary_mathematics", "high_school_geography", "philosophy")
LANGUAGES = ("en", "fr", "jp", "pt", "ru", "zh")

Columns = dict[str, type]

MMLU: Columns = {"question": str, "subject": str, "choices": list, "answer": int}
ARC: Columns = {"id": str, "question": str, "choices": dict, "answerKey": str}
HELLASWAG: Columns = {
    "ind": int,
    "activity_label": str,
    "ctx_a": str,
    "ctx_b": str,
    "ctx": str,
    "endings": list,
    "source_id": str,
    "split": str,
    "split_type": str,
    "label": str,
}
WINOGRANDE: Columns = {"sentence": str, "option1": str, "option2": str, "answer": str}
TRUTHFULQA: Columns = {"question": str, "mc1_targets": dict, "mc2_targets": dict}
GSM8K: Columns = {"question": str, "answer": str}
HUMANEVAL: Columns = {
    "task_id": str,
    "prompt": str,
    "entry_point": str,
    "canonical_solution": str,
    "test": str,
}

# Folder to columns and items per split.
DATA: dict[str, tuple[Columns, dict[str, int]]] = {
    **{f"cais/mmlu/{subject}": (MMLU, {"test": 16, "dev": 5}) for subject in SUBJECTS},
    "allenai/ai2_arc/ARC-Challenge": (ARC, {"test": 20, "validation": 8, "train": 8}),
    "Rowan/hellaswag": (HELLASWAG, {"validation": 20, "train": 8}),
    "allenai/winogrande/winogrande_xl": (WINOGRANDE, {"validation": 20, "train": 8}),
    "truthfulqa/truthful_qa/multiple_choice": (TRUTHFULQA, {"validation": 16}),
    "openai/gsm8k/main": (GSM8K, {"test": 16, "train": 8}),
    **{f"Muennighoff/xwinograd/{lang}": (WINOGRANDE, {"test": 8}) for lang in LANGUAGES},
    "openai/openai_humaneval": (HUMANEVAL, {"test": 10}),
}
FILES = [(folder, split) for folder, (_, splits) in DATA.items() for split in splits]
CHOICE_FILES = [f for f in FILES if f[0].startswith(("cais", "allenai/ai2", "Rowan"))]
TWIN_FILES = [f for f in FILES if f[0].startswith(("allenai/wino", "Muennighoff"))]

# Of openllm-v2 and modern: a few items each, whose answers the tests of those panels check.
OF_OTHER_PANELS = (
    *("DigitalLearningGmbH/", "HuggingFaceH4/", "Idavidrein/", "SaylorTwift/", "TAUR-Lab/"),
    *("TIGER-Lab/", "allenai/IFBench_test/", "evalplus/", "google/", "math-ai/"),
    *("nltk_data/", "wis-k/"),
)

needs_real_items = pytest.mark.skipif(
    not REAL_HUB.is_dir(), reason="no real benchmark items in ../shared/data/hub"
)


def rows(folder: str, split: str) -> list[dict[str, Any]]:
    text = (HUB / folder / f"{split}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def stem(row: dict[str, Any]) -> str:
    """Return the part of an item that a model is asked about."""
    return str(next(row[key] for key in ("question", "sentence", "ctx", "prompt") if key in row))


def options(row: dict[str, Any]) -> list[str]:
    choices = row["endings"] if "endings" in row else row["choices"]
    return list(choices["text"] if isinstance(choices, dict) else choices)


def gold(row: dict[str, Any]) -> int:
    if "answerKey" in row:
        return int(row["choices"]["label"].index(row["answerKey"]))
    return int(row["answer"] if "answer" in row else row["label"])


def test_every_file_is_accounted_for() -> None:
    there = {
        path
        for p in HUB.rglob("*")
        if p.is_file() and not (path := str(p.relative_to(HUB))).startswith(OF_OTHER_PANELS)
    }
    assert there == {f"{folder}/{split}.jsonl" for folder, split in FILES} | {"data-root.yaml"}


def test_the_root_says_that_it_is_not_comparable() -> None:
    root = embedded_data_root()
    assert root.path.resolve() == HUB
    assert not root.comparable
    assert "not comparable" in root.label


@pytest.mark.parametrize(("folder", "split"), FILES)
def test_columns_and_counts(folder: str, split: str) -> None:
    columns, splits = DATA[folder]
    items = rows(folder, split)
    assert len(items) == splits[split]
    for row in items:
        assert {key: type(value) for key, value in row.items()} == columns
        if folder != "openai/openai_humaneval":
            assert stem(row) == " ".join(stem(row).split())


@needs_real_items
@pytest.mark.parametrize("folder", DATA)
def test_columns_are_those_of_the_real_data_set(folder: str) -> None:
    columns, splits = DATA[folder]
    for split in splits:
        with gzip.open(REAL_HUB / folder / f"{split}.jsonl.gz", "rt", encoding="utf-8") as lines:
            real = json.loads(next(lines))
        assert {key: type(value) for key, value in real.items()} == columns
        ours = rows(folder, split)[0]
        for key, value in real.items():
            if isinstance(value, dict):
                assert ours[key].keys() == value.keys()


def test_no_item_is_there_twice() -> None:
    # Few-shot and test splits share no item either: all splits are counted together.
    stems = Counter(" ".join(stem(row).lower().split()) for f in FILES for row in rows(*f))
    assert [text for text, n in stems.items() if n > 1] == []


@pytest.mark.parametrize(("folder", "split"), CHOICE_FILES)
def test_choices_and_balanced_answers(folder: str, split: str) -> None:
    items = rows(folder, split)
    for row in items:
        assert len(set(options(row))) == 4
        assert 0 <= gold(row) < 4
    counts = Counter(gold(row) for row in items)
    assert max(counts[i] for i in range(4)) - min(counts[i] for i in range(4)) <= 2


@pytest.mark.parametrize("name", ["cais/mmlu", "allenai/ai2_arc", "Rowan/hellaswag"])
def test_length_does_not_give_the_answer_away(name: str) -> None:
    # Guessing the longest or the shortest option must do about as badly as any other guess (1/4).
    items = [row for f in CHOICE_FILES if f[0].startswith(name) for row in rows(*f)]
    for extreme in (max, min):
        lengths = [[len(option) for option in options(row)] for row in items]
        guesses = [each.index(extreme(each)) for each in lengths]
        hits = sum(guess == gold(row) for guess, row in zip(guesses, items, strict=True))
        assert hits / len(items) <= 0.4


def test_mmlu_names_its_subject() -> None:
    for subject in SUBJECTS:
        for split in ("test", "dev"):
            assert {row["subject"] for row in rows(f"cais/mmlu/{subject}", split)} == {subject}


def test_arc_labels() -> None:
    for split in ("test", "validation", "train"):
        items = rows("allenai/ai2_arc/ARC-Challenge", split)
        assert all(row["choices"]["label"] == list("ABCD") for row in items)
        assert len({row["id"] for row in items}) == len(items)


def test_hellaswag_endings_are_of_similar_length() -> None:
    for split in ("validation", "train"):
        for row in rows("Rowan/hellaswag", split):
            assert row["ctx"] == f"{row['ctx_a']} {row['ctx_b']}".strip()
            lengths = [len(ending) for ending in row["endings"]]
            assert max(lengths) / min(lengths) < 1.35


@pytest.mark.parametrize(("folder", "split"), TWIN_FILES)
def test_twins_differ_in_their_answer(folder: str, split: str) -> None:
    items = rows(folder, split)
    for first, second in zip(items[::2], items[1::2], strict=True):
        assert (first["option1"], first["option2"]) == (second["option1"], second["option2"])
        assert {first["answer"], second["answer"]} == {"1", "2"}
        assert first["sentence"].count("_") == second["sentence"].count("_") == 1
        # The context is the same, so that only what follows the blank can tell.
        before, after = zip(
            first["sentence"].split("_"), second["sentence"].split("_"), strict=True
        )
        assert before[0] == before[1]
        assert after[0] != after[1]


def test_xwinograd_is_written_in_its_language() -> None:
    scripts = {
        "en": r"[A-Za-z ,.'_]+",
        "fr": r"[A-Za-zàâçéèêëîïôùûœ ,.'_]+",
        "jp": r"[぀-ヿ一-鿿、。ー_]+",
        "pt": r"[A-Za-záâãàçéêíóôõúÁ ,._]+",
        "ru": r"[А-Яа-яё ,._]+",
        "zh": r"[一-鿿，。_]+",
    }
    for language in LANGUAGES:
        for row in rows(f"Muennighoff/xwinograd/{language}", "test"):
            text = row["sentence"] + row["option1"] + row["option2"]
            assert re.fullmatch(scripts[language], text), text
    kana = [re.search("[぀-ヿ]", r["sentence"]) for r in rows("Muennighoff/xwinograd/jp", "test")]
    assert all(kana)


def test_truthfulqa_answers() -> None:
    for row in rows("truthfulqa/truthful_qa/multiple_choice", "validation"):
        single, multiple = row["mc1_targets"], row["mc2_targets"]
        for targets in (single, multiple):
            assert len(targets["choices"]) == len(targets["labels"]) == len(set(targets["choices"]))
            # lm-eval takes the first choice as mc1's answer; in both, true ones stand first.
            assert targets["labels"] == sorted(targets["labels"], reverse=True)
            assert {0, 1} == set(targets["labels"])
        assert sum(single["labels"]) == 1
        true = multiple["choices"][: sum(multiple["labels"])]
        assert single["choices"] == true[:1] + multiple["choices"][len(true) :]


ANNOTATION = re.compile(
    r"(?P<before>[^<]*)<<(?P<expression>[^<>=]+)=(?P<value>[\d.]+)>>(?P<after>[\d.]+)"
)
OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def exact(expression: str) -> Fraction:
    """Return the exact value of an expression of numbers, + - * and /."""

    def value(node: ast.expr) -> Fraction:
        if isinstance(node, ast.BinOp):
            return OPERATIONS[type(node.op)](value(node.left), value(node.right))
        assert isinstance(node, ast.Constant), expression
        return Fraction(ast.get_source_segment(expression, node) or "")

    return value(ast.parse(expression, mode="eval").body)


def numbers(text: str) -> set[Fraction]:
    return {Fraction(n.replace(",", "")) for n in re.findall(r"\d[\d,]*(?:\.\d+)?", text)}


@pytest.mark.parametrize("split", ["test", "train"])
def test_gsm8k_arithmetic(split: str) -> None:
    # Words bring these in: half, nine, weekdays, percent.
    unwritten = {Fraction(n) for n in (*range(1, 10), 100)}
    for row in rows("openai/gsm8k/main", split):
        *steps, last = row["answer"].split("\n")
        known = numbers(row["question"]) | unwritten
        result = None
        for step in steps:
            annotations = list(ANNOTATION.finditer(step))
            assert annotations, step
            for match in annotations:
                result = Fraction(match["value"])
                assert exact(match["expression"]) == result, step
                assert Fraction(match["after"].rstrip(".")) == result, step
                spoken = re.sub(r"\s", "", match["before"])
                assert re.search(re.escape(match["expression"]) + r"=\$?$", spoken), step
                assert numbers(match["expression"]) <= known, step
                known.add(result)
        assert last == f"#### {result}"


def run_check(program: str) -> bool:
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("row", rows("openai/openai_humaneval", "test"), ids=lambda r: r["task_id"])
def test_humaneval_programs(row: dict[str, Any]) -> None:
    solution = row["prompt"] + row["canonical_solution"]
    judge = f"{row['test']}\ncheck({row['entry_point']})\n"
    examples = "\nimport doctest\nran = doctest.testmod()\nassert ran.attempted and not ran.failed"
    assert run_check(solution + judge + examples)
    assert not run_check(row["prompt"] + "    return None\n" + judge)
    # A model's answer is cut at the first line that is not indented.
    assert all(line.startswith("    ") for line in row["canonical_solution"].splitlines())


def leaf_tasks() -> list[tuple[str, str, dict[str, Any], int]]:
    """Return (folder of lm-eval's tasks, task, where its items are, shots)."""

    def source(path: str, name: str | None, **splits: str) -> dict[str, Any]:
        named = {f"{kind}_split": split for kind, split in splits.items()}
        return {"dataset_path": path, "dataset_name": name, **named}

    trained = {"training": "train", "validation": "validation"}
    return [
        *(
            ("mmlu/default", f"mmlu_{s}", source("cais/mmlu", s, test="test", fewshot="dev"), 5)
            for s in SUBJECTS
        ),
        (
            "arc",
            "arc_challenge",
            source("allenai/ai2_arc", "ARC-Challenge", **trained, test="test"),
            3,
        ),
        ("hellaswag", "hellaswag", source("Rowan/hellaswag", None, **trained), 3),
        ("winogrande", "winogrande", source("allenai/winogrande", "winogrande_xl", **trained), 3),
        (
            "truthfulqa",
            "truthfulqa_mc2",
            source("truthfulqa/truthful_qa", "multiple_choice", validation="validation"),
            0,
        ),
        ("gsm8k", "gsm8k", source("openai/gsm8k", "main", training="train", test="test"), 3),
        *(
            (
                "xwinograd",
                f"xwinograd_{lang}",
                source("Muennighoff/xwinograd", lang, test="test"),
                0,
            )
            for lang in LANGUAGES
        ),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "name", "source", "n_shot"), leaf_tasks(), ids=[t[1] for t in leaf_tasks()]
)
def test_lm_eval_builds_its_requests(
    folder: str, name: str, source: dict[str, Any], n_shot: int, tmp_path: Path
) -> None:
    lm_eval_tasks = pytest.importorskip("lm_eval.tasks", reason="the collect extra is missing")
    overrides = embedded_data_root().source({"task": name, **source}).overrides()
    overrides["dataset_kwargs"]["cache_dir"] = str(tmp_path)
    manager = lm_eval_tasks.TaskManager(
        include_path=str(Path(lm_eval_tasks.__file__).parent / folder), include_defaults=False
    )
    loaded = manager.load({"group": "embedded", "task": [{"task": name, **overrides}]})
    task = loaded["tasks"][name]
    # The splits this test names are those that the built-in task itself asks for.
    for key, split in source.items():
        if key.endswith("_split"):
            assert getattr(task.config, key) == split
    task.set_config(key="num_fewshot", value=n_shot)
    task.set_fewshot_seed(seed=1234)
    task.build_all_requests()
    items = list(task.eval_docs)
    answered = {request.doc_id for request in task.instances}
    assert answered == set(range(len(items)))
    for request in task.instances:
        context = request.args[0]
        assert stem_is_last(request.doc, context)


def stem_is_last(row: dict[str, Any], context: str) -> bool:
    """Tell whether a prompt ends with its own item, after the few-shot examples."""
    text = stem(row)
    if "_" in text:
        return context.endswith(
            tuple(text.split("_")[0] + row[key] for key in ("option1", "option2"))
        )
    return text.split(". ")[-1].lower() in context.split("\n\n")[-1].lower()


NGRAM = 13  # words; the length at which GPT-3's contamination study called two texts the same


def ngrams(text: str) -> Iterator[tuple[str, ...]]:
    """Yield runs of ``NGRAM`` words (Chinese and Japanese: characters), or a shorter text whole."""
    words = re.findall(r"[一-鿿぀-ヿ]|[^\W_一-鿿぀-ヿ]+", text.lower())
    for start in range(max(1, len(words) - NGRAM + 1)):
        yield tuple(words[start : start + NGRAM])


@pytest.mark.slow
@needs_real_items
def test_no_item_is_that_of_a_real_benchmark() -> None:
    for dataset in sorted({"/".join(folder.split("/")[:2]) for folder in DATA}):
        ours = {
            gram: stem(row)
            for folder, split in FILES
            if folder.startswith(dataset)
            for row in rows(folder, split)
            for gram in ngrams(stem(row))
        }
        n_real = 0
        for path in sorted((REAL_HUB / dataset).rglob("*.jsonl.gz")):
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    n_real += 1
                    text = stem(json.loads(line))
                    assert not [ours[g] for g in ngrams(text) if g in ours], f"{dataset}: {text}"
        assert n_real > 100
