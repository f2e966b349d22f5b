"""What whole processes take where measuring stops early, beside those that measure all items.

Real items of some benchmarks of classic-8 and a Llama of random weights, whose arithmetic is that
of a trained one of its size. Both commands start from nothing, one after the other, so that CPU
seconds count: importing, reading data, building prompts and scoring.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from make_checkpoint import make_checkpoint

DATA = Path(__file__).resolve().parents[2] / "../shared/data/hub"
BENCHMARKS = ("ARC-C", "Winogrande", "TruthfulQA")
TARGETS = ("--target", "bbh", "--target", "agentbench")
VOCABULARY, HIDDEN, LAYERS = 16_000, 512, 9


def measured(command: list[str]) -> tuple[dict[str, Any], float, float]:
    """Return what a command prints as JSON, its CPU seconds, and those of the clock."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode:
        sys.exit(run.stderr)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(run.stdout), seconds, time.perf_counter() - began


def print_table(arguments: Namespace) -> None:
    """Print a row per command."""
    from capspace.tasks.panel import load_panel

    data = arguments.data_root or DATA
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = make_checkpoint(
            folder / "model", vocabulary=VOCABULARY, hidden=HIDDEN, layers=LAYERS
        )
        size = sum(file.stat().st_size for file in checkpoint.glob("*.safetensors")) / 4e6
        chosen = load_panel("classic-8").select(list(arguments.benchmark or BENCHMARKS))
        panel = folder / "some.yaml"
        panel.write_text(json.dumps({**chosen.model_dump(mode="json"), "name": "some"}))
        print(f"{', '.join(b.name for b in chosen.benchmarks)}; a Llama of {size:.0f} M weights")
        for until in ("5%", None):
            stop = [] if until is None else ["--until", until, *TARGETS]
            document, cpu, clock = measured(
                [
                    *(str(Path(sys.executable).with_name("capspace")), "collect", str(checkpoint)),
                    *("--panel", str(panel), "--data-root", str(data), "--device", "cpu"),
                    *("--store", str(folder / f"store-{until}"), "--json", *stop),
                ]
            )
            share = 1.0
            for plan in document.get("stopping", {}).values():
                share = plan["token_share"]
            items = ", ".join(f"{r['benchmark']} {r['n_items']:,}" for r in document["results"])
            print(
                f"{until or 'all items'}: {share:.1%} of the tokens, {cpu:.0f} CPU s, "
                f"{clock:.0f} s of the clock; {items}",
                flush=True,
            )
