"""What is measured only where it is named, each by a function that returns its line."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .cases import Case
from .items import build_tasks, make_tokenizer
from .measuring import Measurement, measure
from .models import make_model

ALONE = {"load": "loading", "lookup": "drafts from the context"}


def continuous_batching(model: Any, tokenizer: Any, requests: list[Any]) -> str:
    """Return CPU seconds of transformers' continuous batching and of the engine, same prompts."""
    from transformers import GenerationConfig

    from capspace.collect.engine.generation.decode import generate
    from capspace.collect.engine.generation.sampling import Choice

    prompts = [tokenizer.encode(request.args[0])[-300:] for request in requests[:8]]
    length = 24
    started = time.process_time()
    ours, _ = generate(
        model,
        prompts,
        max_new_tokens=length,
        pick=Choice(),
        is_finished=lambda new: False,
        rows=32,
        prefill_tokens=2048,
    )
    engine = time.process_time() - started
    settings = GenerationConfig(max_new_tokens=length, do_sample=False, eos_token_id=-1)
    started = time.process_time()
    outputs = model.generate_batch(inputs=prompts, generation_config=settings, progress_bar=False)
    theirs = time.process_time() - started
    differ = sum(a != b.generated_tokens for a, b in zip(ours, outputs.values(), strict=True))
    return (
        f"8 prompts of up to 300 tokens, {length} new tokens each: engine {engine:.1f} CPU s, "
        f"transformers' continuous batching {theirs:.1f} ({differ} continuations differ)"
    )


def load_time(tokenizer: Any) -> str:
    """Return CPU seconds to load 1 B in bf16, by hf and with what the engine tries at first."""
    import tempfile

    import torch
    from lm_eval.models.huggingface import HFLM

    from capspace.collect.engine.lm import CapspaceLM

    def load(make: Callable[[], Any]) -> Measurement:
        class Loading:
            """Loads when it is called for its answers."""

            def load(self, *_: Any, **__: Any) -> list[Any]:
                make()
                return []

        return measure(Loading, "load", [])

    with tempfile.TemporaryDirectory() as folder:
        model = make_model("1B", "cpu").to(torch.bfloat16)
        size = sum(p.numel() for p in model.parameters())
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        del model
        settings = {"device": "cpu", "dtype": "bfloat16"}
        pairs = [
            (load(lambda: CapspaceLM(folder, **settings)), load(lambda: HFLM(folder, **settings)))
            for _ in range(3)
        ]
    ours, theirs = (statistics.median(pair[i].seconds for pair in pairs) for i in range(2))
    wall = statistics.median(a.wall / b.wall for a, b in pairs)
    return (
        f"A checkpoint of {size / 1e9:.2f} B in bf16: load with trials {ours:.1f} CPU s, hf's load "
        f"{theirs:.1f} ({ours / theirs:.2f} x, on the clock {wall:.2f} x; asked at most 1.1)"
    )


def looked_up(tokens: list[int], longest: int, n_drafted: int) -> list[int]:
    """Return what followed the last tokens where they stood last, the longest match first."""
    for size in range(longest, 0, -1):
        end = tokens[-size:]
        for start in range(len(tokens) - size - 1, -1, -1):
            if tokens[start : start + size] == end:
                return tokens[start + size : start + size + n_drafted]
    return []


def prompt_lookup(data_root: Path) -> str:
    """Return what drafts of n-grams of the context would gain and cost, were they built.

    The gain is of a model whose texts are the solutions that come with the items, word for word.
    The cost is of the linear layers alone; attention to drafts would come on top.
    """
    import torch

    n_drafted, longest = 3, 2
    lines = []
    for name, n_shot, part in (("gsm8k", 5, "answer"), ("hendrycks_math500", 0, "solution")):
        (task,) = build_tasks(Case((name,), n_shot, 20, None, "generate_until"), data_root, 20)
        pairs = [(request.args[0], f" {request.doc[part]}") for request in task.instances]
        tokenizer = make_tokenizer([text for pair in pairs for text in pair])
        n_steps = n_tokens = 0
        for context, solution in pairs:
            held, new = tokenizer.encode(context), tokenizer.encode(solution)
            done = 0
            while done < len(new):
                draft = looked_up(held + new[:done], longest, n_drafted)
                hits = [a == b for a, b in zip(draft, new[done:], strict=False)]
                done += 1 + (hits.index(False) if False in hits else len(hits))
                n_steps += 1
            n_tokens += len(new)
        lines.append(f"{n_tokens / n_steps:.2f} tokens a step on {len(pairs)} of {name}")
    model = make_model("45M", "cpu")
    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)]

    def seconds(n_rows: int) -> float:
        inputs = {
            width: torch.randn(n_rows, width) for width in {layer.in_features for layer in layers}
        }
        started = time.process_time()
        with torch.no_grad():
            for layer in layers:
                layer(inputs[layer.in_features])
        return time.process_time() - started

    for n_rows in (1, 8, 16, 32):
        ratios = [seconds(n_rows * (1 + n_drafted)) / seconds(n_rows) for _ in range(9)]
        lines.append(f"{statistics.median(ratios):.2f} times as long a step for {n_rows} texts")
    return f"drafts of {n_drafted} tokens by the last {longest} or 1: " + ", ".join(lines)
