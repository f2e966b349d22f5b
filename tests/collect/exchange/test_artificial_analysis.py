"""Scores are fetched with the user's key, which goes to one server and into no message."""

from __future__ import annotations

import json

import pytest
from published_files import aa_model, aa_page
from scores_server import serving

from capspace.collect.errors import ImportFileError
from capspace.collect.exchange import artificial_analysis
from capspace.collect.exchange.artificial_analysis import fetch_artificial_analysis

KEY = "aa_secret_0123456789"


def page(number: int, total: int) -> tuple[int, bytes]:
    return 200, json.dumps(
        aa_page(aa_model(f"m{number}", gpqa=0.5), page=number, total=total)
    ).encode()


def test_every_page_is_fetched_with_the_key_in_the_header_alone():
    with serving(page(1, 2), page(2, 2)) as (url, log):
        pages = fetch_artificial_analysis(KEY, url=url)
    assert [p["data"][0]["name"] for p in pages] == ["m1", "m2"]
    assert log == [("/models?page=1", KEY), ("/models?page=2", KEY)]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((401, b'{"error": "no"}'), "status 401: the key is missing or not valid"),
        ((403, b""), "status 403: the key is not allowed to read benchmark scores"),
        ((410, b""), "status 410: this version of the interface is no longer served"),
        ((429, b""), "status 429: the key's requests of today are used up"),
        ((200, b"<html>"), "the answer is no JSON"),
        ((302, b"https://elsewhere.example/"), "status 302"),
    ],
    ids=["401", "403", "410", "429", "html", "redirect"],
)
def test_what_the_interface_refuses_is_one_line_without_the_key(answer, reason):
    with serving(answer) as (url, log), pytest.raises(ImportFileError) as refused:
        fetch_artificial_analysis(KEY, url=url)
    assert reason in str(refused.value)
    assert KEY not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert len(log) == 1


def test_a_server_that_is_not_there_is_one_line():
    with serving(page(1, 1)) as (url, _):
        pass
    with pytest.raises(ImportFileError, match="cannot be reached"):
        fetch_artificial_analysis(KEY, url=url)


@pytest.mark.parametrize("key", ["", " ", "a\nb", "schlüssel"])
def test_what_is_no_key_is_not_sent(key):
    with serving(page(1, 1)) as (url, log), pytest.raises(ImportFileError) as refused:
        fetch_artificial_analysis(key, url=url)
    assert "ARTIFICIAL_ANALYSIS_API_KEY" in str(refused.value)
    assert log == []


def test_a_key_is_sent_over_https_only():
    with pytest.raises(ImportFileError, match="a key is sent over https only"):
        fetch_artificial_analysis(KEY, url="http://artificialanalysis.example/api")


@pytest.mark.parametrize(
    ("bound", "reason"),
    [("_MOST_BYTES", "the answer is larger than 0 MiB"), ("_MOST_PAGES", "more than 2 pages")],
)
def test_a_server_that_does_not_end_is_refused(monkeypatch, bound, reason):
    monkeypatch.setattr(artificial_analysis, bound, 2)
    pages = serving(page(1, 3), page(2, 3), page(3, 3))
    with pages as (url, log), pytest.raises(ImportFileError, match=reason):
        fetch_artificial_analysis(KEY, url=url)
    assert len(log) <= 2
