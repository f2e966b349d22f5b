"""Tables in every layout, what is assumed in reading them, and the lines bad files get."""

import numpy as np
import pandas as pd
import pytest
from checkout import SHARED

from capspace.fit.errors import TableError
from capspace.fit.table.readers import canonical_benchmark, read_benchmarks, read_table
from capspace.fit.table.writers import write_table

SHARED = SHARED / "results/obsscaling"
PANEL = ["MMLU", "ARC-C", "HellaSwag", "Winogrande"]
STUDY = """Model,Model Family,Model Size (B),Pretraining Data Size (T),FLOPs (1E21),MMLU,Winograd
org/a-7b,A,7.0,2.0,84.0,0.45,0.7
org/b-13b,B,13.0,,,0.55,
"""


def read(tmp_path, text, **kwargs):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    return read_table(path, **kwargs)


def test_the_studys_layout_with_its_units(tmp_path):
    table = read(tmp_path, STUDY)
    assert table.benchmarks == ["MMLU", "Winogrande"]
    facts = table.models.loc["org/a-7b"]
    assert facts["family"] == "A"
    assert (facts["parameters"], facts["training_tokens"]) == (7e9, 2e12)
    assert facts["training_flops"] == pytest.approx(84e21)
    assert np.isnan(table.models.loc["org/b-13b", "training_flops"])
    assert len(table) == 3
    assert np.isnan(table.wide().loc["org/b-13b", "Winogrande"])
    assert "'FLOPs (1E21)' read as training_flops in units of 1e+21" in table.notes
    assert "'Winograd' read as Winogrande" in table.notes


def test_plain_flops_are_counts_and_that_is_said(tmp_path):
    table = read(tmp_path, "Model,FLOPs,MMLU\na,8.4e22,0.4\n")
    assert table.models.loc["a", "training_flops"] == 8.4e22
    assert any("in units of 1 (no unit in its header)" in note for note in table.notes)


def test_the_long_layout(tmp_path):
    table = read(
        tmp_path,
        "model,benchmark,score,stderr,n_shot,family\n"
        "a,mmlu,0.4,0.01,5,A\na,Winograd,0.7,,5,A\nb,MMLU,0.5,0.01,5,B\n",
        benchmarks=PANEL,
    )
    assert table.wide().loc["a"].to_dict() == {"MMLU": 0.4, "Winogrande": 0.7}
    assert table.wide(["MMLU"], "stderr").loc["b", "MMLU"] == 0.01
    assert table.models["family"].to_dict() == {"a": "A", "b": "B"}


def test_one_row_and_other_spellings_of_headers(tmp_path):
    table = read(tmp_path, "model, mmlu ,arc-c\nmine, 0.4 ,\n", benchmarks=PANEL)
    assert table.wide().loc["mine"].to_dict() == {"MMLU": 0.4}


@pytest.mark.parametrize("layout", ["long", "wide"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_written_reads_back(tmp_path, layout, suffix):
    table = read(tmp_path, STUDY)
    path = tmp_path / f"again.{suffix}"
    write_table(table, path, layout=layout)
    again = read_table(path)
    pd.testing.assert_frame_equal(again.wide(), table.wide())
    pd.testing.assert_frame_equal(again.models, table.models)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("Model,MMLU\n", "holds no row"),
        ("a,b\n1,2\n", "no column 'Model'"),
        ("name;MMLU;GSM8K\nx;.3;.4\n", "'Model'; its columns, divided by semicolons, are name, MM"),
        ("Model,Model Family\nx,A\n", "no benchmark among its columns; known are MMLU"),
        ("Model,MMLUU\nx,0.3\n", "unknown column 'MMLUU'; did you mean 'MMLU'"),
        ("Model,foo,bar\nx,1,2\n", "unknown column 'foo' \\(and 1 more\\)"),
        ("Model,MMLU\nx,abc\n", "x: MMLU is 'abc', not a number"),
        ("Model,MMLU\nx,45%\n", "x: MMLU is '45%', with a percent sign; write 0.45"),
        ("Model,MMLU\nx,inf\n", "score of MMLU is infinite"),
        ("Model,MMLU\nx,.3\nx,.4\n", "x: MMLU is 0.3 .* but 0.4 .*; keep one"),
        ("Model,Model Family,MMLU\nx,A,.3\nx,B,.3\n", "x: family is both A and B"),
        ("Model,MMLU\n,.3\n", "row 2 names no model"),
        ("Model,MMLU,mmlu\nx,.3,.4\n", "two columns give MMLU: the second is 'mmlu'"),
        ("Model,MMLU,Family,family\nx,.3,A,B\n", "two columns give family: the second is 'family'"),
        ("Model,Winograd,Winogrande\nx,.3,.4\n", "two columns give Winogrande"),
        ("Model,FLOPs,MMLU\nx,84,.3\n", "holds 84, read as 84 training_flops: implausibly few"),
        ("Model,Model Size (X),MMLU\nx,7,.3\n", "unit 'X'"),
        ("Model,FLOPs (1E21),MMLU\nx,-84,.3\n", "training_flops is -8.4e\\+22; it must be > 0"),
        ("model,benchmark,score\nx,MLU,.3\n", "unknown benchmark 'MLU'; did you mean 'MMLU'"),
        ("model,benchmark,score,colour\nx,MMLU,.3,red\n", "unknown column 'colour'"),
        ("model,benchmark,score,stderr\nx,MMLU,.3,-1\n", "stderr of MMLU is negative"),
        ('Model,MMLU\nx,"0.3\n', "not a CSV file"),
    ],
)
def test_a_bad_file_gets_one_clear_line(tmp_path, text, message):
    with pytest.raises(TableError, match=message) as caught:
        read(tmp_path, text, benchmarks=PANEL)
    assert str(caught.value).startswith(str(tmp_path / "scores.csv"))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_tables(tmp_path):
    with pytest.raises(TableError, match="no such file"):
        read_table(tmp_path / "missing.csv")
    (tmp_path / "image.csv").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(TableError, match="UTF-8"):
        read_table(tmp_path / "image.csv")
    (tmp_path / "fake.parquet").write_text("Model,MMLU\n")
    with pytest.raises(TableError, match="not a Parquet file"):
        read_table(tmp_path / "fake.parquet")


def test_a_model_without_scores_is_not_lost_silently(tmp_path):
    table = read(tmp_path, "Model,MMLU\na,0.3\nb,\n")
    assert list(table.models.index) == ["a", "b"]
    with pytest.raises(TableError, match="b has no score"):
        write_table(table, tmp_path / "long.csv")
    write_table(table, tmp_path / "wide.csv", layout="wide")
    assert list(read_table(tmp_path / "wide.csv").models.index) == ["a", "b"]


def test_canonical_labels():
    assert canonical_benchmark("Winograd") == "Winogrande"
    assert canonical_benchmark(" mmlu ", PANEL) == "MMLU"
    assert canonical_benchmark("other", PANEL) == "other"


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the study's tables are not in ../shared")
def test_the_published_tables_read_whole():
    shapes = {
        path.name: read_table(path).wide().shape for path in sorted(SHARED.glob("*_eval*.csv"))
    }
    assert shapes == {
        "base_llm_benchmark_eval.csv": (148, 8),
        "base_llm_benchmark_eval_sub_10b.csv": (92, 8),
        "base_llm_emergent_capability_eval.csv": (84, 8),
        "base_llm_post_training_eval.csv": (96, 234),
        "instruct_llm_agent_eval.csv": (27, 29),
        "instruct_llm_benchmark_eval.csv": (27, 9),
    }


def test_the_benchmarks_of_a_file_are_known_without_reading_its_scores(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(STUDY.replace("0.45", "not a number"))
    assert read_benchmarks(path) == ["MMLU", "Winograd"]
    path.write_text("model,benchmark,score,mode\na,GPQA-diamond,x,plain\na,MMLU,1,plain\n")
    assert read_benchmarks(path) == ["GPQA-diamond", "MMLU"]
    with pytest.raises(TableError, match=r"gone.csv: no such file"):
        read_benchmarks(tmp_path / "gone.csv")


def test_separators_in_the_name_of_a_benchmark_do_not_count():
    known = ["AIME 2025", "GPQA-diamond"]
    assert canonical_benchmark("aime_2025", known) == "AIME 2025"
    assert canonical_benchmark("GPQA Diamond", known) == "GPQA-diamond"
    assert canonical_benchmark("AIME2025", known) == "AIME2025"
