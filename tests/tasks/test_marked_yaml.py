"""Fields know their lines, scalars mean what PyYAML makes of them; doubtful files are refused."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml.error import MarkedYAMLError

from capspace.tasks._marked_yaml import RefusedError, line_numbers, load_marked

SCALARS = [
    *("yes", "no", "on", "Off", "y", "n", "Y", "N", "TRUE", "false", "~", "null", "'yes'", "a:b"),
    *("1", "-1", "0", "-0", "0o10", "1_000", "-_", "089", '"1"', "1e6", "1.0e6"),
    *("1.0e+6", "1.5", ".5", "-.5", "1.", ".inf", "-.INF", "0.0.1", "04:00:00"),
    *("2024", "2024-04", "2024-04-18", "2024-04-18T01:02:03"),
]


@pytest.mark.parametrize("scalar", SCALARS)
def test_a_scalar_means_what_it_means_to_pyyaml(scalar: str) -> None:
    text = f"field: {scalar}\n"
    expected, read = yaml.safe_load(text)["field"], load_marked(text)["field"]
    assert (type(read), repr(read)) == (type(expected), repr(expected))


@given(st.text("yYnNoOeEsSfF0123456789_.:+-xX~", min_size=1, max_size=7))
def test_any_plain_scalar_means_what_it_means_to_pyyaml(scalar: str) -> None:
    text = f"field: {scalar}\n"
    try:
        expected = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        with pytest.raises((MarkedYAMLError, ValueError)):
            load_marked(text)
    else:
        try:
            read = load_marked(text)
        except RefusedError:
            assert re.fullmatch(r"[-+]?0[0-9_xb].*|.*:.*", scalar)
        else:
            same = repr(dict(read)) == repr(expected)
            assert same or (read["field"] == scalar and scalar.count(":") == 2)


@pytest.mark.parametrize(
    ("scalar", "number"),
    [
        *(("010", 8), ("-010", -8), ("00", 0), ("0x10", 16), ("0b11", 3), ("1:30", 90)),
        *(("1:2:3", 3723), ("190:20:30.15", 685230.15), ("1:1:1:1", 219661)),
    ],
)
def test_numbers_that_are_not_decimal_are_refused_with_what_to_write(
    scalar: str, number: float
) -> None:
    for text in (f"a: 1\nb: {scalar}\n", f"a: 1\nb: [{scalar}]\n", f"a: 1\n? {scalar}\n: 1\n"):
        with pytest.raises(RefusedError) as caught:
            load_marked(text)
        assert caught.value.problem_mark.line + 1 == 2
        assert caught.value.problem == (
            f"YAML reads {scalar} as the number {number}; write it as a plain decimal, or in "
            "quotes where it is a text"
        )


def test_hours_minutes_and_seconds_are_the_text_that_stands_there() -> None:
    assert load_marked("a: 12:00:00\nb: '010'\n") == {"a": "12:00:00", "b": "010"}


@pytest.mark.parametrize("value", ["&x {a: *x}", "&x [*x]", "&x {a: [{b: *x}]}", "&x {<<: *x}"])
def test_an_anchor_that_refers_to_itself_is_refused(value: str) -> None:
    with pytest.raises(RefusedError, match="the anchor &x refers to itself") as caught:
        load_marked(f"a: 1\nb: {value}\n")
    assert caught.value.problem_mark.line + 1 == 2


def test_many_aliases_of_aliases_are_read_at_once() -> None:
    lines = ["a0: &a0 [1]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    assert len(load_marked("\n".join(lines))) == 40


def test_fields_have_the_lines_where_they_stand() -> None:
    text = """\
# a comment
base: &base
  size: 1
many:
  - first
  - {<<: *base, name: second}
same: *base
"""
    content = load_marked(text)
    assert content["many"][1] == {"name": "second", "size": 1}
    assert line_numbers(content) == {
        (): 2,
        ("base",): 2,
        ("base", "size"): 3,
        ("many",): 4,
        ("many", 0): 5,
        ("many", 1): 6,
        ("many", 1, "name"): 6,
        ("many", 1, "size"): 6,
        ("same",): 7,
    }


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\nb: {a: 1,\n  a: 2}\n", 3, "'a' is there twice; it was first given on line 2"),
        ("a: 1\n\n'a': 1\n", 3, "'a' is there twice; it was first given on line 1"),
        ("yes: 1\non: 2\n", 2, "'on' is there twice; it was first given on line 1"),
        ("<<: {a: 1}\n<<: {b: 1}\n", 2, "found duplicate"),
        ("a: !mine 1\n", 1, "could not determine a constructor for the tag '!mine'"),
        ("a: !!python/name:os.system\n", 1, "could not determine a constructor"),
        ("a: !!set {b}\n", 1, "could not determine a constructor"),
    ],
)
def test_a_doubtful_file_is_refused_with_the_place(text: str, line: int, problem: str) -> None:
    with pytest.raises(MarkedYAMLError) as caught:
        load_marked(text)
    assert caught.value.problem_mark.line + 1 == line
    assert problem in caught.value.problem
