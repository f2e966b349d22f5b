"""A model's own log-probabilities of a few tokens are compared with those of the engine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .attention.backends import AttentionBackend
from .attention.blocks import UnsupportedAttentionError
from .attention.kernels import HALF
from .forward import Autocast, UnsupportedForwardError, base_model, computing_dtype, first_line
from .generation.decode import Computation, generate
from .generation.recording import Recording, UnrecordableStepError
from .generation.shared_prompts import MIN_SHARED
from .own_texts import generated_logprobs
from .scoring import Budget, Target, score_targets
from .state.passes import StateForward
from .state.scoring import score_by_states
from .state.texts import generate_by_states
from .tree import IntArray

__all__ = ["generation_probe", "probe", "recording_probe", "state_probe", "state_texts_probe"]


class _GivenTokens:
    """Chooses the tokens given for each text, and keeps their log-probabilities."""

    def __init__(self, tokens: list[list[int]]) -> None:
        self._tokens = tokens
        self._logprobs: list[list[float]] = [[] for _ in tokens]

    def __call__(self, logits: Tensor, texts: list[int]) -> list[int]:
        chosen = [self._tokens[i][len(self._logprobs[i])] for i in texts]
        for row, i, token in zip(logits.float().log_softmax(-1), texts, chosen, strict=True):
            self._logprobs[i].append(float(row[token]))
        return chosen

    @property
    def logprobs(self) -> list[float]:
        """Those of all tokens so far, one text after the other."""
        return [logprob for row in self._logprobs for logprob in row]


def probe(
    model: nn.Module,
    attention_backend: AttentionBackend | None = None,
    autocast: Autocast = nullcontext,
) -> str | None:
    """Compare the engine with the model's own forward pass on a small tree of tokens.

    Returns
    -------
    str or None
        None if they agree within rounding: in half precision three quarters of the
        log-probabilities within a tenth of their own spread, above it all within a thousandth.

    """
    sequences: list[list[int]] = [[]]
    for level in range(3):
        branches = _draw(model, (len(sequences), 2, 5), seed=level)
        sequences = [
            [*sequence, *branch.tolist()]
            for sequence, pair in zip(sequences, branches, strict=True)
            for branch in pair
        ]
    targets = [
        Target(sequence[:length], [sequence[length]])
        for sequence in sequences
        for length in range(1, len(sequence))
    ]

    def scored() -> list[float]:
        scores, _ = score_targets(
            model,
            targets,
            Budget(tokens=17, rows=17),
            attention_backend=attention_backend,
            softmax_dtype=torch.float32,
            autocast=autocast,
        )
        return [score for score, _ in scores]

    own = partial(_own_logprobs, model, sequences, autocast)
    return _compare(model, scored, own, what="a small tree of tokens")


def state_probe(model: nn.Module, autocast: Autocast = nullcontext) -> str | None:
    """Compare scores that go on from states with the model's own forward pass.

    Two texts go on with several tokens after a long common beginning, which is longer than what
    a recurrent layer takes at once, and two others with a single token.

    Returns
    -------
    str or None
        As for `probe`: None if their log-probabilities agree.

    """
    try:
        forward = StateForward.of(model, autocast)
    except UnsupportedForwardError as error:
        return str(error)
    n_shared = max(70, forward.block + 6)
    shared, tails = _draw(model, (2, n_shared), seed=5), _draw(model, (4, 12), seed=6)
    long = [[*shared[0].tolist(), *tail.tolist()] for tail in tails[:2]]
    short = [[*shared[1].tolist(), *tail[:2].tolist()] for tail in tails[2:]]

    def scored() -> list[float]:
        targets = [
            Target(sequence[:length], [sequence[length]])
            for sequence in [*long, *short]
            for length in range(1, len(sequence))
        ]
        budget = Budget(tokens=128, rows=128)
        scores, _ = score_by_states(
            model, targets, budget, softmax_dtype=torch.float32, forward=forward
        )
        return [score for score, _ in scores]

    def own() -> tuple[NDArray[np.float64], bool]:
        parts = [_own_logprobs(model, rows, autocast) for rows in (long, short)]
        return np.concatenate([logprobs for logprobs, _ in parts]), parts[0][1]

    return _compare(model, scored, own, what="texts that go on from a state")


def generation_probe(
    model: nn.Module,
    attention_backend: AttentionBackend | None = None,
    autocast: Autocast = nullcontext,
) -> str | None:
    """Compare the engine with the model's own ``generate`` on short texts, given token by token.

    A class that generates in a way of its own (extra inputs, scores that it changes, a loop that
    is not greedy decoding) does not agree, as right as its forward pass may be.

    Returns
    -------
    str or None
        As for `probe`: None if their log-probabilities agree.

    """
    n_new = 3
    shared, own = _draw(model, (MIN_SHARED + 1,), seed=3), _draw(model, (2, 3 + n_new), seed=4)
    sequences = [[*shared.tolist(), *tail.tolist()] for tail in own]
    prompts = [sequence[:-n_new] for sequence in sequences]
    given = [sequence[-n_new:] for sequence in sequences]
    pick = _GivenTokens(given)

    def generated() -> list[float]:
        generate(
            model,
            prompts,
            max_new_tokens=n_new,
            pick=pick,
            is_finished=lambda new: False,
            rows=len(sequences),
            prefill_tokens=len(sequences[0]),
            computation=Computation(attention_backend),
            autocast=autocast,
        )
        return pick.logprobs

    def reference() -> tuple[NDArray[np.float64], bool]:
        own_logprobs = generated_logprobs(model, prompts, given, autocast)
        return own_logprobs, computing_dtype(model, autocast) in HALF

    return _compare(model, generated, reference, what="a short text")


def state_texts_probe(model: nn.Module, autocast: Autocast = nullcontext) -> str | None:
    """Compare texts that go on from states, given token by token, with transformers' own.

    Texts of different lengths, two of them with a long common beginning, are read as rows of one
    batch. Transformers generates each of them alone, by ``generate``: where a model computes one
    token otherwise than several, as some with a limit of the time step do, texts are to be those
    of single tokens.

    Returns
    -------
    str or None
        As for `probe`: None if their log-probabilities agree.

    """
    n_new = 4
    n_shared = max(MIN_SHARED, StateForward.of(model, autocast).block) + 1
    shared, own = _draw(model, (n_shared,), seed=7), _draw(model, (3, 9), seed=8)
    prompts = [[*shared.tolist(), *own[0, :3].tolist()], [*shared.tolist(), *own[1, :5].tolist()]]
    prompts.append(own[2, :5].tolist())
    given = own[:, -n_new:].tolist()
    pick = _GivenTokens(given)

    def generated() -> list[float]:
        generate_by_states(
            model,
            prompts,
            max_new_tokens=n_new,
            pick=pick,
            is_finished=lambda new: False,
            rows=len(prompts),
            prefill_tokens=128,
            autocast=autocast,
        )
        return pick.logprobs

    def reference() -> tuple[NDArray[np.float64], bool]:
        parts = [
            generated_logprobs(model, [prompt], [tokens], autocast)
            for prompt, tokens in zip(prompts, given, strict=True)
        ]
        return np.concatenate(parts), computing_dtype(model, autocast) in HALF

    return _compare(model, generated, reference, what="texts that are generated from a state")


def recording_probe(
    model: nn.Module,
    recording: Recording,
    attention_backend: AttentionBackend | None = None,
    autocast: Autocast = nullcontext,
) -> str | None:
    """Compare texts whose steps are replayed with the same texts, each step computed as it is.

    Texts of different lengths are given token by token, two of them behind a shared beginning;
    they leave and enter a batch of three, so that a recording is replayed with other contents. It
    must not depend on a number that Python read once, nor read one in the middle.

    Returns
    -------
    str or None
        As for `probe`: None if their log-probabilities agree.

    """
    shared, own = _draw(model, (MIN_SHARED + 1,), seed=9), _draw(model, (5, 16), seed=10)
    starts = 3, 7, 2, 5, 4
    prompts = [tail[:start].tolist() for tail, start in zip(own, starts, strict=True)]
    prompts[:2] = ([*shared.tolist(), *prompt] for prompt in prompts[:2])
    given = [tail[-n_new:].tolist() for tail, n_new in zip(own, (9, 4, 9, 6, 7), strict=True)]

    def generated(recording: Recording | None) -> list[float]:
        pick = _GivenTokens(given)
        generate(
            model,
            prompts,
            max_new_tokens=max(map(len, given)),
            pick=pick,
            is_finished=given.__contains__,
            rows=3,
            prefill_tokens=128,
            computation=Computation(attention_backend, recording),
            autocast=autocast,
        )
        return pick.logprobs

    def step_by_step() -> tuple[NDArray[np.float64], bool]:
        return np.array(generated(None)), computing_dtype(model, autocast) in HALF

    return _compare(
        model, partial(generated, recording), step_by_step, what="texts of replayed steps"
    )


def _draw(model: nn.Module, shape: tuple[int, ...], *, seed: int) -> IntArray:
    base = base_model(model)
    vocabulary = int(base.get_input_embeddings().num_embeddings)
    # some embed tokens that they never write
    written = getattr(base.config.get_text_config(decoder=True), "vocab_size", None)
    vocabulary = min(vocabulary, written or vocabulary)
    return np.random.default_rng(seed).integers(vocabulary // 8, vocabulary, size=shape)


def _compare(
    model: nn.Module,
    engine: Callable[[], list[float]],
    own: Callable[[], tuple[NDArray[np.float64], bool]],
    *,
    what: str,
) -> str | None:
    """Return how far the engine's log-probabilities are from the model's own."""
    try:
        reference, is_half = own()
        gap = np.abs(np.asarray(engine()) - reference)
    except (UnsupportedForwardError, UnsupportedAttentionError, UnrecordableStepError) as error:
        return str(error)  # a clause already
    except Exception as error:  # a stranger's code may raise anything
        return f"its code does not take the engine's inputs ({first_line(error)})"
    worst, tolerance = (float(np.quantile(gap, 0.75)), 0.1) if is_half else (float(gap.max()), 1e-3)
    if not worst <= tolerance * float(reference.std()) + 1e-5:
        return f"its log-probabilities of {what} are {worst:.2g} nats off"
    return None


def _own_logprobs(
    model: nn.Module, sequences: list[list[int]], autocast: Autocast
) -> tuple[NDArray[np.float64], bool]:
    """Return the model's own, from the second token, and whether they are of half precision."""
    rows = torch.tensor(sequences, device=next(model.parameters()).device)
    with torch.no_grad(), autocast():
        logits: Tensor = model(rows).logits
    logprobs = logits[:, :-1].float().log_softmax(-1)
    chosen = logprobs.gather(2, rows[:, 1:, None]).double().cpu().numpy().ravel()
    return chosen, computing_dtype(model, autocast) in HALF
