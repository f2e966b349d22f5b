"""lm-eval's Hugging Face model class computes its responses with the scoring engine."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM

from ..errors import UnscorableRequestsError
from .arguments import graphs_on, read_flag, read_token_budget
from .arithmetic import MODEL_NAME
from .budget import free_memory, scoring_budget, state_budget
from .division import with_progress
from .forward import base_model, forward_of
from .generation.decode import Computation, generate
from .generation.groups import Prompt, generate_groups
from .generation.loop import DecodingStats
from .generation.settings import UnservedSettingError, read_settings
from .generation.texts import Generate, generate_texts
from .length import LengthLimit, length_limit
from .scoring import Budget, ScoringStats, Target, score_targets
from .served import engine_lines, known_reasons
from .state.passes import StateForward
from .state.scoring import score_by_states
from .state.texts import generate_by_states
from .support import find_support
from .targets import Request, rolling_windows, scoring_targets
from .tokens import encode_pairs, encode_unique

__all__ = ["CapspaceLM"]

_log = logging.getLogger(__name__)


@register_model(MODEL_NAME)
class CapspaceLM(HFLM):  # type: ignore[misc]  # lm-eval ships no types
    """A Hugging Face checkpoint whose requests share every token they have in common.

    Parameters
    ----------
    pretrained : str or PreTrainedModel
        As for lm-eval's ``hf``.
    token_budget : int, optional
        Tokens per forward pass; found from the free memory if None. Scores do not depend on it.
    cuda_graphs : bool
        Replay steps of generated texts as CUDA graphs, on a CUDA device, where the model's texts
        are proved the same at start-up. Off by default, because no card has run it: only what a
        graph freezes has been tested, on CPUs.
    **kwargs
        Every argument of lm-eval's ``hf``.

    Attributes
    ----------
    unsupported_reason : str or None
        Why all requests take lm-eval's own path, None if the engine serves them.
    unsupported_generation : str or None
        Why texts are generated on lm-eval's own path, None if the engine generates them.
    slower_reason : str or None
        Why the fastest attention for this device is not used, None if it is.
    unrecorded_reason : str or None
        Why steps of texts are not replayed as CUDA graphs, None if they are or were not to be.
    unserved : Counter
        How many requests took lm-eval's own path so far, by reason.
    stats : ScoringStats
        Totals of all log-likelihood calls that the engine served.
    decoding_stats : DecodingStats
        Totals of all generation calls that the engine served.

    """

    def __init__(
        self,
        pretrained: Any,
        token_budget: int | str | None = None,
        cuda_graphs: bool | str = False,
        **kwargs: Any,
    ) -> None:
        self._token_budget = read_token_budget(token_budget)
        wants_graphs = read_flag("cuda_graphs", cuda_graphs)
        super().__init__(pretrained, **kwargs)
        recording = graphs_on(self.device) if wants_graphs else None
        self.stats = ScoringStats()
        self.decoding_stats = DecodingStats()
        self.unserved: Counter[str] = Counter()
        self.unsupported_reason: str | None = "tensor parallelism has not been checked against it"
        self.unsupported_generation: str | None = None
        self.slower_reason: str | None = None
        self.unrecorded_reason: str | None = None
        if kwargs.get("tp_plan") is None:
            self._support = find_support(
                self.model, backend=self.backend, autocast=self.autocast, recording=recording
            )
            self.unsupported_reason = self._support.unsupported_reason
            self.slower_reason = self._support.slower_reason
            self.unrecorded_reason = self._support.unrecorded_reason
        self._limit: LengthLimit | None = None
        if self.unsupported_reason is None:
            self._limit = length_limit(self.model)
            self.unsupported_generation = self._support.unsupported_texts or self._own_setting()
        for line in engine_lines(self) if self.rank == 0 else ():
            _log.warning("capspace: %s", line)

    def _own_setting(self) -> str | None:
        """Return the model's own setting that keeps greedy texts from the engine, if it has one.

        A task may still override it.
        """
        try:
            read_settings(self.model.generation_config, {"do_sample": False})
        except UnservedSettingError as reason:
            return str(reason)
        return None

    @property
    def shares_prefixes(self) -> bool:
        """Whether requests with a common beginning cost less in one call than in several."""
        return self.unsupported_reason is None

    def loglikelihood(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """Score (context, continuation) pairs; strings that repeat are tokenised once."""
        if self.unsupported_reason is not None:
            self.unserved[self.unsupported_reason] += len(requests)
        if self.unsupported_reason is not None or self.enable_thinking:
            return super().loglikelihood(requests, disable_tqdm=disable_tqdm)  # type: ignore[no-any-return]  # lm-eval ships no types
        pairs = [request.args for request in requests]
        encoded = encode_pairs(self, pairs)
        return self._loglikelihood_tokens(
            [(pair, *parts) for pair, parts in zip(pairs, encoded, strict=True)],
            disable_tqdm=disable_tqdm,
        )

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """Score whole texts, window by window as lm-eval cuts them, all windows in one tree."""
        if self.unsupported_reason is not None:
            self.unserved[self.unsupported_reason] += len(requests)
            return super().loglikelihood_rolling(requests, disable_tqdm=disable_tqdm)  # type: ignore[no-any-return]  # lm-eval ships no types
        texts = [request.args[0] for request in requests]
        tokens = encode_unique(self, texts, prefix=self.tokenizer.decode(self.prefix_token_id))
        windows, owner = rolling_windows(
            [tokens[text] for text in texts], self.prefix_token_id, self.max_length
        )
        totals = [0.0] * len(texts)
        scores = self._loglikelihood_tokens(windows, disable_tqdm=disable_tqdm)
        for i, (score, _) in zip(owner, scores, strict=True):
            totals[i] += score
        for text, total in zip(texts, totals, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", (text,), total)
        return totals

    def _loglikelihood_tokens(
        self,
        requests: Sequence[Request],
        disable_tqdm: bool = False,
        override_bs: int | None = None,
    ) -> list[tuple[float, bool]]:
        if self.unsupported_reason is not None:
            return super()._loglikelihood_tokens(  # type: ignore[no-any-return]  # lm-eval ships no types
                requests, disable_tqdm=disable_tqdm, override_bs=override_bs
            )
        target_of, reasons = scoring_targets(requests, self.max_length)
        slowly = self._too_long(requests, target_of)
        target_of = {i: target for i, target in target_of.items() if i not in slowly}
        targets = list(target_of.values())
        longer = sum(
            len(requests[i][1]) + len(requests[i][2]) > len(target.inputs) + 1
            for i, target in target_of.items()
        )
        if longer:
            _log.warning(
                "%d of %d requests are cut from the left to the model's %d tokens",
                longer,
                len(requests),
                self.max_length,
            )
        scores = with_progress(
            targets,
            lambda part, bar: self._score(part, lambda done: bar.update(done - bar.n)),
            lambda: [target.inputs for target in targets],
            label="Scoring requests",
            is_quiet=disable_tqdm or self.rank != 0,
            rank=self.rank,
            n_processes=self.world_size,
        )
        for i, score in zip(target_of, scores, strict=True):
            text = requests[i][0]
            if text is not None:
                self.cache_hook.add_partial("loglikelihood", text, score)
        score_of = dict(zip(target_of, scores, strict=True)) | slowly
        if reasons:
            raise UnscorableRequestsError([score_of.get(i) for i in range(len(requests))], reasons)
        return [score_of[i] for i in range(len(requests))]

    def _too_long(
        self, requests: Sequence[Request], target_of: dict[int, Target]
    ) -> dict[int, tuple[float, bool]]:
        """Score the requests that are too long for the engine by lm-eval's own path."""
        limit = self._limit
        # where no input is longer than the embedding's length, it never moves at all
        if limit is None or self.max_length <= limit.tokens + 1:
            return {}
        which = [i for i, target in target_of.items() if len(target.inputs) > limit.tokens]
        if not which:
            return {}
        self._note_unserved(limit.reason, "long requests", len(which))
        scores = super()._loglikelihood_tokens([requests[i] for i in which], disable_tqdm=True)
        return dict(zip(which, scores, strict=True))

    def _note_unserved(self, reason: str, what: str, n_requests: int) -> None:
        """Count requests that take lm-eval's own path, and say so the first time."""
        if reason not in (*self.unserved, *known_reasons(self)):
            _log.warning(
                "capspace: lm-eval's own path is used for %s, which the engine does not serve (%s)",
                what,
                reason,
            )
        self.unserved[reason] += n_requests

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Continue contexts until a stop text; prompts share what they have in common."""
        seeds = torch.randint(2**62, (len(requests),)).tolist()
        return self.generate_from_seeds(requests, seeds, disable_tqdm=disable_tqdm)

    def generate_from_seeds(
        self, requests: list[Instance], seeds: Sequence[int], disable_tqdm: bool = False
    ) -> list[str]:
        """Continue contexts, each sampled text drawn from a seed of its own.

        Parameters
        ----------
        requests : list of n Instance
            As for ``generate_until``.
        seeds : sequence of n int
            Not negative. A text depends on its own alone, not on other requests; lm-eval's
            own path draws from torch's state instead.
        disable_tqdm : bool
            Show no progress.

        """
        if self.unsupported_reason is not None:
            self.unserved[self.unsupported_reason] += len(requests)
            return super().generate_until(requests, disable_tqdm=disable_tqdm)  # type: ignore[no-any-return]  # lm-eval ships no types
        prompts = [
            (request.args[0], request.args[1], seed)
            for request, seed in zip(requests, seeds, strict=True)
        ]

        def inputs() -> list[list[int]]:
            contexts = [context for context, _, _ in prompts]
            encoded = encode_unique(self, contexts, prefix=self.tokenizer.bos_token)
            return [encoded[context] for context in contexts]

        texts = with_progress(
            prompts,
            lambda part, bar: self._generate_groups(part, lambda _: bar.update(1)),
            inputs,
            label="Generating",
            is_quiet=disable_tqdm or self.rank != 0,
            rank=self.rank,
            n_processes=self.world_size,
        )
        for (context, settings, _), text in zip(prompts, texts, strict=True):
            self.cache_hook.add_partial("generate_until", (context, settings), text)
        return texts

    def _generate_groups(
        self, prompts: Sequence[Prompt], on_finished: Callable[[int], Any]
    ) -> list[str]:
        def served(contexts: list[str], settings: dict[str, Any], seeds: list[int]) -> list[str]:
            if self._support.unsupported_texts is not None:
                raise UnservedSettingError(self._support.unsupported_texts)
            texts, stats = generate_texts(
                self,
                contexts,
                settings,
                seeds=seeds,
                generate=self._generate,
                prefill_tokens=self.budget.tokens,
                autocast=self.autocast,
                on_finished=on_finished,
                limit=self._limit,
                stores_shared_once=not self._support.texts_by_states,
            )
            self.decoding_stats += stats
            return texts

        def by_hf(group: list[Prompt], reason: str) -> list[str]:
            self._note_unserved(reason, "texts with settings", len(group))
            requests = [
                Instance("generate_until", {}, (context, settings), place)
                for place, (context, settings, _) in enumerate(group)
            ]
            return super(CapspaceLM, self).generate_until(requests, disable_tqdm=True)  # type: ignore[no-any-return]  # lm-eval ships no types

        return generate_groups(prompts, served, by_hf)

    @property
    def _generate(self) -> Generate:
        if self._support.texts_by_states:
            state_bytes = state_budget(free_memory(self.device))
            return partial(generate_by_states, state_bytes=state_bytes)
        support = self._support
        return partial(
            generate, computation=Computation(support.attention_backend, support.recording)
        )

    def _score(
        self, targets: list[Target], on_progress: Callable[[int], Any]
    ) -> list[tuple[float, bool]]:
        score = (
            partial(score_by_states, forward=self._state_forward)
            if self._support.scores_by_states
            else partial(
                score_targets,
                attention_backend=self._support.attention_backend,
                autocast=self.autocast,
            )
        )
        scores, stats = score(
            self.model,
            targets,
            self.budget,
            softmax_dtype=self.softmax_dtype,
            on_progress=on_progress,
        )
        self.stats += stats
        return scores

    @cached_property
    def _state_forward(self) -> StateForward:
        """How a model that goes on from states is called: the same for all calls."""
        return StateForward.of(self.model, self.autocast)

    @property
    def budget(self) -> Budget:
        """Limits of one forward pass, from the memory that is free now."""
        free = free_memory(self.device)
        largest = scoring_budget(
            base_model(self.model).config, self.model.dtype, self.max_length, free
        )
        largest = replace(largest, state_bytes=state_budget(free))
        by_tree = self.unsupported_reason is None and not self._support.scores_by_states
        if by_tree and not forward_of(self.model).picks_rows:
            largest = replace(largest, tokens=min(largest.tokens, largest.rows))
        if self._token_budget is None:
            return largest
        rows = min(self._token_budget, largest.rows)
        return replace(largest, tokens=self._token_budget, rows=rows)

    def autocast(self) -> torch.autocast:
        """Return the context of each forward pass."""
        return torch.autocast(
            device_type=self.device.type,
            dtype=self.mixed_precision_dtype,
            enabled=self.mixed_precision_dtype is not None,
        )
