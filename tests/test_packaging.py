"""What pip installs: one wheel, with its data, that predicts where torch and lm-eval are absent."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from checkout import ROOT
from packaging.requirements import Requirement
from packaging.version import Version

pytestmark = pytest.mark.slow  # a wheel, installed into an environment of its own

HEAVY = ("torch", "lm_eval", "transformers", "datasets", "accelerate", "huggingface_hub")
BASE_MODEL = (
    "Model,MMLU,ARC-C,HellaSwag,Winogrande,TruthfulQA,GSM8K,XWinograd,HumanEval\n"
    "mine,0.62,0.58,0.81,0.77,0.45,0.40,0.80,0.30\n"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out)]
    subprocess.run([*pip, str(ROOT)], check=True, capture_output=True, text=True)
    (path,) = out.glob("*.whl")
    return path


def newest_of_changelog() -> str:
    """Return the newest version that the changelog has a section of."""
    newest = re.search(r"^## (\d+\.\d+\.\d+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest is not None
    return newest[1]


def version_of(wheel: Path) -> str:
    """Return the version in a wheel's name."""
    return wheel.name.split("-")[1]


def test_the_version_is_the_newest_of_the_changelog_or_a_later_one(wheel: Path) -> None:
    assert Version(newest_of_changelog()) <= Version(version_of(wheel))


def test_wheel_holds_the_namespace_and_its_data_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0] for n in names} == {
        "capspace",
        f"capspace-{version_of(wheel)}.dist-info",
    }
    for needed in (
        "capspace/__init__.py",
        "capspace/tasks/panels/classic-8.yaml",
        "capspace/tasks/panels/smoke.yaml",
        "capspace/fit/reference/LICENSES.md",
        "capspace/fit/reference/study-2024/targets.yaml",
        "capspace/fit/reference/openllm-v2/scores.csv.gz",
        "capspace/fit/report/page.html.j2",
        "capspace/fit/py.typed",
        "capspace/fit/__init__.pyi",
        "capspace/fit/prediction/__init__.pyi",
    ):
        assert needed in names
    assert any(n.startswith("capspace/tasks/data/") and n.endswith(".jsonl") for n in names)


def test_the_wheel_is_downloaded_and_installed_without_an_index(
    wheel: Path, tmp_path: Path
) -> None:
    """By the commands of the page on air-gapped machines; what it requires is left out here."""
    page = (ROOT / "docs" / "how-to" / "air-gapped.md").read_text()
    ((download,), (install,)) = (
        re.findall(rf"(pip {which} [^`\n]+)", page) for which in ("download", "install")
    )
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "venv"], cwd=tmp_path, check=True
    )
    python = tmp_path / "venv" / "bin" / "python"
    here = ["--quiet", "--no-deps"]
    for command, options in (
        (download, [*here, "--no-index", "--find-links", str(wheel.parent)]),
        (install, here),
    ):
        pip = [sys.executable, "-m", "pip", "--python", str(python), *shlex.split(command)[1:]]
        done = subprocess.run([*pip, *options], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "wheels").iterdir()] == [wheel.name]
    (installed,) = (tmp_path / "venv").glob("lib/python*/site-packages/capspace-*.dist-info")
    assert installed.name == f"capspace-{version_of(wheel)}.dist-info"


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the base install of the wheel, nothing else.

    What the wheel requires is linked to from there, not installed anew.
    """
    folder = tmp_path_factory.mktemp("base") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True, text=True)
    link_requirements(folder)
    return python


def link_requirements(environment: Path) -> None:
    """Put all that the base install requires into an environment, as it is in ours."""
    (site,) = environment.glob("lib/python*/site-packages")
    for text in distribution("capspace").requires or ():
        link(Requirement(text), site)


def link(wanted: Requirement, site: Path) -> None:
    """Put a requirement, with all that it requires, into another environment, as it is in ours."""
    if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
        return
    installed = distribution(wanted.name)
    names = {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}
    if all((site / name).exists() for name in names):
        return
    for name in names:
        (site / name).symlink_to(Path(str(installed.locate_file(name))))
    for text in installed.requires or ():
        link(Requirement(text), site)


VERSIONS = "import capspace, capspace.fit; print(capspace.__version__, capspace.fit.__version__)"


def test_the_wheel_has_its_version_and_leaves_the_namespace_open(
    wheel: Path, python: Path, tmp_path: Path
) -> None:
    (tmp_path / "capspace" / "addition").mkdir(parents=True)
    (tmp_path / "capspace" / "addition" / "__init__.py").write_text("word = 'added'\n")
    code = f"{VERSIONS}; from capspace.addition import word; print(word)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [str(python), "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    version = version_of(wheel)
    assert done.stdout == f"{version} {version}\nadded\n"


def test_an_editable_install_has_its_version_and_its_packages(tmp_path: Path) -> None:
    """Of a copy, as an editable install links folders of the checkout it is made from."""
    copy, folder = tmp_path / "checkout", tmp_path / "venv"
    copy.mkdir()
    for part in ("collect", "fit", "tasks", "scripts"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, copy / name)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--editable", str(copy)], check=True, capture_output=True, text=True)
    link_requirements(folder)
    code = f"{VERSIONS}; print(capspace.fit.__file__)"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    versions, file = done.stdout.splitlines()
    newest = newest_of_changelog()  # without git nothing later is known
    assert versions == f"{newest} {newest}"
    assert Path(file).resolve() == copy / "fit" / "__init__.py"


def run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120"}
    command = [str(python.with_name("capspace")), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd="/")


def test_base_install_has_neither_torch_nor_the_harness(python: Path) -> None:
    code = f"from importlib.util import find_spec; print([m for m in {HEAVY!r} if find_spec(m)])"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_predict_works_without_torch_and_the_harness(python: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.csv"
    scores.write_text(BASE_MODEL)
    done = run(python, "predict", str(scores))
    assert done.returncode == 0, done.stderr
    assert "GSM8K" in done.stdout


def test_place_without_the_collect_extra_says_what_to_install(python: Path, tmp_path: Path) -> None:
    done = run(python, "place", "org/model", "--store", str(tmp_path / "store"))
    assert done.returncode == 2
    assert "pip install 'capspace[collect]'" in done.stderr
    assert "Traceback" not in done.stderr
