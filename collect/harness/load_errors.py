"""Common reasons why a task does not load are reported in one line that says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import HarnessError

__all__ = ["clear_load_errors"]

_INSTALLED_BY = {
    "if_verifiable": "the checkers of IFBench come with pip install 'capspace[ifbench]'",
    "tinyBenchmarks": "pip install git+https://github.com/felipemaiapolo/tinyBenchmarks",
}
_OF_LM_EVAL = "those of IFEval and MATH come with pip install 'lm-eval[ifeval,math]'"


@contextmanager
def clear_load_errors(benchmark: str) -> Iterator[None]:
    """Turn missing packages or data, and a data set out of reach, into one clear line.

    Raises
    ------
    HarnessError
        One of these; any other error passes through.

    """
    from datasets.exceptions import DatasetNotFoundError

    try:
        yield
    except DatasetNotFoundError as error:
        text = " ".join(str(error).split())
        name = re.search(r"'([^']+)'", text)
        if name is None or not ("gated" in text or "cannot be accessed" in text):
            raise
        what = (
            f"its data set {name[1]} is gated"
            if "gated" in text
            else f"the Hub does not give its data set {name[1]}"
        )
        raise HarnessError(
            f"{benchmark}: {what}: accept its terms at "
            f"https://huggingface.co/datasets/{name[1]} and log in with 'hf auth login' (or set "
            "HF_TOKEN), or name a folder that holds it with --data-root"
        ) from None
    except ConnectionError as error:
        unreached = re.fullmatch(
            r"Couldn't reach (?:the Hugging Face Hub for dataset )?'([^']+)'(?: on the Hub)?"
            r"(?: \(|: )(.+?)[.)]?",
            str(error),
        )
        if unreached is None:
            raise
        raise HarnessError(
            f"{benchmark}: its data set {unreached[1]} is not on this machine, and the Hub cannot "
            f"be reached ({unreached[2]}): run the command once where it can (a gated data set "
            "needs 'hf auth login'), or name a folder that holds it with --data-root"
        ) from None
    except ModuleNotFoundError as error:
        package = _package(error)
        raise HarnessError(
            f"{benchmark}: it needs a package that is not installed ({package}); "
            f"{_INSTALLED_BY.get(package, _OF_LM_EVAL)}"
        ) from None
    except LookupError as error:
        if type(error) is not LookupError:  # a task's own code has a wrong key or index
            raise
        raise HarnessError(f"{benchmark}: {' '.join(str(error).split()):.400}") from None


def _package(error: ModuleNotFoundError) -> str:
    """Return the package that is missing; a task's own error names it in its text alone."""
    if error.name is None and (quoted := re.search(r"`([A-Za-z]\w*)`", str(error))):
        return quoted[1]
    return (error.name or str(error).splitlines()[0]).partition(".")[0]
