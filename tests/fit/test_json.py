"""What JSON lacks is null, arrays are lists, and a number stays the number it is."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capspace.fit._json import json_safe


@dataclass(frozen=True)
class Point:
    x: float
    names: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None),
        (-math.inf, None),
        (np.float64("nan"), None),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([[1.0, np.nan], [np.inf, 2.0]]), [[1.0, None], [None, 2.0]]),
        (np.array(np.nan), None),
        ({"a": (1, [np.float64("inf")]), 2: None}, {"a": [1, [None]], "2": None}),
        ([Point(math.nan, ("b",))], [{"x": None, "names": ["b"]}]),
        (Path("a/b"), "a/b"),
        (2**70, 2**70),
        ("a lone \ud800", "a lone \ud800"),
    ],
)
def test_a_value_in_jsons_own_types(value: object, expected: object) -> None:
    safe = json_safe(value)
    assert (safe, type(safe)) == (expected, type(expected))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_number_changes(value: float) -> None:
    assert json_safe({"value": np.array([value])}) == {"value": [value]}
    assert json.dumps(json_safe(value)) == json.dumps(value)


def test_what_has_no_form_in_json_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no form in JSON"):
        json_safe({"value": object()})
