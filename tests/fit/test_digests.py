"""Digests by which stored results and ledgers are known never change."""

from __future__ import annotations

import pytest

from capspace.collect.storage import digests
from capspace.fit._digests import canonical_json, digest, sha256
from capspace.fit.analyses.frozen import entry_digest

VALUE = {"b": 1, "a": [None, 1.5, "é"]}


def test_canonical_json_is_sorted_and_without_spaces() -> None:
    assert canonical_json(VALUE) == '{"a":[null,1.5,"é"],"b":1}'
    assert canonical_json(VALUE, ensure_ascii=True) == '{"a":[null,1.5,"\\u00e9"],"b":1}'
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON"):
            canonical_json([value])


def test_a_stored_result_and_a_ledger_have_the_digests_of_0_1_0() -> None:
    assert digests.digest is digest
    assert digest(VALUE) == "0ec8d3bd59011e1cb951cbbdb8549bc3ecf458fc8dd6fac8f85384c87f85caf0"
    assert entry_digest(VALUE) == "e4819a9b3b5090c18e32ac72a9632831adf5eb905e4cd9466f62745b64c23597"
    assert sha256("é") == sha256("é".encode())
