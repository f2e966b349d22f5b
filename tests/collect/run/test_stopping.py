"""A run ends where more items would hardly narrow the predictions, and is gone on with later."""

from __future__ import annotations

import json
import shlex
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from bos_checkpoint import BOS, with_bos
from commands import Command, Notes, Ran, files_no_longer_than
from journal_parts import fill, shard_of, spoil
from lm_eval.api.instance import Instance
from store_parts import RESULT

from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.engine.served import engine_record
from capspace.collect.errors import HarnessError, NoRoomError, SettingsError
from capspace.collect.harness.backends import load_model
from capspace.collect.harness.data_root import embedded_data_root
from capspace.collect.harness.harness import Harness
from capspace.collect.recorder.recorder import Recorder
from capspace.collect.run import panel_run, stopping
from capspace.collect.run.cells import measurable_cells
from capspace.collect.run.collect import _deciding, _display, collect_scores
from capspace.collect.run.draws import drawn
from capspace.collect.runtime.progress import PlainProgress, SilentProgress
from capspace.collect.settings import LoadSettings, RunSettings
from capspace.collect.storage.journal import Journal, open_journal
from capspace.collect.storage.store import Store
from capspace.fit import load_reference
from capspace.fit.decide._noise_effect import PredictedWidths
from capspace.fit.errors import RefusedTargetError
from capspace.tasks.panel import Panel, load_panel

pytestmark = [
    pytest.mark.usefixtures("forked"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
FIRST = 8


@pytest.fixture(scope="module")
def three() -> Panel:
    return load_panel("smoke").select(["ARC-C", "Winogrande", "XWinograd"])


@pytest.fixture(scope="module")
def agents() -> PredictedWidths:
    """A target whose interval still depends on the scores of a model that guesses, if little."""
    return PredictedWidths(load_reference(), targets=["agentbench"])


@pytest.fixture(autouse=True)
def few_items_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded benchmarks have no more items than a first round takes otherwise."""
    few = partial(stopping.StoppingRun, first_items=FIRST)
    monkeypatch.setattr(stopping, "StoppingRun", few)


def collect(model: Path, panel: Panel, store: Path, **changes: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, while they are imported
        return collect_scores(
            str(model), panel=panel, store=store, data_root="embedded", device="cpu", **changes
        )


@pytest.mark.slow
def test_measuring_ends_early_resumes_and_is_reused(
    tiny_checkpoint: Path,
    three: Panel,
    agents: PredictedWidths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notes = Notes()
    until = {"until": "0.1%", "widths": agents}
    first = collect(tiny_checkpoint, three, tmp_path, progress=notes, **until)
    (plan,) = first.stopping.values()
    assert plan.is_done
    assert 0 < plan.widening <= 0.001
    assert 0 < plan.token_share < 1
    assert any("that is enough" in note for note in notes.lines)
    n_items = {r.benchmark: r.n_items for r in first.results}
    assert n_items == dict(plan.n_items)
    assert any(n > FIRST for n in n_items.values())
    drawn_ones = [r for r in first.results if "items drawn at random" in r.protocol]
    assert drawn_ones
    assert all(r.stderr > 0.05 for r in drawn_ones)
    with Store(tmp_path) as store:  # a round with fewer of the same items leaves no score
        assert {r.key for r in store.results()} == {r.key for r in first.results}

    with monkeypatch.context() as patch:  # gone on with, nothing is left to do
        patch.setattr(panel_run, "load_model", lambda *_, **__: pytest.fail("loaded"))
        again = collect(tiny_checkpoint, three, tmp_path, **until)
    assert again.n_measured == 0
    assert again.results == first.results

    whole = collect(tiny_checkpoint, three, tmp_path)
    for before in drawn_ones:
        (after,) = (r for r in whole.results if r.benchmark == before.benchmark)
        requests = after.provenance["requests"]
        assert before.n_items < after.n_items
        assert after.key != before.key
        known = before.provenance["requests"]["n_requests"]
        assert requests["n_known"] == known
        assert requests["n_asked"] == requests["n_requests"] - known
    with Store(tmp_path) as store:  # by all items, no score by some of them is left
        assert {r.key for r in store.results()} == {r.key for r in whole.results}

    full = collect(tiny_checkpoint, three, tmp_path, **until)
    assert full.results == whole.results


@pytest.mark.slow
def test_scores_on_fewer_of_the_same_items_are_gone_on_with_and_removed(
    tiny_checkpoint: Path, three: Panel, agents: PredictedWidths, tmp_path: Path
) -> None:
    """Those of another panel, whose tokens were not counted, and those of a run that was killed."""
    few = three.model_copy(update={"benchmarks": tuple(drawn(b, FIRST) for b in three.benchmarks)})
    collect(tiny_checkpoint, few, tmp_path)
    done = collect(tiny_checkpoint, three, tmp_path, until="0.01%", widths=agents)
    assert {r.n_items for r in done.results} > {FIRST}
    (plan,) = done.stopping.values()
    assert all(m.tokens > 1 for m in plan.measured)
    left = collect(tiny_checkpoint, few, tmp_path)
    again = collect(tiny_checkpoint, three, tmp_path, until="0.01%", widths=agents)
    assert again.n_measured == 0
    assert again.results == done.results
    assert {r.key for r in left.results} != {r.key for r in done.results}
    with Store(tmp_path) as store:
        assert {r.key for r in store.results()} == {r.key for r in done.results}


@pytest.mark.slow
def test_a_benchmark_that_fails_later_keeps_its_score_of_the_first_round(
    tiny_checkpoint: Path,
    three: Panel,
    agents: PredictedWidths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluate = Harness.evaluate

    def failing(self: Harness, lm: Any, benchmark: Any, **settings: Any) -> Any:
        if benchmark.name == "Winogrande" and benchmark.items != FIRST:
            raise HarnessError("planted")
        return evaluate(self, lm, benchmark, **settings)

    monkeypatch.setattr(Harness, "evaluate", failing)
    shown = Shown()
    until = {"until": "0.01%", "widths": agents, "progress": shown}
    done = collect(tiny_checkpoint, three, tmp_path, **until)
    n_items = {r.benchmark: r.n_items for r in done.results}
    assert len(n_items) == 3
    assert n_items["Winogrande"] == FIRST < n_items["ARC-C"]
    assert not done.missing
    assert [name for name, reason in shown.gaps if "planted" in reason] == ["Winogrande"]


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "shares"), [("capspace", True), ("hf", False)])
def test_tokens_count_as_they_are_read(
    tiny_checkpoint: Path,
    agents: PredictedWidths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
    shares: bool,
) -> None:
    n_read = 0
    plain = torch.nn.functional.embedding

    def counted(tokens: torch.Tensor, *more: Any, **settings: Any) -> torch.Tensor:
        nonlocal n_read
        n_read += tokens.numel() if tokens.shape[-1] > 100 else 0  # not those that probe the model
        return plain(tokens, *more, **settings)

    monkeypatch.setattr(torch.nn.functional, "embedding", counted)
    smoke = load_panel("smoke").select(["MMLU"])
    settings = {"until": "900%", "widths": agents, "backend": backend}
    done = collect(tiny_checkpoint, smoke, tmp_path, **settings)
    (plan,), (result,) = done.stopping.values(), done.results
    (measured,) = plan.measured
    assert measured.n_items == result.n_items == FIRST
    assert (measured.shared_tokens > 0) == shares
    assert measured.tokens_of(FIRST) == pytest.approx(n_read, rel=0.1)


class Shown(Notes):
    """Remembers the benchmarks that a run shows as begun, as scored, and without a score, too."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[str] = []
        self.scored_ones: list[tuple[str, int]] = []
        self.gaps: list[tuple[str, str]] = []

    def benchmark(self, name: str, index: int, total: int) -> None:
        self.begun.append(name)

    def scored(self, name: str, score: float, stderr: float, n_items: int) -> None:
        self.scored_ones.append((name, n_items))

    def missing(self, name: str, reason: str) -> None:
        self.gaps.append((name, reason))


@pytest.mark.slow
def test_a_benchmark_that_the_first_round_measures_whole_is_shown_once(
    tiny_checkpoint: Path,
    three: Panel,
    agents: PredictedWidths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = partial(stopping.StoppingRun, first_items=500)
    monkeypatch.setattr(stopping, "StoppingRun", many)
    shown = Shown()
    run = collect(tiny_checkpoint, three, tmp_path, progress=shown, until="0.1%", widths=agents)
    names = [benchmark.name for benchmark in three.benchmarks]
    assert sorted(shown.begun) == sorted(names)
    assert sorted(name for name, _ in shown.scored_ones) == sorted(names)
    assert run.n_measured == len(names)
    assert len(shown.lines) == len(set(shown.lines))
    assert not any("responses were known" in line for line in shown.lines)
    whole = collect(tiny_checkpoint, three, tmp_path)  # its scores are those of a whole run
    assert whole.n_measured == 0
    assert whole.results == run.results


def test_of_items_measured_before_only_what_goes_wrong_is_shown() -> None:
    lines: list[str] = []
    quiet = stopping._SameItems(PlainProgress(lines.append), {"ARC-C"})
    quiet.benchmark("ARC-C", 1, 1)
    quiet.note("ARC-C: 80 of 80 responses were known")
    quiet.scored("ARC-C", 0.25, 0.1, 20)
    assert lines == []
    quiet.note("journal: a damaged line was left out")
    quiet.missing("ARC-C", "no such layer")
    assert lines == ["journal: a damaged line was left out", "ARC-C: no score: no such layer"]


@pytest.mark.slow
def test_a_drawn_item_has_the_prompt_of_the_whole_run(
    tiny_checkpoint: Path, three: Panel, tmp_path: Path
) -> None:
    single = three.select(["XWinograd"])
    some = single.model_copy(update={"benchmarks": (drawn(single.benchmarks[0], 13),)})
    ten = single.model_copy(update={"benchmarks": (drawn(single.benchmarks[0], 10),)})
    runs = [collect(tiny_checkpoint, panel, tmp_path) for panel in (ten, some, single)]
    keys = [run.results[0].key for run in runs]
    assert len(set(keys)) == 3
    with Store(tmp_path) as store:
        stored = {r.key for r in store.results()}
        assert keys[2] in stored
    assert runs[2].results[0].provenance["requests"]["n_known"] == 2 * 13
    assert runs[1].results[0].provenance["requests"]["n_known"] == 2 * 10
    sizes = [part["n_items"] for part in runs[1].results[0].tasks]
    assert sorted(sizes) == [2, 2, 2, 2, 2, 3]
    other = collect(tiny_checkpoint, some, tmp_path, seed=5)
    assert other.results[0].key != keys[1]
    assert "13 items drawn at random" in other.results[0].protocol


@pytest.mark.slow
def test_a_budget_of_time_ends_a_run(tiny_checkpoint: Path, three: Panel, tmp_path: Path) -> None:
    notes = Notes()
    bbh = PredictedWidths(load_reference(), targets=["bbh"])
    short = {"until": "1%", "budget": "0.001s", "widths": bbh, "progress": notes}
    run = collect(tiny_checkpoint, three.select(["Winogrande"]), tmp_path, **short)
    assert [r.n_items for r in run.results] == [FIRST]
    assert any("the budget ends here" in note for note in notes.lines)


@pytest.fixture
def stopping_run(three: Panel, agents: PredictedWidths, tmp_path: Path) -> Iterator[Any]:
    """A run of three benchmarks: some fixed items, a wrong number of tasks, and all items."""
    fixed = three["ARC-C"].model_copy(update={"items": 3})
    wrong = three["XWinograd"].model_copy(update={"n_tasks": 5})
    panel = three.model_copy(update={"benchmarks": (fixed, wrong, three["Winogrande"])})
    harness = Harness(panel.benchmarks, data_root=embedded_data_root())
    with Store(tmp_path / "store") as store, open_journal(store.path) as journal:
        yield stopping.StoppingRun(
            panel=panel,
            harness=harness,
            store=store,
            journal=journal,
            settings=RunSettings.of(until="1%", budget="1h"),
            progress=SilentProgress(),
            widths=agents,
        )


def test_a_first_round_keeps_fixed_items_and_leaves_what_fails_to_its_reason(
    stopping_run: Any, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = resolve(str(tiny_checkpoint))
    fixed, wrong, whole = stopping_run.benchmarks_of(checkpoint)
    assert [b.items for b in (fixed, wrong, whole)] == [3, 2 * wrong.n_tasks, FIRST]
    assert (fixed.draw, whole.draw) == ("spread", "random")
    cells, gaps = measurable_cells(
        checkpoint, [fixed, wrong, whole], stopping_run.harness, stopping_run.settings
    )
    assert [cell.benchmark.name for cell in cells] == ["ARC-C", "Winogrande"]
    assert [gap.benchmark for gap in gaps] == ["XWinograd"]

    def fails(*given: Any, **settings: Any) -> Any:
        raise ValueError("no such layer")

    monkeypatch.setattr(panel_run, "load_model", fails)
    left, n_measured, failed = stopping_run.measure_cells(checkpoint, cells, cells)
    assert (left, n_measured) == (cells, 0)
    assert {gap.benchmark for gap in failed} == {"ARC-C", "Winogrande"}
    assert all("no such layer" in gap.reason for gap in failed)


def test_a_budget_does_not_count_items_of_unknown_cost(
    stopping_run: Any, tiny_checkpoint: Path
) -> None:
    checkpoint = resolve(str(tiny_checkpoint))
    cells, _ = measurable_cells(
        checkpoint,
        stopping_run.benchmarks_of(checkpoint)[2:],
        stopping_run.harness,
        stopping_run.settings,
    )
    (cell,) = cells
    known = replace(
        RESULT,
        key=cell.key,
        benchmark="Winogrande",
        n_items=FIRST,
        tasks=({"task": "winogrande", "n_items": FIRST, "of": 200},),
        # all of its responses were known, so that none was timed
        provenance={"tokens": 400, "seconds": 1, "requests": {"n_asked": 0, "n_requests": 16}},
    )
    stopping_run.store.put(known)
    (following,) = stopping_run._following(checkpoint, cells, 0.0)
    plan = stopping_run.plans[checkpoint.name]
    assert plan.within_budget
    assert plan.n_items["Winogrande"] == (following.benchmark.items or 200)


@pytest.mark.parametrize(("n_asked", "read"), [(114, 29_000), (57, 29_000), (6, 29_000 * 6 / 57)])
def test_the_time_of_shared_examples_is_told_from_that_of_items(n_asked: int, read: float) -> None:
    """A round of few items reads the examples of some tasks alone."""
    each, n_items = 90, 400
    result = replace(
        RESULT,
        benchmark="MMLU",
        n_items=n_items,
        tasks=tuple({"task": f"t{i}", "n_items": n_items // 57, "of": 100} for i in range(57)),
        provenance={
            "tokens": 29_000 + n_items * each,
            "shared_tokens": 29_000,
            "seconds": (read + n_asked * each) / 1000,
            "requests": {"n_asked": 4 * n_asked, "n_requests": 4 * n_items},
        },
    )
    measured = stopping._measured(result, may_grow=True)
    assert (measured.tokens, measured.shared_tokens) == (each, 29_000)
    assert measured.seconds == pytest.approx(each / 1000)
    assert measured.shared_seconds == pytest.approx(29.0)


@pytest.mark.parametrize("executes_code", [False, True])
def test_items_that_may_not_be_measured_are_not_planned(
    stopping_run: Any, tiny_checkpoint: Path, executes_code: bool
) -> None:
    """A stored score of a benchmark that runs code is used, but no more items are asked for."""
    notes = Notes()
    changed = {"executes_code": executes_code}
    own = stopping_run.panel["Winogrande"].model_copy(update=changed)
    panel = stopping_run.panel.model_copy(update={"benchmarks": (own,)})
    settings = RunSettings.of(until="0.01%")
    run = replace(stopping_run, panel=panel, progress=notes, settings=settings)
    checkpoint = resolve(str(tiny_checkpoint))
    some = drawn(own, FIRST)
    known = replace(
        RESULT,
        key=run.key_of(checkpoint, some),
        benchmark="Winogrande",
        score=0.6,
        stderr=0.17,
        n_items=FIRST,
        tasks=({"task": "winogrande", "n_items": FIRST, "of": 200},),
        provenance={"tokens": 400, "seconds": 1, "requests": {"n_asked": 8, "n_requests": 8}},
    )
    run.store.put(known)
    cells, _ = measurable_cells(
        checkpoint, [some], run.harness, run.settings, is_stored=run.is_stored
    )
    (following,) = run._following(checkpoint, cells, 0.0)
    (line,) = notes.lines
    plan = run.plans[checkpoint.name]
    assert plan.is_done == executes_code
    assert not plan.is_whole
    assert plan.token_share == FIRST / 200
    assert ("that is enough" in line) == executes_code
    assert ("next, items in all: Winogrande" in line) == (not executes_code)
    assert (following == cells[0]) == executes_code


def test_what_is_noticed_as_a_cell_is_measured_is_shown(
    stopping_run: Any, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    def requests(*prompts: str, **settings: int) -> list[Instance]:
        given = {"until": [], "max_gen_toks": 2, **settings}
        return [Instance("generate_until", {}, (p, given), i) for i, p in enumerate(prompts)]

    def loaded(folder: Path, backend: str) -> Any:
        options = LoadSettings(backend=backend, device="cpu", batch_size=2)
        return load_model(resolve(str(folder)), options)

    notes = Notes()
    run = replace(stopping_run, progress=notes)
    with Journal(tmp_path / "damaged") as journal:
        fill(journal, 2)
    damaged = shard_of(tmp_path / "damaged")
    spoil(damaged)
    damaged.rename(run.store.path / "journal" / damaged.name)
    lm = loaded(with_bos(tiny_checkpoint, tmp_path / "begun"), "hf")
    recorder = Recorder(lm, journal=run.journal, identity="i", label="m")
    recorder.generate_until(requests("One day", f"{BOS}One day"))
    run._note("GSM8K", recorder)
    first, second = notes.lines
    assert first.startswith(damaged.name)
    assert second.startswith(f"GSM8K: 1 of 2 prompts begin with {BOS}")

    notes.lines.clear()
    lm = loaded(tiny_checkpoint, "capspace")
    run._note_engine("GSM8K", lm, engine_record(lm, {}))
    assert notes.lines == []
    lm.generate_until(requests("One day", num_beams=2))
    run._note_engine("GSM8K", lm, engine_record(lm, lm.unserved))
    (line,) = notes.lines
    assert line.startswith("GSM8K: lm-eval's own path, which takes longer, computed what the")
    assert "num_beams" in line


def test_a_full_disk_ends_the_run_and_is_no_reason_of_a_cell(
    stopping_run: Any, tiny_checkpoint: Path
) -> None:
    checkpoint = resolve(str(tiny_checkpoint))
    whole = stopping_run.benchmarks_of(checkpoint)[2:]
    cells, _ = measurable_cells(checkpoint, whole, stopping_run.harness, stopping_run.settings)
    stopping_run.harness.workload(whole[0])  # its data is here before the disk is full
    lm, _ = stopping_run.loaded(checkpoint, cells)
    with files_no_longer_than(1024), pytest.raises(NoRoomError):
        stopping_run.measure_with(lm, checkpoint, cells)
    assert stopping_run.store.failures() == []


def test_targets_without_a_number_are_refused_before_anything_is_measured(
    tiny_checkpoint: Path, three: Panel, tmp_path: Path
) -> None:
    widths = PredictedWidths(load_reference(), targets=["agentboard"])
    with pytest.raises(RefusedTargetError, match="no target can be predicted: agentboard"):
        collect(tiny_checkpoint, three, tmp_path, until="5%", widths=widths)


def test_one_process_alone_stops_early_and_shows_the_run(
    three: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = PlainProgress(lambda line: None)
    closed: list[bool] = []
    monkeypatch.setattr(given, "close", lambda: closed.append(True))
    assert _display(given) is given
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert isinstance(_display(given), SilentProgress)
    assert closed == [True]
    with pytest.raises(SettingsError, match="until works in one process only"):
        _deciding(three, None)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert isinstance(_deciding(three, None), PredictedWidths)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"until": "small"}, "until: the tolerance is 'small'"),
        ({"until": "0"}, "until: the tolerance is 0; it must be above 0"),
        ({"until": "-2%"}, "until: the tolerance is -2%; it must be above 0"),
        ({"until": "5%", "budget": "30"}, "budget: the budget '30' has no unit"),
        ({"budget": "30min"}, "budget bounds what until asks for"),
        ({"until": "5%", "limit": 10}, "leave out limit"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_a_line(
    settings: dict[str, Any], why: str
) -> None:
    with pytest.raises(SettingsError) as error:
        RunSettings.of(**settings)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_line_refuses_what_decides_nothing(capspace: Command, tmp_path: Path) -> None:
    run = capspace("collect", tmp_path, "--until", "soon")
    assert run.code == 2
    assert run.err.startswith("capspace: --until: the tolerance is 'soon'")
    run = capspace("collect", tmp_path, "--target", "bbh")
    assert run.code == 2
    assert "give --until as well" in run.err
    run = capspace("collect", tmp_path, "--budget", "30min")
    assert run.err.startswith("capspace: --budget bounds what --until asks for; give --until as")


@pytest.mark.slow
def test_place_stops_early_and_its_report_shows_the_curve(
    tiny_checkpoint: Path, tmp_path: Path, capspace: Command
) -> None:
    panel = tmp_path / "two.yaml"
    two = load_panel("smoke").select(["ARC-C", "Winogrande"])
    panel.write_text(json.dumps({**two.model_dump(mode="json"), "name": "two"}))
    run = capspace(
        "place", tiny_checkpoint, "--panel", panel, "--store", tmp_path / "store",
        "--data-root", "embedded", "--device", "cpu", "--target", "bbh", "--until", "5%",
        "--out", tmp_path / "report", "--json",
    )  # fmt: skip
    assert run.code == 0, run.err
    result = json.loads((tmp_path / "report" / "result.json").read_text())
    assert json.loads(run.out)["stopping"] == result["stopping"]
    assert result["stopping"]["until"] == "5%"
    assert result["stopping"]["widening"] <= 0.05
    assert (tmp_path / "report" / "stopping.svg").exists()
    assert "Measuring stopped early" in (tmp_path / "report" / "report.html").read_text()


@pytest.mark.slow
def test_from_a_fresh_checkpoint_to_a_verdict_that_is_asked_again(
    tiny_checkpoint: Path, tmp_path: Path, capspace: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: object) -> Ran:
        made = capspace(*arguments)
        assert made.code == 0, made.err
        return made

    monkeypatch.chdir(tiny_checkpoint.parent)  # the checkpoint is named from here alone
    store = tmp_path / "store"
    others = ("ARC-C", "HellaSwag", "Winogrande", "GSM8K", "HumanEval", "XWinograd")
    dear = [word for name in others for word in ("--price", f"{name}=300gpu-hours")]
    question = (
        "verdict", store, "--target", "bbh", "--cost", "120gpu-hours", "--threshold", "0.325",
        "--price", "MMLU=10min", "--price", "TruthfulQA=10min", *dear,
    )  # fmt: skip
    run(
        "place", tiny_checkpoint.name, "--panel", "smoke", "--benchmark", "ARC-C",
        "--benchmark", "Winogrande", "--store", store, "--data-root", "embedded",
        "--device", "cpu", "--target", "bbh", "--until", "5%", "--out", tmp_path / "report",
    )  # fmt: skip
    stopping = json.loads((tmp_path / "report" / "result.json").read_text())["stopping"]
    assert stopping["widening"] <= 0.05
    assert any(each["n_items"] < each["of"] for each in stopping["benchmarks"])
    before = json.loads(run(*question, "--json").out)
    assert before["decision"] == "measure first"
    assert "2 of 2 benchmarks" in before["reference"]["reason"]
    (advised,) = before["measure_first"]
    (command,) = before["commands"]
    assert f"  {command}" in run(*question).out.splitlines()
    monkeypatch.chdir(tmp_path)  # and the command that is printed holds everywhere
    words = shlex.split(command)
    assert words[words.index("--panel") + 1] == "smoke"  # whose scores the store has
    assert words[0] == "capspace"
    run(*words[1:])
    after = json.loads(run(*question, "--json").out)
    assert "3 of 3 benchmarks" in after["reference"]["reason"]
    earlier, later = (
        {step["benchmark"]: step["answered"] for step in made["steps"]} for made in (before, after)
    )
    assert later.get(advised, 0.0) < earlier[advised] / 2  # more of its items may yet be a step
    assert 0 < after["lower"] < after["mean"] < after["upper"] < 1
    narrower = after["upper"] - after["lower"] < before["upper"] - before["lower"]
    assert narrower or after["decision"] != before["decision"]
