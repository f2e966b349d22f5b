"""Tasks that lm-eval's own command loads read their data from a data root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .data_root import DataRoot, datasets_offline

__all__ = ["data_from"]


@contextmanager
def data_from(root: DataRoot | None) -> Iterator[None]:
    """Have every task that lm-eval loads in the block read its data from a data root.

    Tasks that read files of their own, or make their data, are left as they are. Without a root
    nothing changes.

    Raises
    ------
    DataRootError
        While a task is loaded: its data set is not in the root, or not as it should be.

    """
    if root is None:
        yield
        return
    from lm_eval.api.task import ConfigurableTask

    before = ConfigurableTask.__init__

    def load(
        task: Any,
        data_dir: Any = None,
        cache_dir: Any = None,
        download_mode: Any = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        source = None if config is None else root.serves(config)
        if config is not None and source is not None:
            config = {**config, **source.overrides()}
        before(task, data_dir, cache_dir, download_mode, config)

    ConfigurableTask.__init__ = load
    try:
        with datasets_offline():
            yield
    finally:
        ConfigurableTask.__init__ = before
