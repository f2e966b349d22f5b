"""The settings of a load and of a run: each a field with its default, its help and its rules."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from capspace.fit.decide._tolerance import Tolerance, checked_duration

from ..errors import SettingsError
from ._endpoint import EndpointFields
from ._problems import problem_lines, refuse_unknown
from ._values import (
    TRANSFORMERS_BACKENDS,
    Backend,
    BackendArguments,
    BatchSize,
    Count,
    Dtype,
    IsNumber,
    NamesPlace,
    RunChanges,
    Seed,
    Temperature,
    TemplateArguments,
    ThinkingSwitch,
)

__all__ = ["DEFAULT_PANEL", "OF_ONE_RUN", "LoadSettings", "RunSettings"]

DEFAULT_PANEL = "classic-8"
"""What is measured where no panel is named."""

OF_ONE_RUN = ("limit", "until", "budget", "allow_code_execution")
"""Settings that another measurement of the same checkpoint does not repeat by itself."""


class _Settings(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _revised(cls, values: Any) -> Any:
        """Refuse unknown names in one line, of which pydantic's own error would make several."""
        if isinstance(values, dict):
            refuse_unknown(values, cls.model_fields)
        return values

    if not TYPE_CHECKING:  # with it, type checkers would take any name

        def __setattr__(self, name, value):
            """Refuse as pydantic does, but without the value, which may be a token."""
            problem = {"type": "frozen_instance", "loc": (name,), "input": None}
            raise ValidationError.from_exception_data(
                type(self).__name__, [problem], hide_input=True
            )

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        yield from ((name, value) for name, value in self.given().items() if name != "token")

    def to_json(self) -> dict[str, Any]:
        """Return the settings that were given as JSON data, without the token."""
        return self.model_dump(mode="json", exclude_unset=True)

    def given(self) -> dict[str, Any]:
        """Return the settings that were given, by name; the others are at their defaults."""
        names = type(self).model_fields
        return {name: getattr(self, name) for name in names if name in self.model_fields_set}

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Return settings with these values; as the constructor, with errors in one line.

        Raises
        ------
        SettingsError
            A name that is no setting, with those that look like it; or a value that a setting
            does not take.

        """
        refuse_unknown(values, cls.model_fields)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError("; ".join(problem_lines(error))) from None

    def with_changes(self, changes: Mapping[str, Any], *, known: Iterable[str] = ()) -> Self:
        """Return these settings with some of them changed.

        Parameters
        ----------
        changes : mapping
            New values, by name.
        known : iterable of str
            Names beside those of settings that a wrong name may have been meant for.

        Raises
        ------
        SettingsError
            As of `of`.

        """
        refuse_unknown(changes, [*type(self).model_fields, *known])
        return self.of(**{**self.given(), **changes})


def _with_fields_described(settings: type[_Settings]) -> type[_Settings]:
    """Give a class a section on its fields in the docstring, and a signature that can be read."""
    section = ["Attributes", "----------"]
    parameters = []
    for name, field in settings.model_fields.items():
        kind = RunChanges.__annotations__[name].__forward_arg__
        if get_origin(field.annotation) is Literal:
            kind = f"{{{', '.join(map(repr, get_args(field.annotation)))}}}"
        section.append(f"{name} : {kind}, default {field.default!r}")
        section += [f"    {line}" for line in (field.description or "").splitlines()]
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=field.default)
        )
    if settings.__doc__:  # which python -OO takes away
        text = "\n".join(section)
        settings.__doc__ = inspect.cleandoc(settings.__doc__).replace(
            "Raises\n------", f"{text}\n\nRaises\n------"
        )
    settings.__signature__ = inspect.Signature(parameters)
    return settings


@_with_fields_described
class LoadSettings(_Settings):
    """How a checkpoint is loaded.

    Raises
    ------
    SettingsError
        A name that is no setting, with those that look like it.
    pydantic.ValidationError
        A value that a setting does not take.

    See Also
    --------
    RunSettings : Has these and what is measured.

    Examples
    --------
    >>> from capspace.collect import LoadSettings
    >>> LoadSettings(dtype="bfloat16").device
    'auto'

    """

    device: Annotated[str, Field(examples=["auto", "cpu", "cuda", "mps"])] = "auto"
    """Where the model runs: a torch device such as cuda:1 or cpu, or auto, the first of CUDA, MPS
    and CPU that is available."""

    dtype: Dtype = "auto"
    """Number format of the weights; auto takes it from the checkpoint's configuration."""

    batch_size: Annotated[BatchSize, Field(examples=["auto"])] = "auto"
    """Sequences per batch: a number, or auto, which finds one on CUDA and uses 8 elsewhere."""

    backend: Backend = "capspace"
    """Model class that computes responses: capspace, the scoring engine, or lm-eval's own hf, vllm
    or sglang. The last two are passed through and not covered by capspace's tests."""

    backend_args: BackendArguments = None
    """Arguments of lm-eval's class for vllm or sglang, on the command line as JSON:
    {"tensor_parallel_size": 2}."""

    parallelize: bool = False
    """Spread the layers over all GPUs that CUDA_VISIBLE_DEVICES leaves visible."""

    allow_pickle: bool = False
    """Load pickled weights, which can run arbitrary code."""

    trust_remote_code: bool = False
    """Run the Python code that comes with the checkpoint."""

    token: Annotated[SecretStr | None, Field(repr=False, exclude=True)] = None
    """Hub token; by default the one that ``hf auth login`` saved. It has no option on the command
    line and is never stored."""

    @property
    def hub_token(self) -> str | None:
        """The Hub token itself, where one was given."""
        return None if self.token is None else self.token.get_secret_value()


@_with_fields_described
class RunSettings(EndpointFields, LoadSettings):
    """How a checkpoint is loaded, and what is measured of it.

    Raises
    ------
    SettingsError
        A name that is no setting, with those that look like it.
    pydantic.ValidationError
        A value that a setting does not take.

    See Also
    --------
    collect_scores : Takes them, and any of their fields as a keyword.

    Examples
    --------
    >>> from capspace.collect import RunSettings
    >>> settings = RunSettings(limit=100)
    >>> settings.with_changes({"seed": 7})
    RunSettings(limit=100, seed=7)

    """

    data_root: Annotated[str | None, NamesPlace, Field(examples=["embedded"])] = None
    """Folder to read data sets from instead of the network, laid out as on the Hub; embedded stands
    for the small data sets that come with capspace. By default the folder in
    CAPSPACE_DATA_ROOT, else the Hub."""

    include_path: Annotated[Path | None, NamesPlace] = None
    """Folder with lm-eval task definitions of your own. Loading one runs the code it refers to."""

    limit: Count | None = None
    """Measure only this many items per task. Such scores are stored apart from those of full
    runs."""

    until: Annotated[str, AfterValidator(Tolerance.checked), Field(examples=["5%"])] | None = None
    """Measure items in a random order, and stop once the remaining items would narrow no target's
    interval by more than this: 0.02 of a score, or 5% of the interval's width."""

    budget: Annotated[str, AfterValidator(checked_duration), Field(examples=["30min"])] | None = (
        None
    )
    """With until: time that the items may take, such as 90s, 30min or 2h, without loading."""

    seed: Seed | None = None
    """Seed of all random numbers: the same seed gives the same output; by default lm-eval's own
    four seeds."""

    chat_template: bool = False
    """Apply the checkpoint's own chat template to the prompts. Any setting of thinking or of the
    template implies it."""

    thinking: ThinkingSwitch = "default"
    """Whether the chat template lets the model think: on, off, or default, which leaves it to the
    template."""

    think_end: Annotated[str | None, Field(min_length=1)] = None
    """Text, or id of the token, that ends a thought. The text before it is not graded, and an
    answer without it counts as wrong. By default, with thinking on, it is the tokenizer's own,
    such as </think>."""

    chat_template_args: TemplateArguments = None
    """Further arguments of the chat template, on the command line as JSON:
    {"thinking": true}."""

    reasoning_effort: Annotated[str | None, Field(min_length=1, examples=["low", "high"])] = None
    """How much the model should think, for chat templates that take a reasoning_effort."""

    max_gen_toks: Count | None = None
    """Maximum tokens per response, thought included; by default the panel's or the task's own."""

    temperature: Temperature | None = None
    """Sampling temperature, where 0 means greedy decoding; by default the panel's or the task's
    own."""

    top_p: Annotated[float, IsNumber, Field(gt=0, le=1)] | None = None
    """Sample from the most probable tokens that together reach this probability."""

    top_k: Count | None = None
    """Sample from this many of the most probable tokens."""

    n_samples: Count | None = None
    """Responses per item of a generative benchmark, whose scores are averaged; by default the
    panel's or the task's own."""

    allow_code_execution: bool = False
    """Measure benchmarks that run code written by the model, such as HumanEval, in a sandbox."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.budget is not None and self.until is None:
            raise ValueError(
                "`budget` bounds what `until` asks for; give `until` as well, as in 5%"
            )
        if self.until is not None and self.limit is not None:
            raise ValueError("`until` decides how many items are measured; leave out `limit`")
        if self.thinking == "off" and self.think_end is not None:
            raise ValueError("`think_end` says where a thought ends, and `thinking` is off")
        if self.chat_template_args and "enable_thinking" in self.chat_template_args:
            raise ValueError("enable_thinking is the setting `thinking`: on, off or default")
        if self.reasoning_effort and "reasoning_effort" in (self.chat_template_args or {}):
            raise ValueError("`reasoning_effort` is given twice: also in `chat_template_args`")
        if not self.temperature:
            for name in ("top_p", "top_k"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"`{name}` needs a `temperature` above 0: it says how to sample"
                    )
        if self.backend in TRANSFORMERS_BACKENDS:
            if self.backend_args:
                raise ValueError(
                    f"`backend_args` are those of vllm and sglang, not of {self.backend}"
                )
        elif self.parallelize:
            raise ValueError(
                "`parallelize` is for capspace and hf only; give `backend_args` instead"
            )
        elif any((self.thinking != "default", self.think_end, self.chat_template_args)) or (
            self.reasoning_effort
        ):
            raise ValueError(
                f"lm-eval's class for {self.backend} takes no mode: it grades thoughts whose end "
                "is a special token; serve the model, and give its endpoint"
            )
        unused = EndpointFields if self.endpoint is None else LoadSettings
        for name in unused.model_fields:
            if getattr(self, name) != unused.model_fields[name].default:
                place = (
                    "an endpoint" if self.endpoint is None else "a checkpoint that is loaded here"
                )
                raise ValueError(f"`{name}` is a setting of {place}, and there is none")
        return self

    @property
    def applies_template(self) -> bool:
        """Whether prompts go through the checkpoint's chat template."""
        of_template = (self.chat_template_args, self.reasoning_effort, self.think_end)
        return self.chat_template or self.thinking != "default" or any(of_template)
