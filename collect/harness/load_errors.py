"""What commonly keeps a task from loading is told in one line that says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import HarnessError

__all__ = ["clear_load_errors"]


@contextmanager
def clear_load_errors(benchmark: str) -> Iterator[None]:
    """Turn a missing package, and a gated or missing data set, into one clear line.

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
        if "gated" not in text or name is None:
            raise
        raise HarnessError(
            f"{benchmark}: its data set {name[1]} is gated: accept its terms at "
            f"https://huggingface.co/datasets/{name[1]} and log in with 'hf auth login' (or set "
            "HF_TOKEN), or name a folder that holds it with --data-root"
        ) from None
    except ModuleNotFoundError as error:
        package = error.name or str(error).splitlines()[0]
        raise HarnessError(
            f"{benchmark}: it needs a package that is not installed ({package}); those of IFEval "
            "and MATH come with pip install 'lm-eval[ifeval,math]'"
        ) from None
