"""The recorder: nothing is asked twice, and nothing that is wrong is kept."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("lm_eval", reason="the recorder needs the collect extra")

from bos_checkpoint import BOS, with_bos
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.errors import HarnessError, ResponseError, UnscorableRequestsError
from capspace.collect.harness.backends import load_model
from capspace.collect.recorder import dispatch as dispatch
from capspace.collect.recorder.accelerator import NonFiniteWatch, seeded
from capspace.collect.recorder.recorder import Recorder
from capspace.collect.recorder.request_order import blocks, pieces
from capspace.collect.recorder.thoughts import Thoughts
from capspace.collect.settings import LoadSettings
from capspace.collect.storage.journal import Journal


class Counting(LM):  # type: ignore[misc]  # lm-eval is untyped
    """Answers by arithmetic on the request, and remembers what it was asked."""

    def __init__(self, *, holds: int | None = None, bad: str = "") -> None:
        super().__init__()
        self.asked: list[tuple[Any, ...]] = []
        self.calls: list[int] = []
        self._holds = holds
        self._bad = bad
        self.favourite_colour = "green"

    def _take(self, requests: Sequence[Instance]) -> None:
        longest = max(len(r.args[0]) for r in requests)
        if self._holds is not None and longest * len(requests) > self._holds:
            import torch

            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.calls.append(len(requests))
        self.asked += [r.args for r in requests]

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        self._take(requests)
        return [
            (math.nan if r.args[0] == self._bad else -len(r.args[0]) / 7, r.args[1] == " a")
            for r in requests
        ]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        self._take(requests)
        return [-len(r.args[0]) / 3 for r in requests]

    def generate_until(self, requests: list[Instance]) -> list[str]:
        n = len(self.asked)
        self._take(requests)
        return [
            "" if r.args[0] == self._bad else f"{r.args[0]} {n + i}" for i, r in enumerate(requests)
        ]


def choices(n: int, task: str = "quiz") -> list[Instance]:
    return [
        Instance("loglikelihood", {}, (f"question {i} " + "x" * (i % 50), f" {c}"), j, (task, i, 1))
        for i in range(n)
        for j, c in enumerate("abcd")
    ]


def draws(n: int, repeats: int, *, prompt: str = "question {}") -> list[Instance]:
    settings = {"do_sample": True, "temperature": 0.7, "until": ["\n"]}
    instances = [
        Instance("generate_until", {}, (prompt.format(i), dict(settings)), 0, ("cot", i, repeats))
        for i in range(n)
    ]
    return [instance for instance in instances for _ in range(repeats)]


def recorder(journal: Journal, lm: LM, identity: str = "model", **settings: Any) -> Recorder:
    return Recorder(lm, journal=journal, identity=identity, label="org/model: quiz", **settings)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def test_second_run_asks_nothing_and_answers_the_same(journal: Journal) -> None:
    lm = Counting()
    first = recorder(journal, lm).loglikelihood(choices(300))
    assert len(lm.asked) == len(set(lm.asked)) == 1200
    lm = Counting()
    again = recorder(journal, lm)
    assert again.loglikelihood(choices(300)) == first
    assert lm.asked == []
    assert again.counts.n_known == 1200
    assert first == Counting().loglikelihood(choices(300))


def test_larger_limit_asks_only_new_items_and_order_does_not_matter(journal: Journal) -> None:
    recorder(journal, Counting()).loglikelihood(choices(100))
    lm = Counting()
    turned = choices(500)[::-1]
    assert recorder(journal, lm).loglikelihood(turned) == Counting().loglikelihood(turned)
    assert len(lm.asked) == 400 * 4


def test_another_identity_is_asked_anew(journal: Journal) -> None:
    recorder(journal, Counting()).loglikelihood(choices(10))
    lm = Counting()
    recorder(journal, lm, identity="same path, new weights").loglikelihood(choices(10))
    assert len(lm.asked) == 40


def test_identical_requests_are_asked_once(journal: Journal) -> None:
    lm = Counting()
    requests = choices(5) + choices(5, task="the same under another name")
    assert recorder(journal, lm).loglikelihood(requests) == Counting().loglikelihood(requests)
    assert len(lm.asked) == 20


def test_rolling(journal: Journal) -> None:
    requests = [
        Instance("loglikelihood_rolling", {}, ("text" * i,), 0, ("t", i, 1)) for i in range(1, 9)
    ]
    first = recorder(journal, Counting()).loglikelihood_rolling(requests)
    lm = Counting()
    assert recorder(journal, lm).loglikelihood_rolling(requests) == first
    assert lm.asked == []
    assert first[3] == -16 / 3


def test_each_repeat_of_a_sampled_request_is_an_answer_of_its_own(journal: Journal) -> None:
    lm = Counting()
    first = recorder(journal, lm).generate_until(draws(20, 8))
    assert len(set(first)) == len(first) == 160
    lm = Counting()
    assert recorder(journal, lm).generate_until(draws(20, 8)) == first
    assert lm.asked == []
    more = recorder(journal, lm).generate_until(draws(20, 10))
    assert len(lm.asked) == 40
    assert [a for i, a in enumerate(more) if i % 10 < 8] == first


def test_documents_with_one_prompt_draw_for_themselves(journal: Journal) -> None:
    answers = recorder(journal, Counting()).generate_until(draws(4, 3, prompt="the same"))
    assert len(set(answers)) == 12


def test_padding_of_data_parallel_processes_is_not_asked(journal: Journal) -> None:
    lm = Counting()
    requests = draws(5, 2)
    padded = [*requests, *[requests[-1]] * 6]
    answers = recorder(journal, lm).generate_until(padded)
    assert len(lm.asked) == 10
    assert answers[-6:] == [answers[8], answers[9]] * 3


def test_greedy_answers_do_not_depend_on_the_document(journal: Journal) -> None:
    greedy = [
        Instance("generate_until", {}, ("same", {"until": ["\n"]}), 0, ("t", i, 1))
        for i in range(3)
    ]
    lm = Counting()
    assert len(set(recorder(journal, lm).generate_until(greedy))) == 1
    assert len(lm.asked) == 1


def test_stopped_run_has_whole_chunks_and_goes_on(journal: Journal) -> None:
    class Dying(Counting):
        def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return super().loglikelihood(requests)

    dying = Dying()
    with pytest.raises(KeyboardInterrupt):
        recorder(journal, dying).loglikelihood(choices(300))
    lm = Counting()
    again = recorder(journal, lm)
    assert again.loglikelihood(choices(300)) == Counting().loglikelihood(choices(300))
    assert again.counts.n_known == len(dying.asked) == sum(dying.calls)
    # What is left is cut where it would have been cut without the stop.
    whole = Counting()
    recorder(Journal(journal.path / "other"), whole).loglikelihood(choices(300))
    assert whole.calls == dying.calls + lm.calls
    assert whole.asked == dying.asked + lm.asked


class Clock:
    """Time that passes only where a model says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(dispatch, "time", self)

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return time.time()


class Slow(Counting):
    """Takes time by the clock, and stops at a call where asked to."""

    def __init__(
        self,
        clock: Clock,
        *,
        request: float = 0.0,
        call: float = 0.0,
        first: float = 0.0,
        batch_size: int | None = None,
        stop_at: int | None = None,
        jitter: int = 0,
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self._draw = np.random.default_rng(jitter)
        self._jitter = 0.12 if jitter else 0.0
        self._clock, self._first, self._stop_at = clock, first, stop_at
        self._request, self._call = request, call

    def _take(self, requests: Sequence[Instance]) -> None:
        if len(self.calls) == self._stop_at:
            raise KeyboardInterrupt
        seconds = self._call + self._request * len(requests) + (0 if self.calls else self._first)
        self._clock.now += seconds * self._draw.uniform(1 - self._jitter, 1 + self._jitter)
        super()._take(requests)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def same_length(n: int) -> list[Instance]:
    return [Instance("loglikelihood", {}, (f"item {i:04}", " a"), 0, ("t", i, 1)) for i in range(n)]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.05, 0.8, 3.0, 19.0])
def test_no_chunk_is_knowingly_longer_than_its_bound(
    journal: Journal, clock: Clock, seconds: float
) -> None:
    lm = Slow(clock, request=seconds, batch_size=1)
    recorder(journal, lm).loglikelihood(same_length(300))
    assert lm.calls[0] == 1
    assert max(lm.calls) * seconds <= 20.0
    assert max(lm.calls) * seconds >= min(6.0, 64 * seconds)  # nor much shorter, once it is known


def test_batch_is_never_cut_and_grows_where_that_costs_no_time(
    journal: Journal, clock: Clock
) -> None:
    whole = Slow(clock, request=60 / 16, batch_size=16)  # a minute for each batch
    recorder(journal, whole).loglikelihood(same_length(480))
    assert set(whole.calls) == {16}
    wide = Slow(clock, call=60, request=0.01)  # a minute for a call, however much is in it
    recorder(journal, wide, identity="wide").loglikelihood(same_length(2000))
    assert wide.calls[0] == 8
    assert len(wide.calls) < 20


def test_fast_model_is_asked_in_few_large_calls(journal: Journal, clock: Clock) -> None:
    lm = Slow(clock, request=0.0001, first=3.0)
    recorder(journal, lm).loglikelihood(same_length(10_000))
    assert lm.calls[0] == 8
    assert len(lm.calls) <= 16
    assert max(lm.calls) >= 2048


@pytest.mark.slow
@pytest.mark.parametrize(
    ("speed", "jitter"),
    [({"request": 0.9}, 1), ({"request": 0.2, "first": 4.0}, 1), ({"call": 30, "request": 0.5}, 0)],
)
@pytest.mark.parametrize("batch_size", [None, 4])
def test_slow_run_stopped_anywhere_goes_on_with_the_same_calls(
    tmp_path: Path, clock: Clock, speed: dict[str, float], jitter: int, batch_size: int | None
) -> None:
    """Though a start may be slow, and no two calls take quite the same time."""
    # By fours there are far more calls to be stopped at.
    requests = draws(30 if batch_size is None else 12, 5)
    whole = Slow(clock, batch_size=batch_size, jitter=jitter, **speed)
    answers = recorder(Journal(tmp_path / "whole"), whole).generate_until(requests)
    assert len(whole.calls) > 4
    for stop_at in range(2, len(whole.calls)):
        journal = Journal(tmp_path / str(stop_at))
        seeds = (jitter * (10 + stop_at), jitter * (100 + stop_at))
        dying = Slow(clock, batch_size=batch_size, jitter=seeds[0], stop_at=stop_at, **speed)
        with pytest.raises(KeyboardInterrupt):
            recorder(journal, dying).generate_until(requests)
        lm = Slow(clock, batch_size=batch_size, jitter=seeds[1], **speed)
        lm.asked = whole.asked[: len(journal.known("model"))]  # it numbers its answers
        n_kept = len(lm.asked)
        assert recorder(journal, lm).generate_until(requests) == answers
        assert lm.asked[n_kept:] == whole.asked[n_kept:]
        assert lm.calls == whole.calls[-len(lm.calls) :]


def test_block_that_was_cut_before_its_pace_was_known_is_cut_there_again(
    tmp_path: Path, clock: Clock
) -> None:
    requests = same_length(150)
    slow_start = {"request": 0.2, "first": 40.0}
    whole = Slow(clock, batch_size=4, **slow_start)
    recorder(Journal(tmp_path / "whole"), whole).loglikelihood(requests)
    assert whole.calls[:4] == [4, 4, 4, 8]  # the second block is 16, and would fit
    for stop_at in range(2, len(whole.calls)):
        journal = Journal(tmp_path / str(stop_at))
        dying = Slow(clock, batch_size=4, stop_at=stop_at, **slow_start)
        with pytest.raises(KeyboardInterrupt):
            recorder(journal, dying).loglikelihood(requests)
        lm = Slow(clock, batch_size=4, **slow_start)
        recorder(journal, lm).loglikelihood(requests)
        assert dying.calls + lm.calls == whole.calls
        assert dying.asked + lm.asked == whole.asked


def test_texts_are_asked_for_a_batch_at_a_time_at_any_pace(journal: Journal, clock: Clock) -> None:
    for seconds in (0.0, 0.5, 5.0):
        lm = Slow(clock, request=seconds, batch_size=4)
        recorder(journal, lm, identity=f"at {seconds}").generate_until(draws(30, 3))
        assert lm.calls == [4] * 22 + [2]


@pytest.mark.slow
def test_out_of_memory_splits_and_the_size_found_is_used_again(journal: Journal) -> None:
    lm = Counting(holds=900)
    first = recorder(journal, lm)
    assert first.loglikelihood(choices(200)) == Counting().loglikelihood(choices(200))
    assert len(set(lm.asked)) == len(lm.asked) == 800
    assert 0 < first.counts.n_split < 8
    again = recorder(journal, Counting(holds=900))
    more = [
        Instance("loglikelihood", {}, (f"other {i} " + "x" * 50, " a"), 0, ("quiz", i, 1))
        for i in range(200)
    ]
    again.loglikelihood(more)
    assert again.counts.n_split <= 1


@pytest.mark.slow
def test_request_too_long_alone_is_recorded_with_its_length(journal: Journal) -> None:
    requests = choices(50)
    requests[40] = Instance("loglikelihood", {}, ("x" * 5000, " a"), 0, ("quiz", 10, 1))
    lm = Counting(holds=900)
    with pytest.raises(ResponseError, match=r"org/model: quiz: 1 of 200 .* 5002 .*quiz item 10"):
        recorder(journal, lm).loglikelihood(requests)
    (failure,) = journal.failures("model")
    assert (failure.task, failure.document, failure.characters) == ("quiz", 10, 5002)
    assert len(lm.asked) == 199
    bigger = Counting(holds=10_000)
    recorder(journal, bigger).loglikelihood(requests)
    assert bigger.asked == [requests[40].args]
    assert journal.failures("model") == []


def test_error_that_is_not_about_memory_is_not_swallowed(journal: Journal) -> None:
    class Broken(Counting):
        def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
            raise RuntimeError("device-side assert triggered")

    with pytest.raises(RuntimeError, match="device-side assert"):
        recorder(journal, Broken()).loglikelihood(choices(10))


def test_not_a_number_fails_the_cell_and_names_the_item(journal: Journal) -> None:
    requests = choices(100)
    lm = Counting(bad=requests[4 * 30].args[0])
    with pytest.raises(ResponseError, match=r"org/model: quiz: item 30 of quiz answered \(nan"):
        recorder(journal, lm).loglikelihood(requests)
    assert all(math.isfinite(a[0]) for a in journal.known("model").values())  # type: ignore[index]


def test_empty_generation_is_passed_on_and_not_kept(journal: Journal) -> None:
    requests = draws(6, 1)
    lm = Counting(bad=requests[2].args[0])
    first = recorder(journal, lm)
    assert first.generate_until(requests)[2] == ""
    assert first.counts.n_empty == 1
    assert len(journal.known("model")) == 5


def test_wrong_number_of_answers_is_told(journal: Journal) -> None:
    class Short(Counting):
        def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
            return super().loglikelihood(requests)[:-1]

    with pytest.raises(ResponseError, match="7 responses to 8"):
        recorder(journal, Short()).loglikelihood(choices(10))


def test_blocks_cover_everything_in_multiples_of_the_batch() -> None:
    keys = [bytes([i % 256, i // 256]) for i in range(9000)]
    for batch_size in (1, 48, 64, 100, 4096):
        cut = list(blocks(keys, batch_size))
        assert [k for block in cut for k in block] == keys
        assert len(cut[0]) == batch_size
        assert all(len(block) % batch_size == 0 for block in cut[:-1])
        assert max(map(len, cut)) <= max(4096, batch_size)


@given(st.integers(0, 200), st.integers(1, 9), st.integers(1, 60), st.sets(st.integers(0, 200)))
def test_pieces_hold_everything_unknown_and_fit_or_are_one_batch(
    n: int, batch_size: int, most: int, known: set[int]
) -> None:
    block = [bytes([i]) for i in range(n)]
    have = {bytes([i]) for i in known}
    cut = list(pieces(block, batch_size, have, lambda piece: len(piece) <= most))
    assert all(len(piece) <= max(most, batch_size) for piece in cut)
    assert [k for piece in cut for k in piece if k not in have] == [
        k for k in block if k not in have
    ]
    starts = [block.index(piece[0]) for piece in cut]
    assert all(start % batch_size == 0 for start in starts)


def test_wrapper_is_the_model_to_the_harness(journal: Journal) -> None:
    lm = Counting()
    wrapped = recorder(journal, lm)
    assert isinstance(wrapped, LM)
    assert wrapped.favourite_colour == "green"
    assert (wrapped.rank, wrapped.world_size) == (0, 1)
    assert not hasattr(wrapped, "no_such_thing")
    assert not hasattr(Recorder.__new__(Recorder), "favourite_colour")
    assert wrapped.chat_template() == ""


def test_wrapper_gathers_as_the_model_does(journal: Journal) -> None:
    class Gathering(Counting):
        n_waits = 0

        def all_gather(self, tensor: Any) -> Any:
            return [tensor, tensor]

        def gather_object(self, obj: Any, dst: int = 0) -> Any:
            return [obj, dst]

        def barrier(self) -> None:
            self.n_waits += 1

        def chat_template(self, chat_template: bool | str = False) -> None:
            return None

    lm = Gathering()
    wrapped = recorder(journal, lm)
    wrapped.barrier()
    assert (wrapped.all_gather(5), wrapped.gather_object("x", 3)) == ([5, 5], ["x", 3])
    assert (lm.n_waits, wrapped.chat_template()) == (1, None)


def test_progress_ends_at_all(journal: Journal) -> None:
    seen: list[tuple[int, int]] = []
    recorder(journal, Counting(), on_progress=lambda a, b: seen.append((a, b))).loglikelihood(
        choices(100)
    )
    assert seen[0] == (0, 400)
    assert seen[-1] == (400, 400)
    assert seen == sorted(seen)


def test_generation_that_is_no_text_is_told(journal: Journal) -> None:
    class Numbers(Counting):
        def generate_until(self, requests: list[Instance]) -> list[Any]:
            return [5 for _ in requests]

    with pytest.raises(ResponseError, match="the model generated 5, which is not text"):
        recorder(journal, Numbers()).generate_until(draws(2, 1))


def test_model_that_thinks_first_has_no_log_likelihoods(journal: Journal) -> None:
    thinks = Thoughts("</think>", thinks=True)
    with pytest.raises(HarnessError, match="thinks first has no log-likelihoods"):
        recorder(journal, Counting(), thoughts=thinks).loglikelihood(choices(2))


def test_model_that_answers_one_by_one_is_asked_nothing_twice(journal: Journal) -> None:
    class Each(Counting):
        def respond_each(
            self, request_type: str, requests: list[Instance], seeds: list[int]
        ) -> Iterator[list[tuple[int, Any]]]:
            for number, response in enumerate(self.generate_until(requests)):
                yield [(number, response)]

    lm = Each()
    first = recorder(journal, lm).generate_until(draws(3, 1))
    assert recorder(journal, lm).generate_until(draws(3, 1)) == first
    assert len(lm.asked) == 3


def test_stop_string_that_is_empty_cuts_nothing() -> None:
    request = Instance("generate_until", {}, ("q", {"until": ["", "\n"]}), 0)
    assert Thoughts("</think>").answer(request, "hm</think> yes\nno") == "yes"


def test_module_without_logits_is_not_watched() -> None:
    import torch

    module = torch.nn.Identity()
    with NonFiniteWatch(module) as watch:
        module(torch.tensor(math.nan))
        assert not watch.take()


def test_draws_without_torch_need_no_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with seeded(b"anything"):
        assert "torch" not in sys.modules


def test_requests_that_cannot_be_scored_fail_the_cell_and_the_others_are_kept(
    journal: Journal,
) -> None:
    class Refusing(Counting):
        def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
            given: list[Any] = list(super().loglikelihood(requests))
            refused = {i: "too long" for i, r in enumerate(requests) if r.doc_id == 1}
            if refused:
                raise UnscorableRequestsError(
                    [None if i in refused else x for i, x in enumerate(given)], refused
                )
            return given

    with pytest.raises(ResponseError) as error:
        recorder(journal, Refusing()).loglikelihood(choices(3))
    assert str(error.value) == (
        "org/model: quiz: 4 of 12 requests cannot be scored, the first quiz item 1 (too long); "
        "all other responses are stored"
    )
    assert len(journal.known("model")) == 8
    assert str(UnscorableRequestsError([None], {0: "too long"})) == "too long"
    two = UnscorableRequestsError([None, (-1.0, True)], {0: "too long"})
    assert str(two) == "1 of 2 requests cannot be scored: too long"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of lm-eval and its libraries
def test_prompts_that_hf_encodes_by_the_first_of_their_batch_are_noted(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    def notices(folder: Path, *prompts: str, **settings: Any) -> list[str]:
        lm = load_model(resolve(str(folder)), LoadSettings(device="cpu", **settings))
        with Journal(tmp_path / "journal") as journal:
            recorder = Recorder(lm, journal=journal, identity=repr(settings), label="m")
            requests = [
                Instance("generate_until", {}, (prompt, {"until": [], "max_gen_toks": 2}), i)
                for i, prompt in enumerate(prompts)
            ]
            assert len(recorder.generate_until(requests)) == len(prompts)
        return recorder.notices

    begun = with_bos(tiny_checkpoint, tmp_path / "begun")
    mixed = ("One day", f"{BOS}One day", "Two days")
    in_batches = {"backend": "hf", "batch_size": 3}
    (line,) = notices(begun, *mixed, **in_batches)
    assert line.startswith(
        f"1 of 3 prompts begin with {BOS}: lm-eval's hf encodes all of a batch as"
    )
    lm = load_model(resolve(str(begun)), LoadSettings(device="cpu", **in_batches))
    _, mask = lm.tok_batch_encode([mixed[1], mixed[0]])  # which the line is about
    n_tokens = len(lm.tok_encode("One day"))
    assert mask.sum(1).tolist() == [n_tokens, n_tokens - 1]

    assert notices(begun, *mixed, backend="hf", batch_size=1) == []
    assert notices(begun, *mixed[::2], **in_batches) == []
    assert notices(begun, *mixed, backend="capspace", batch_size=3) == []
    assert notices(tiny_checkpoint, *mixed, **in_batches) == []  # which adds no token
