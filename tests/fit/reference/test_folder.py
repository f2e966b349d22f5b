"""One's own folder states its date and licence, and holds nothing newer than its sources."""

from pathlib import Path

import pytest
from reference_parts import ABOUT

from capspace.fit import load_reference
from capspace.fit.errors import TableError

SCORES = "model,benchmark,score,date\na,MMLU,0.4,2025-05-01\na,bbh,0.3,\n"
MODELS = "model,release_date,weight\na,2025-04,0.5\n"


def write(folder: Path, *, about: str = ABOUT, scores: str = SCORES, models: str = MODELS) -> Path:
    (folder / "reference.yaml").write_text(about)
    (folder / "scores.csv").write_text(scores)
    (folder / "models.csv").write_text(models)
    return folder


def test_a_folder_states_what_it_is(tmp_path: Path) -> None:
    reference = load_reference(write(tmp_path))
    assert (reference.name, reference.licence, reference.version) == ("mine", "CC-BY-4.0", "1")
    assert reference.date.isoformat() == "2025-06-30"
    assert reference.weights["a"] == 0.5
    assert repr(reference).startswith("Reference(mine: 1 model, ")


def test_a_folder_from_before_dates_still_loads(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "reference.yaml").unlink()
    reference = load_reference(tmp_path)
    assert (reference.name, reference.date, reference.licence) == ("", None, "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"about": ABOUT.replace("date: 2025-06-30\n", "")}, "mine: date is not stated; add it"),
        ({"about": ABOUT.replace("licence: CC-BY-4.0\n", "")}, "mine: licence is not stated; add"),
        ({"about": ABOUT.replace("CC-BY-4.0", "''")}, "mine: licence is empty; state it"),
        (
            {"scores": SCORES.replace("2025-05-01", "2025-07-01")},
            "a: MMLU is dated 2025-07-01, after 2025-06-30",
        ),
        ({"scores": SCORES.replace("2025-05-01", "soon")}, "a: date of MMLU is 'soon'"),
        (
            {"models": MODELS.replace("2025-04", "2025-07")},
            "a was released on 2025-07, after the reference's date",
        ),
        ({"models": MODELS.replace("0.5", "2")}, r"a: weight is 2; it lies in \(0, 1\]"),
        (
            {"models": "model,mode\na,thinking and plain\n"},
            "a: mode is 'thinking and plain'; it is one of plain, chat, thinking",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_a_bad_folder_gets_one_line(tmp_path: Path, change: dict[str, str], message: str) -> None:
    write(tmp_path, **change)
    with pytest.raises(TableError, match=message) as caught:
        load_reference(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_evaluation_of_no_target_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "evaluation.csv").write_text(
        "target,status,n,date\nbbh,offered,20,2025-06-30\nbhb,weak,20,2025-06-30\n"
    )
    with pytest.raises(TableError, match=r"'bhb' is no target; did you mean 'bbh'"):
        load_reference(tmp_path)


def test_an_unknown_name_is_met_with_those_that_there_are() -> None:
    with pytest.raises(TableError, match=r"did you mean 'frontier-2026'.*packaged are"):
        load_reference("frontier")
