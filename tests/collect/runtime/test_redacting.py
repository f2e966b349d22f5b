"""No text of ours holds a secret."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import serving

from capspace.collect.runtime.redaction import RedactingFormatter, redacted

pytestmark = pytest.mark.usefixtures("forked")


@pytest.mark.parametrize(
    ("url", "redacted_url"),
    [
        ("404 for 'http://user:SECRETPW@h:80/a/b' (x)", "404 for 'http://h:80/a/b' (x)"),
        ("see https://cdn.co/a.bin?X-Sig=abc&Exp=1, then", "see https://cdn.co/a.bin then"),
        ("see https://h/docs#part now", "see https://h/docs now"),
        ("http://u:p@ss?w@h/a", "http://h/a"),
        ("(port=80): Max retries exceeded with url: /a/b?sig=abc (x)",
         "(port=80): Max retries exceeded with url: /a/b (x)"),
        ("s3://bucket/a/b and a@b.org, why? yes", "s3://bucket/a/b and a@b.org, why? yes"),
        ("https://huggingface.co/org/model", "https://huggingface.co/org/model"),
    ],
)  # fmt: skip
def test_of_a_url_scheme_host_and_path_stay(url: str, redacted_url: str) -> None:
    assert redacted(url) == redacted_url
    assert redacted(redacted_url) == redacted_url


def test_values_of_secret_variables_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-1")
    monkeypatch.setenv("MY_TOKEN", "sk-planted-1-longer")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:proxy-password@proxy:3128")
    monkeypatch.setenv("KEY_SHORT", "model")
    monkeypatch.setenv("HF_TOKEN_PATH", "/home/me/token")
    text = "sk-planted-1 sk-planted-1-longer proxy-password model /home/me/token"
    assert redacted(text) == "*** *** *** model /home/me/token"


def test_the_hubs_token_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_planted_token")
    assert redacted("Bearer hf_planted_token") == "Bearer ***"


def test_a_hub_token_that_nobody_can_read_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path))  # a folder
    monkeypatch.setenv("MY_TOKEN", "planted-token")
    assert redacted("planted-token") == "***"
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: pytest.fail("nobody has read it"))
    monkeypatch.delitem(sys.modules, "huggingface_hub")
    assert redacted("planted-token") == "***"


def test_a_logged_traceback_holds_none() -> None:
    formatter = RedactingFormatter("%(levelname)s %(message)s")
    try:
        raise OSError("no http://user:SECRETPW@h/a?sig=SIGNED")
    except OSError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, "f.py", 1, "at %s", ("http://u:SECRETPW@h",),
            (type(error), error, error.__traceback__),
        )  # fmt: skip
    line = formatter.format(record)
    assert "Traceback" in line
    assert "http://h/a" in line
    assert "SECRETPW" not in line
    assert "SIGNED" not in line


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["model.safetensors", "config.json"])
def test_a_failed_download_leaves_no_secret_anywhere(
    tiny_checkpoint: Path, tmp_path: Path, missing: str
) -> None:
    pytest.importorskip("lm_eval")
    store = tmp_path / "store"

    def capspace(*words: str) -> subprocess.CompletedProcess[str]:
        given = {
            "HF_ENDPOINT": server.endpoint.replace("://", "://user:SECRETPW@"),
            "HF_HOME": str(tmp_path / "home"),
            "HF_TOKEN": "hf_planted_TOKEN",
            "HF_HUB_OFFLINE": "0",
        }
        program = "from capspace.collect.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", program, *words, "--store", str(store), "--json"],
            env=os.environ | given, capture_output=True, text=True,
        )  # fmt: skip

    with serving() as server:
        server.repository("org/model").add(tiny_checkpoint, branch="main")
        server.spoil = lambda request: 403 if request.gets(missing) else None
        failed = capspace("collect", "org/model", "--panel", "smoke", "--device", "cpu")
        listed = capspace("scores")
    assert failed.returncode in (1, 2), failed.stderr
    assert "Traceback" not in failed.stderr
    assert json.loads(listed.stdout)["results"] == []
    texts = [each.stdout + each.stderr for each in (failed, listed)]
    texts += [p.read_bytes().decode(errors="replace") for p in store.rglob("*") if p.is_file()]
    for text in texts:
        assert "SECRETPW" not in text
        assert "planted_TOKEN" not in text
    assert "127.0.0.1" in "".join(texts)  # the rest of its address stays
