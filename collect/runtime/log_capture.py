"""The output of lm-eval and its libraries goes to a log file; their progress bars are dropped."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from pathlib import Path

from .redaction import RedactingFormatter

__all__ = ["logged_to"]

_LOGGERS = (
    "lm_eval",
    "lm-eval",
    "transformers",
    "datasets",
    "huggingface_hub",
    "accelerate",
    "capspace",
)


@contextmanager
def logged_to(path: Path, *, beside: Path | None = None) -> Iterator[None]:
    """Send the loggers of lm-eval and its libraries, and warnings, to a file while inside.

    The file holds no secrets. Handlers, levels and progress bars are as before afterwards.

    Parameters
    ----------
    path : Path
        The file, made with its folder at the first record.
    beside : Path, optional
        Write only once this is there; a command that is refused before leaves nothing behind.

    """
    handler = _FileAtFirstRecord(path, beside)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    with ExitStack() as stack:
        stack.callback(handler.close)
        # Warnings first: importing the libraries warns, too.
        stack.enter_context(_redirected(logging.getLogger("py.warnings"), handler))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("default")
        logging.captureWarnings(True)
        stack.callback(logging.captureWarnings, False)
        # Loggers after the import, which gives them handlers of their own.
        stack.enter_context(_no_bars())
        for name in _LOGGERS:
            stack.enter_context(_redirected(logging.getLogger(name), handler))
        yield


class _FileAtFirstRecord(logging.FileHandler):
    """The file and its folder are made when the first record is written."""

    def __init__(self, path: Path, beside: Path | None) -> None:
        super().__init__(path, encoding="utf-8", delay=True)
        self._beside = beside
        self._held: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if self._beside is None or self._beside.exists():
            self._write_held()
            super().emit(record)
        else:
            self._held.append(record)

    def close(self) -> None:
        if self._beside is not None and self._beside.exists():
            self._write_held()
        super().close()

    def _write_held(self) -> None:
        held, self._held = self._held, []
        for record in held:
            super().emit(record)

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()


@contextmanager
def _redirected(logger: logging.Logger, handler: logging.Handler) -> Iterator[None]:
    before = (list(logger.handlers), logger.level, logger.propagate)
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before[0], before[2]
        logger.setLevel(before[1])


@contextmanager
def _no_bars() -> Iterator[None]:
    import datasets
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled as hub_bars_are_off
    from huggingface_hub.utils.tqdm import disable_progress_bars as hub_bars_off
    from huggingface_hub.utils.tqdm import enable_progress_bars as hub_bars_on
    from transformers.utils import logging as transformers_logging

    transformers_logging.get_verbosity()
    hub, data = not hub_bars_are_off(), datasets.is_progress_bar_enabled()
    models = transformers_logging.is_progress_bar_enabled()
    hub_bars_off()
    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # untyped there
    try:
        yield
    finally:
        if hub:
            hub_bars_on()
        if data:
            datasets.enable_progress_bars()
        if models:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # too
