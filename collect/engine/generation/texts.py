"""Texts are generated as lm-eval defines them: its settings, its stops, its cutting of prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lm_eval.models.utils import (
    handle_stop_sequences,
    normalize_gen_kwargs,
    postprocess_generated_text,
)

from ..budget import free_memory, generation_rows
from ..forward import Autocast, base_model
from ..length import LengthLimit
from ..tokens import encode_unique
from .loop import DecodingStats
from .recovery import generate_in_memory
from .sampling import Choice, StopCheck
from .settings import UnservedSettingError, read_settings
from .shared_prompts import longest_tail

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM

__all__ = ["Generate", "generate_texts"]

Generate = Callable[..., tuple[list[list[int]], DecodingStats]]
"""Continues prompts given as tokens."""


def generate_texts(
    lm: HFLM,
    contexts: Sequence[str],
    requested: dict[str, Any],
    *,
    seeds: Sequence[int],
    generate: Generate,
    prefill_tokens: int,
    autocast: Autocast,
    on_finished: Callable[[int], Any],
    limit: LengthLimit | None,
    stores_shared_once: bool,
) -> tuple[list[str], DecodingStats]:
    """Continue contexts with equal settings.

    Parameters
    ----------
    lm : HFLM
        The model as lm-eval holds it, with its tokenizer and limits.
    contexts : sequence of n str
        Prompts; they may repeat.
    requested : dict
        The generation settings of lm-eval's requests.
    seeds : sequence of n int
        What each text is drawn from, where texts are sampled.
    generate : callable
        How prompts, given as tokens, are continued:
        :func:`~capspace.collect.engine.generation.decode.generate` or
        :func:`~capspace.collect.engine.state.texts.generate_by_states`.
    prefill_tokens : int
        Prompt tokens per forward pass.
    autocast : callable
        Makes the context of each forward pass.
    on_finished : callable
        Called with the index of each context whose text is complete.
    limit : LengthLimit, optional
        Longest texts, prompts included.
    stores_shared_once : bool
        Whether ``generate`` stores what prompts share once, instead of in the row of each.

    Returns
    -------
    texts : list of n str
        What follows each context, cut at the first stop.
    stats : DecodingStats
        Tokens read and generated.

    Raises
    ------
    UnservedSettingError
        Settings that the engine does not reproduce; lm-eval's own path does.
    ValueError
        No room is left for a prompt, or a prompt has no token.

    """
    settings = normalize_gen_kwargs(requested, lm.max_gen_toks)
    if "max_length" in settings:
        raise UnservedSettingError("max_length counts the padding of a batch")
    end = None
    if lm.eot_token_id is not None:  # else only the ids of the configuration end a text
        end = lm.tok_decode(lm.eot_token_id, skip_special_tokens=False)
    stops = handle_stop_sequences(settings.pop("until", None), eos=end)
    longest = settings.pop("max_gen_toks")
    chosen_by = read_settings(lm.model.generation_config, settings)
    prompts = _prompts(lm, contexts, longest)
    # lm-eval cuts prompts for its own length, and transformers generates to the model's
    longest = chosen_by.max_new_tokens or longest
    most_tokens = max(map(len, prompts)) + longest
    if limit is not None and most_tokens > limit.tokens:
        raise UnservedSettingError(limit.reason)
    rows = generation_rows(
        base_model(lm.model).config,
        lm.model.dtype,
        most_tokens,
        free_memory(lm.device),
        own=longest_tail(prompts) + longest if stores_shared_once else None,
    )

    def attempt(
        part: list[int], rows: int, prefill_tokens: int
    ) -> tuple[list[list[int]], DecodingStats]:
        own = [prompts[i] for i in part]
        return generate(
            lm.model,
            own,
            max_new_tokens=longest,
            pick=Choice.of(chosen_by, own, [seeds[i] for i in part]),
            is_finished=StopCheck(lm.tokenizer, stops, chosen_by.end_tokens),
            rows=rows,
            prefill_tokens=prefill_tokens,
            autocast=autocast,
            on_finished=lambda place: on_finished(part[place]),
        )

    continuations, stats = generate_in_memory(attempt, len(prompts), rows, prefill_tokens)
    return [_finish(lm, tokens, stops) for tokens in continuations], stats


def _prompts(lm: HFLM, contexts: Sequence[str], longest: int) -> list[list[int]]:
    """Encode contexts and cut them from the left to leave room for ``longest`` new tokens."""
    room = lm.max_length - longest
    if room <= 0:
        raise ValueError(
            f"max_gen_toks={longest} leaves no room for a prompt within the model's "
            f"{lm.max_length} tokens"
        )
    encoded = encode_unique(
        lm, contexts, prefix=lm.tokenizer.bos_token, truncation=bool(lm.truncation)
    )
    prompts = [encoded[context][-room:] for context in contexts]
    if not all(prompts):
        raise ValueError("a prompt without a token: give it a text or set add_bos_token")
    return prompts


def _finish(lm: HFLM, tokens: list[int], stops: list[str]) -> str:
    """Turn generated tokens into the response, as lm-eval cuts it."""
    marker = lm.think_end_token
    if isinstance(marker, int) and marker in tokens:
        tokens = tokens[len(tokens) - tokens[::-1].index(marker) :]
    text: str = lm.tok_decode(tokens)
    response: str = postprocess_generated_text(
        text.lstrip() if isinstance(marker, int) else text,
        stops,
        marker if isinstance(marker, str) else None,
    )
    return response
