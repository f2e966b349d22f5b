"""A run of lm-eval's own command measures a model in a mode, as ``capspace collect`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from capspace.tasks.panel import Benchmark

from ..errors import SettingsError
from ..harness.evaluation import refuse_right_unfinished
from ..harness.patches import wrapped_in_evaluator
from ..harness.task_changes import TaskChanges
from ..recorder.thoughts import MOST_UNFINISHED, Thoughts
from ..settings import Backend, RunSettings
from ..storage.mode import Mode
from .lm_eval_arguments import CLASSES, given_arguments

__all__ = ["ModeOfRun", "run_in_mode", "without_mode"]

# Settings of a mode by the names that they have everywhere.
_NAMES = (
    *("chat_template", "thinking", "think_end", "chat_template_args", "reasoning_effort"),
    *("max_gen_toks", "temperature", "top_p", "top_k", "n_samples"),
)
# lm-eval's own names of two of them, by which it would grade thoughts.
_OF_LM_EVAL = {"enable_thinking": "thinking", "think_end_token": "think_end"}
_TEXTS = ("think_end", "reasoning_effort")
_UNCHANGED = Benchmark(name="any", tasks=("any",), n_shot=0, metric="any", chance=None, source="-")


@dataclass
class ModeOfRun:
    """The mode of the run in progress; None of its settings where a model class has no modes."""

    settings: RunSettings | None = None

    @property
    def mode(self) -> Mode | None:
        """How the model responds."""
        return None if self.settings is None else Mode.of(self.settings)

    def loading(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that lm-eval's class loads a model by."""
        given = dict(arguments)
        if self.mode is not None and self.mode.template_arguments:
            # Not lm-eval's own enable_thinking, which wants a delimiter that it would cut at.
            given["chat_template_args"] = self.mode.template_arguments
        return given


def without_mode(
    model: str, arguments: Mapping[str, Any]
) -> tuple[dict[str, Any], RunSettings | None]:
    """Return a model's arguments without those of a mode, and the settings that these are.

    Parameters
    ----------
    model : str
        lm-eval's name of the model class.
    arguments : mapping
        Its arguments.

    Raises
    ------
    SettingsError
        A setting that is there twice, or a value that it does not take.

    """
    if CLASSES.get(model) not in get_args(Backend):
        return dict(arguments), None
    rest, chosen = dict(arguments), {}
    for name, value in given_arguments(arguments).items():
        setting = _OF_LM_EVAL.get(name, name)
        if setting not in _NAMES:
            continue
        if setting in chosen:
            raise SettingsError(f"{name} is the setting {setting}, which is there too; keep one")
        chosen[setting] = str(value) if setting in _TEXTS else value  # an id reads as a number
    for name in (*_NAMES, *_OF_LM_EVAL):
        rest.pop(name, None)
    return rest, RunSettings.of(**chosen)


def run_in_mode(
    simple_evaluate: Any, *, chosen: ModeOfRun, say: Callable[[str], None]
) -> Callable[..., Any]:
    """Return lm-eval's function for a whole run, in the mode that the model's arguments say."""

    def run(**settings: Any) -> Any:
        model = settings["model"]
        rest, chosen.settings = without_mode(model, settings["model_args"] or {})
        if chosen.settings is None:
            return simple_evaluate(**settings)
        settings["model_args"] = rest
        if chosen.settings.applies_template and not settings.get("apply_chat_template"):
            # As the command does with --apply_chat_template, examples are turns then.
            settings |= {"apply_chat_template": True, "fewshot_as_multiturn": True}
            say("its chat template is applied, which the mode implies")

        def in_mode(evaluate: Any) -> Any:
            return _evaluation_in_mode(evaluate, mode=Mode.of(chosen.settings), say=say)

        with wrapped_in_evaluator(evaluate=in_mode):
            return simple_evaluate(**settings)

    return run


def _evaluation_in_mode(evaluate: Any, *, mode: Mode, say: Callable[[str], None]) -> Any:
    """Return lm-eval's function for evaluating a loaded model, whose answers alone are graded."""

    def evaluated(lm: Any, **settings: Any) -> Any:
        changes = TaskChanges.of_mode(mode)
        for task in _tasks(settings["task_dict"]):
            changes.make(_UNCHANGED, task)
        if not mode.cuts_thoughts:
            return evaluate(lm=lm, **settings)
        thoughts = Thoughts(lm.think_end)
        _cut_thoughts(lm, thoughts)
        # Items are needed for a check, whether or not they are wanted.
        results = evaluate(lm=lm, **{**settings, "log_samples": True})
        if results is not None:
            for task, samples in results["samples"].items():
                for sample in samples:
                    named = [{"task": task, **sample}]
                    refuse_right_unfinished("+".join(sample["metrics"]), named, thoughts.unfinished)
            _state_unfinished(results, thoughts, say)
            if not settings.get("log_samples", True):
                del results["samples"]
        return results

    return evaluated


def _state_unfinished(
    results: dict[str, Any], thoughts: Thoughts, say: Callable[[str], None]
) -> None:
    """Put the share of unfinished answers into the results, and say it where there are any."""
    share = thoughts.share_unfinished
    results["unfinished"] = share
    if share:
        marked = share > MOST_UNFINISHED
        say(
            f"{share:.1%} of {thoughts.n_answers:,} answers did not end their thought and count "
            "as wrong" + ("; the scores are not comparable: raise max_gen_toks" * marked)
        )


def _cut_thoughts(lm: Any, thoughts: Thoughts) -> None:
    """Let a model, behind a recorder or not, return answers in place of whole responses."""
    generate = lm.generate_until

    def answers(requests: list[Any], *more: Any, **settings: Any) -> list[str]:
        responses = generate(thoughts.unstopped(requests), *more, **settings)
        return [thoughts.answer(r, str(a)) for r, a in zip(requests, responses, strict=True)]

    lm.generate_until = answers


def _tasks(loaded: Any) -> Iterator[Any]:
    """Yield the tasks that lm-eval has loaded, in whichever way its groups hold them."""
    if isinstance(loaded, Mapping):
        for inner in loaded.values():
            yield from _tasks(inner)
    elif hasattr(loaded, "build_all_requests"):
        yield loaded
