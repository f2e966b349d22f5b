"""A loaded model uses all weights in its files, and its files hold all of its weights.

transformers and PEFT initialise missing weights at random, and continue. Their warnings about it
are caught here, for exactly the loads of one block. This module imports transformers; import it
inside functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel

__all__ = ["LoadedWeights", "recorded_loading", "replaced"]

# What all layers of an adapter share: its file holds it once, and PEFT misses it in each.
_SHARED = re.compile(r"vblora_vector_bank|prompt_encoder|\.tinylora_v\.|\.unilora_theta_d\.")

_SCALE = ".weight_scale"
"""How names of quantised weights' scales begin behind the name of their layer."""


@dataclass
class LoadedWeights:
    """What became of the weights that were loaded.

    Attributes
    ----------
    missing : list of str
        Weights of the model that its files lack, or hold in another shape.
    unused : list of str
        Weights of the files that the model has no place for.

    """

    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def add(self, missing: Iterable[str], unused: Iterable[str]) -> None:
        """Add those of another load."""
        self.missing += sorted(missing, key=_by_number)
        self.unused += sorted(unused, key=_by_number)

    @property
    def lost_scales(self) -> list[str]:
        """Unused weights by which others, which are used, would be multiplied."""
        unused = set(self.unused)
        stems = {name: name.partition(_SCALE)[0] for name in self.unused if _SCALE in name}
        return [name for name, stem in stems.items() if f"{stem}.weight" not in unused]

    @property
    def reason(self) -> str:
        """What is missing, in words."""
        n = len(self.missing)
        if n == 1:
            text = f"1 weight of the model is not in its files: {self.missing[0]}"
        else:
            text = f"{n:,} weights of the model are not in its files, first {self.missing[0]}"
        if self.unused:
            text += (
                f"; {len(self.unused):,} in the files have no place in the model, first "
                f"{self.unused[0]}"
            )
        return text


@contextmanager
def recorded_loading(*, with_adapter: bool) -> Iterator[LoadedWeights]:
    """Record what transformers and PEFT say of the weights that they load inside the block.

    PEFT is imported, which takes half a second, only where an adapter is loaded.
    """
    weights = LoadedWeights()
    with replaced(PreTrainedModel, "from_pretrained", _telling(weights)):
        adapters = _peft_model() if with_adapter else None
        if adapters is None:
            yield weights
        else:
            with replaced(adapters, "load_adapter", _telling_adapter(weights)):
                yield weights


def _telling(weights: LoadedWeights) -> Callable[[Any], Any]:
    def wrap(original: classmethod[Any, Any, Any]) -> Any:
        def from_pretrained(
            cls: type[Any], /, *args: Any, output_loading_info: bool = False, **kwargs: Any
        ) -> Any:
            load = original.__get__(None, cls)
            kwargs["ignore_mismatched_sizes"] = True  # they are refused by name, as missing ones
            model, info = load(*args, output_loading_info=True, **kwargs)
            mismatched = [_described(entry) for entry in info.get("mismatched_keys") or ()]
            computed = _computed_buffers(model)
            lacking = [key for key in info["missing_keys"] if key not in computed]
            weights.add([*lacking, *mismatched], info["unexpected_keys"])
            return (model, info) if output_loading_info else model

        return classmethod(from_pretrained)

    return wrap


def _telling_adapter(weights: LoadedWeights) -> Callable[[Any], Any]:
    def wrap(original: Callable[..., Any]) -> Any:
        def load_adapter(
            self: Any, model_id: Any, adapter_name: str, *args: Any, **kwargs: Any
        ) -> Any:
            outcome = original(self, model_id, adapter_name, *args, **kwargs)
            # Older releases name the base model's own weights, too.
            own = (k for k in outcome.missing_keys if f".{adapter_name}." in f"{k}.")
            lacking = [key for key in own if not _SHARED.search(key)]
            weights.add(lacking, outcome.unexpected_keys)
            return outcome

        return load_adapter

    return wrap


def _described(mismatched: Any) -> str:
    """Return a weight's name, with both shapes where transformers tells them."""
    match mismatched:
        case (str(name), in_file, in_model):
            return f"{name} (in the file {tuple(in_file)}, in the model {tuple(in_model)})"
    return f"{mismatched} (in another shape)"


def _computed_buffers(model: PreTrainedModel) -> set[str]:
    """Return the buffers of rotary embeddings, which a model computes where its files lack them."""
    return {
        name
        for name, buffer in model.named_buffers()
        if name.rpartition(".")[2] in ("inv_freq", "original_inv_freq")
        and buffer.device.type != "meta"
        and bool((torch.isfinite(buffer) & (buffer > 0)).all())
    }


def _by_number(name: str) -> list[tuple[int, str]]:
    """Order ``layers.2`` before ``layers.10``."""
    return [(int(p), "") if p.isdigit() else (0, p) for p in re.split(r"(\d+)", name)]


@contextmanager
def replaced(owner: type, name: str, wrap: Callable[[Any], Any]) -> Iterator[None]:
    """Put what ``wrap`` makes of a class's own attribute in its place."""
    before = vars(owner)[name]
    setattr(owner, name, wrap(before))
    try:
        yield
    finally:
        setattr(owner, name, before)


def _peft_model() -> type | None:
    from importlib.util import find_spec

    if find_spec("peft") is None:
        return None
    from peft import PeftModel

    model: type = PeftModel
    return model
