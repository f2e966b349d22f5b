"""A printed table is as wide as it needs to be, however narrow the terminal."""

import pytest

from capspace.collect.cli.options import print_table


@pytest.mark.parametrize("columns", ["20", "60", "200"])
def test_no_number_is_cut_and_texts_are_folded(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    interval, name, why = "0.069 – 0.178", "swe-bench-verified/vendor", "little tested " * 9
    print_table("", ("Name", "Interval", "Why"), [(name, interval, why)], numbers=("Interval",))
    printed = capsys.readouterr().out
    assert interval in printed
    assert name in printed
    assert printed.count("little") == 9
