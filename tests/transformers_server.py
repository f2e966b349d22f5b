"""``transformers serve`` on a checkpoint, in a thread of this process."""

from __future__ import annotations

import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def transformers_server(checkpoint: Path) -> Iterator[str]:
    """Serve a checkpoint on this machine's own network, and give the API's URL."""
    for package in ("fastapi", "uvicorn", "openai"):
        pytest.importorskip(package, reason=f"{package}, of transformers[serving], is not there")
    import requests
    from transformers.cli.serve import Serve

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given: dict[str, Any] = {"force_model": str(checkpoint), "device": "cpu", "port": port}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = Serve(**given, host="127.0.0.1", non_blocking=True, log_level="error")
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                assert requests.get(f"{url}/health", timeout=30).ok
                break
            except requests.ConnectionError:
                time.sleep(0.02)  # until uvicorn's thread listens, a few hundredths of a second
        yield url
    finally:
        server.kill_server()
