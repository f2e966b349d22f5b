"""The progress bars of lm-eval and of our models are turned into counts of items."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

__all__ = ["ItemsDone", "metered"]

ItemsDone = Callable[[int, int], None]
"""Called with items done and items in all, again and again while a model responds."""


@contextmanager
def metered(
    items_done: ItemsDone, share_done: Callable[[float], float] | None = None
) -> Iterator[None]:
    """Turn the progress bars of lm-eval and of our models into calls of ``items_done``.

    A recorder calls the model piece by piece: its ``share_done`` turns the share of a piece that is
    done into the share of all requests.
    """
    from tqdm import tqdm

    n_items = 0

    class Silent(tqdm):  # type: ignore[misc]  # tqdm is untyped
        monitor_interval = 0

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs | {"file": StringIO()})

        def display(self, *args: Any, **kwargs: Any) -> None:
            """Print nothing."""

    class Prompts(Silent):
        """The bar over the items whose prompts are built."""

        total: int | None

        def close(self) -> None:
            nonlocal n_items
            n_items += self.total or 0
            self.total = 0
            super().close()

    class Requests(Silent):
        """The bar over the requests that the model responds to."""

        def update(self, n: float | None = 1) -> bool | None:
            drawn: bool | None = super().update(n)
            if self.total:
                share = self.n / self.total
                items_done(round(n_items * (share_done(share) if share_done else share)), n_items)
            return drawn

    holders = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith(("lm_eval.", "capspace.")) and getattr(module, "tqdm", None) is tqdm
    ]
    for module in holders:
        # Of lm-eval's own bars in lm_eval.api one counts items; the others only tokenise.
        others = Silent if module.__name__.startswith("lm_eval.api.") else Requests
        kind = Prompts if module.__name__ == "lm_eval.api.task" else others
        module.tqdm = kind  # type: ignore[attr-defined]  # there: it was looked up above
    try:
        yield
    finally:
        for module in holders:
            module.tqdm = tqdm  # type: ignore[attr-defined]  # as above
