"""zoo.yaml: every wrong line is pointed at, and patterns become checkpoints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capspace.collect.errors import ZooError
from capspace.collect.storage.store import Store
from capspace.collect.zoo.config.config import read_zoo
from capspace.collect.zoo.config.expand import _by_number, candidates, expand_braces
from capspace.collect.zoo.devices.device import DeviceKind
from capspace.collect.zoo.planning.models import facts_table, merge, resolve_all
from capspace.tasks.panel import load_panel

GOOD = """\
checkpoints:
  - org/model@step{1000,4000}
  - ref: local-*
    dtype: float32
    facts: {family: tiny, training_tokens: 1e6}
panels: smoke
limits: {disk: 200GB, unit_time: 90m, timeout: 04:00:00}
"""


def zoo(folder: Path, text: str) -> Path:
    path = folder / "zoo.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def checkpoint(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    (made / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return made


def test_reads_patterns_settings_and_limits(tmp_path: Path) -> None:
    for name in ("local-a", "local-b", "other"):
        checkpoint(tmp_path, name)
    file = read_zoo(zoo(tmp_path, GOOD))
    chosen = candidates(file)
    assert [c.ref for c in chosen] == [
        "org/model@step1000",
        "org/model@step4000",
        str(tmp_path / "local-a"),
        str(tmp_path / "local-b"),
    ]
    assert chosen[2].settings.dtype == "float32"
    assert chosen[0].settings.dtype == "auto"
    assert chosen[3].facts.family == "tiny"
    assert file.name == "zoo"
    limits = file.config.limits
    assert (limits.disk, limits.unit_time, limits.timeout) == (200 * 10**9, 5400.0, 14400.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("checkpoints: [a/b\npanels: smoke", r"zoo\.yaml:2: not YAML"),
        ("- a/b", r"zoo\.yaml:1: a zoo is a mapping"),
        ("", r"zoo\.yaml:1: a zoo is a mapping"),
        ("checkpoints:\n  - a/b\n", r"zoo\.yaml:1: `panels` is missing"),
        (
            "panels: smoke\ncheckpoints:\n  - a/b\n  - ref: c/d\n    dtype: float8\n",
            r"zoo\.yaml:5: checkpoints\[1\]\.dtype: .*got 'float8'",
        ),
        (
            "panels: smoke\ncheckpoints:\n  - {ref: a/b, file: names.txt}\n",
            r"zoo\.yaml:3: checkpoints\[0\]: give either ref or file",
        ),
        (
            "panels: smoke\ncheckpoints: [a/b]\nsets: x\n",
            r"zoo\.yaml:3: `sets` is unknown; there "
            "are checkpoints, panels, ",
        ),
        (
            "checkpoints: [a/b]\nlimits:\n  dsk: 1GB\npanels: x\n",
            r"zoo\.yaml:3: `limits\.dsk` is "
            r"unknown; did you mean `disk`\?",
        ),
        (
            "panels: x\ncheckpoints:\n  - {ref: a, fact: {}}\n",
            r"zoo\.yaml:3: `checkpoints\[0\]\.fact`"
            r" is unknown; did you mean `facts`\?",
        ),
        (
            "panels: x\ncheckpoints:\n  - {ref: a, facts: {famly: b}}\n",
            r"zoo\.yaml:3: "
            r"`checkpoints\[0\]\.facts\.famly` is unknown; did you mean `family`\?",
        ),
        ('panels: x\ncheckpoints: [a]\nseed: "\x00"\n', r"zoo\.yaml:1: not YAML"),
        ("panels: x\nname: 2024-13-45\n", r"zoo\.yaml:1: not YAML: month must be"),
        ("panels: x\nname: " + 1000 * "[", r"zoo\.yaml:1: not YAML that can be read"),
        ("panels: x\nname: &a [*a]\ncheckpoints: [a]\n", r"zoo\.yaml:2: the anchor &a refers"),
        (
            "panels: x\ncheckpoints: [a]\nlimits: &x {a: *x}\n",
            r"zoo\.yaml:3: the anchor &x refers to itself; write out what it stands for",
        ),
        (
            "panels: x\ncheckpoints: [a]\nlimit: 010\n",
            r"zoo\.yaml:3: YAML reads 010 as the number 8; write it as a plain decimal",
        ),
        (
            "panels: x\ncheckpoints: [a]\n<<: {limit: 3, famly: b}\n",
            r"zoo\.yaml:3: `famly` is unknown; there are ",
        ),
        (
            "panels: x\ncheckpoints: [a]\n<<: {limit: 0}\n",
            r"zoo\.yaml:3: limit: Input should be greater than 0, got 0",
        ),
        ("panels: smoke\ncheckpoints: [a/b]\npanels: x\n", r"zoo\.yaml:3: 'panels' is there twice"),
        (
            "panels: smoke\ncheckpoints: [a/b]\nlimits:\n  disk: much\n",
            r"zoo\.yaml:4: limits\.disk: could not parse value and unit .*, got 'much'",
        ),
        *(
            (f"panels: smoke\ncheckpoints: [a/b]\n{field}: ''\n", message)
            for field, message in [
                ("store", r"zoo\.yaml:3: store: an empty text names no folder or file"),
                ("facts", r"zoo\.yaml:3: facts: an empty text names no folder or file"),
                ("include_path", r"zoo\.yaml:3: include_path: an empty text names no folder"),
            ]
        ),
        (
            "panels: smoke\ncheckpoints: [{file: ''}]\n",
            r"zoo\.yaml:2: checkpoints\[0\]\.file: an empty text names no folder or file",
        ),
        (
            "panels: smoke\ncheckpoints: [a/b]\nlimits: {disk: true}\n",
            r"zoo\.yaml:3: limits\.disk: expected a number, got True",
        ),
        (
            "panels: smoke\ncheckpoints: [a/b]\nlimits: {disk: \u0663GB}\n",
            r"zoo\.yaml:3: limits\.disk: expected a number in the digits 0 to 9",
        ),
        (
            "panels: smoke\ncheckpoints: [{ref: a/b, facts: {parameters: true}}]\n",
            r"zoo\.yaml:2: checkpoints\[0\]\.facts\.parameters: expected a number, got True",
        ),
        *(
            (
                f"panels: smoke\ncheckpoints: [a/b]\nlimits: {{unit_time: '{time}'}}\n",
                r"zoo\.yaml:3: limits\.unit_time: expected a time such as 90m, 4h or 04:00:00",
            )
            for time in ("\u0663m", "\u0661-01:00:00", "1.2.3m")
        ),
        *(
            (
                f"panels: smoke\ncheckpoints: [a/b]\nlimits: {{unit_time: '{time}'}}\n",
                r"zoo\.yaml:3: limits\.unit_time: Input should be less than or equal to 10{9}, got",
            )
            for time in (400 * "9" + "h", 400 * "9" + ":00:00", 5000 * "9" + "-01:00:00")
        ),
        (
            f"panels: smoke\ncheckpoints: [a/b]\nlimits: {{disk: {400 * '9'}GB}}\n",
            r"zoo\.yaml:3: limits\.disk: expected a number of at most 30 digits, got '9",
        ),
        (
            "panels: smoke\ncheckpoints: [{ref: a/b, facts: {parameters: .inf}}]\n",
            r"zoo\.yaml:2: checkpoints\[0\]\.facts\.parameters: Input should be a finite number",
        ),
        (
            "panels: smoke\ncheckpoints: [a/b]\nchat_template_args: {a: .nan}\n",
            r"zoo\.yaml:3: chat_template_args: nan is no number of JSON",
        ),
        (
            "panels: smoke\ncheckpoints: [a/b]\nlimit: 0\n",
            r"zoo\.yaml:3: limit: .*greater than 0, got 0",
        ),
        (
            "panels: smoke\ncheckpoints: [a/b]\nlimits:\n  items: 0\n",
            r"zoo\.yaml:4: limit: .*greater than 0, got 0",
        ),
        (
            "panels: smoke\ncheckpoints: [a/b]\nlimits: {items: 1}\nlimit: 2\n",
            r"zoo\.yaml:3: `limits\.items` is the old name of `limit`, which is there too",
        ),
        (
            "panels: smoke\ncheckpoints: [{ref: a/b, seed: 1}]\n",
            r"zoo\.yaml:2: checkpoints\[0\]\.seed: it is one for the whole zoo; put it at the top",
        ),
        (
            "panels: smoke\ncheckpoints: [a/b]\ndevice: cpu\n",
            r"zoo\.yaml:3: device: a zoo hands out the devices",
        ),
        *(
            (
                f"panels: smoke\ncheckpoints: [a/b]\n{field}\n",
                r"zoo\.yaml:3: (until|budget): a zoo measures the same items of all checkpoints; ",
            )
            for field in ("until: 0.05", "budget: 100")
        ),
        (
            "panels: smoke\ncheckpoints: [a/b]\ntoken: hf_secret\n",
            r"zoo\.yaml:3: token: no secret belongs in this file; `hf auth login` saves a token$",
        ),
        (
            "panels: smoke\ncheckpoints: [a/b]\ndefaults:\n  dtpe: auto\n",
            r"zoo\.yaml:4: `dtpe` is unknown; did you mean `dtype`\?",
        ),
    ],
)
def test_a_wrong_file_names_line_and_field(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ZooError, match=message) as caught:
        read_zoo(zoo(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("nothing-*", r"zoo\.yaml:2: 'nothing-\*' matches no folder with a config\.json"),
        ("a/b@{1,}", r"zoo\.yaml:2: an empty choice in \{1,\}"),
        ("a/b@{1,2", r"zoo\.yaml:2: a brace without its partner"),
        ("{file: gone.txt}", r"zoo\.yaml:2: cannot read .*gone\.txt: No such file"),
        ("{file: empty.txt}", r"zoo\.yaml:2: .*empty\.txt names no checkpoint"),
        (
            "a/b@step*",
            r"zoo\.yaml:2: cannot list the revisions of a/b: .*; name them in braces instead",
        ),
        (
            "a/b\n  - {ref: a/b, dtype: float16}",
            r"zoo\.yaml:3: a/b was listed with other settings at .*zoo\.yaml:2",
        ),
    ],
)
def test_a_wrong_entry_names_its_line(tmp_path: Path, entry: str, message: str) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n\n")
    file = read_zoo(zoo(tmp_path, f"checkpoints:\n  - {entry}\npanels: smoke\n"))
    with pytest.raises(ZooError, match=message):
        candidates(file)


def test_a_text_file_names_checkpoints_and_its_own_lines(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("# pythias\norg/a@{1,2}  # two\n\nnone-*\n")
    file = read_zoo(zoo(tmp_path, "checkpoints: [{file: names.txt}]\npanels: smoke\n"))
    with pytest.raises(ZooError, match=r"names\.txt:4: 'none-\*' matches no folder"):
        candidates(file)
    checkpoint(tmp_path, "none-1")
    assert [c.ref for c in candidates(file)] == ["org/a@1", "org/a@2", str(tmp_path / "none-1")]


def test_a_checkpoint_listed_twice_alike_is_there_once(tmp_path: Path) -> None:
    file = read_zoo(zoo(tmp_path, "checkpoints: [a/b, 'a/{b,c}']\npanels: smoke\n"))
    assert [c.ref for c in candidates(file)] == ["a/b", "a/c"]


WORD = st.text("abc/@-123", min_size=1, max_size=5)


@given(st.lists(st.one_of(WORD, st.lists(WORD, min_size=1, max_size=3)), max_size=5))
def test_braces_expand_to_the_product_of_their_choices(parts: list[str | list[str]]) -> None:
    text = "".join(p if isinstance(p, str) else "{" + ",".join(p) + "}" for p in parts)
    expected = [""]
    for part in parts:
        choices = [part] if isinstance(part, str) else part
        expected = [head + choice for head in expected for choice in choices]
    assert expand_braces(text) == expected


def test_all_wrong_fields_are_listed_and_slips_come_first(tmp_path: Path) -> None:
    text = "checkpoints:\n  - ref: a/b\n    dtype: float8\nlimit: 0\npanel: smoke\n"
    with pytest.raises(ZooError) as caught:
        read_zoo(zoo(tmp_path, text))
    lines = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
    assert lines[0] == "zoo.yaml:5: `panel` is unknown; did you mean `panels`?"
    assert lines[1] == "zoo.yaml:1: `panels` is missing"
    assert lines[2].startswith("zoo.yaml:3: checkpoints[0].dtype: Input should be 'auto', ")
    assert lines[3].startswith("zoo.yaml:4: limit: Input should be greater")
    assert len(lines) == 4


def test_a_batch_size_is_a_count_or_auto(tmp_path: Path) -> None:
    text = "panels: smoke\ncheckpoints: [a/b]\nbatch_size: many\n"
    with pytest.raises(
        ZooError,
        match=r"zoo\.yaml:3: batch_size: a batch size is a count of at least 1, or 'auto'",
    ) as caught:
        read_zoo(zoo(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_release_date_needs_no_quotes(tmp_path: Path) -> None:
    text = "panels: x\ncheckpoints:\n  - {ref: a/b, facts: {release_date: 2024-04-18}}\n"
    (entry,) = read_zoo(zoo(tmp_path, text)).config.checkpoints
    assert entry.facts.release_date == "2024-04-18"


def test_thinking_needs_no_quotes(tmp_path: Path) -> None:
    text = "panels: x\nthinking: on\ncheckpoints:\n  - {ref: a/b, thinking: off}\n"
    config = read_zoo(zoo(tmp_path, text)).config
    assert (config.thinking, config.checkpoints[0].thinking) == ("on", "off")


def test_an_unknown_field_of_an_alias_has_its_name(tmp_path: Path) -> None:
    text = "panels: x\ncheckpoints:\n  - {ref: a, facts: &f {famly: b}}\n  - {ref: c, facts: *f}\n"
    with pytest.raises(ZooError) as caught:
        read_zoo(zoo(tmp_path, text))
    assert str(caught.value).replace(f"{tmp_path}/", "").splitlines() == [
        f"zoo.yaml:{line}: `checkpoints[{n}].facts.famly` is unknown; did you mean `family`?"
        for n, line in enumerate((3, 4))
    ]


def test_revisions_sort_by_their_numbers() -> None:
    assert sorted(["step1000", "main", "step512", "step512-b"], key=_by_number) == [
        "main", "step512", "step512-b", "step1000",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", r"zoo\.yaml:3: cannot read .*facts\.csv: "),
        ("family\nf\n", r"facts\.csv needs the column model and may have family, "),
        ("model,famly\na,f\n", r"facts\.csv needs .*; 'famly' is none of them"),
        ("model,family\na,f\na,g\n", r"facts\.csv has a twice"),
        (
            "model,release_date\na,2024-02\nb,soon\n",
            r"facts\.csv: row 3 \(b\): release_date",
        ),
    ],
)
def test_a_wrong_table_of_facts_is_named(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "facts.csv").write_text(table)
    file = read_zoo(zoo(tmp_path, "checkpoints: [a/b]\npanels: smoke\nfacts: facts.csv\n"))
    with pytest.raises(ZooError, match=message) as caught:
        facts_table(file)
    assert "\n" not in str(caught.value)


def test_a_table_of_facts_may_lack_dates(tmp_path: Path) -> None:
    (tmp_path / "facts.csv").write_text("model,parameters,release_date\na,1e6,2024-02\nb,,\n")
    file = read_zoo(zoo(tmp_path, "checkpoints: [a/b]\npanels: smoke\nfacts: facts.csv\n"))
    facts = facts_table(file)
    assert facts.loc["a", "parameters"] == 1e6
    assert facts["release_date"].dropna().to_dict() == {"a": "2024-02"}


def test_the_same_bytes_with_other_settings_and_a_zoo_of_nothing_are_refused(
    tmp_path: Path,
) -> None:
    for name in ("one", "two"):
        made = checkpoint(tmp_path, name)
        (made / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    text = "checkpoints: [one, {ref: two, dtype: float16}]\npanels: smoke\n"
    file = read_zoo(zoo(tmp_path, text))
    with Store(tmp_path / "store") as store:
        resolved, missing = resolve_all(candidates(file), [], store, DeviceKind("cpu"))
        assert missing == []
        with pytest.raises(ZooError, match=r"two is the same .* as one .*with other settings"):
            merge(resolved)
        gone = [replace(c, ref="./nowhere") for c in candidates(file)]
        with pytest.raises(ZooError, match=r"no checkpoint of this zoo can be used; \./nowhere"):
            resolve_all(gone, [load_panel("smoke")], store, DeviceKind("cpu"))
