"""Settings: one list of them, which the command line, Python, zoo files and job files share."""

from __future__ import annotations

import doctest
import inspect
import json
import struct
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer
import yaml
from commands import Command
from pydantic import ValidationError
from typer.main import get_command

from capspace.collect.checkpoints.checkpoint import Checkpoint, resolve
from capspace.collect.cli import app, gather
from capspace.collect.errors import DataRootError, SettingsError
from capspace.collect.run.cells import measurement
from capspace.collect.settings import Dtype, LoadSettings, RunChanges, RunSettings
from capspace.collect.settings import _settings as settings_module
from capspace.collect.storage.identity import TaskIdentity
from capspace.collect.zoo.config.config import ZooSettings, read_zoo
from capspace.collect.zoo.work.records import (
    WorkList,
    WorkUnit,
    parse_work_list,
    parse_work_unit,
    work_list_json,
    work_unit_json,
)
from capspace.tasks.panel import Benchmark, load_panel

REPEATED: list[Any] = []
for _ in range(40):  # each the next one's content, twice: few bytes, and very many values
    REPEATED = [REPEATED, REPEATED]
COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A checkpoint of fixed bytes, which no library writes: enough to be identified."""
    folder = tmp_path_factory.mktemp("fixed")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "bfloat16",
        "vocab_size": 2,
        "hidden_size": 2,
    }
    words = {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"}
    tokenizer = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": "{{ messages }}"}
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "model": words}))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    (folder / "model.safetensors").write_bytes(
        struct.pack("<Q", len(header)) + header + bytes(range(4))
    )
    return resolve(str(folder))


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({}, "c041a40ed7008a15a0db2d1df39f34156b72b1b3e0a9535b29ed5e0f85c53804"),
        (
            {"dtype": "float32"},
            "67c568e16fc629d260cce7899f8a20f5c2c3f250042e2c0cd1f8ecab09d0511f",
        ),
        ({"backend": "hf"}, "142f297e7febf1e6f102f0e1fd8cbeaf20b97977384095c6edddf03511ce6e6e"),
        (
            {"chat_template": True},
            "b0660a1ba67c0fdf8a8bb3de2740a24bccc5cf15995c20dd64c52261ed275d74",
        ),
        ({"limit": 5}, "882028ef3070d4ce70a4fa4098592753580bc9a7f30bf5b5c2e5a16e092d28fd"),
        ({"seed": 7}, "754a9397026758d3b154fa3bc6763265a94a7014dd3de0dd1ec245a2e9ab431c"),
        (
            {"device": "cpu", "batch_size": 3, "parallelize": True, "allow_pickle": True},
            "c041a40ed7008a15a0db2d1df39f34156b72b1b3e0a9535b29ed5e0f85c53804",
        ),
    ],
    ids=["defaults", "dtype", "backend", "chat template", "limit", "seed", "without effect"],
)
def test_keys_are_those_of_version_0_1(
    checkpoint: Checkpoint, given: dict[str, Any], key: str
) -> None:
    """The keys were computed before there were settings; results are stored under them.

    But for the log-softmax of half precision, which was in single then: such scores are others.
    """
    from capspace.collect.harness.data_root import embedded_data_root
    from capspace.collect.harness.harness import Harness

    benchmark: Benchmark = load_panel("smoke").select(["Winogrande"]).benchmarks[0]
    harness = Harness([benchmark], data_root=embedded_data_root())
    measured = measurement(checkpoint, benchmark, harness, RunSettings.of(**given))
    task = TaskIdentity("winogrande", "1.0", "d", "hub")  # lm-eval's own change with its version
    model, rounded = measured.model, ("softmax", "2")
    is_half = model.backend == "capspace" and model.dtype == "bfloat16"
    assert (rounded in model.backend_settings) == is_half
    others = tuple(setting for setting in model.backend_settings if setting != rounded)
    before = replace(model, backend_settings=others)
    assert replace(measured, model=before, harness="lm-eval 0.4.12", tasks=(task,)).key == key


def test_every_setting_is_described_and_has_a_default() -> None:
    for name, field in ZooSettings.model_fields.items():
        assert field.description, name
        assert not field.is_required(), name
    assert RunSettings() == RunSettings.of(**RunSettings().model_dump())


def test_examples_of_the_settings_run() -> None:
    ran = doctest.testmod(settings_module)
    assert (ran.failed, ran.attempted > 3) == (0, True)


def test_the_keywords_that_type_checkers_know_are_the_settings() -> None:
    assert list(get_type_hints(RunChanges)) == list(RunSettings.model_fields)


@pytest.mark.parametrize("command", ["place", "collect"])
def test_every_setting_is_an_option_of_the_commands_that_measure(command: str) -> None:
    options = {p.name: p for p in COMMANDS[command].params}
    for name, field in RunSettings.model_fields.items():
        if name == "token":
            assert name not in options  # shells remember what they are given
            continue
        assert options[name].opts == [f"--{name.replace('_', '-')}"]
        assert options[name].default == field.default
        words, _, unset = " ".join(str(field.description).split()).partition("; by default ")
        assert options[name].help.replace("\\", "") == f"{words.rstrip('.')}."
        assert not unset or options[name].show_default == unset.rstrip(".")
    function = {"place": gather.place, "collect": gather.collect}[command]
    (choices, _) = get_args(inspect.signature(function).parameters["dtype"].annotation)
    assert choices == Dtype  # what a shell completes


@pytest.mark.parametrize(
    ("setting", "begun", "completed"),
    [
        ("device", "c", ["cpu", "cuda"]),
        ("dtype", "f", ["float32", "float16"]),
        ("backend", "", ["capspace", "hf", "vllm", "sglang"]),
        ("data_root", "", ["embedded"]),
        ("panel", "classic", ["classic-8"]),
    ],
)
def test_a_shell_completes_values(setting: str, begun: str, completed: list[str]) -> None:
    place = COMMANDS["place"]
    (option,) = (p for p in place.params if p.name == setting)
    items = option.shell_complete(typer.Context(place), begun)
    assert [item.value for item in items] == completed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtpye": "float32"}, "there is no setting 'dtpye'; did you mean 'dtype'?"),
        ({"limit": 0}, "limit: Input should be greater than 0, got 0"),
        ({"batch_size": "many"}, "batch_size: a batch size is a count of at least 1, or 'auto', "),
        ({"batch_size": 0}, "batch_size: a batch size is a count"),
        ({"batch_size": "auto:0"}, "batch_size: a batch size is a count"),
        ({"batch_size": "1\u0661"}, "batch_size: a batch size is a count"),
        ({"batch_size": "auto:\u0661"}, "batch_size: a batch size is a count"),
        ({"limit": True}, "limit: expected a number, got True"),
        ({"limit": 10**30}, "limit: Input should be less than or equal to"),
        ({"limit": 10**5000}, "limit: "),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0, got -1"),
        ({"seed": 2**32}, "seed: Input should be less than 4294967296, got 4294967296"),
        ({"data_root": ""}, "data_root: an empty text names no folder"),
        ({"include_path": ""}, "include_path: an empty text names no folder"),
        ({1: 2}, "there is no setting 1; there are device, "),
        ({"thinking": "yes"}, "thinking: Input should be 'default', 'on' or 'off'"),
        (
            {"thinking": "off", "think_end": "</think>"},
            "think_end says where a thought ends, and thinking is off",
        ),
        ({"chat_template_args": "[1]"}, "chat_template_args: expected a JSON object, such as "),
        ({"chat_template_args": "{a"}, "chat_template_args: expected a JSON object, such as "),
        (
            {"chat_template_args": {"enable_thinking": True}},
            "enable_thinking is the setting thinking: on, off or default",
        ),
        ({"chat_template_args": {"a": float("nan")}}, "chat_template_args: nan is no number"),
        ({"chat_template_args": '{"a": [NaN]}'}, "chat_template_args: nan is no number of JSON"),
        ({"chat_template_args": '{"a": 1e999}'}, "chat_template_args: inf is no number of JSON"),
        ({"chat_template_args": r'{"a": "\ud800"}'}, r"chat_template_args: '\ud800' has half of"),
        ({"chat_template_args": r'{"\ud800": 1}'}, r"chat_template_args: '\ud800' has half of a"),
        ({"chat_template_args": {"a": 10**5000}}, "chat_template_args: a number has more than 64"),
        (
            {"chat_template_args": '{"a":' + 20_000 * "[" + 20_000 * "]" + "}"},
            "chat_template_args: nested more than 50 deep, got '{",
        ),
        (
            {"chat_template_args": '{"a":' + 60 * "[" + 60 * "]" + "}"},
            "chat_template_args: nested more than 50 deep, got '{",
        ),
        ({"chat_template_args": {"a": REPEATED}}, "chat_template_args: more than 10,000 values"),
        (
            {"chat_template_args": '{"a": {"b": 1, "b": 2}}'},
            "chat_template_args: 'b' is there twice; keep one",
        ),
        *(
            ({"chat_template_args": {name: 1}}, f"chat_template_args: {name} is not the template's")
            for name in ("messages", "conversation", "tokenize", "add_generation_prompt", "padding")
        ),
        (
            {"chat_template_args": {"reasoning_effort": "low"}, "reasoning_effort": "high"},
            "reasoning_effort is given twice: also in chat_template_args",
        ),
        ({"temperature": 1e-320}, "temperature: expected 0, for the most probable texts, or at"),
        ({"top_p": 0.9}, "top_p needs a temperature above 0: it says how to sample"),
        ({"temperature": 0, "top_k": 5}, "top_k needs a temperature above 0"),
        ({"temperature": float("nan")}, "temperature: Input should be greater than or equal to 0"),
        ({"max_gen_toks": 0}, "max_gen_toks: Input should be greater than 0, got 0"),
        ({"dtype": "float8"}, "dtype: Input should be 'auto', 'float32', 'bfloat16' or 'float16'"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        RunSettings(seed=1).with_changes(changes)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_what_settings_take_for_a_switch_a_template_and_a_temperature() -> None:
    assert RunSettings.of(thinking=True) == RunSettings(thinking="on")
    assert RunSettings.of(thinking=False) == RunSettings(thinking="off")
    assert RunSettings(temperature=0).temperature == 0
    assert RunSettings(temperature=1e-4).temperature == 1e-4
    given = {"a": [{"b": None}, 1.5, "\U0001f600"], "tools": []}
    text = json.dumps(given)
    assert RunSettings.of(chat_template_args=text).chat_template_args == given


def test_a_wrong_name_may_have_meant_another_argument() -> None:
    with pytest.raises(SettingsError, match="'pannel'; did you mean 'panel'"):
        RunSettings().with_changes({"pannel": "smoke"}, known=("panel",))


def test_changes_leave_what_else_was_given() -> None:
    settings = RunSettings(limit=100, data_root="here").with_changes({"limit": None, "seed": 7})
    assert settings == RunSettings(data_root="here", seed=7)
    assert repr(settings) == "RunSettings(data_root='here', limit=None, seed=7)"


def test_settings_of_a_zoo_are_names_with_values() -> None:
    with pytest.raises(ValidationError, match="a valid dictionary or instance of ZooSettings"):
        ZooSettings.model_validate(5)
    assert ZooSettings.model_validate({"limit": 3, "dtype": None}) == ZooSettings(limit=3)


def test_a_token_is_never_written_down() -> None:
    settings = RunSettings(token="hf_secret", limit=3)  # noqa: S106 - none
    assert settings.hub_token == "hf_secret"  # noqa: S105 - none
    written = (repr(settings), str(settings), settings.model_dump_json())
    assert "hf_secret" not in f"{written} {work_unit_json(unit(settings))}"
    with pytest.raises(SettingsError) as caught:
        RunSettings.of(token=["hf_secret"])
    assert "hf_secret" not in str(caught.value)
    for name, value in (("tokn", "hf_secret"), ("token", ["hf_secret"]), ("dtype", "hf_secret")):
        with pytest.raises((SettingsError, ValidationError)) as refused:
            RunSettings(**{name: value})
        assert "hf_secret" not in str(refused.value), name


@pytest.mark.parametrize("name", ["token", "tokn", "limit"])
def test_a_token_that_is_set_afterwards_is_refused_and_never_shown(name: str) -> None:
    for settings in (RunSettings(), LoadSettings(), ZooSettings()):
        with pytest.raises(ValidationError) as refused:
            setattr(settings, name, "hf_secret")
        assert "Instance is frozen" in str(refused.value)
        assert "hf_secret" not in f"{refused.value!s} {refused.value!r} {refused.value.errors()}"


def test_the_class_itself_refuses_an_unknown_name_in_one_line() -> None:
    for settings in (LoadSettings, RunSettings):
        with pytest.raises(SettingsError, match=r"^there is no setting 'devise'; .*'device'\?$"):
            settings(devise="cpu")  # type: ignore[call-arg]  # the error that is tested


def test_the_docstring_describes_every_field() -> None:
    for settings in (LoadSettings, RunSettings):
        text = inspect.getdoc(settings) or ""
        for name, field in settings.model_fields.items():
            assert f"\n{name} : " in text
            assert " ".join(str(field.description).split()) in " ".join(text.split())
    assert "dtype : {'auto', 'float32', 'bfloat16', 'float16'}, default 'auto'\n" in text
    assert str(inspect.signature(LoadSettings)).startswith("(*, device='auto', dtype='auto', ")


def unit(settings: RunSettings) -> WorkUnit:
    return WorkUnit("u", "org/m", "ref", "rev", settings, "panel", {"b": "key"}, 1.0, 1.0, 1, 1, 0)


def test_a_job_file_holds_the_settings() -> None:
    given = unit(RunSettings(dtype="float16", include_path=Path("/tasks"), batch_size="auto:4"))
    text = json.dumps(work_unit_json(given))
    assert parse_work_unit(json.loads(text)) == given


def test_a_job_file_holds_the_settings_of_its_units_and_of_version_0_1_for_all() -> None:
    written = WorkList({"m": {"b": "key"}}, {}, (unit(RunSettings(dtype="float16")),), {}, None)
    data = json.loads(json.dumps(work_list_json(written)))
    assert parse_work_list(data) == written
    shared = {"limit": 5, "seed": 7, "data_root": None, "include_path": None}
    (read,) = parse_work_list({**data, "options": shared}).units
    assert read.settings == RunSettings(dtype="float16", limit=5, seed=7)


def test_a_work_unit_of_version_0_1_is_read() -> None:
    fields = asdict(replace(unit(RunSettings()), settings={"dtype": "float16", "batch_size": 2}))  # type: ignore[arg-type]
    shared = {"limit": 5, "seed": None, "data_root": "/d", "include_path": None}
    read = parse_work_unit(fields, shared={**shared, "allow_code_execution": True})
    assert read.settings == RunSettings(
        dtype="float16", batch_size=2, limit=5, data_root="/d", allow_code_execution=True
    )


def zoo(folder: Path, **fields: Any) -> Path:
    path = folder / "zoo.yaml"
    path.write_text(yaml.safe_dump({"checkpoints": ["a/b"], "panels": "smoke", **fields}))
    return path


def test_old_names_in_a_zoo_file_are_read_with_a_line_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CAPSPACE_DATA_ROOT", raising=False)
    old = read_zoo(
        zoo(tmp_path, data="embedded", limits={"items": 3}, defaults={"dtype": "float16"})
    )
    where = re_lines(tmp_path / "zoo.yaml")
    assert sorted(old.notices) == sorted(
        f"{tmp_path / 'zoo.yaml'}:{where[key]}: `{name}` is the old name of `{new}`, and still read"
        for key, name, new in [
            ("data", "data", "data_root"),
            ("items", "limits.items", "limit"),
            ("dtype", "defaults.dtype", "dtype"),
        ]
    )
    new = read_zoo(zoo(tmp_path, data_root="embedded", limit=3, dtype="float16"))
    assert new.notices == ()
    assert old.settings == new.settings
    assert new.settings.for_run() == RunSettings(data_root="embedded", limit=3, dtype="float16")


def re_lines(path: Path) -> dict[str, int]:
    """Return the line of each field, by its name."""
    lines = path.read_text().splitlines()
    return {line.strip().partition(":")[0]: number for number, line in enumerate(lines, 1)}


def test_old_names_that_yaml_merges_are_read(tmp_path: Path) -> None:
    path = tmp_path / "zoo.yaml"
    path.write_text("panels: x\ncheckpoints: [a/b]\ndefaults:\n  <<: &mine {dtype: float16}\n")
    file = read_zoo(path)
    assert file.notices == (
        f"{path}:4: `defaults.dtype` is the old name of `dtype`, and still read",
    )
    assert file.settings == ZooSettings(dtype="float16")


def test_paths_in_a_zoo_file_start_at_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPSPACE_DATA_ROOT", "embedded")
    settings = read_zoo(zoo(tmp_path, data_root="data", include_path="tasks")).settings
    assert settings.data_root == str(tmp_path / "data")
    assert settings.include_path == tmp_path / "tasks"
    assert str(read_zoo(zoo(tmp_path)).settings.data_root).endswith("tasks/data/hub")


def test_a_command_names_the_option_that_is_wrong(capspace: Command, tmp_path: Path) -> None:
    assert (
        capspace.refused("place", tmp_path, "--until", "5%", "--budget", "soon").count("soon") == 1
    )
    line = capspace.refused("place", tmp_path, "--limit", "0", "--batch-size", "many")
    assert line == (
        "capspace: --batch-size: a batch size is a count of at least 1, or 'auto', got 'many'; "
        "--limit: Input should be greater than 0, got 0"
    )


def test_an_empty_data_root_is_refused_wherever_it_is_named() -> None:
    from capspace.collect.harness.data_root import named_data_root

    with pytest.raises(DataRootError, match="an empty name names no data root"):
        named_data_root("")
