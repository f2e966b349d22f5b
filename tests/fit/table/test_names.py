"""Names as they vary: one model under many spellings, and none under another's."""

import csv
import gzip
import itertools

import pytest
from checkout import SHARED

from capspace.fit.reference import load_reference
from capspace.fit.table.names import match_names, spelled_twice

RESULTS = SHARED / "results"
LLAMA = "meta-llama/Llama-2-7b-hf"
COMMIT = "01c7f73d771dfac7d292323805ebc428287df4f9"


@pytest.fixture(scope="module")
def known():
    return list(map(str, load_reference().models().index))


def sure(name, known):
    return [m.name for m in match_names(name, known) if m.is_sure]


def likely(name, known):
    return [m.name for m in match_names(name, known) if not m.is_sure]


@pytest.mark.parametrize(
    "name",
    [
        "meta-llama/Llama-2-7b-hf",
        "Llama-2-7b-hf",
        "meta-llama/llama-2-7b-hf",
        "META-LLAMA/LLAMA-2-7B-HF",
        "Llama-2-7B",
        "llama2-7b",
        "llama 2 7b",
        "LLAMA_2_7B_HF",
        "llama.2.7b",
        "Llama-v2-7b",
        "Llama-2-7 billion",
        "meta-llama/Llama-2-7b-hf@main",
        f"Llama-2-7b-hf@{COMMIT}",
        "Llama-2-7b-hf@01c7f73d",
        "/models/llama-2-7b-hf/",
        "./llama-2-7b-hf",
        "models/llama-2-7b-hf",
        "C:\\models\\Llama-2-7b-hf",
        f"/root/.cache/huggingface/hub/models--meta-llama--Llama-2-7b-hf/snapshots/{COMMIT}",
        "meta-llama__Llama-2-7b-hf",
        "meta-llama_Llama-2-7b-hf",
        " Llama-2-7b-hf ",
    ],
)
def test_another_spelling_is_the_same_model(name, known):
    assert sure(name, known) == [LLAMA]


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("Llama-3-8B", "meta-llama/Meta-Llama-3-8B"),
        ("phi-1.5", "microsoft/phi-1_5"),
        ("bloom-7.1b", "bigscience/bloom-7b1"),
        ("gpt-2-medium", "openai-community/gpt2-medium"),
        ("GPTJ-6B", "EleutherAI/gpt-j-6b"),
        ("google gemma 7b", "google/gemma-7b"),
        ("openai/gpt-4-0613", "gpt-4-0613"),
        ("meta-llama/Llama-2-7b-chat-hf", "llama-2-7b-chat"),
        ("claude-2", "claude-2.0"),
        ("pythia-1.0b-deduped", "EleutherAI/pythia-1b-deduped"),
    ],
)
def test_spellings_of_other_models(name, model, known):
    assert sure(name, known) == [model]


@pytest.mark.parametrize(
    ("name", "model", "why"),
    [
        ("Llama-2-13b-my-dpo", "meta-llama/Llama-2-13b-hf", "only my, dpo tells them apart"),
        ("TheBloke/Llama-2-70B-GPTQ", "meta-llama/Llama-2-70b-hf", "only gptq tells"),
        ("Qwen1.5-7B-Chat", "Qwen/Qwen1.5-7B", "only chat tells"),
        ("Mistral-7B", "mistralai/Mistral-7B-v0.1", "only v0.1 tells"),
        ("pythia-1b", "EleutherAI/pythia-1b-deduped", "only deduped tells"),
        ("OLMo-1B-0724", "allenai/OLMo-1B-hf", "only 0724 tells"),
        ("EleutherAI/pythia-1b-deduped@step1000", "EleutherAI/pythia-1b-deduped", "@step1000"),
        ("gpt-4", "gpt-4-0613", "only 0613 tells"),
        ("NousResearch/Meta-Llama-3-8B", "meta-llama/Meta-Llama-3-8B", "another organisation"),
        ("/runs/gemma-7b/checkpoint-1000", "google/gemma-7b", "in a folder 'gemma-7b'"),
        ("Llama-3.1-405B", "meta-llama/Meta-Llama-3.1-405B-FP8", "only fp8 tells"),
    ],
)
def test_what_is_likely_one_model_is_not_sure(name, model, why, known):
    assert sure(name, known) == []
    matches = {m.name: m.reason for m in match_names(name, known)}
    assert why in matches[model]


@pytest.mark.parametrize(
    "name",
    [
        *("Llama-3-7B", "Sheared-LLaMA-2.7B", "mistral-7b-v0.3", "gpt-4o", "gpt2-tiny"),
        *("Qwen/Qwen2.5-7B", "DeepSeek-V3", "SmolLM2-1.7B", "gemma-3-2b", "phi-3", "bloomz-7b1"),
        *("mine", "tiny-llama", "org1/m1", "checkpoint-1000", "7b", "", "@main", "/"),
    ],
)  # fmt: skip
def test_other_sizes_versions_and_families_are_other_models(name, known):
    assert match_names(name, known) == ()


def test_a_size_is_never_the_beginning_of_another(known):
    assert sure("Llama-2-7B", known) == [LLAMA]
    assert "meta-llama/Llama-2-70b-hf" not in [m.name for m in match_names("Llama-2-7B", known)]
    assert sure("Llama-2-70B", known) == ["meta-llama/Llama-2-70b-hf"]


def test_two_revisions_of_one_run_are_two_models():
    checkpoints = ["org/run-1b@step1000", "org/run-1b@step2000"]
    assert match_names("org/run-1b@step3000", checkpoints) == ()
    assert likely("org/run-1b", checkpoints) == checkpoints
    assert match_names("run-1b@aaaaaaaa", ["run-1b@bbbbbbbb"]) == ()


@pytest.mark.slow
def test_no_two_models_of_the_reference_are_surely_one(known):
    pairs = [(a, b) for a, b in itertools.permutations(known, 2) if sure(a, [b])]
    assert pairs == []
    near = {frozenset((a, b)) for a, b in itertools.permutations(known, 2) if likely(a, [b])}
    assert len(near) == 15
    assert frozenset(("allenai/OLMo-7B-hf", "allenai/OLMo-7B-0424-hf")) in near


@pytest.mark.skipif(not RESULTS.is_dir(), reason="no ../shared/data/results: published names")
def test_published_names_of_others_match_the_right_models(known):
    with gzip.open(RESULTS / "lmeval_baselines_tidy.csv.gz", "rt") as stream:
        names = sorted({row["model"] for row in csv.DictReader(stream)})
    matched = {n: sure(n, known) for n in names}
    assert len(names) == 22
    unmatched = [n for n, m in matched.items() if not m]
    assert all(len(m) <= 1 for m in matched.values())
    assert len(unmatched) == 2
    for name, matches in matched.items():
        for match in matches:
            assert match.split("/")[1].lower() == name.lower()


def test_models_spelled_twice_in_one_table_are_found(known):
    again = ["Llama-2-7B", "gpt2_xl", "new-1b", "llama2-70b"]
    spelled = spelled_twice([*known, *again])
    assert spelled == {
        "Llama-2-7B": LLAMA,
        "gpt2_xl": "openai-community/gpt2-xl",
        "llama2-70b": "meta-llama/Llama-2-70b-hf",
    }
    assert spelled_twice(again, known) == spelled
    assert spelled_twice(known) == {}
