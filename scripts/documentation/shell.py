"""An extension of IPython by which ``%%bash`` runs capspace and scripts in the kernel's process.

Each command would import torch and lm-eval again. A reader's kernel has no such extension, and
starts them.
"""

from __future__ import annotations

import builtins
import os
import sys
import warnings
from contextlib import redirect_stderr
from typing import Any

from tutorials import run_commands

__all__ = ["load_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """Replace ``%%bash``, and leave out the libraries' warnings; ours are printed lines.

    What a kernel adds to the environment is taken out of it again.
    """
    for name in ("CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "PYDEVD_USE_FRAME_EVAL"):
        os.environ.pop(name, None)
    warnings.simplefilter("ignore")
    shell.register_magic_function(_bash, "cell", "bash")


def _bash(_: str, cell: str) -> None:
    """Run commands as where no notebook is: rich would draw tables of HTML."""
    here = vars(builtins).pop("get_ipython", None)
    try:
        with redirect_stderr(sys.stdout):
            run_commands(cell, sys.stdout)
    finally:
        vars(builtins)["get_ipython"] = here
