"""A data set that the Hub does not give is one line that says what to do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

from capspace.collect.errors import HarnessError
from capspace.collect.harness.harness import Harness
from capspace.collect.harness.load_errors import clear_load_errors
from capspace.tasks.panel import load_panel

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once")

GPQA = "Idavidrein/gpqa"
COMMIT = "633f5ee89ab8ad4522a9f850766b73f62147ffdd"


class _Hub(BaseHTTPRequestHandler):
    """Answers as the Hub does of a gated data set: anyone may see it, and nobody its files."""

    status = 401
    code = "GatedRepo"

    def do_GET(self) -> None:
        if self.path.startswith(f"/api/datasets/{GPQA}") and self.code == "GatedRepo":
            listed = {"rfilename": "gpqa_diamond.csv"}
            self._send(200, {"id": GPQA, "sha": COMMIT, "gated": "auto", "siblings": [listed]})
        else:
            self._send(self.status, {"error": "Access to this resource is restricted"})

    do_HEAD = do_GET

    def _send(self, status: int, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        if status != 200:
            self.send_header("X-Error-Code", self.code)
            self.send_header("X-Error-Message", "Access to this resource is restricted")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def hub_at(monkeypatch: pytest.MonkeyPatch, status: int, code: str) -> Iterator[None]:
    """Have a server of this process be what HF_ENDPOINT names, as it is read at import."""
    import datasets
    from huggingface_hub import constants

    handler = type("Hub", (_Hub,), {"status": status, "code": code})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    endpoint = f"http://127.0.0.1:{server.server_port}"
    template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    for module, name, value in (
        (constants, "ENDPOINT", endpoint),
        (constants, "HUGGINGFACE_CO_URL_TEMPLATE", template),
        (constants, "HF_HUB_OFFLINE", False),
        (datasets.config, "HF_ENDPOINT", endpoint),
        (datasets.config, "HF_HUB_OFFLINE", False),
    ):
        monkeypatch.setattr(module, name, value)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.skipif(
    Version(version("huggingface_hub")) < Version("1"),
    reason="before, it reads the Hub's address once, when it is imported",
)
@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (401, "GatedRepo", f"its data set {GPQA} is gated: accept its terms at https://"),
        (403, "GatedRepo", f"its data set {GPQA} is gated: accept its terms at https://"),
        (401, "RepoNotFound", f"the Hub does not give its data set {GPQA}: accept its terms at "),
    ],
    ids=["not logged in", "terms not accepted", "not shown"],
)
def test_gpqa_without_access_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, code: str, message: str
) -> None:
    import datasets
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    benchmark = load_panel("modern")["GPQA-diamond"]
    with (
        hub_at(monkeypatch, status, code),
        pytest.raises(HarnessError) as refused,
    ):
        Harness([benchmark]).workload(benchmark)
    line = str(refused.value)
    assert line.startswith(f"GPQA-diamond: {message}")
    assert line.endswith(
        f"huggingface.co/datasets/{GPQA} and log in with 'hf auth login' (or set HF_TOKEN), "
        "or name a folder that holds it with --data-root"
    )
    assert "\n" not in line


def test_gpqa_without_the_hub_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    benchmark = load_panel("modern")["GPQA-diamond"]
    with pytest.raises(
        HarnessError,
        match=rf"^GPQA-diamond: its data set {GPQA} is not on this machine, and the Hub cannot be "
        r"reached \(Offline ?[mM]ode ?[iI]s ?[eE]nabled\): .*, or name a folder that holds it with "
        r"--data-root$",
    ):
        Harness([benchmark]).workload(benchmark)


@pytest.mark.parametrize("text", ["Dataset 'org/exam' doesn't exist", "a gated one, unnamed"])
def test_an_error_of_loading_that_says_something_else_passes(text: str) -> None:
    from datasets.exceptions import DatasetNotFoundError

    for error in (DatasetNotFoundError(text), ConnectionError(text)):
        with pytest.raises(type(error)) as caught, clear_load_errors("B"):
            raise error
        assert caught.value is error
