"""A model's own later scores never help: rows dated after its cut are out."""

import pytest

from capspace.fit import load_reference, predict_targets, read_table
from capspace.fit.errors import TableError

HEADER = "model,benchmark,score,date,cut,release_date"
EARLY = ["mine,GPQA-diamond,0.6,2025-05-02,2025-06,2025-05", "mine,MMLU-Pro,0.7,,2025-06,2025-05"]
LATE = "mine,AIME 2025,{},2025-07,2025-06,2025-05"


def table_of(tmp_path, *rows, header=HEADER):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return read_table(path)


def test_rows_dated_after_the_cut_change_no_prediction(tmp_path):
    reference = load_reference("frontier-2026")
    without = table_of(tmp_path, *EARLY)
    expected = predict_targets(without, reference, targets=["hle/no-tools"])
    for score in (0.1, 0.99):
        table = table_of(tmp_path, *EARLY, LATE.format(score))
        assert table.benchmarks == ["GPQA-diamond", "MMLU-Pro"]
        assert table.notes == ("mine: AIME 2025 is dated 2025-07, after the cut 2025-06; left out",)
        assert predict_targets(table, reference, targets=["hle/no-tools"]) == expected


def test_a_row_on_the_day_of_the_cut_or_without_a_date_stays(tmp_path):
    rows = ["m,A,0.5,2025-06-30,2025-06", "m,B,0.5,,2025-06", "m,C,0.5,2025,2025-06"]
    table = table_of(tmp_path, *rows, "m,D,0.5,2026,", header="model,benchmark,score,date,cut")
    assert table.benchmarks == ["A", "B", "C", "D"]
    assert not table.notes


def test_bad_dates_and_a_cut_without_dates_are_refused(tmp_path):
    for rows, header, message in (
        (["m,A,0.5,soon,2025-06"], "model,benchmark,score,date,cut", "date of A is 'soon'"),
        (["m,A,0.5,2025-06"], "model,benchmark,score,cut", "a column 'cut' and no column 'date'"),
        (["m,A,0.5,2026,2025"], "model,benchmark,score,date,cut", "every row is dated after"),
    ):
        with pytest.raises(TableError, match=message):
            table_of(tmp_path, *rows, header=header)
