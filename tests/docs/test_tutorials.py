"""Every block of the tutorials runs as it stands, and the generated pages name what there is."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from checkout import ROOT
from commands import COMMANDS

import capspace.fit
from capspace.fit import load_reference, reference_names
from capspace.fit.table.schema import FACT_COLUMNS, SCORE_COLUMNS
from capspace.tasks.panel import load_panel, panel_names

DOCS = ROOT / "docs"
NAMES = [path.stem for path in sorted((DOCS / "tutorials").glob("*.md"))]


def module(name: str) -> ModuleType:
    """Return a module of ``scripts/documentation``."""
    path = ROOT / "scripts" / "documentation" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"documentation_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded  # dataclasses look their module up
    spec.loader.exec_module(loaded)
    return loaded


pages, tutorials = module("pages"), module("tutorials")
with pytest.MonkeyPatch.context() as patch:
    patch.setitem(sys.modules, "tutorials", tutorials)
    notebooks = module("notebooks")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("lm_eval_looks_up_once", "forked")
def test_tutorial_runs(tmp_path: Path, name: str) -> None:
    outputs = tutorials.run_tutorial(DOCS / "tutorials" / f"{name}.md", tmp_path)
    assert any(output.text for output in outputs)
    assert any(output.figures for output in outputs)


def test_a_block_that_fails_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1 / 0)\n```\n")
    with pytest.raises(tutorials.TutorialError, match=r"print\(1 / 0\)(.|\n)*ZeroDivisionError"):
        tutorials.run_tutorial(page, tmp_path / "desk")


def test_blocks_share_names_and_files(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '```csv title="a.csv"\nx\n1\n```\n```python\nn = 2\n```\n'
        "```python\nprint(n)\n```\n```sh\ncat a.csv\n```\n```text\nnot run\n```\n"
    )
    outputs = tutorials.run_tutorial(page, tmp_path / "desk")
    assert [output.text for output in outputs] == ["", "", "2", "x\n1", ""]


def test_a_page_becomes_a_notebook_with_its_outputs(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '# Title\n\nSee [that](x.md).\n\n```csv title="a.csv"\nx\n```\n'
        "```python\nprint(2)\n```\n```sh\ncat a.csv\n```\n```text\nnot run\n```\n"
    )
    outputs = tutorials.run_tutorial(page, tmp_path / "desk")
    cells = notebooks.notebook(page.read_text(), outputs, tmp_path / "desk")["cells"]
    assert [(cell["cell_type"], cell["source"]) for cell in cells] == [
        ("markdown", "# Title\n\nSee that."),
        ("code", "%%writefile a.csv\nx"),
        ("code", "print(2)"),
        ("code", "%%bash\ncat a.csv"),
        ("markdown", "```text\nnot run\n```"),
    ]
    assert cells[3]["outputs"][0]["text"] == "x\n"


def test_formats_page_names_every_column() -> None:
    page = (DOCS / "reference" / "formats.md").read_text()
    assert [c for c in (*SCORE_COLUMNS, *FACT_COLUMNS) if f"`{c}`" not in page] == []


def test_commands_page_has_every_command() -> None:
    page = pages.generated("commands")
    for path in COMMANDS:
        assert f"`capspace {' '.join(path)}`\n" in page


def test_panels_and_targets_pages_have_every_source() -> None:
    page = pages.generated("panels")
    for name in panel_names():
        assert all(b.source in page for b in load_panel(name).benchmarks)
    page = pages.generated("targets")
    for name in reference_names():
        reference = load_reference(name)
        assert all(f"`{target}`" in page for target in reference.targets)
        assert all(source.title in page for source in reference.about.sources)


def test_every_public_name_has_a_page() -> None:
    stubs = "".join(path.read_text() for path in (DOCS / "reference" / "python").glob("*.md"))
    rooms = set(re.findall(r"<!-- generated: names (\w+) -->", stubs))
    names = [name for name in capspace.fit.__all__ if not name.startswith("__")]
    assert rooms == {*map(pages.room_of, names), "collect"}


def test_every_page_is_in_the_menu_and_every_link_leads_to_a_page() -> None:
    config = yaml.safe_load((ROOT / ".mkdocs.yml").read_text())
    listed = set(re.findall(r"[\w/-]+\.md", yaml.safe_dump(config["nav"])))
    there = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    assert listed == there | {"findings/README.md"}
    for path in DOCS.rglob("*.md"):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", path.read_text()):
            target = (path.parent / link).resolve()
            found = target.is_file() or (ROOT / target.relative_to(DOCS)).is_file()
            assert found, f"{path}: {link}"
