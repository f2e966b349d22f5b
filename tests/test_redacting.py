"""No text of ours holds a secret."""

from __future__ import annotations

import logging

import pytest

from capspace.collect.redacting import RedactingFormatter, redacted


@pytest.mark.parametrize(
    ("told", "kept"),
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
def test_of_a_url_scheme_host_and_path_stay(told: str, kept: str) -> None:
    assert redacted(told) == kept
    assert redacted(kept) == kept


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
