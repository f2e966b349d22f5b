"""Every block of code on every page is run with the page, or by what is named for it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from checkout import ROOT
from documentation import documentation_module
from hub_server import serving_here

tutorials, how_to = map(documentation_module, ("tutorials", "how_to"))

PAGES = how_to.all_pages()
ELSEWHERE = [(page, words) for page in PAGES for words in page.run_by]
WORKFLOWS = {
    step["run"]
    for job in yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"].values()
    for step in job["steps"]
    if "run" in step
}


def test_every_block_of_every_page_is_run_or_named() -> None:
    assert [words for page in PAGES for words in page.unaccounted()] == []
    names = {page.name for page in PAGES}
    assert {"README.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md"} < names
    assert sum(len(tutorials.BLOCK.findall(page.path.read_text())) for page in PAGES) > 60


@pytest.mark.parametrize(
    ("page", "words"), ELSEWHERE, ids=lambda given: getattr(given, "name", given)
)
def test_what_is_run_elsewhere_is_run_there(page: how_to.Page, words: str) -> None:  # type: ignore[name-defined]
    where = page.run_by[words]
    commands = [
        " ".join(shlex.split(line, comments=True)).removeprefix("bash ")
        for block in tutorials.BLOCK.finditer(page.path.read_text())
        for line in block["text"].replace("\\\n", " ").splitlines()
        if line.startswith(words)
    ]
    assert commands
    if where == ".ci/run":
        assert set(commands) <= set((ROOT / where).read_text().splitlines())
    elif where == ".github/workflows/tests.yml":
        assert set(commands) <= {" ".join(shlex.split(run)) for run in WORKFLOWS}
    else:
        file, name = where.split("::")
        text = (ROOT / file).read_text()
        assert len(re.findall(rf"^def {name}\(", text, re.M)) == 1
        assert page.path.name in text  # whose commands it reads


@pytest.mark.parametrize(
    ("text", "entry", "missed"),
    [
        ("```bash\nfly\n```\n", {}, 0),
        ("```console\n$ fly\n```\n", {}, 1),
        ("```console\n$ fly\n```\n", {"run_by": {"$ fly": "tests"}}, 0),
        ("```yaml\na: 1\n```\n", {}, 1),
        ('```yaml title="a.yaml"\na: 1\n```\n', {}, 1),
        ('```yaml title="a.yaml"\na: 1\n```\n```sh\ncat a.yaml\n```\n', {}, 0),
        ("```text\ncapspace fly\n```\n", {}, 1),
        ("```text\ncapspace fly\n```\n", {"run_by": {"capspace fly": "tests"}}, 0),
        ("```text\nit flew\n```\n", {}, 0),
        ("```\nfly\n```\n", {}, 2),
        ("- so:\n\n  ```sh\n  fly\n  ```\n", {}, 2),
        ("~~~sh\nfly\n~~~\n", {}, 2),
        ('```sh title="on a Slurm cluster"\nfly\n```\n', {}, 1),
    ],
)
def test_a_block_that_nothing_runs_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    entry: dict[str, object],
    missed: int,
) -> None:
    monkeypatch.setattr(how_to, "ROOT", tmp_path)
    path = tmp_path / "page.md"
    path.write_text(text)
    assert len([*how_to.Page(path, **entry).unaccounted()]) == missed


@pytest.mark.slow
def test_commands_with_a_real_model_run_against_a_hub(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    """As the first tutorial has them, but for a small panel, on a Hub that serves the name."""
    pytest.importorskip(
        "huggingface_hub", minversion="1", reason="before, it reads the Hub's address once"
    )
    page = ROOT / "docs" / "tutorials" / "first-checkpoint.md"
    (block,) = (
        block["text"]
        for block in tutorials.BLOCK.finditer(page.read_text())
        if block["language"] == "text" and "EleutherAI/pythia-160m" in block["text"]
    )
    small = block.replace("pythia-160m\n", "pythia-160m --panel smoke --limit 1\n", 1)
    with serving_here(tmp_path / "cache") as hub:
        hub.repository("EleutherAI/pythia-160m").add(tiny_checkpoint, branch="main")
        *_, output = tutorials.run_page(
            f"```sh\n{small}```\n", page, tmp_path / "desk", CAPSPACE_DATA_ROOT="embedded"
        )
    assert "EleutherAI/pythia-160m" in output.text
    assert re.search(r"MMLU.*\bmeasured\b", output.text), output.text
