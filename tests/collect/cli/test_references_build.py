"""``references build`` and ``update`` make references of files, and show how well they agree."""

import json

import pandas as pd
import pytest
from commands import Command
from published_files import aa_model, aa_page, write_bfcl, write_json
from scores_server import serving

from capspace.collect.exchange import artificial_analysis
from capspace.fit.reference import load_reference

STATED = ("--licence", "own use", "--date", "2026-11-01")
KEY = "aa_secret_0123456789"


@pytest.fixture
def capspace(capsys):
    return Command(capsys)


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("ARTIFICIAL_ANALYSIS_API_KEY", raising=False)


def answer(shift=0.0, n=8):
    return aa_page(
        *(
            aa_model(f"Qwen3 {i}B", "Alibaba", gpqa=0.3 + 0.04 * i + shift, tau2=0.05 * i)
            for i in range(1, n + 1)
        )
    )


@pytest.fixture
def files(tmp_path):
    aa = write_json(tmp_path / "aa.json", answer())
    bfcl = write_bfcl(tmp_path / "b.csv", {f"Qwen3-{i}B (FC)": 30 + 3 * i for i in range(1, 7)})
    vendor = tmp_path / "vendor.csv"
    rows = [f"Qwen/Qwen3-{i}B,{0.31 + 0.04 * i:.3f}" for i in range(1, 9)]
    vendor.write_text("\n".join(["Model,GPQA-diamond", *rows]))
    return aa, bfcl, vendor


def test_files_become_a_reference_that_predicts(capspace, files, tmp_path):
    out = tmp_path / "mine"
    done = capspace("references", "build", *files, "--out", out, "--name", "mine", *STATED)
    assert done.code == 0, done.err
    assert "mine: 8 models, 1 benchmarks" in done.out
    for text in ("Artificial Analysis", "2026-11-01", "own use", "Function Calling", "vendor.csv"):
        assert text in done.out
    assert "Where two sources measured the same models" in done.out
    assert "-1.0" in done.out  # how far Artificial Analysis lies from the vendor
    assert "Joined, as only the spelling differs" in done.out
    assert "Qwen/Qwen3-3B" in done.out
    reference = load_reference(out)
    assert reference.about.name == "mine"
    assert "bfcl-v4/multi-turn" in reference.targets


def test_the_document_holds_what_is_printed(capspace, files, tmp_path):
    out = tmp_path / "mine"
    words = ("build", *files, "--out", out, "--name", "mine", *STATED, "--json")
    document = json.loads(capspace("references", *words).out)
    assert document["reference"]["licence"] == "own use"
    (pair,) = document["offsets"]
    assert pair["offset"] == pytest.approx(-0.01)
    assert pair["n_shared"] == 8
    assert len(document["joined"]) == 14
    assert document["benchmarks"] == ["GPQA-diamond"]


def test_a_source_that_agrees_badly_is_shown(capspace, files, tmp_path):
    aa, _, vendor = files
    rows = [f"Qwen/Qwen3-{i}B,{0.5 + 0.04 * i:.3f}" for i in range(1, 9)]
    vendor.write_text("\n".join(["Model,GPQA-diamond", *rows]))
    out = tmp_path / "mine"
    done = capspace("references", "build", aa, vendor, "--out", out, "--name", "m", *STATED)
    assert "vendor.csv agrees badly with the others: 20.0 points apart" in done.out
    assert "20.0 points apart" in done.out


def test_terms_may_be_given_by_format(capspace, files, tmp_path):
    out = tmp_path / "mine"
    done = capspace(
        *("references", "build", *files[:2], "--out", out, "--name", "m"),
        *("--licence", "own use", "--licence", "bfcl=Apache-2.0"),
        *("--date", "2026-11-01", "--date", "bfcl=2026-04-12"),
    )
    assert done.code == 0, done.err
    sources = {s.title: s for s in load_reference(out).about.sources}
    bfcl = sources["Berkeley Function Calling Leaderboard v4"]
    assert (bfcl.licence, bfcl.date.isoformat()) == ("Apache-2.0", "2026-04-12")
    assert sources["Artificial Analysis"].licence == "own use"


@pytest.mark.slow
def test_an_update_rebuilds_in_place_or_elsewhere(capspace, files, tmp_path):
    aa, bfcl, _ = files
    out = tmp_path / "mine"
    capspace("references", "build", aa, "--out", out, "--name", "mine", *STATED)
    write_json(aa, answer(n=10))
    later = ("--licence", "own use", "--date", "2026-12-01")
    done = capspace("references", "update", out, aa, bfcl, *later)
    assert done.code == 0, done.err
    assert len(load_reference(out).table.models) == 10
    assert load_reference(out).about.name == "mine"
    again = tmp_path / "again"
    done = capspace("references", "update", out, bfcl, "--out", again, *later)
    assert done.code == 0, done.err
    assert load_reference(again).about.name == "again"


@pytest.mark.slow
def test_fetching_reads_the_key_and_leaves_it_nowhere(capspace, files, tmp_path, monkeypatch):
    _, bfcl, _ = files
    monkeypatch.setenv("ARTIFICIAL_ANALYSIS_API_KEY", KEY)
    build = ("references", "build", bfcl, "--name", "mine", *STATED, "--out")
    with serving((200, json.dumps(answer()).encode())) as (url, log):
        monkeypatch.setattr(artificial_analysis, "MODELS_URL", url)
        line = capspace.refused(*build, tmp_path / "one")
        assert "none of bfcl-v4/overall" in line
        assert log == []  # without --fetch nothing is sent
        done = capspace(*build, tmp_path / "two", "--fetch")
    assert done.code == 0, done.err
    assert log == [("/models?page=1", KEY)]
    written = [p.read_text() for p in (tmp_path / "two").iterdir()]
    assert not any(KEY in text for text in (*written, done.out, done.err))
    titles = {s.title: s for s in load_reference(tmp_path / "two").about.sources}
    assert titles["Artificial Analysis"].licence == "own use"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "name at least one file, or --fetch"),
        (("--fetch", *STATED), "your key from ARTIFICIAL_ANALYSIS_API_KEY, which is not set"),
        (("none.json",), "none.json: no such file"),
        (("AA", "--date", "1 May"), "--date is '1 May'; write it as 2026-11-28"),
        (("AA", "--date", "2026-11-01", "--date", "2026-11-02"), "--date is given twice"),
        (("AA", "--licence", "MIT"), "it states no date; give the date of this copy with --date"),
        (("AA", "--date", "2026-11-01"), "no licence is given; state it with --licence"),
        (("AA", *STATED, "--cheap", "x"), "no scores of benchmark 'x'"),
        (("AA", *STATED, "--cheap", "x=2"), "the score of guessing is a fraction below 1"),
        (("AA", *STATED, "--cheap", "x=y"), "--cheap 'x=y': the score of guessing is a fraction"),
    ],
    ids=[
        "none", "no-key", "missing", "day", "twice", "undated", "licence", "column", "chance",
        "guess",
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_one_line(capspace, files, tmp_path, words, reason):
    given = [files[0] if word == "AA" else word for word in words]
    out = tmp_path / "mine"
    line = capspace.refused("references", "build", *given, "--out", out, "--name", "m")
    assert reason in line
    assert not out.exists()


@pytest.mark.slow
def test_what_cannot_be_updated_is_one_line(capspace, files, tmp_path):
    line = capspace.refused("references", "update", "study-2024", files[0], *STATED)
    assert "study-2024 comes with capspace; name another folder with --out" in line
    line = capspace.refused("references", "update", tmp_path, files[0], *STATED)
    assert "no scores.csv" in line
    for name in ("one", "two"):
        out = tmp_path / name
        capspace("references", "build", files[0], "--out", out, "--name", name, *STATED)
    words = (tmp_path / "one", files[0], "--out", tmp_path / "two", *STATED)
    assert "a reference is there already" in capspace.refused("references", "update", *words)


def test_a_reference_is_shown_by_its_name_with_how_far_its_sources_are_apart(capspace):
    shown = capspace("references", "frontier-2026").out
    assert "GPQA-diamond" in shown
    assert "8.2 points apart" in " ".join(shown.split())
    document = json.loads(capspace("references", "epoch-2026", "--json").out)
    assert document["offsets"][0]["benchmark"] == "GPQA-diamond"
    assert document["offsets"][0]["n_shared"] == 50
    assert json.loads(capspace("references", "study-2024", "--json").out)["offsets"] == []
    assert "no such file, and no reference" in capspace.refused("references", "frontier-2025")


@pytest.mark.slow
def test_a_target_without_enough_models_leaves_the_others_their_predictions(capspace, tmp_path):
    models = [f"org{i}/m" for i in range(30)]
    scores = {"Model": models, "MMLU": [0.2 + 0.02 * i for i in range(30)]}
    scores["GSM8K"] = [0.1 + 0.025 * i + 0.02 * (i % 3) for i in range(30)]
    truth = {"Model": models, "wide": [0.1 + 0.02 * i for i in range(30)]}
    truth |= {"few": [0.3, 0.4, *[None] * 28], "flat": [0.5] * 30}
    files = tmp_path / "scores.csv", tmp_path / "truth.csv"
    for path, columns in zip(files, (scores, truth), strict=True):
        pd.DataFrame(columns).to_csv(path, index=False)
    out = tmp_path / "mine"
    built = capspace(
        "references", "build", *files, "--out", out, "--name", "own", "--no-laws", *STATED
    )
    assert built.code == 0, built.err
    own = tmp_path / "own.csv"
    own.write_text("model,MMLU,GSM8K\nnew,0.6,0.5\n")
    few = "few: 2 models in the reference for the 3 parameters of its law"
    words = ("predict", own, "--reference", out)
    for named in ((), ("--target", "few", "--target", "wide", "--target", "flat")):
        made = json.loads(capspace(*words, *named, "--json").out)
        assert [p["target"] for p in made["predictions"]] == ["wide"]
        assert sorted(line.split(":")[0] for line in made["skipped"]) == ["few", "flat"]
        assert any(line.startswith(few) for line in made["skipped"])
        assert any("the target is 0.5 for all 30" in line for line in made["skipped"])
    assert few in capspace.refused(*words, "--target", "few")
    flat = capspace.refused(*words, "--target", "flat")
    assert "flat: no number is given: the target is 0.5 for all 30" in flat
    assert "--force" not in flat
