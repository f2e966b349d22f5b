"""Shared by the tests: a tiny real checkpoint, and real items where they lie by the checkout."""

from __future__ import annotations

import gc
import importlib.util
import os
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType

import device
import hypothesis
import pytest
from bytecode import FOLDER, own_bytecode
from checkout import ROOT, SHARED, TESTS
from forked_popen import GARBAGE, Servers, forked_interpreters, inherited, start_interpreters
from lm_eval_parts import TASKS, index_file, looked_up_once

pytest_plugins = ["commands"]

# A worker of xdist is a fork itself; of its tests, those that want forks say so.
start_interpreters()

# What is imported stays: looking through it for garbage again and again takes a third of the time.
gc.disable()

# Before torch is imported: the models here are so small that more threads only cost time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# No test may wait for the Hub; read when huggingface_hub is imported.
os.environ["HF_HUB_OFFLINE"] = "1"

HUB = SHARED / "hub"

# A file is run by one process: those that take longest come first, so that all end together.
# Slurm, hub, sandbox, local and redacting mostly wait: they stand apart, so that no two do at once.
LONGEST = (
    "collect/zoo/executors/slurm",
    "packaging",
    "collect/cli/cli",
    "collect/engine/scoring",
    "collect/engine/architectures",
    "collect/engine/state/state_texts",
    "collect/engine/generation/generation",
    "device",
    "collect/engine/as_hf",
    "fit/studies/study",
    "collect/run/run",
    "collect/cli/json_output",
    "collect/run/faults",
    "collect/zoo/work/hub",
    "collect/engine/state/state_scoring",
    "collect/run/stopping",
    "collect/endpoint/transformers_serve",
    "collect/harness/openllm_v2",
    "collect/sandbox/sandbox",
    "fit/completion/predictor",
    "fit/docstrings",
    "fit/report/report",
    "collect/harness/harness",
    "collect/run/modes",
    "collect/run/lm_eval_run",
    "collect/zoo/executors/local",
    "fit/law/law",
    "collect/harness/api_models",
    "collect/run/modern",
    "fit/zoo/fit",
    "fit/figures/figures",
    "collect/runtime/redacting",
    "collect/run/lm_eval_modes",
    "collect/harness/plain_prompts",
    "fit/law/conformal",
    "collect/engine/served",
    "collect/engine/precision",
    "fit/importing/building",
    "collect/engine/support",
    "fit/prediction/comparison",
    "fit/prediction/prediction",
    "collect/storage/journal/journal",
    "collect/recorder/recorder",
    "collect/zoo/zoo_cli",
    "collect/zoo/devices/devices",
    "collect/engine/division",
    "collection",
    "forked_popen",
)
COLLECTED = pytest.StashKey[list[str]]()


def _named_after(path: Path) -> Path:
    return path.with_name(path.stem.removeprefix("test_"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the engine's tests run elsewhere than on a CPU."""
    parser.addoption(
        "--device",
        default="cpu",
        help=f"where the engine's tests put their models: {', '.join(device.NAMES)} (default: cpu)",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Have one more than there are cores for the slow tests, as some wait, for Slurm, say."""
    return len(os.sched_getaffinity(0)) + (config.getoption("markexpr") != "not slow")


def pytest_configure(config: pytest.Config) -> None:
    """Time no example, and fork xdist's workers of one process that has imported what they need."""
    device.choose(config.getoption("device"))
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("untimed")
    if not hasattr(config, "workerinput"):
        cache = getattr(config, "cache", None)  # not there with ``-p no:cacheprovider``
        if cache is not None:
            os.environ[FOLDER] = str(cache.mkdir("bytecode"))
            if index := index_file(cache.mkdir("lm-eval")):
                os.environ[TASKS] = str(index)
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        servers = Servers(for_workers=True)
        config.add_cleanup(servers.close)
        forked = forked_interpreters(servers)
        forked.__enter__()
        config.add_cleanup(lambda: forked.__exit__(None, None, None))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the tests' code in pytest's own cache where Python may write none beside them."""
    with own_bytecode():
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest files first, and note what was collected before anything is left out."""
    place = {TESTS / name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(_named_after(item.path), len(place)))
    config.stash[COLLECTED] = [item.nodeid for item in items]
    gc.freeze()
    gc.enable()
    gc.set_threshold(*GARBAGE)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what is about the CPU where models are on another device."""
    mark = item.get_closest_marker("cpu_only")
    if mark is not None and device.name() != "cpu":
        pytest.skip(mark.args[0])


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the user's store and data root out of every test."""
    monkeypatch.setenv("CAPSPACE_STORE", str(tmp_path / "default-store"))
    monkeypatch.delenv("CAPSPACE_DATA_ROOT", raising=False)


@pytest.fixture(scope="session")
def checkpoint_maker() -> ModuleType:
    """``scripts/make_checkpoint.py`` as a module."""
    spec = importlib.util.spec_from_file_location(
        "make_checkpoint", ROOT / "scripts" / "make_checkpoint.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_checkpoint(checkpoint_maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with random weights and a tokenizer of its own, saved as safetensors."""
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, while they are imported
        made = checkpoint_maker.make_checkpoint(folder, hidden=32)
    assert isinstance(made, Path)
    return made


@pytest.fixture(scope="session")
def fault_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two tasks of the fault tests, of 1,000 items each."""
    from fault_driver import write_tasks

    folder = tmp_path_factory.mktemp("lm-eval") / "tasks"
    write_tasks(folder, n=1000)
    return folder


@pytest.fixture(scope="session")
def hub() -> Path:
    """Real benchmark items, laid out as on the Hub."""
    if not HUB.is_dir():
        pytest.skip("no ../shared/data/hub: real benchmark items are not part of the checkout")
    return HUB


@pytest.fixture(scope="session")
def collected_here(pytestconfig: pytest.Config) -> list[str]:
    """The names of all tests that this process has collected."""
    return pytestconfig.stash[COLLECTED]


@pytest.fixture(scope="session")
def fork_servers() -> Iterator[Servers]:
    """What this process has started to fork interpreters, ended with the tests."""
    servers = inherited() or Servers()
    servers.may_start = True
    yield servers
    servers.close()


@pytest.fixture(scope="module")
def forked(fork_servers: Servers) -> Iterator[None]:
    """Start this module's interpreters as forks of one that has imported torch and lm-eval."""
    with forked_interpreters(fork_servers):
        yield


@pytest.fixture(scope="module")
def libraries_as_checked() -> Iterator[None]:
    """Let the libraries be those that capspace was checked with, about which it says nothing."""
    from capspace.collect.engine import served

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(served, "version", served.CHECKED_WITH.__getitem__)
        yield


@pytest.fixture(scope="module")
def laws_fitted_once() -> Iterator[None]:
    """Fit the laws that the tests of commands and reports have in common once a process."""
    from fit_parts import solved_once

    with solved_once():
        yield


@pytest.fixture(scope="session")
def lm_eval_looks_up_once() -> Iterator[None]:
    """Let all runs of lm-eval share its index of tasks, and this process's what it has looked up.

    Interpreters that are forked, xdist's workers among them, do so anyway.
    """
    if inherited() or TASKS not in os.environ:
        yield
        return
    with looked_up_once(Path(os.environ[TASKS])):
        yield
