"""lm-eval's own command line stores every response, so that runs resume where they stopped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import BackendError, CollectError, ResponseError
from ..harness._plain_prompts import plain_prompts
from ..harness.backends import checked_models, register_models
from ..harness.data_root import default_data_root, named_data_root
from ..harness.fewshot_draws import positions_of
from ..harness.metering import metered
from ..harness.patches import templates_compiled_once, wrapped_in_evaluator
from ..harness.served_data import data_from
from ..harness.version import harness_version
from ..recorder.recording import recorded_responses
from ..runtime.redaction import redacted
from ..storage.journal import open_journal
from ..storage.store import Store
from .lm_eval_modes import ModeOfRun, run_in_mode
from .run_checks import (
    refuse_adapter_run,
    refuse_changed_names,
    refuse_pickled_run,
    refuse_unloadable_run,
)
from .run_identity import RunModel, identify, identify_by_name

__all__ = ["lm_eval_main", "recorded_runs"]

Say = Callable[[str], None]
_CLIENTS = {"aiohttp", "requests"}  # libraries by which lm-eval reaches a server


def lm_eval_main(
    arguments: Sequence[str],
    *,
    store: Path | None,
    answers_of: str | None = None,
    data_root: str | None = None,
    allow_pickle: bool = False,
    allow_missing_weights: bool = False,
    say: Say,
) -> None:
    """Run lm-eval's command line with capspace's models registered.

    Parameters
    ----------
    arguments : sequence of str
        What lm-eval's own command line takes.
    store : Path, optional
        Store whose journal takes the responses; None stores none.
    answers_of : str, optional
        The user's own name for what answers; None where the arguments name a checkpoint.
    data_root : str, optional
        Folder that tasks read instead of the Hub, or "embedded"; by default
        ``CAPSPACE_DATA_ROOT``, else the Hub.
    allow_pickle : bool
        Load weights that come only as pickles.
    allow_missing_weights : bool
        Continue if a checkpoint's files lack weights, which are then random.
    say : callable
        Receives lines for the user: about the model, and about where the responses are stored.

    Raises
    ------
    ResponseError
        A model's server does not answer.
    DataRootError
        A data root that cannot be used, or that lacks a data set.
    CheckpointError
        The weights are pickles or some are missing, and that is not allowed; an adapter lies
        beside them; the tokenizer is not there or does not belong to them; or there is no such
        checkpoint.
    JournalError
        No more responses can be stored; those before are.

    """
    from lm_eval.__main__ import cli_evaluate

    register_models()
    root = default_data_root() if data_root is None else named_data_root(data_root)
    if root is not None and root.label:
        say(f"data: {root.label}")
    before = sys.argv
    # lm-eval reads and edits sys.argv itself.
    sys.argv = ["capspace lm-eval", *arguments]
    try:
        with (
            data_from(root),
            recorded_runs(
                store=store,
                answers_of=answers_of,
                allow_pickle=allow_pickle,
                allow_missing_weights=allow_missing_weights,
                say=say,
            ),
        ):
            cli_evaluate()
    finally:
        sys.argv = before


@contextmanager
def recorded_runs(
    *,
    store: Path | None,
    answers_of: str | None = None,
    allow_pickle: bool = False,
    allow_missing_weights: bool = False,
    say: Say,
) -> Iterator[None]:
    """Let lm-eval's function for a whole run check what it loads, and store the responses.

    Parameters
    ----------
    store, answers_of, allow_pickle, allow_missing_weights, say
        As in `lm_eval_main`.

    """
    with ExitStack() as wrappers:
        chosen = ModeOfRun()
        checked = partial(
            _run_checked, allow_missing_weights=allow_missing_weights, chosen=chosen, say=say
        )
        wrappers.enter_context(wrapped_in_evaluator(simple_evaluate=checked))
        if store is not None:
            recorded = partial(
                _run_recorded, store=store, answers_of=answers_of, chosen=chosen, say=say
            )
            wrappers.enter_context(wrapped_in_evaluator(simple_evaluate=recorded))
        if not allow_pickle:
            wrappers.enter_context(wrapped_in_evaluator(simple_evaluate=_run_unpickled))
        wrappers.enter_context(wrapped_in_evaluator(simple_evaluate=_run_untrusting))
        wrappers.enter_context(wrapped_in_evaluator(simple_evaluate=_run_of_one_model))
        prompted = partial(_run_plain_prompts, say=say)
        wrappers.enter_context(wrapped_in_evaluator(simple_evaluate=prompted))
        in_mode = partial(run_in_mode, chosen=chosen, say=say)
        wrappers.enter_context(wrapped_in_evaluator(simple_evaluate=in_mode))
        yield


def _run_unpickled(simple_evaluate: Any) -> Any:
    """Return lm-eval's function for a whole run, which loads no pickles."""

    def run(**settings: Any) -> Any:
        refuse_pickled_run(settings["model"], settings["model_args"] or {})
        return simple_evaluate(**settings)

    return run


def _run_untrusting(simple_evaluate: Any) -> Any:
    """Return lm-eval's function for a whole run, which runs a checkpoint's code only if told to."""

    def run(**settings: Any) -> Any:
        if settings["model"] == "sglang":  # lm-eval's class runs it unless told otherwise
            given = settings["model_args"] or {}
            settings["model_args"] = {"trust_remote_code": False, **given}
        return simple_evaluate(**settings)

    return run


def _run_plain_prompts(simple_evaluate: Any, say: Say) -> Any:
    """Return lm-eval's function for a whole run, in which each prompt is the plain run's."""

    def run(**settings: Any) -> Any:
        if settings.get("cache_requests"):
            say(
                "--cache_requests is ignored: the key of lm-eval's cache of prompts has no seed "
                "and no data"
            )
            settings |= {"cache_requests": False, "rewrite_requests_cache": False}
        if settings.get("samples") is not None:
            # lm-eval numbers what it takes in ascending order as if it were in the order given.
            settings["samples"] = {n: positions_of(s) for n, s in settings["samples"].items()}
        with (
            plain_prompts(settings["random_seed"], settings["numpy_random_seed"]),
            templates_compiled_once(),
        ):
            return simple_evaluate(**settings)

    return run


def _run_of_one_model(simple_evaluate: Any) -> Any:
    """Return lm-eval's function for a whole run, which loads only the model that was named."""

    def run(**settings: Any) -> Any:
        refuse_changed_names(settings["model_args"] or {})
        refuse_adapter_run(settings["model"], settings["model_args"] or {})
        refuse_unloadable_run(
            settings["model"], settings["model_args"] or {}, settings.get("device")
        )
        return simple_evaluate(**settings)

    return run


def _run_checked(
    simple_evaluate: Any, *, allow_missing_weights: bool, chosen: ModeOfRun, say: Say
) -> Any:
    """Return lm-eval's function for a whole run, whose model is checked while it is loaded."""
    from ..checkpoints.checked_model import LoadRules

    def noted(evaluate: Any) -> Any:
        def evaluated(lm: Any, **settings: Any) -> Any:
            for note in getattr(lm, "notes", ()) if lm.rank == 0 else ():
                say(f"{lm.label}: {note}")
            return evaluate(lm=lm, **settings)

        return evaluated

    def run(**settings: Any) -> Any:
        rules = LoadRules(
            chat_template=settings.get("apply_chat_template") or False,
            mode=chosen.mode,
            allow_missing_weights=allow_missing_weights,
        )
        settings["model_args"] = chosen.loading(settings["model_args"] or {})
        with checked_models(rules), wrapped_in_evaluator(evaluate=noted):
            return simple_evaluate(**settings)

    return run


def _run_recorded(
    simple_evaluate: Any, store: Path, answers_of: str | None, chosen: ModeOfRun, say: Say
) -> Any:
    """Return lm-eval's function for a whole run, with a recorder around the model it loads."""

    def run(**settings: Any) -> Any:
        model, given = settings["model"], settings["model_args"] or {}
        template = settings.get("apply_chat_template") or False
        if answers_of is not None:
            identified = identify_by_name(
                answers_of, model, given, chat_template=template, mode=chosen.mode
            )
        try:
            if settings.get("use_cache") is not None:
                raise CollectError("--use_cache puts them into lm-eval's own cache")
            seed = _torch_seed(settings)
            if answers_of is None:
                with Store(store, create=False) as opened:
                    identified = identify(
                        model,
                        given,
                        chat_template=template,
                        mode=chosen.mode,
                        hash_file=opened.hash_file,
                    )
                    opened.make()  # only now: what is refused leaves nothing behind
        except CollectError as reason:
            remedy = "; --answers-of NAME stores them" if isinstance(reason, BackendError) else ""
            say(f"responses are not stored: {redacted(str(reason))}{remedy}")
            return simple_evaluate(**settings)
        settings["model_args"] = identified.arguments
        with wrapped_in_evaluator(
            evaluate=partial(
                _evaluation_recorded, store=store, model=identified, seed=seed, say=say
            )
        ):
            return simple_evaluate(**settings)

    return run


def _torch_seed(settings: dict[str, Any]) -> int:
    seed = settings.get("torch_random_seed")
    if seed is None:
        raise CollectError("--seed leaves torch without one")
    return int(seed)


def _evaluation_recorded(
    evaluate: Any, *, store: Path, model: RunModel, seed: int, say: Say
) -> Any:
    """Return lm-eval's function for evaluating a loaded model, with a recorder around that."""
    from tqdm import tqdm

    def recorded(lm: Any, **settings: Any) -> Any:
        if getattr(lm, "missing_weights", ()):
            say("responses are not stored: some of the weights are random")
            return evaluate(lm=lm, **settings)
        with open_journal(store) as journal, tqdm(disable=lm.rank > 0, unit="request") as bar:

            def progress(done: int, wanted: int) -> None:
                bar.total, bar.n = wanted, done
                bar.refresh()

            recorder = recorded_responses(
                lm,
                model.identity.with_settings(getattr(lm, "identity_settings", {})),
                seed=seed,
                harness=harness_version(),
                journal=journal,
                label=model.name,
                on_progress=progress,
            )
            with metered(lambda done, total: None):  # one bar instead of one per chunk
                try:
                    results = evaluate(lm=recorder, **settings)
                except Exception as error:
                    if type(error).__module__.partition(".")[0] not in _CLIENTS:
                        raise
                    raise ResponseError(
                        f"{model.name}: its server gave no response ({error}); all before are "
                        "stored: run the same command again to continue from there"
                    ) from None
            counts = recorder.counts
            notices = [*journal.take_notices(), *recorder.notices]
        if lm.rank == 0:
            for notice in notices:
                say(notice)
            empty = f" but {counts.n_empty:,} that came back empty" if counts.n_empty else ""
            say(
                f"{counts.n_known:,} of {counts.n_requests:,} responses were known; all{empty} "
                f"are stored in {store}"
            )
        return results

    return recorded
