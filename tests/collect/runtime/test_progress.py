import io
import re
import time

import pytest
from rich.console import Console

from capspace.collect.runtime.progress import (
    LiveProgress,
    PlainProgress,
    ProgressDisplay,
    SilentProgress,
    progress_on,
)


def play(progress: ProgressDisplay) -> None:
    """Tell what a run of two models tells."""
    progress.model("org/[bold]one", 2, 1)
    progress.missing("HumanEval", "skipped: it runs code")
    progress.benchmark("MMLU", 1, 2)
    for done in range(0, 101, 20):
        progress.items(done, 100)
    progress.scored("MMLU", 0.4375, 0.0123, 100)
    progress.benchmark("GSM8K", 2, 2)
    progress.missing("GSM8K", "KeyError: [no] such key")
    progress.model("two", 0, 8)
    progress.model("three", 0, 0)
    progress.note("a [note]")
    progress.close()


def test_plain_lines_tell_everything() -> None:
    lines: list[str] = []
    play(PlainProgress(lines.append, every=0))
    assert lines[0] == "org/[bold]one: 2 benchmarks to measure, 1 are in the store"
    assert lines[1] == "HumanEval: no score: skipped: it runs code"
    assert lines[2] == "[1/2] MMLU: started"
    assert lines[3].startswith("[1/2] MMLU: 20/100 items, ")
    assert lines[3].endswith(" s left")
    assert "items/s" in lines[3]
    assert lines[8].startswith("[1/2] MMLU: 0.4375 ± 0.0123, 100 items, ")
    assert lines[-4] == "GSM8K: no score: KeyError: [no] such key"
    assert lines[-3] == "two: nothing to measure, all 8 scores are in the store"
    assert lines[-2] == "three: nothing can be measured"
    assert lines[-1] == "a [note]"


def test_lines_about_items_come_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    lines: list[str] = []
    progress = PlainProgress(lines.append, every=30)
    progress.benchmark("MMLU", 1, 1)
    lines.clear()
    for done in range(1, 10):
        progress.items(done, 10)
    # One call every ten seconds, from ten or so seconds after the start.
    assert [line.split(" items")[0] for line in lines] == [
        "[1/1] MMLU: 3/10",
        "[1/1] MMLU: 6/10",
        "[1/1] MMLU: 9/10",
    ]


def test_without_a_stderr_none_is_invented() -> None:
    lines: list[str] = []
    progress = PlainProgress(lines.append)
    progress.benchmark("MMLU", 1, 1)
    progress.scored("MMLU", 1.0, float("nan"), 1)
    assert lines[-1].startswith("[1/1] MMLU: 1.0000, 1 items")


def test_a_terminal_gets_bars_and_keeps_the_scores() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    progress = progress_on(console)
    assert isinstance(progress, LiveProgress)
    play(progress)
    text = out.getvalue()
    assert "MMLU: 0.4375 ± 0.0123, 100 items" in text
    assert "org/[bold]one" in text
    assert "KeyError: [no] such key" in text
    progress = progress_on(console)
    progress.notices("org/[bold]one", ["its [thoughts] are long", "and cut"])
    progress.close()
    assert "org/[bold]one: its [thoughts] are long" in out.getvalue()
    assert "org/[bold]one: and cut" in out.getvalue()


def test_the_bar_over_items_shows_count_and_rate() -> None:
    out = io.StringIO()
    progress = LiveProgress(Console(file=out, force_terminal=True, width=100))
    progress.model("one", 2, 0)
    progress.benchmark("MMLU", 1, 2)
    progress.items(40, 100)
    progress._bars.refresh()  # what its clock does ten times a second
    progress.close()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.getvalue())
    assert re.search(r"  MMLU .* 40/100 [\d.]+ items/s ", text)
    assert re.search(r"one .* 0/2 ", text)


def test_elsewhere_a_line_is_never_wrapped_and_holds_no_escape() -> None:
    out = io.StringIO()
    progress = progress_on(Console(file=out, width=20))
    assert isinstance(progress, PlainProgress)
    play(progress)
    assert "\x1b" not in out.getvalue()
    assert "org/[bold]one: 2 benchmarks to measure, 1 are in the store" in out.getvalue()


def test_silence(capfd: pytest.CaptureFixture[str]) -> None:
    play(SilentProgress())
    assert capfd.readouterr() == ("", "")
