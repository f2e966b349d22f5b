"""A folder with a damaged or edited file is refused in one line that names the file."""

import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from reference_parts import ABOUT

import capspace.fit.reference
from capspace.fit import load_reference
from capspace.fit.errors import FitError, TableError
from capspace.fit.prediction._reference_laws import stored_laws
from capspace.fit.reference import reference_names
from capspace.fit.reference._checked_entries import checked_entries
from capspace.fit.reference._digest import tables_digest
from capspace.fit.reference._entries import Evaluation
from capspace.fit.reference._sampling_noise import items_of
from capspace.fit.reference._yaml_files import read_yaml
from capspace.fit.reference.stored_laws import store_laws

PACKAGED = Path(capspace.fit.reference.__file__).parent
BENCHMARKS = "- name: MMLU\n  chance: 0.25\n"
TARGETS = "- name: bbh\n  label: BBH\n  description: hard tasks\n  population: all\n"
EVALUATION = {
    "target": "bbh",
    "status": "offered",
    "n": "20",
    "mae": "0.05",
    "baseline_mae": "0.08",
    "ratio": "0.6",
    "coverage": "0.9",
    "k": "1.6",
    "date": "2025-06-30",
}
OFFSET = {
    "benchmark": "MMLU",
    "source": "board",
    "other": "vendor",
    "n_shared": "12",
    "offset": "0.01",
    "spread": "0.02",
    "r": "0.9",
    "n_equal": "3",
}


def csv(*rows: dict[str, str]) -> str:
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "reference.yaml": ABOUT,
        "benchmarks.yaml": BENCHMARKS,
        "targets.yaml": TARGETS,
        "scores.csv": "model,benchmark,score\na,MMLU,0.4\na,bbh,0.3\n",
        "models.csv": "model\na\n",
        "evaluation.csv": csv(EVALUATION),
        "offsets.csv": csv(OFFSET),
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def refusal(folder: Path, name: str) -> str:
    with pytest.raises(TableError) as caught:
        load_reference(folder)
    line = str(caught.value)
    assert str(folder / name) in line
    assert "\n" not in line
    return line


def test_the_folder_loads_undamaged(folder: Path) -> None:
    reference = load_reference(folder)
    assert reference.offsets.pairs[0].n_shared == 12
    assert reference.evaluations["bbh"].coverage == 0.9


@pytest.mark.parametrize("name", ["reference.yaml", "benchmarks.yaml", "targets.yaml"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"date: 2026-02-30\n", "a value cannot be read"),
        (b"date: 2026-01-01T00:00:00+99:00\n", "a value cannot be read"),
        (b"n: " + b"9" * 5000, "a value cannot be read"),
        (b'n: !!int ""\n', "a value cannot be read"),
        (b"n: !!bool z\n", "a value cannot be read"),
        (b"n: !!timestamp z\n", "a value cannot be read"),
        ("title: é\n".encode("latin-1"), "not a text file in UTF-8"),
        (ABOUT.encode("utf-16"), "not a text file in UTF-8"),
        (b"title: \x01\n", "not YAML"),
        (b"[" * 3000, "not YAML"),
        (b"{" * 600 + b"}" * 600, "not YAML that can be read (nested too deeply)"),
        (b"- name: a\n  chance: 0\n  name: b\n", "'name' is there twice, on lines 1 and 3"),
        (b"{name: a, name: a}", "'name' is there twice"),
    ],
    ids=lambda value: (
        value[:12].decode("ascii", "replace").strip() if isinstance(value, bytes) else ""
    ),
)
def test_a_yaml_file_that_cannot_be_read_is_named(
    folder: Path, name: str, content: bytes, message: str
) -> None:
    (folder / name).write_bytes(content)
    assert message in refusal(folder, name)


@pytest.mark.parametrize(
    "name", ["reference.yaml", "benchmarks.yaml", "scores.csv", "evaluation.csv", "offsets.csv"]
)
def test_a_folder_in_the_place_of_a_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    assert "a folder, not a file" in refusal(folder, name)


@pytest.mark.parametrize("damage", ["cut", "changed", "no gzip"])
def test_a_damaged_compressed_table_is_named(folder: Path, damage: str) -> None:
    packed = bytearray(gzip.compress((folder / "scores.csv").read_bytes()))
    if damage == "cut":
        packed = packed[:-12]
    elif damage == "changed":
        packed[10:20] = b"\xff" * 10
    else:
        packed[:2] = b"ab"
    (folder / "scores.csv.gz").write_bytes(packed)
    refusal(folder, "scores.csv.gz")


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        *((name, cell) for name in ("mae", "baseline_mae", "ratio", "k") for cell in ("-1", "nan")),
        *((name, "inf") for name in ("mae", "baseline_mae", "ratio", "k", "coverage", "n")),
        *(("coverage", cell) for cell in ("1.1", "-0.1", "nan")),
        *(("n", cell) for cell in ("-1", "2.5", "", "nan")),
        *(("status", cell) for cell in ("", "good")),
        ("date", "2026-02-30"),
    ],
)
def test_an_evaluation_that_cannot_be_is_refused(folder: Path, name: str, cell: str) -> None:
    (folder / "evaluation.csv").write_text(csv(EVALUATION | {name: cell}))
    assert f": bbh: {name}: " in refusal(folder, "evaluation.csv")


def test_what_is_not_known_of_an_evaluation_is_empty(folder: Path) -> None:
    unknown = dict.fromkeys(("mae", "baseline_mae", "ratio", "coverage", "k"), "")
    (folder / "evaluation.csv").write_text(csv(EVALUATION | unknown))
    evaluation = load_reference(folder).evaluations["bbh"]
    assert all(getattr(evaluation, name) is None for name in unknown)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        *((name, cell) for name in ("n_shared", "n_equal") for cell in ("", "nan", "inf", "-1")),
        ("n_shared", "2.5"),
        ("n_equal", "13"),
        *(("offset", cell) for cell in ("", "inf")),
        *(("spread", cell) for cell in ("-0.1", "inf")),
        *(("r", cell) for cell in ("1.1", "-1.1", "inf")),
    ],
)
def test_an_offset_that_cannot_be_is_refused(folder: Path, name: str, cell: str) -> None:
    (folder / "offsets.csv").write_text(csv(OFFSET | {name: cell}))
    assert f"{name} is " in refusal(folder, "offsets.csv")


def test_a_short_row_of_offsets_is_refused(folder: Path) -> None:
    (folder / "offsets.csv").write_text(csv(OFFSET) + "MMLU,board,else,12,0.1\n")
    assert "n_equal is nan" in refusal(folder, "offsets.csv")


def test_an_offset_of_few_models_has_neither_spread_nor_correlation(folder: Path) -> None:
    few = {"n_shared": "2", "n_equal": "0", "spread": "", "r": ""}
    (folder / "offsets.csv").write_text(csv(OFFSET | few))
    (pair,) = load_reference(folder).offsets.pairs
    assert pair.spread != pair.spread


@pytest.mark.parametrize("name", ["benchmarks.yaml", "targets.yaml", "evaluation.csv"])
def test_an_entry_that_is_there_twice_is_refused(folder: Path, name: str) -> None:
    text = (folder / name).read_text()
    again = text.splitlines(keepends=True)[1] if name.endswith("csv") else text
    (folder / name).write_text(text + again)
    assert " is there twice" in refusal(folder, name)


def test_a_pair_of_sources_that_is_there_twice_is_refused(folder: Path) -> None:
    turned = {"source": "vendor", "other": "board"}
    (folder / "offsets.csv").write_text(csv(OFFSET, OFFSET | turned))
    assert "a row for each two" in refusal(folder, "offsets.csv")


@pytest.mark.parametrize("name", [n for n in reference_names() if n != "study-2024"])
def test_packaged_laws_know_the_tables_that_they_were_fitted_to(name: str) -> None:
    assert '"tables": "' in (PACKAGED / name / "laws.json").read_text()[:200]
    stored_laws(load_reference(name))


@pytest.mark.parametrize("table", ["scores.csv", "models.csv"])
def test_laws_of_other_tables_are_refused(tmp_path: Path, table: str) -> None:
    own = shutil.copytree(PACKAGED / "epoch-2026", tmp_path / "own")
    content = (own / table).read_bytes()
    (own / table).write_bytes(content.replace(b"\n", b"\r\n"))
    stored_laws(load_reference(own))  # the same table with other ends of lines
    (own / f"{table}.gz").write_bytes(gzip.compress(content))
    (own / table).unlink()
    stored_laws(load_reference(own))
    lines = content.splitlines(keepends=True)
    (own / f"{table}.gz").write_bytes(gzip.compress(b"".join([*lines[:-2], lines[-1]])))
    with pytest.raises(FitError, match=r"laws\.npz: the laws were fitted to other tables") as error:
        stored_laws(load_reference(own))
    assert "\n" not in str(error.value)
    laws = (own / "laws.json").read_text().splitlines(keepends=True)
    (own / "laws.json").write_text("".join(line for line in laws if '"tables"' not in line))
    stored_laws(load_reference(own))  # laws that state no tables are taken as they are


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("benchmarks.yaml", "- name: GPQA-diamond", "- name: GPQA main"),
        ("targets.yaml", "- name: weirdml/v2", "- name: weirdml/v3"),
        ("reference.yaml", "kind: single-protocol", "kind: vendor-reported"),
    ],
)
def test_laws_of_other_entries_are_refused(tmp_path: Path, file: str, old: str, new: str) -> None:
    own = shutil.copytree(PACKAGED / "epoch-2026", tmp_path / "own")
    laws, reference = own / "laws.json", load_reference(own)
    text = (own / file).read_text()
    assert old in text
    changed = tables_digest(own, reference).split()
    entries = {b.name: b for b in reference.benchmarks.values()}
    described = {n: b.model_copy(update={"note": "improved"}) for n, b in entries.items()}
    assert tables_digest(own, replace(reference, benchmarks=described)).split() == changed
    for name in ("scores.csv", "evaluation.csv", "offsets.csv"):
        table = (own / name).read_text()
        (own / name).write_text(table.replace(old.partition(": ")[2], new.partition(": ")[2]))
    (own / file).write_text(text.replace(old, new, 1))
    renamed = load_reference(own)
    tables, _ = tables_digest(own, renamed).split()
    # The tables name the new entry, too: were it for them alone, the laws would belong here.
    laws.write_text(laws.read_text().replace(changed[0], tables))
    with pytest.raises(FitError, match="fitted to other tables, benchmarks or targets"):
        stored_laws(renamed)
    laws.write_text(laws.read_text().replace(f" {changed[1]}", ""))
    stored_laws(renamed)  # an older version stated no entries


def test_damaged_laws_are_refused(tmp_path: Path) -> None:
    own = shutil.copytree(PACKAGED / "epoch-2026", tmp_path / "own")
    content = bytearray((own / "laws.npz").read_bytes())
    content[200:240] = b"\xff" * 40
    (own / "laws.npz").write_bytes(content)
    with pytest.raises(FitError, match=r"laws\.npz: does not belong to laws\.json or is damaged"):
        stored_laws(load_reference(own))


@pytest.mark.parametrize("name", ["scores.csv", "evaluation.csv"])
def test_an_empty_table_is_named(folder: Path, name: str) -> None:
    (folder / name).write_text("")
    assert refusal(folder, name).endswith(f"{name}: the file is empty")


def test_a_target_of_which_chance_is_no_less_than_perfect_is_refused(folder: Path) -> None:
    (folder / "targets.yaml").write_text(TARGETS + "  chance: 0.5\n  perfect: 0.4\n")
    assert "chance 0.5 is not below perfect 0.4" in refusal(folder, "targets.yaml")


def test_files_that_are_not_there_are_no_entries_and_have_no_digest(folder: Path) -> None:
    reference = load_reference(folder)
    assert tables_digest(folder, reference)
    (folder / "scores.csv").unlink()
    assert tables_digest(folder, reference) == ""
    assert checked_entries(Evaluation, folder / "none.csv") is None
    with pytest.raises(TableError, match=r"none\.yaml: cannot be read \(No such file or directory"):
        read_yaml(folder / "none.yaml")
    assert items_of(reference.table, reference, []) == {}


def test_laws_of_a_study_are_not_stored(folder: Path) -> None:
    text = ABOUT.replace("kind: single-protocol", "kind: study")
    (folder / "reference.yaml").write_text(text)
    (folder / "evaluation.csv").unlink()
    before = sorted(folder.iterdir())
    assert store_laws(folder) == "laws of a study are fitted when they predict"
    assert sorted(folder.iterdir()) == before
