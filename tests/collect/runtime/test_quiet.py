import logging
import warnings
from pathlib import Path

import pytest

from capspace.collect.runtime.log_capture import logged_to


def state() -> list[object]:
    import datasets
    from transformers.utils import logging as transformers_logging

    loggers = [logging.getLogger(n) for n in ("lm_eval", "transformers", "datasets", "py.warnings")]
    return [
        datasets.is_progress_bar_enabled(),
        transformers_logging.is_progress_bar_enabled(),
        warnings.showwarning,
        *((list(log.handlers), log.level, log.propagate) for log in loggers),
    ]


def test_logs_and_warnings_go_to_the_file_and_all_is_as_before_afterwards(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with logged_to(tmp_path / "first"):  # the libraries are imported, and set up, by now
        pass
    before = state()
    log = tmp_path / "log"
    with logged_to(log):
        logging.getLogger("lm_eval.api.task").info("building")
        logging.getLogger("transformers.modeling").warning("odd weights")
        warnings.warn("old name", DeprecationWarning, stacklevel=1)
        logging.getLogger("huggingface_hub").error("no http://me:SECRETPW@h/a?sig=SIGNED")
        assert state() != before
    assert state() == before
    text = log.read_text()
    for words in ("building", "odd weights", "DeprecationWarning: old name", "no http://h/a\n"):
        assert words in text
    assert capfd.readouterr() == ("", "")


def test_all_is_as_before_also_after_an_error(tmp_path: Path) -> None:
    with logged_to(tmp_path / "first"):
        pass
    before = state()
    with pytest.raises(KeyboardInterrupt), logged_to(tmp_path / "log"):
        raise KeyboardInterrupt
    assert state() == before
    with pytest.raises(RuntimeWarning, match="odd value"):  # an error again, as all in the tests
        warnings.warn("odd value", RuntimeWarning, stacklevel=1)


def test_records_are_held_until_the_folder_beside_which_they_belong_is_there(
    tmp_path: Path,
) -> None:
    store = tmp_path / "store"
    with logged_to(store / "logs" / "log", beside=store):
        logging.getLogger("lm_eval").info("first")
    assert not store.exists()
    with logged_to(store / "logs" / "log", beside=store):
        logging.getLogger("lm_eval").info("second")
        store.mkdir()
    with logged_to(store / "logs" / "log", beside=store):
        logging.getLogger("lm_eval").info("third")
    lines = (store / "logs" / "log").read_text().splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == ["second", "third"]
