"""A protocol and its sentence say the same, and a stored sentence of any author is read safely."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from capspace.collect.harness.data_root import embedded_data_root
from capspace.collect.run.cells import cell_protocol
from capspace.collect.storage.identity import (
    HARNESS_SEEDS,
    Measurement,
    ModelIdentity,
    Seeds,
    TaskIdentity,
)
from capspace.collect.storage.mode import Mode
from capspace.collect.storage.protocol import Protocol
from capspace.tasks.panel import Benchmark

NAME = st.from_regex(r"[a-z][a-z0-9_@.-]{0,12}", fullmatch=True)
VERSION = st.sampled_from([None, "", "v1.0", "v0", "v1.0/v2.0"])
MODES = [
    Mode(),
    Mode(thinking="on", think_end="</think>", max_gen_toks=4096),
    Mode(thinking="off", template_args='{"effort":"high; or low"}'),
    Mode(think_end="a;b", temperature=0.6, top_p=0.95, top_k=20, n_samples=4),
    Mode(temperature=1e-05, n_items=1000),
]
PROTOCOLS = (
    st.builds(
        Protocol,
        tasks=st.lists(NAME, min_size=1, max_size=3).map(tuple),
        metric=NAME,
        filter=st.sampled_from(["none", "strict-match", "first (word)"]),
        version=VERSION,
        harness=st.sampled_from([None, "lm-eval", "lm-eval 0.4.13"]),
        backend=st.just("hf"),
        dtype=st.sampled_from(["", "bfloat16"]),
        data=st.sampled_from(
            ["", "local data", "written for it; not comparable", "split=test, own"]
        ),
        chat_template=st.booleans(),
        limit=st.none() | st.integers(1, 10**6),
        seed=st.none() | st.integers(0, 10**6),
        mode=st.sampled_from(MODES),
        further=st.lists(st.sampled_from(["thinking=True", "no system prompt"]), max_size=2).map(
            tuple
        ),
    )
    .filter(lambda p: not p.further or bool(p.chat_template or "=" in p.further[0]))
    .filter(lambda p: not p.further or p.mode == Mode() or p.chat_template)
    .filter(
        # Without a condition between them, a "=" of the items' origin reads as a condition.
        lambda p: "=" not in p.data or p.chat_template or p.limit is not None or p.seed is not None
    )
)
MODEL = ModelIdentity(checkpoint="hub:a/b@c", dtype="bfloat16", backend="hf")
BENCHMARK = Benchmark.model_validate(
    {
        "name": "ARC-C",
        "tasks": ["arc_challenge"],
        "n_shot": 25,
        "metric": "acc_norm",
        "chance": 0.25,
        "source": "made up",
    }
)
MEASUREMENT = Measurement(
    model=MODEL,
    tasks=(TaskIdentity("arc_challenge", "1.0", "d", "hub"),),
    n_shot=25,
    metric="acc_norm",
    filter="none",
    aggregate="mean",
    seeds=HARNESS_SEEDS,
    limit=None,
    harness="lm-eval 0.4.13",
)
PLAIN = "lm-eval 0.4.13 arc_challenge v1.0 acc_norm; hf bfloat16"


@pytest.mark.slow
@given(PROTOCOLS)
@example(Protocol(tasks=("a",), metric="v0", filter="strict-match", backend="hf"))
def test_a_sentence_says_what_the_protocol_is(protocol: Protocol) -> None:
    assert Protocol.parse(str(protocol)) == protocol


@pytest.mark.slow
@given(st.text() | st.lists(st.sampled_from(
    ["arc acc", "hf", "limit 01", "limit 2", "seed 3", "chat template", "", "seed", "x=1"]
)).map("; ".join))  # fmt: skip
def test_any_text_is_read_whole_or_not_at_all(text: str) -> None:
    protocol = Protocol.parse(text)
    assert protocol is None or str(protocol) == text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, PLAIN),
        ({"limit": 3}, f"{PLAIN}; limit 3"),
        ({"seeds": Seeds.of(7)}, f"{PLAIN}; seed 7"),
        ({"model": replace(MODEL, chat_template=True)}, f"{PLAIN}; chat template"),
        (
            {"tasks": (TaskIdentity("arc_challenge", "", "d", "hub"),)},
            "lm-eval 0.4.13 arc_challenge  acc_norm; hf bfloat16",
        ),
    ],
    ids=["plain", "limit", "seed", "chat-template", "no-version"],
)
def test_a_cell_is_described_as_it_always_was(changes: dict[str, object], sentence: str) -> None:
    measurement = replace(MEASUREMENT, **changes)  # type: ignore[arg-type]  # of the fields' types
    assert str(cell_protocol(BENCHMARK, measurement, None)) == sentence


def test_where_the_items_come_from_is_said(tmp_path: object) -> None:
    root = embedded_data_root()
    protocol = cell_protocol(BENCHMARK, replace(MEASUREMENT, limit=2), root)
    assert str(protocol) == f"{PLAIN}; {root.label}; limit 2"
    assert protocol.conditions == (root.label, "limit 2")


@pytest.mark.parametrize("text", ["", "5-shot", "5-shot, chain of thought", "a b c; d"])
def test_a_sentence_of_others_is_no_protocol(text: str) -> None:
    assert Protocol.parse(text) is None


@pytest.mark.parametrize("label", ["split=test, own items", "limit 5", "a; chat template; b=c"])
def test_a_label_of_the_items_hides_no_limit(label: str) -> None:
    protocol = Protocol.parse(f"{PLAIN}; {label}; limit 2")
    assert protocol is not None
    assert (protocol.data, protocol.limit, protocol.further) == (label, 2, ())


def test_a_metric_of_several_words_is_read() -> None:
    protocol = Protocol.parse(
        "lm-eval 0.4.13 mine v1.0 exact match (first word); hf bfloat16; seed 7"
    )
    assert protocol is not None
    assert (protocol.metric, protocol.filter, protocol.seed) == ("exact match", "first word", 7)
    large = Protocol.parse(f"{PLAIN}; limit {10**30}")
    assert large is not None
    assert large.limit == 10**30
