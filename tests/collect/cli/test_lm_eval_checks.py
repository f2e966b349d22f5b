"""A run of lm-eval's own command scores the model named, says what is done otherwise, or ends."""

import json
import warnings
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

pytest.importorskip("lm_eval", reason="lm-eval's command line needs the collect extra")

from commands import Command
from lm_eval_parts import n_kept

from capspace.collect.errors import CheckpointError
from capspace.collect.run.lm_eval_command import recorded_runs
from capspace.collect.run.run_identity import identify

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("lm_eval_looks_up_once"),
    pytest.mark.filterwarnings("ignore"),  # of lm-eval and its libraries
]


@pytest.fixture(scope="module")
def manager(fault_tasks: Path) -> Any:
    """lm-eval's index of one folder: that of all its tasks takes ten seconds."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=str(fault_tasks), include_defaults=False)


def run(manager: Any, folder: Path, store: Path | None, *, template: bool = False,
        **settings: Any) -> tuple[Any, list[str]]:  # fmt: skip
    """Measure two items as ``capspace lm-eval run`` does; return their scores and what was said."""
    import lm_eval.evaluator

    lines: list[str] = []
    with warnings.catch_warnings(), recorded_runs(store=store, say=lines.append, **settings):
        warnings.simplefilter("ignore")
        arguments = {"pretrained": str(folder), "dtype": "float32"}
        outcome = lm_eval.evaluator.simple_evaluate(
            model="hf", model_args=arguments, tasks=["fault_choice"], task_manager=manager,
            limit=2, device="cpu", batch_size=8, bootstrap_iters=0, apply_chat_template=template,
            random_seed=0, numpy_random_seed=1234, torch_random_seed=1234,
        )  # fmt: skip
    return [sample["resps"] for sample in outcome["samples"]["fault_choice"]], lines


@pytest.fixture
def lacking(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint whose files lack a weight."""
    from safetensors.torch import load_file, save_file

    folder = copytree(tiny_checkpoint, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


REASON = "1 weight of the model is not in its files: model.layers.1.mlp.up_proj.weight; missing"


@pytest.mark.parametrize("records", [True, False])
def test_a_model_that_lacks_weights_is_not_measured(
    manager: Any, lacking: Path, tmp_path: Path, records: bool
) -> None:
    store = tmp_path / "store" if records else None
    with pytest.raises(CheckpointError, match=REASON):
        run(manager, lacking, store)
    _, lines = run(manager, lacking, store, allow_missing_weights=True)
    assert f"{lacking}: {REASON} weights are initialised at random" in lines
    if store is not None:
        assert lines[-1].startswith("responses are not stored: some of the weights are random")
        assert not list(store.glob("journal/*.sqlite"))


def test_the_command_takes_the_permission(
    capspace: Command, lacking: Path, fault_tasks: Path
) -> None:
    given = [
        "lm-eval", "run", "--model", "hf", "--model_args", f"pretrained={lacking}", "--tasks",
        "fault_choice", "--include_path", fault_tasks, "--device", "cpu", "--limit", "1",
        "--no-record",
    ]  # fmt: skip
    run = capspace(*given, "--allow-missing-weights")
    assert run.code == 0, run.err
    assert f"capspace: {lacking}: {REASON} weights are initialised at random" in run.err


def test_an_adapter_beside_a_model_ends_the_run(
    manager: Any, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = copytree(tiny_checkpoint, tmp_path / "model")
    (folder / "adapter_config.json").write_text("{}")
    for store in (tmp_path / "store", None):
        with pytest.raises(CheckpointError, match=r"an adapter \(adapter_config\.json\) lies"):
            run(manager, folder, store)


def test_a_chat_template_that_is_not_there_ends_the_run(
    manager: Any, tiny_checkpoint: Path
) -> None:
    with pytest.raises(CheckpointError, match="it has no chat template, and one was asked for"):
        run(manager, tiny_checkpoint, None, template=True)


def test_what_is_done_otherwise_is_said_and_in_the_identity(
    manager: Any, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = copytree(tiny_checkpoint, tmp_path / "model")
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    end = content["added_tokens"][0]
    piece = {"SpecialToken": {"id": end["content"], "type_id": 0}}
    pieces = [{"Sequence": {"id": "A", "type_id": 0}}, piece]
    known = {"id": end["content"], "ids": [end["id"]], "tokens": [end["content"]]}
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": pieces,
        "pair": [*pieces, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {end["content"]: known},
    }
    path.write_text(json.dumps(content))
    store = tmp_path / "store"
    answers, lines = run(manager, folder, store)
    assert f"{folder}: its tokenizer puts <|endoftext|> behind every text; requests are" in lines[0]
    assert n_kept(store) == 8
    assert answers == run(manager, tiny_checkpoint, None)[0]
    settings = identify("hf", {"pretrained": str(folder)}).identity.backend_settings
    assert settings == (("appended_tokens", "removed"),)
    again, lines = run(manager, folder, store)
    assert again == answers
    assert lines[-1].startswith("8 of 8 responses were known")
