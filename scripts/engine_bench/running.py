"""A case is run by hf at its best batch size and by the engine, and becomes a row of the table."""

from __future__ import annotations

import copy
import statistics
import sys
from collections.abc import Callable
from typing import Any

from .cases import CASES, CLASSIC
from .measuring import measure, measure_on_gpu


class NotMeasuredError(Exception):
    """A case cannot be measured here."""


BATCHES = {"cpu": (1, 4, 16), "cuda": (4, 16, 64, 256)}
GENERATION_BATCHES = {"cpu": (8, 32), "cuda": (32, 128)}


def working_parameters(model: Any) -> float:
    """Return how many weights of a model's layers a token is multiplied with."""
    config = model.config
    n_experts = getattr(config, "num_experts", 0) or getattr(config, "n_routed_experts", 0)
    share = config.num_experts_per_tok / n_experts if n_experts else 1.0
    return sum(
        parameter.numel() * (share if ".experts." in name else 1.0)
        for name, parameter in model.named_parameters()
        if "layers" in name
    )


def count_work(
    model: Any, tokenizer: Any, requests: list[Any], tokens: int, rows: int
) -> tuple[float, float, float]:
    """Return the floating-point operations of hf, the least possible, and those that are needed.

    The least are those of distinct tokens, needed logits and the attention of those tokens. Both
    take all weights for used and all layers for attention. Those that are needed are the least with
    the weights that a token is multiplied with, and the layers that attend.
    """
    from lm_eval.models.huggingface import HFLM

    from capspace.collect.engine.tokens import encode_pairs
    from capspace.collect.engine.tree import build_tree

    pairs = encode_pairs(HFLM(model, tokenizer=tokenizer), [r.args for r in requests])
    inputs = {tuple((context + continuation)[:-1]) for context, continuation in pairs}
    tree, _ = build_tree(list(inputs), [0] * len(inputs))
    config = model.config
    width, vocabulary = config.hidden_size, config.vocab_size
    body = sum(p.numel() for name, p in model.named_parameters() if "layers" in name)
    kinds = getattr(config, "layer_types", None) or ["attention"] * config.num_hidden_layers
    attending = sum(kind.endswith("attention") and "linear" not in kind for kind in kinds)

    def work(
        n_tokens: int,
        n_rows: int,
        pairs_seen: int,
        weights: float = body,
        layers: int = config.num_hidden_layers,
    ) -> float:
        inputs = 2 * weights * n_tokens + 4 * width * layers * pairs_seen
        return inputs + 2 * width * vocabulary * n_rows

    # hf evaluates each distinct context + continuation[:-1] once, with logits at every position
    read = sum(map(len, inputs))
    by_hf = work(read, read, sum(len(row) * (len(row) + 1) // 2 for row in inputs))
    if len(tree) != tokens:
        raise WrongAnswersError(
            f"the engine counts {tokens} distinct tokens, there are {len(tree)}"
        )
    least = tokens, rows, int((tree.depth + 1).sum())
    return by_hf, work(*least), work(*least, working_parameters(model), attending)


class WrongAnswersError(RuntimeError):
    """Answers in fp32 are not those of hf, or the engine counts other tokens than there are."""


def check_same(kind: str, ours: list[Any], theirs: list[Any], samples: int, *, half: bool) -> str:
    """Return how far apart the answers are; in fp32 raise an error if they are not the same."""
    if kind == "loglikelihood":
        gaps = [abs(a[0] - b[0]) for a, b in zip(ours, theirs, strict=True)]
        flags = sum(a[1] != b[1] for a, b in zip(ours, theirs, strict=True))
        if half:
            return f"{statistics.mean(gaps):.1e} nats on average, {flags}/{len(gaps)} flags"
        gap = max(gaps)
        if gap > 1e-3 or flags:
            raise WrongAnswersError(f"scores differ by {gap}, {flags} greedy flags differ")
        return f"{gap:.1e} nats"
    if samples > 1:
        return "samples"
    differ = sum(a != b for a, b in zip(ours, theirs, strict=True))
    if (
        not half and differ > len(ours) // 20
    ):  # a tie that rounding decides may turn one text of many
        raise WrongAnswersError(f"{differ} of {len(ours)} greedy texts differ")
    return f"{differ}/{len(ours)} texts"


def run_case(
    name: str,
    requests: list[Any],
    model: Any,
    tokenizer: Any,
    repeats: int,
    rate: float | None = None,
) -> dict[str, Any]:
    """Measure one case; ``rate`` is the card's, None on a CPU."""
    from lm_eval.models.huggingface import HFLM

    from capspace.collect.engine.lm import CapspaceLM

    case = CASES[name]
    device = "cpu" if rate is None else "cuda"
    run = measure if rate is None else measure_on_gpu
    batches = (BATCHES if case.kind == "loglikelihood" else GENERATION_BATCHES)[device]
    part = requests[: max(16 if rate is None else max(batches), len(requests) // 6)]
    if case.kind == "generate_until":
        part = requests[: max(batches)]

    def hf(batch: int) -> Callable[[], Any]:
        return lambda: HFLM(model, tokenizer=tokenizer, batch_size=batch)

    def engine() -> Any:
        return CapspaceLM(model, tokenizer=tokenizer)

    # a batch beyond the requests is one of them all
    batches = tuple(dict.fromkeys(min(batch, len(part)) for batch in batches))
    measured = {batch: run(hf(batch), case.kind, part) for batch in batches}
    search = {batch: each.seconds for batch, each in measured.items() if each is not None}
    if not search:
        raise NotMeasuredError(f"{name}: hf's memory does not suffice at any batch size")
    best = min(search, key=search.__getitem__)
    print(f"  hf by batch size on {len(part)} requests: {search}", file=sys.stderr, flush=True)
    ours, theirs = [], []
    for repeat in range(repeats):
        is_known = repeat == 0 and len(part) == len(requests)
        pair = (
            run(engine, case.kind, requests),
            measured[best] if is_known else run(hf(best), case.kind, requests),
        )
        if pair[0] is None or pair[1] is None:
            raise NotMeasuredError(f"{name}: out of memory")
        ours.append(pair[0])
        theirs.append(pair[1])
        print(
            f"  {name}: {ours[-1].seconds:.1f} against {theirs[-1].seconds:.1f} s",
            file=sys.stderr,
            flush=True,
        )
    same = check_same(
        case.kind, ours[0].answers, theirs[0].answers, case.samples, half=rate is not None
    )
    stats = ours[0].stats
    row: dict[str, Any] = {
        "case": name,
        "requests": len(requests),
        "batch": best,
        "hf": statistics.median(run.seconds for run in theirs),
        "engine": statistics.median(run.seconds for run in ours),
        "ratio": statistics.median(
            b.seconds / a.seconds for a, b in zip(ours, theirs, strict=True)
        ),
        "wall": statistics.median(b.wall / a.wall for a, b in zip(ours, theirs, strict=True)),
        "peak": (max(run.peak_mib for run in ours), max(run.peak_mib for run in theirs)),
        "same": same,
        "limit": None,
        "tokens_per_second": None,
        "share": None,
        "tokens": f"{stats['fed_prompt_tokens']:,} / {stats['prompt_tokens']:,} prompt",
    }
    if case.kind == "loglikelihood":
        by_hf, least, needed = count_work(
            model, tokenizer, requests, stats["unique_tokens"], stats["logit_rows"]
        )
        row["limit"] = by_hf / least
        if rate is not None:
            row["tokens_per_second"] = stats["fed_tokens"] / row["engine"]
            row["share"] = needed / row["engine"] / rate
        row["tokens"] = f"{stats['fed_tokens']:,} / {stats['unique_tokens']:,}"
    else:
        prompts = [copy.copy(request) for request in requests]
        for request in prompts:
            request.arguments = (request.args[0], {**request.args[1], "max_gen_toks": 1})
        reading = run(engine, case.kind, prompts)
        if reading is not None:
            print(f"  {name}: prompts alone {reading.seconds:.1f} s", file=sys.stderr, flush=True)
            row["limit"] = row["hf"] / reading.seconds
        if rate is not None:
            read = stats["fed_prompt_tokens"] + stats["new_tokens"]
            row["tokens_per_second"] = read / row["engine"]
            row["share"] = 2 * working_parameters(model) * read / row["engine"] / rate
    return row


def run_graphs(name: str, requests: list[Any], model: Any, tokenizer: Any) -> dict[str, Any]:
    """Measure texts on a GPU with CUDA graphs beside those without."""
    from capspace.collect.engine.lm import CapspaceLM

    runs = [
        measure_on_gpu(
            lambda graphs=graphs: CapspaceLM(model, tokenizer=tokenizer, cuda_graphs=graphs),
            CASES[name].kind,
            requests,
        )
        for graphs in (False, True)
    ]
    plain, replayed = runs
    if plain is None or replayed is None:
        raise NotMeasuredError(f"{name}: out of memory")
    stats = replayed.stats
    return {
        "case": name,
        "requests": len(requests),
        "engine": plain.seconds,
        "with_graphs": replayed.seconds,
        "ratio": plain.seconds / replayed.seconds,
        "differ": sum(a != b for a, b in zip(plain.answers, replayed.answers, strict=True)),
        "peak": (replayed.peak_mib, plain.peak_mib),
        **{key: stats[key] for key in ("steps", "replayed_steps", "recordings")},
        "unrecorded_reason": stats["unrecorded_reason"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows, and the mean over classic-8's log-likelihood part, as Markdown."""
    lines = [
        "| case | requests | hf, s (batch) | engine, s | ratio | wall ratio | asked "
        "| limit | of limit | fed / unique tokens | peak MiB engine, hf | differ by "
        "| rate, of the card's |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        asked, limit = CASES[row["case"]].at_least, row["limit"]
        cells = [
            row["case"],
            row["requests"],
            f"{row['hf']:.1f} ({row['batch']})",
            f"{row['engine']:.1f}",
            f"{row['ratio']:.2f}",
            f"{row['wall']:.2f}",
            "" if asked is None else asked,
            "" if limit is None else f"{limit:.2f}",
            "" if limit is None else f"{row['ratio'] / limit:.2f}",
            row["tokens"],
            "{:.0f}, {:.0f} ({:.2f})".format(*row["peak"], row["peak"][0] / row["peak"][1]),
            row["same"],
            ""
            if row["share"] is None
            else f"{row['tokens_per_second']:,.0f} tokens/s, {row['share']:.0%}",
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    classic = [row for row in rows if row["case"] in CLASSIC]
    if len(classic) == len(CLASSIC):
        # per item of each benchmark, so that every benchmark counts the same number of items
        per_item = {
            row["case"]: CASES[row["case"]].items * len(CASES[row["case"]].tasks) for row in classic
        }
        theirs, ours, least = (
            sum(value(row) / per_item[row["case"]] for row in classic)
            for value in (
                lambda row: row["hf"],
                lambda row: row["engine"],
                lambda row: row["hf"] / row["limit"],
            )
        )
        lines.append(
            f"| classic-8, equal items | | {theirs:.2f} | {ours:.2f} | {theirs / ours:.2f} | | 4.0 "
            f"| {theirs / least:.2f} | {least / ours:.2f} | | | | |"
        )
    return "\n".join(lines)
