"""Requests and a tokenizer are made of real benchmark items, by lm-eval's own tasks."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .cases import Case
from .request_file import with_ends

FOLDERS = (
    *("mmlu/default", "hellaswag", "arc", "winogrande", "truthfulqa", "xwinograd", "gsm8k"),
    "hendrycks_math",
)


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Run a block with another working directory."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def build_tasks(case: Case, data_root: Path, limit: int) -> list[Any]:
    """Return lm-eval's tasks with their requests; datasets reads a folder named as the data set."""
    import lm_eval.tasks

    folders = [str(Path(lm_eval.tasks.__file__).parent / name) for name in FOLDERS]
    manager = lm_eval.tasks.TaskManager(include_path=folders, include_defaults=False)
    with working_in(data_root):
        tasks = [*manager.load(list(case.tasks))["tasks"].values()]
        for task in tasks:
            task.set_fewshot_seed(1234)
            if case.n_shot is not None:
                task.set_config("num_fewshot", case.n_shot)
            task.build_all_requests(limit=limit, rank=0, world_size=1)
    return tasks


def build_requests(case: Case, data_root: Path, limit: int) -> list[Any]:
    """Return the requests of a case."""
    instances = [r for task in build_tasks(case, data_root, limit) for r in task.instances]
    if case.kind == "generate_until":
        sampled = {"do_sample": True, "temperature": 0.7} if case.samples > 1 else {}
        stops = [case.stop] if case.stop else []
        settings = {"until": stops, "max_gen_toks": case.new_tokens, **sampled}
        for request in instances:
            request.arguments = (request.args[0], copy.deepcopy(settings))
        instances = [request for request in instances for _ in range(case.samples)]
    return instances


def make_tokenizer(texts: list[str]) -> Any:
    """Return a tokenizer of 16,000 entries trained on ``texts``."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=16000,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    return with_ends(core)
