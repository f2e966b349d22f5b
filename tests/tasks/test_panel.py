from pathlib import Path

import pytest
import yaml
from checkout import ROOT

from capspace.tasks.item_estimate import TaskItems
from capspace.tasks.panel import Panel, PanelError, load_panel, panel_names

BENCHMARK = {
    "name": "ARC-C",
    "tasks": ["arc_challenge"],
    "n_shot": 25,
    "metric": "acc_norm",
    "chance": 0.25,
    "source": "somewhere",
}


def write(path: Path, **changes: object) -> Path:
    panel = {"name": "mine", "version": 1, "description": "d", "benchmarks": [BENCHMARK]}
    path.write_text(yaml.safe_dump(panel | changes))
    return path


def test_every_panel_of_the_package_loads_under_its_own_name() -> None:
    assert {"classic-8", "smoke"} <= set(panel_names())
    assert [load_panel(name).name for name in panel_names()] == panel_names()


def test_classic_8_is_the_protocol_of_the_study() -> None:
    panel = load_panel("classic-8")
    protocol = {
        b.name: (b.tasks, b.n_shot, b.metric, b.filter, b.n_tasks) for b in panel.benchmarks
    }
    assert {k: v for k, v in protocol.items() if k != "HumanEval"} == {
        "MMLU": (("mmlu",), 5, "acc", "none", 57),
        "ARC-C": (("arc_challenge",), 25, "acc_norm", "none", 1),
        "HellaSwag": (("hellaswag",), 10, "acc_norm", "none", 1),
        "Winogrande": (("winogrande",), 5, "acc", "none", 1),
        "TruthfulQA": (("truthfulqa_mc2",), 0, "acc", "none", 1),
        "GSM8K": (("gsm8k",), 5, "exact_match", "strict-match", 1),
        "XWinograd": (("xwinograd",), 0, "acc", "none", 6),
    }
    assert protocol["HumanEval"][1:3] == (0, "pass@1")
    assert {b.name: b.chance for b in panel.benchmarks} == {
        "MMLU": 0.25,
        "ARC-C": 0.25,
        "HellaSwag": 0.25,
        "Winogrande": 0.5,
        "TruthfulQA": None,
        "GSM8K": 0,
        "XWinograd": 0.5,
        "HumanEval": 0,
    }
    assert [b.name for b in panel.benchmarks if b.executes_code] == ["HumanEval"]
    assert all(b.comparable for b in panel.benchmarks)


def test_the_documentation_has_the_panels_table_of_what_matches_the_board() -> None:
    text = (ROOT / "docs" / "how-to" / "thinking.md").read_text()
    differences = load_panel("openllm-v2").differences
    rows = [
        f"| {d.subject} | {d.board} | {d.lm_eval} | {d.panel} | {d.reason} |" for d in differences
    ]
    assert "\n".join(rows) in text
    assert all(panel.differences == () for panel in map(load_panel, ("classic-8", "modern")))


def test_smoke_has_the_same_benchmarks_and_says_which_are_not_comparable() -> None:
    classic, smoke = load_panel("classic-8"), load_panel("smoke")
    assert [b.name for b in smoke.benchmarks] == [b.name for b in classic.benchmarks]
    assert smoke["MMLU"].n_tasks == len(smoke["MMLU"].tasks) == 4
    assert max(b.n_shot for b in smoke.benchmarks) <= 3
    for benchmark in smoke.benchmarks:
        same = benchmark == classic[benchmark.name].model_copy(update={"source": benchmark.source})
        assert benchmark.comparable == same


def test_a_path_takes_a_users_own_panel(tmp_path: Path) -> None:
    panel = load_panel(write(tmp_path / "mine.yaml"))
    assert panel["ARC-C"].n_shot == 25
    assert panel["ARC-C"].filter == "none"


def test_selecting_keeps_the_panels_order_and_refuses_unknown_names() -> None:
    panel = load_panel("classic-8")
    assert [b.name for b in panel.select(["GSM8K", "MMLU"]).benchmarks] == ["MMLU", "GSM8K"]
    with pytest.raises(PanelError, match=r"no benchmark 'GSM8k'; did you mean 'GSM8K'"):
        panel.select(["GSM8k"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"benchmarks": [BENCHMARK | {"n_shot": -1}]}, r"benchmarks\[0\]\.n_shot: .*got -1"),
        (
            {"benchmarks": [BENCHMARK | {"shots": 5}]},
            r"`benchmarks\[0\]\.shots` is unknown; did you mean `n_shot`",
        ),
        ({"benchmarks": [BENCHMARK, BENCHMARK]}, r"'ARC-C' is there twice"),
        ({"benchmarks": []}, r"benchmarks: "),
        ({"name": "../up"}, r"name: "),
        ({"version": "new"}, r"version: .*got 'new'"),
        ({"benchmarks": [BENCHMARK | {"chance": 25}]}, r"benchmarks\[0\]\.chance: .*got 25"),
        ({"benchmarks": [BENCHMARK | {"folder": "/etc/tasks"}]}, r"benchmarks\[0\]\.folder: "),
        ({"benchmarks": [BENCHMARK | {"folder": "arc/../.."}]}, r"benchmarks\[0\]\.folder: "),
        ({"benchmarks": [BENCHMARK | {"metric": None}]}, r"benchmarks\[0\]\.metric: "),
    ],
)
def test_a_malformed_panel_names_file_and_field(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    path = write(tmp_path / "mine.yaml", **changes)
    with pytest.raises(PanelError, match=message) as caught:
        load_panel(path)
    assert str(caught.value).startswith(f"{path}:")
    assert all(line.startswith(f"{path}:") for line in str(caught.value).splitlines())


def test_every_field_that_is_missing_is_listed(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yaml", benchmarks=[{"name": "x", "task": ["t"]}])
    with pytest.raises(PanelError) as caught:
        load_panel(path)
    texts = [line.partition(": ")[2] for line in str(caught.value).splitlines()]
    assert texts[0] == "`benchmarks[0].task` is unknown; did you mean `tasks`?"
    missing = ["chance", "metric", "n_shot", "source", "tasks"]
    assert texts[1:] == [f"`benchmarks[0].{name}` is missing" for name in missing]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [1, 2", r"mine\.yaml:1: not YAML"),
        ("a: b: c", r"mine\.yaml:1: not YAML"),
        ("- one", r"mine\.yaml:1: a panel is a mapping"),
        ("", r"mine\.yaml:1: a panel is a mapping"),
        ("x: !!python/object/apply:os.system ['true']", r"mine\.yaml:1: not YAML"),
    ],
)
def test_what_is_no_yaml_mapping_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(PanelError, match=message):
        load_panel(path)


def test_an_unknown_panel_names_near_matches() -> None:
    with pytest.raises(PanelError, match=r"unknown panel 'clasic-8'; did you mean 'classic-8'"):
        load_panel("clasic-8")
    with pytest.raises(PanelError, match=r"nowhere/mine\.yaml: cannot read"):
        load_panel("nowhere/mine.yaml")


def test_a_panel_is_frozen() -> None:
    panel = load_panel("smoke")
    with pytest.raises(ValueError, match="frozen"):
        panel.version = 2
    assert isinstance(panel, Panel)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": (2, 2)}, "positions must ascend, each there once"),
        ({"positions": (0, 9)}, "position 9 is beyond the 9 items"),
        ({"weights": (0.5,)}, "1 weights for 2 positions"),
        ({"weights": ()}, "0 weights for 2 positions"),
        ({"hashes": ("ab",)}, "1 hashes for 2 positions"),
    ],
)
def test_chosen_items_are_there_once_and_weigh_something(
    changes: dict[str, tuple[object, ...]], message: str
) -> None:
    items = {"of": 9, "positions": (0, 2), "weights": (0.5, 0.5)}
    assert TaskItems.model_validate(items).hashes == ()
    with pytest.raises(ValueError, match=message):
        TaskItems.model_validate(items | changes)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"items": 5}, "items and estimate both say which items are measured; leave one out"),
        ({"normalised": True}, "an estimated score has no parts that a leaderboard would"),
    ],
)
def test_an_estimate_stands_alone(tmp_path: Path, more: dict[str, object], message: str) -> None:
    chosen = {"of": 9, "positions": [0, 2], "weights": [0.5, 0.5]}
    estimate = {"tasks": {"arc_challenge": chosen}, "intercept": 0.1, "error": 0.05}
    path = tmp_path / "mine.yaml"
    assert load_panel(write(path, benchmarks=[BENCHMARK | {"estimate": estimate}])).benchmarks
    with pytest.raises(PanelError, match=message) as caught:
        load_panel(write(path, benchmarks=[BENCHMARK | {"estimate": estimate} | more]))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("task", ["arc_challenge", "of"])
def test_an_unknown_field_of_chosen_items_names_the_one_that_is_near(
    tmp_path: Path, task: str
) -> None:
    chosen = {"of": 9, "positions": [0, 2], "weights": [0.5, 0.5], "hash": ["a", "b"]}
    estimate = {"tasks": {task: chosen}, "intercept": 0.1, "error": 0.05}
    path = write(tmp_path / "mine.yaml", benchmarks=[BENCHMARK | {"estimate": estimate}])
    place = rf"`benchmarks\[0\]\.estimate\.tasks\.{task}\.hash`"
    with pytest.raises(PanelError, match=f"{place} is unknown; did you mean `hashes`"):
        load_panel(path)
