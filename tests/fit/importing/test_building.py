"""A reference is built of agreeing sources, written whole, and reads back with its provenance."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
import yaml
from published_files import aa_model, aa_page, write_bfcl, write_json

from capspace.fit.errors import TableError, UnknownNameError
from capspace.fit.importing import (
    SourceTerms,
    build_reference,
    read_published,
    update_reference,
    write_reference,
)
from capspace.fit.prediction import predict_targets
from capspace.fit.reference import load_reference
from capspace.fit.reference.left_out import left_out_of
from capspace.fit.reference.stored_laws import store_laws
from capspace.fit.table import ScoreTable
from capspace.fit.table.offset_files import read_offsets

TERMS = SourceTerms("CC-BY 4.0", date(2026, 11, 1))
N = 12


def board(tmp_path, name, scores, *, source=None, terms=TERMS):
    """Return a table of scores by model and benchmark, of one source."""
    path = tmp_path / f"{name}.csv"
    rows = [
        {"model": m, "benchmark": b, "score": v, "source": source or name}
        for m, own in scores.items()
        for b, v in own.items()
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return read_published(path, terms)


def skills(offset=0.0, *, models=range(N), spread=0.005, seed=1, prefix="model"):
    """Return GPQA-diamond and a target of models of rising skill, some points off."""
    noise = np.random.default_rng(seed).normal(0, spread, (100, 2))
    return {
        f"{prefix}-{i}b": {
            "GPQA-diamond": 0.3 + 0.04 * i + offset + noise[i, 0],
            "agent/board": 0.1 + 0.05 * i + offset + noise[i, 1],
        }
        for i in models
    }


def build(tables, **settings):
    return build_reference(tables, name="mine", licence="CC-BY 4.0", **settings)


def test_a_reference_reads_back_with_source_date_and_licence_of_each_cell(tmp_path):
    built = build([board(tmp_path, "one", skills())])
    reference = write_reference(built, tmp_path / "mine")
    assert list(reference.benchmarks) == ["GPQA-diamond"]
    assert reference.benchmarks["GPQA-diamond"].chance == 0.25  # as the packaged ones have it
    assert list(reference.targets) == ["agent/board"]
    assert reference.about.licence == "CC-BY 4.0"
    assert reference.about.date == date(2026, 11, 1)
    cells = pd.read_csv(tmp_path / "mine" / "scores.csv")
    assert set(zip(cells["source"], cells["date"], cells["licence"], strict=True)) == {
        ("one", "2026-11-01", "CC-BY 4.0")
    }
    assert load_reference(tmp_path / "mine").table.scores.equals(reference.table.scores)


def test_the_same_tables_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_reference(build([board(tmp_path, "one", skills())]), tmp_path / name)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_an_agreeing_source_adds_models_and_its_offset_is_stated(tmp_path):
    first = board(tmp_path, "one", skills(models=range(8)))
    second = board(tmp_path, "two", skills(0.014, models=range(2, N), seed=2))
    built = build([first, second])
    sources = built.table.scores.groupby("benchmark")["source"].value_counts()
    assert sources["GPQA-diamond"].to_dict() == {"one": 8, "two": 4}
    write_reference(built, tmp_path / "mine")
    offsets = read_offsets(tmp_path / "mine" / "offsets.csv")
    pair = offsets.between("GPQA-diamond", "two", "one")
    assert pair.n_shared == 6
    assert pair.offset == pytest.approx(0.014, abs=0.01)
    assert 0 < offsets.spread("GPQA-diamond") < 0.03


@pytest.mark.slow
def test_a_source_of_another_protocol_does_not_mix_in(tmp_path):
    first = board(tmp_path, "one", skills(models=range(8)))
    apart = board(tmp_path, "two", skills(-0.2, models=range(2, N)))
    few = board(tmp_path, "three", skills(models=range(5, N), seed=3))
    for other, reason in ((apart, "20.0 points apart"), (few, "only 3 models shared")):
        built = build([first, other])
        assert set(built.table.scores["source"]) == {"one"}
        assert any(reason in note and "name its file first" in note for note in built.notes)
    # The order of the files decides which one the column is of.
    assert set(build([apart, first]).table.scores["source"]) == {"two"}


def test_models_under_two_spellings_are_joined_and_listed(tmp_path):
    by_board = {f"org/Llama-3-{i}B-Instruct": v for i, v in enumerate(skills().values(), start=1)}
    two = {f"llama 3 {i}b instruct": v for i, v in enumerate(skills(seed=4).values(), start=1)}
    built = build([board(tmp_path, "one", by_board), board(tmp_path, "two", two)])
    assert len(built.table.models) == N
    assert {(j.source, j.spelled, j.model) for j in built.joined} >= {
        ("two", "llama 3 2b instruct", "org/Llama-3-2B-Instruct")
    }
    assert len(built.joined) == N
    assert built.offsets.pairs[0].n_shared == N


@pytest.mark.slow
def test_benchmarks_under_two_spellings_are_one_column(tmp_path):
    two = {
        m: {"gpqa_diamond": v["GPQA-diamond"], "GPQA-diamond+": 0.5, "Agent/Board": 0.4}
        for m, v in skills(seed=6).items()
    }
    built = build([board(tmp_path, "two", two)])
    assert [b.name for b in built.benchmarks] == ["GPQA-diamond"]
    assert [t.name for t in built.targets] == ["GPQA-diamond+", "Agent/Board"]
    assert built.notes[0] == "'gpqa_diamond' read as GPQA-diamond"
    built = build([board(tmp_path, "one", skills()), board(tmp_path, "two", two)])
    assert [t.name for t in built.targets] == ["agent/board", "GPQA-diamond+"]
    both = {m: {"MMLU": 0.5, "x y": 0.4, "x-y": 0.1 * i} for i, m in enumerate("abcdef")}
    built = build([board(tmp_path, "three", both)])
    assert [t.name for t in built.targets] == ["x y", "x-y"]  # one table has both


@pytest.mark.slow
def test_names_that_may_be_two_models_are_not_joined(tmp_path):
    values = list(skills(models=range(4)).values())
    by_board = dict(zip(["a/Yi-6B", "b/Yi-6B", "GPT-5 (high)", "Phi-3-4b"], values, strict=True))
    two = dict(zip(["Yi-6B", "GPT-5", "Phi-3-4b-instruct", "phi 3 14b"], values, strict=True))
    built = build([board(tmp_path, "one", by_board), board(tmp_path, "two", two)])
    assert built.joined == ()
    twice = {"Phi 3 4B": values[0], "phi_3_4b": values[1]}
    built = build([board(tmp_path, "one", by_board), board(tmp_path, "two", twice)])
    assert built.joined == ()  # either may be it


def test_providers_follow_the_joined_models(tmp_path):
    bfcl = {f"Qwen3-{i}B (FC)": 40 + i for i in range(1, 9)}
    models = [aa_model(f"Qwen3 {i}B", "Alibaba", gpqa=0.3 + 0.01 * i) for i in (*range(1, 9), 32)]
    first = read_published(write_json(tmp_path / "aa.json", aa_page(*models)), TERMS)
    path = write_bfcl(tmp_path / "b.csv", bfcl | {"Qwen4-1B (FC)": 60}, organisation="Qwen")
    built = build([first, read_published(path, TERMS)])
    assert len(built.joined) == 8
    assert set(built.table.models["family"]) == {"Alibaba"}


def test_of_two_protocols_of_one_source_the_commoner_is_used(tmp_path):
    path = tmp_path / "one.csv"
    rows = [
        {"model": m, "benchmark": b, "score": v + d, "source": "one", "protocol": p}
        for m, own in skills().items()
        for b, v in own.items()
        for p, d in (("few-shot", 0.0), ("zero-shot", -0.05))
        if p == "few-shot" or m == "model-0b"
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    built = build([read_published(path, TERMS)])
    assert set(built.table.scores["protocol"]) == {"few-shot"}
    assert any("of 2 protocols" in note for note in built.notes)


def test_what_cannot_be_a_reference_is_refused(tmp_path):
    file = board(tmp_path, "one", skills())
    with pytest.raises(TableError, match="no table is given"):
        build([])
    with pytest.raises(TableError, match="a reference needs a licence"):
        build_reference([file], name="mine", licence=" ")
    with pytest.raises(UnknownNameError, match="no scores of benchmark 'GPQA-diamant'; did you"):
        build([file], chance={"GPQA-diamant": 0.25})
    agents = board(tmp_path, "x", {m: {"agent/x": 0.1 * i} for i, m in enumerate("abcde")})
    with pytest.raises(TableError, match="none of agent/x is known as cheap to measure"):
        build([agents])
    with pytest.raises(TableError, match="and no target to predict from them"):
        build([file], chance={"agent/board": 0.0})


def test_an_own_column_can_be_cheap(tmp_path):
    own = {m: {"quiz": 0.1 * i, "agent/x": 0.1 * i} for i, m in enumerate("abcdefg")}
    built = build([board(tmp_path, "x", own)], chance={"quiz": 0.2})
    assert [(b.name, b.chance) for b in built.benchmarks] == [("quiz", 0.2)]


def test_a_reference_is_written_whole_or_not_at_all(tmp_path):
    built = build([board(tmp_path, "one", skills())])
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").write_text("mine")
    with pytest.raises(TableError, match="it exists and is no reference"):
        write_reference(built, tmp_path / "used")
    write_reference(built, tmp_path / "mine")
    before = {p.name: p.read_bytes() for p in (tmp_path / "mine").iterdir()}
    with pytest.raises(TableError, match="a reference is there already"):
        write_reference(built, tmp_path / "mine")
    (tmp_path / "file").write_text("")
    with pytest.raises(TableError, match="cannot be written"):
        write_reference(built, tmp_path / "file" / "mine")
    assert {p.name: p.read_bytes() for p in (tmp_path / "mine").iterdir()} == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.slow
def test_an_update_replaces_the_older_copy_of_a_source(tmp_path):
    reference = write_reference(
        build([board(tmp_path, "one", skills()), board(tmp_path, "two", skills(seed=5))]),
        tmp_path / "mine",
    )
    later = SourceTerms("CC-BY 4.0", date(2026, 12, 1))
    newer = board(tmp_path, "one", skills(0.01, models=range(N + 3)), terms=later)
    built = update_reference(reference, [newer], name="mine")
    again = write_reference(built, tmp_path / "mine", replace=True)
    assert len(again.table.models) == N + 3
    assert again.about.date == date(2026, 12, 1)
    assert again.about.licence == "CC-BY 4.0"
    first = again.table.scores.iloc[0]
    assert first["score"] == pytest.approx(skills(0.01)["model-0b"]["GPQA-diamond"], abs=1e-6)
    with pytest.raises(TableError, match="the copy of 2026-11-01 is older than that of 2026-12-01"):
        update_reference(again, [board(tmp_path, "one", skills())], name="mine")


def test_an_update_keeps_what_the_reference_says_of_its_columns(tmp_path):
    own = {m: {"quiz": 0.3 + 0.05 * i, "agent/x": 0.1 * i} for i, m in enumerate("abcdefg")}
    reference = write_reference(
        build([board(tmp_path, "x", own)], chance={"quiz": 0.2}), tmp_path / "mine"
    )
    more = {m: {"agent/y": 0.1 * i} for i, m in enumerate("abcdefg")}
    built = update_reference(reference, [board(tmp_path, "y", more)], name="mine")
    assert [(b.name, b.chance) for b in built.benchmarks] == [("quiz", 0.2)]
    assert [t.name for t in built.targets] == ["agent/x", "agent/y"]


@pytest.mark.slow
def test_an_update_of_a_packaged_reference_keeps_its_attribution(tmp_path):
    reference = load_reference("epoch-2026")
    path = write_bfcl(tmp_path / "b.csv", {f"Qwen3-{i}B (FC)": 40 + i for i in range(1, 9)})
    built = update_reference(reference, [read_published(path, TERMS)], name="mine")
    assert built.about.attribution.startswith(reference.about.attribution)
    assert built.about.kind == "single-protocol"
    assert built.about.licence == "CC-BY-4.0; CC-BY 4.0"
    assert "Function Calling" in built.about.attribution
    titles = [s.title for s in built.about.sources]
    assert titles[:-1] == [s.title for s in reference.about.sources]
    again = write_reference(built, tmp_path / "mine", laws=False)
    assert set(again.table.scores["source"]) > set(reference.table.scores["source"])


def test_an_update_keeps_populations_and_weights(tmp_path):
    built = build([board(tmp_path, "one", skills())], weights={"model-3b": 0.25})
    write_reference(built, tmp_path / "mine")
    path = tmp_path / "mine" / "targets.yaml"
    path.write_text(path.read_text().replace("population: all", "population: instruct"))
    reference = load_reference(tmp_path / "mine")
    again = write_reference(update_reference(reference, [], name="x"), tmp_path / "x")
    assert again.targets["agent/board"].population == "instruct"
    assert again.model_weights == {"model-3b": 0.25}


def test_a_reference_without_terms_cannot_be_updated(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("Model,MMLU,bbh\n" + "".join(f"m{i},0.5,0.{i}\n" for i in range(1, 9)))
    with pytest.raises(TableError, match="states neither date nor licence"):
        update_reference(load_reference(path), [], name="mine")


def test_what_is_written_is_plain_text_that_says_where_it_is_from(tmp_path):
    write_reference(build([board(tmp_path, "one", skills())]), tmp_path / "mine")
    about = yaml.safe_load((tmp_path / "mine" / "reference.yaml").read_text())
    assert about["name"] == "mine"
    assert about["sources"][0]["licence"] == "CC-BY 4.0"
    assert "one" in about["attribution"]
    names = sorted(p.name for p in (tmp_path / "mine").iterdir())
    assert names == [
        *("benchmarks.yaml", "models.csv", "offsets.csv", "reference.yaml"),
        *("scores.csv", "targets.yaml"),
    ]


@pytest.mark.slow
def test_a_built_reference_has_laws_and_an_evaluation_of_its_targets(tmp_path):
    rng = np.random.default_rng(0)
    able = rng.normal(size=40)
    noisy = {b: able + rng.normal(0, 0.2, 40) for b in ("GPQA-diamond", "MMLU-Pro", "agent/board")}
    table = pd.DataFrame({b: 1 / (1 + np.exp(-z)) for b, z in noisy.items()}).round(4)
    table.insert(0, "model", [f"model-{i}b" for i in range(40)])
    table["provider"] = [f"lab-{i % 8}" for i in range(40)]
    table["release_date"] = [f"2025-{1 + i % 12:02d}-01" for i in range(40)]
    table.to_csv(tmp_path / "one.csv", index=False)
    built = build([read_published(tmp_path / "one.csv", TERMS)])
    reference = write_reference(built, tmp_path / "mine")
    evaluation = load_reference(tmp_path / "mine").evaluations["agent/board"]
    assert evaluation == reference.evaluations["agent/board"]
    assert evaluation.n == 40
    assert evaluation.status == "offered"
    new = pd.DataFrame({"GPQA-diamond": 0.5, "MMLU-Pro": 0.5}, index=["new"])
    facts = pd.DataFrame({"release_date": "2025-12"}, index=["new"])
    (made,) = predict_targets(ScoreTable.from_wide(new, models=facts), reference)
    assert made.status == "offered"
    assert made.lower < 0.5 < made.upper
    left_out = left_out_of(reference)
    assert left_out is not None
    assert left_out.names == ("agent/board",)
    assert 30 < len(left_out) <= 40  # but those for which no number would be given
    inside = (left_out.lower <= left_out.score) & (left_out.score <= left_out.upper)
    assert inside.mean() > 0.8
    without = write_reference(built, tmp_path / "bare", laws=False)
    assert without.laws is None
    assert not without.evaluations
    assert left_out_of(without) is None


@pytest.mark.slow
def test_laws_whose_intervals_no_back_test_could_calibrate_are_not_stored(tmp_path):
    """Twelve models are enough for a law, but none is left to predict without its provider."""
    two = {m: {**own, "MMLU-Pro": own["GPQA-diamond"]} for m, own in skills().items()}
    write_reference(build([board(tmp_path, "one", two)]), tmp_path / "mine", laws=False)
    for name in ("evaluation.csv", "left-out.csv", "laws.npz", "laws.json"):
        (tmp_path / "mine" / name).write_text("of earlier tables")
    assert store_laws(tmp_path / "mine").startswith("no laws are stored, as too few models have")
    assert {p.name for p in (tmp_path / "mine").iterdir()} & {
        "evaluation.csv", "left-out.csv", "laws.npz", "laws.json"
    } == set()  # fmt: skip
    assert load_reference(tmp_path / "mine").laws is None


def test_scores_that_no_law_can_be_fitted_to_say_why_none_is_stored(tmp_path):
    two = {m: {**own, "MMLU-Pro": own["GPQA-diamond"]} for m, own in skills().items()}
    write_reference(build([board(tmp_path, "one", two)]), tmp_path / "mine", laws=False)
    file = tmp_path / "mine" / "scores.csv"
    cells = pd.read_csv(file)
    cells.assign(score=100 * cells["score"]).to_csv(file, index=False)
    reason = store_laws(tmp_path / "mine")
    assert reason.startswith("no laws can be stored: model-0b: GPQA-diamond is ")
    assert reason.endswith("these look like percentages: divide by 100")


def test_a_reference_of_too_few_models_has_no_laws(tmp_path):
    reference = write_reference(build([board(tmp_path, "one", skills())]), tmp_path / "mine")
    assert reference.laws is None  # one cheap benchmark, and a prediction needs two
    assert not reference.evaluations
