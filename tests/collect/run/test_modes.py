"""Plain, chat and thinking: a tiny chat checkpoint in each mode, beside lm-eval's own run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from chat_checkpoint import DELIMITER, TEMPLATE, make_chat_checkpoint
from commands import Notes
from lm_eval.api.instance import Instance

from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.errors import CheckpointError, HarnessError, NothingMeasuredError
from capspace.collect.exchange.exporting import export_scores
from capspace.collect.harness.backends import load_model
from capspace.collect.recorder.thoughts import Thoughts
from capspace.collect.run.collect import collect_scores
from capspace.collect.run.collection import Collection
from capspace.collect.runtime.log_capture import logged_to
from capspace.collect.settings import RunSettings
from capspace.collect.storage.mode import Mode
from capspace.collect.storage.protocol import Protocol
from capspace.collect.storage.store import Store
from capspace.tasks.panel import Benchmark, Panel

pytestmark = pytest.mark.usefixtures("lm_eval_looks_up_once")

SUBJECTS = ("biology", "business", "chemistry", "health", "law", "math", "physics", "psychology")
GENERATED = Benchmark(
    name="Pro",
    tasks=tuple(f"mmlu_pro_{subject}" for subject in SUBJECTS),
    folder="mmlu_pro",
    n_tasks=len(SUBJECTS),
    n_shot=0,
    metric="exact_match",
    filter="custom-extract",
    chance=0.1,
    source="MMLU-Pro without examples",
)
SCORED = GENERATED.model_copy(
    update={"name": "MuSR", "tasks": ("leaderboard_musr_murder_mysteries",), "n_tasks": 1,
            "folder": "leaderboard/musr", "metric": "acc_norm", "filter": "none"}
)  # fmt: skip
TASK = "mmlu_pro_law"
PANEL = Panel(name="two", version=1, description="d", benchmarks=(GENERATED, SCORED))
ALONE = PANEL.select(["Pro"])


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path) -> Iterator[None]:
    with logged_to(tmp_path / "log"):
        yield


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_chat_checkpoint(tmp_path_factory.mktemp("models") / "chat")


def measured(
    chat: Path,
    store: Path,
    notes: Notes | None = None,
    panel: Panel = PANEL,
    **settings: Any,
) -> Collection:
    given = {"device": "cpu", "data_root": "embedded", "max_gen_toks": 9, **settings}
    return collect_scores(str(chat), panel=panel, store=store, progress=notes, **given)


def samples_of(store: Path, collection: Collection, benchmark: str = "Pro") -> list[dict[str, Any]]:
    (result,) = (r for r in collection.results if r.benchmark == benchmark)
    with Store(store) as opened:
        return list(opened.samples(result.key))


def chain(sample: dict[str, Any]) -> int:
    """Return by the end of the prompt which response the model gives."""
    return int(sample["arguments"]["gen_args_0"]["arg_0"][-2] if isinstance(
        sample["arguments"], dict) else sample["arguments"][0][0][-2])  # fmt: skip


@pytest.mark.slow
def test_every_way_to_measure_thinks_answers_and_scores_alike(chat: Path, tmp_path: Path) -> None:
    runs = {
        "engine": {},
        "hf alone": {"backend": "hf", "batch_size": 1},
        "hf together": {"backend": "hf", "batch_size": 5},
    }
    collections = {}
    for name, settings in runs.items():
        notes = Notes()
        done = measured(chat, tmp_path / name, notes, thinking="on", **settings)
        (result,) = done.results
        samples = samples_of(tmp_path / name, done)
        collections[name] = [s["resps"] for s in samples], result.score
        chains = [chain(s) for s in samples]
        assert set(chains) == {0, 1, 2}
        # The thought is cut off, though it holds a stop string, and then the answer is stopped.
        finished = "The answer is (B) "
        assert [s["resps"][0][0] for s in samples] == [
            "" if number == 2 else finished for number in chains
        ]
        right = [c != 2 and s["target"] == "B" for c, s in zip(chains, samples, strict=True)]
        assert result.score == pytest.approx(sum(right) / len(right))
        assert 0 < result.score < 1
        share = chains.count(2) / len(chains)
        assert result.provenance["unfinished"] == pytest.approx(share)
        assert not result.comparable
        assert f"{share:.1%} of the answers did not end their thought" in result.source
        assert any("count as wrong; the score is marked" in note for note in notes.lines)
        (gap,) = done.missing
        assert gap.benchmark == "MuSR"
        assert "log-likelihoods of given answers, which a model that thinks first" in gap.reason
    assert collections["engine"] == collections["hf alone"] == collections["hf together"]


def test_lm_eval_alone_grades_thoughts_and_depends_on_the_batch(chat: Path) -> None:
    """What the modes are for: the same requests, by lm-eval's own class."""
    from lm_eval.models.huggingface import HFLM

    def responses(batch_size: int, end: str | int) -> list[str]:
        lm = HFLM(
            str(chat), device="cpu", batch_size=batch_size, enable_thinking=True,
            think_end_token=end,
        )  # fmt: skip
        prompts = [lm.apply_chat_template([{"role": "user", "content": "x" * n}]) for n in (3, 4)]
        settings = {"until": ["Question:"], "max_gen_toks": 9, "do_sample": False}
        requests = [Instance("generate_until", {}, (p, settings), i) for i, p in enumerate(prompts)]
        done: list[str] = lm.generate_until(requests, disable_tqdm=True)
        return done

    # The delimiter is a special token: as a string it is never found, and the thought is graded.
    assert responses(1, DELIMITER)[0].startswith("Let me see. The answer is")
    (alone, together) = (responses(n, 266) for n in (1, 2))
    # A stop string inside the thought: alone it ends there, beside a longer neighbour it does not.
    assert alone[1] == ""
    assert together[1] != alone[1]


@pytest.mark.slow
def test_modes_are_different_measurements_and_different_rows(chat: Path, tmp_path: Path) -> None:
    modes: list[dict[str, Any]] = [
        {},
        {"chat_template": True},
        {"thinking": "off"},
        {"thinking": "on"},
        {"thinking": "on", "chat_template_args": {"effort": "<1>"}},
    ]
    for settings in modes:
        assert measured(chat, tmp_path, panel=ALONE, **settings).n_measured == 1
        assert measured(chat, tmp_path, panel=ALONE, **settings).n_measured == 0
    with Store(tmp_path) as store:
        results = store.results()
        table = store.to_table()
    assert len({r.key for r in results}) == len({r.protocol for r in results}) == 5
    assert len({str([t["prompts"] for t in r.tasks]) for r in results}) >= 3
    for result in results:
        protocol = Protocol.parse(result.protocol)
        assert protocol is not None
        assert str(protocol) == result.protocol
        assert protocol.mode.max_gen_toks == 9
    assert set(table.scores["model"]) == {"chat", "chat (chat)", "chat (thinking)"}
    known = table.models["mode"].to_dict()
    assert {model: mode for model, mode in known.items() if mode} == {
        "chat (chat)": "chat",
        "chat (thinking)": "thinking",
    }
    thinking = [r for r in results if "thinking on" in r.protocol]
    assert all(json.loads(r.identity)["model"]["chat_template"] for r in thinking)
    assert any('template arguments {"effort":"<1>"}' in r.protocol for r in thinking)
    with Store(tmp_path) as store:
        for form, out in (("csv", "t.csv"), ("lm-eval", "h"), ("every-eval-ever", "e")):
            files = export_scores(results, store=store, form=form, out=tmp_path / out)
            texts = [path.read_text() for path in files]
            assert any("thinking on" in text for text in texts), form
            if form == "lm-eval":  # a file has one run, and a run has one mode
                assert sum(path.name.startswith("results_") for path in files) == 5


@pytest.mark.slow
def test_thinking_off_is_answered_at_once(chat: Path, tmp_path: Path) -> None:
    off = measured(chat, tmp_path, thinking="off", limit=1)
    prompts = [str(s["arguments"]) for s in samples_of(tmp_path, off)]
    assert all("<think></think>" in prompt for prompt in prompts)
    assert [r.benchmark for r in off.results] == ["Pro", "MuSR"]  # which log-likelihoods have


@pytest.mark.parametrize("backend", ["capspace", "hf"])
def test_log_likelihoods_with_thinking_on_are_refused_by_every_path(
    chat: Path, backend: Literal["capspace", "hf"]
) -> None:
    settings = RunSettings(thinking="on", backend=backend, device="cpu", batch_size=1)
    lm: Any = load_model(resolve(str(chat)), settings, chat_template=True, mode=Mode.of(settings))
    requests = {
        "loglikelihood": Instance("loglikelihood", {}, ("a", "b"), 0),
        "loglikelihood_rolling": Instance("loglikelihood_rolling", {}, ("ab",), 0),
    }
    for kind, request in requests.items():
        with pytest.raises(HarnessError, match="mean nothing for a model that thinks first"):
            getattr(lm, kind)([request])


@pytest.mark.parametrize(
    ("settings", "template", "message"),
    [
        (
            {"thinking": "on"},
            TEMPLATE.replace("enable_thinking", "think"),
            "ignores enable_thinking: it renders the same with thinking on and off; for a model "
            "that always thinks say where a thought ends",
        ),
        *(
            (
                effort,
                TEMPLATE,
                "ignores reasoning_effort: it renders the same with every effort; leave ",
            )
            for effort in (
                {"reasoning_effort": "high"},
                {"chat_template_args": {"reasoning_effort": "high"}},
            )
        ),
        (
            {"reasoning_effort": "huge"},
            "{% if reasoning_effort not in ['low', 'high'] %}{{ raise_exception('none such') }}"
            "{% endif %}" + TEMPLATE,
            'its chat template cannot be applied with {"reasoning_effort":"huge"}: none such',
        ),
        (
            {"thinking": "on", "chat_template_args": {"tools": 3}},
            TEMPLATE,
            'its chat template cannot be applied with {"tools":3}: ',
        ),
        (
            {"thinking": "on", "think_end": "999999"},
            TEMPLATE,
            "its tokenizer has no token 999999",
        ),
    ],
    ids=["ignored", "effort", "effort argument", "no such effort", "tools", "no such id"],
)
def test_a_mode_that_a_checkpoint_does_not_have_is_one_line(
    tmp_path: Path, settings: dict[str, Any], template: str, message: str
) -> None:
    folder = make_chat_checkpoint(tmp_path / "chat", template=template)
    with pytest.raises(CheckpointError, match=message) as caught:
        measured(folder, tmp_path / "store", **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("condition", ["reasoning_effort == 'high'", "reasoning_effort"])
def test_an_effort_that_the_template_takes_is_accepted(tmp_path: Path, condition: str) -> None:
    """Also the one that is the template's own default, which renders as none does."""
    part = f"{{% if {condition} %}}{{{{ reasoning_effort }}}}{{% endif %}}"
    folder = make_chat_checkpoint(tmp_path / "chat", template=part + TEMPLATE)
    for effort in ("medium", "high"):
        given = RunSettings(reasoning_effort=effort, device="cpu", batch_size=1)
        assert load_model(resolve(str(folder)), given, chat_template=True, mode=Mode.of(given))


def test_a_template_that_knows_its_efforts_is_believed(tmp_path: Path) -> None:
    part = (
        "{% if reasoning_effort is defined and reasoning_effort != 'high' %}"
        "{{ raise_exception('none such') }}{% endif %}"
    )
    folder = make_chat_checkpoint(tmp_path / "chat", template=part + TEMPLATE)
    given = RunSettings(
        reasoning_effort="high", thinking="on", think_end="266", device="cpu", batch_size=1
    )
    lm: Any = load_model(resolve(str(folder)), given, chat_template=True, mode=Mode.of(given))
    assert (lm.notes, lm.think_end) == ([], DELIMITER)
    settings = {"until": [], "max_gen_toks": lm.max_length}
    with pytest.raises(HarnessError, match="leaves no room for a prompt within the model's"):
        lm.generate_until([Instance("generate_until", {}, ("ab", settings), 0)])


def test_an_argument_that_the_template_does_not_name_is_noted(chat: Path) -> None:
    given = RunSettings(
        chat_template_args={"effort": "<1>", "efort": "<1>"}, thinking="on", device="cpu",
        batch_size=1,
    )  # fmt: skip
    lm: Any = load_model(resolve(str(chat)), given, chat_template=True, mode=Mode.of(given))
    assert lm.notes == [
        "its chat template ignores efort: it does not name it (--chat-template-args)"
    ]


def test_a_missing_chat_template_is_told_before_anything_is_loaded(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from capspace.collect.run import collect

    monkeypatch.delattr(collect, "Harness")  # which comes after the checkpoints
    for settings in ({"chat_template": True}, {"thinking": "on"}):
        with pytest.raises(CheckpointError, match="it has no chat template, and one was asked f"):
            measured(tiny_checkpoint, tmp_path, **settings)


def test_more_examples_than_there_are_is_one_line(chat: Path, tmp_path: Path) -> None:
    shots = GENERATED.model_copy(update={"n_shot": 6, "tasks": (TASK,), "n_tasks": 1})
    six = Panel(name="six", version=1, description="d", benchmarks=(shots,))
    with pytest.raises(
        NothingMeasuredError,
        match=r"^nothing could be measured; Pro: n_shot: 6 wants more examples than task "
        rf"{TASK} has to draw from, 5; give a",
    ) as refused:
        measured(chat, tmp_path, panel=six, chat_template=True, limit=1)
    assert "\n" not in str(refused.value)


def test_a_thinking_mode_without_a_delimiter_is_one_line(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    from shutil import copytree

    folder = copytree(tiny_checkpoint, tmp_path / "chat")
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    with pytest.raises(CheckpointError, match=r"the end of a thought is not known: .*--think-end"):
        measured(folder, tmp_path / "store", thinking="on")


@pytest.mark.slow
def test_a_budget_that_leaves_no_room_for_a_prompt_is_one_line(chat: Path, tmp_path: Path) -> None:
    with pytest.raises(NothingMeasuredError, match=r"a response of at most 4,050 do not fit into"):
        measured(chat, tmp_path, panel=ALONE, thinking="on", max_gen_toks=4050)


def test_a_thinking_model_in_plain_mode_is_told(chat: Path) -> None:
    def notes(**settings: Any) -> list[str]:
        given = RunSettings.of(device="cpu", batch_size=1, **settings)
        template = given.applies_template
        mode = Mode.of(given)
        return load_model(resolve(str(chat)), given, chat_template=template, mode=mode).notes

    assert any("measured in plain mode: its scores collapse" in note for note in notes())
    assert any("is graded as its answer" in note for note in notes(chat_template=True))
    assert notes(thinking="on") == notes(thinking="off") == []


@pytest.mark.parametrize("backend", ["capspace", "hf"])
def test_the_budget_is_the_modes_and_not_the_checkpoints_own(
    tmp_path: Path, backend: Literal["capspace", "hf"]
) -> None:
    """transformers takes ``max_new_tokens`` of generation_config.json before lm-eval's length."""
    folder = make_chat_checkpoint(tmp_path / "chat")
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"max_new_tokens": 2}))
    settings = RunSettings(thinking="on", backend=backend, device="cpu", batch_size=1)
    lm: Any = load_model(resolve(str(folder)), settings, chat_template=True, mode=Mode.of(settings))
    prompt = lm.apply_chat_template([{"role": "user", "content": "x" * 3}])
    request = Instance("generate_until", {}, (prompt, {"until": [], "max_gen_toks": 9}), 0)
    assert lm.generate_until([request]) == [
        f"Let me see. {DELIMITER}The answer is (B) Question: more"
    ]


def test_a_delimiter_that_lm_eval_would_never_find_is_refused(chat: Path) -> None:
    """As ``capspace lm-eval run`` loads a model, whose arguments are the user's."""
    from lm_eval.models.huggingface import HFLM

    from capspace.collect.checkpoints.checked_model import LoadRules, checked

    given = {"enable_thinking": True, "device": "cpu", "think_end_token": DELIMITER}
    with pytest.raises(CheckpointError, match=r"a special token .*; pass its id, think_end_token="):
        checked(HFLM, LoadRules())(str(chat), **given)
    lm = checked(HFLM, LoadRules())(str(chat), **given | {"think_end_token": 266})
    rolling = Instance("loglikelihood_rolling", {}, ("ab",), 0)
    with pytest.raises(HarnessError, match="mean nothing for a model that thinks first"):
        lm.loglikelihood_rolling([rolling])


def test_a_delimiter_that_stays_in_the_text_is_left_to_lm_eval(tmp_path: Path) -> None:
    from lm_eval.models.huggingface import HFLM

    from capspace.collect.checkpoints.checked_model import LoadRules, checked

    folder = make_chat_checkpoint(tmp_path / "chat", special=False)
    given = {"enable_thinking": True, "device": "cpu", "think_end_token": DELIMITER}
    assert checked(HFLM, LoadRules())(str(folder), **given).think_end_token == DELIMITER


def test_a_delimiter_of_several_tokens_is_found_in_the_text() -> None:
    thoughts = Thoughts("END OF THOUGHT")
    request = Instance(
        "generate_until", {}, ("p", {"until": ["\n", "END"]}), 0, metadata=("t", 4, 1)
    )
    assert thoughts.answer(request, "x\nEND OF THOUGHT\n  42\nmore") == "42"
    assert thoughts.answer(request, "x END OF THOUGHT 1 END OF THOUGHT 2") == "2"
    assert thoughts.answer(request, "never") == ""
    assert (thoughts.n_answers, thoughts.n_unfinished) == (3, 1)
    assert thoughts.unfinished == {("t", 4)}
    (first, same) = thoughts.unstopped([request, request])
    assert first is same
    assert first.args == ("p", {"until": []})
    assert request.args[1]["until"] == ["\n", "END"]


@pytest.mark.slow
def test_examples_are_turns_of_the_chat_as_the_board_had_them(chat: Path, tmp_path: Path) -> None:
    navigate = SCORED.model_copy(
        update={"name": "BBH", "tasks": ("leaderboard_bbh_navigate",), "n_shot": 3,
                "folder": "leaderboard/bbh_mc"}
    )  # fmt: skip
    single = Panel(name="one", version=1, description="d", benchmarks=(navigate,))
    done = measured(chat, tmp_path, panel=single, chat_template=True, limit=1)
    (sample,) = samples_of(tmp_path, done, "BBH")
    prompt = str(sample["arguments"])
    assert prompt.count("<|im_start|>assistant") == 2 * 4  # three examples; two choices
