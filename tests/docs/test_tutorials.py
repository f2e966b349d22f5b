"""The pages' commands are run by scripts/docs, and generated pages name what there is."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml
from all_commands import COMMANDS
from checkout import ROOT
from documentation import documentation_module

import capspace.fit
from capspace.fit import load_reference, reference_names
from capspace.fit.table.schema import FACT_COLUMNS, SCORE_COLUMNS
from capspace.tasks.panel import load_panel, panel_names

DOCS = ROOT / "docs"


tutorials, pages, notebooks, how_to = map(
    documentation_module, ("tutorials", "pages", "notebooks", "how_to")
)


def test_every_page_with_commands_is_run_by_the_docs() -> None:
    """``scripts/docs`` runs them, which CI does; a page without an entry is an error."""
    assert len(how_to.pages()) > 5
    assert "documentation/run_all.py" in (ROOT / "scripts" / "docs").read_text()


def test_a_page_without_an_entry_and_an_entry_without_its_words_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(how_to, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("```sh\ncapspace targets\n```\n")
    entries = tmp_path / "scripts" / "documentation" / "how_to.yaml"
    entries.parent.mkdir(parents=True)
    for text, error in (
        ("{}", "README.md has commands, and no entry"),
        ("README.md: {instead: {tarts: x}}", "README.md has no 'tarts'"),
        ("README.md:\ndocs/a.md:", "without commands: docs/a.md"),
    ):
        entries.write_text(text)
        with pytest.raises(ValueError, match=error):
            how_to.pages()


def test_commands_run_with_what_stands_for_the_readers_own(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text('```csv title="mine.csv"\nyours\n```\n```sh\ncp big.csv a.csv\nfly away\n```\n')
    instead = {"big.csv": "small.csv", "yours": "ours"}
    page = how_to.Page(path, ["printf made > small.csv"], instead, {"fly": "no wings"})
    how_to.run_how_to(page, tmp_path / "desk")
    written = [(tmp_path / "desk" / name).read_text() for name in ("mine.csv", "a.csv")]
    assert written == ["ours\n", "made"]


def test_a_block_that_fails_is_named(tmp_path: Path) -> None:
    text = "```python\nprint(1 / 0)\n```\n"
    with pytest.raises(tutorials.TutorialError, match=r"print\(1 / 0\)(.|\n)*ZeroDivisionError"):
        tutorials.run_page(text, tmp_path / "page.md", tmp_path / "desk")


def test_a_command_that_fails_before_a_pipe_fails_the_page(tmp_path: Path) -> None:
    text = "```sh\nno-such-command | head -n 1\n```\n"
    with pytest.raises(tutorials.TutorialError, match="no-such-command"):
        tutorials.run_page(text, tmp_path / "page.md", tmp_path / "desk")


def test_blocks_share_names_and_files(tmp_path: Path) -> None:
    text = (
        '```csv title="a.csv"\nx\n1\n```\n```python\nn = 2\n```\n'
        "```python\nprint(n)\n```\n```sh\ncat a.csv\n```\n```text\nnot run\n```\n"
    )
    outputs = tutorials.run_page(text, tmp_path / "page.md", tmp_path / "desk")
    assert [output.text for output in outputs] == ["", "", "2", "x\n1", ""]


def test_an_exported_variable_is_there_for_the_pages_later_commands_alone(tmp_path: Path) -> None:
    text = "```bash\nexport WORD=said  # once\nprintf $WORD\n```\n```sh\nprintf $WORD\n```\n"
    outputs = tutorials.run_page(text, tmp_path / "page.md", tmp_path / "desk")
    assert [output.text for output in outputs] == ["said", "said"]
    assert "WORD" not in os.environ


def test_a_page_becomes_a_notebook_whose_outputs_are_the_pages() -> None:
    """``scripts/docs`` runs notebooks in a kernel, and builds the pages of what they print."""
    page = (
        '# Title\n\nSee [that](x.md).\n\n```csv title="a.csv"\nx\n```\n'
        "```python\nprint(2)\n```\n"
        '```sh figures="a.png"\ncat a.csv\n```\n```text\nnot run\n```\n'
    )
    made = notebooks.notebook(page)
    assert [(cell["cell_type"], cell["source"]) for cell in made["cells"]] == [
        ("markdown", "# Title\n\nSee that."),
        ("code", "%%writefile a.csv\nx"),
        ("code", "print(2)"),
        ("code", "%%bash\ncat a.csv"),
        ("code", 'from IPython.display import Image, display\n\ndisplay(Image("a.png"))'),
        ("markdown", "```text\nnot run\n```"),
    ]
    for cell, printed in zip(made["cells"][1:4], ("Writing a.csv\n", "2\n", "x\n"), strict=True):
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": printed}]
    output = tutorials.Output
    assert notebooks.outputs_of(page, made) == [
        output(),
        output("2"),
        output("x", ["a.png"]),
        output(ran=False),
    ]


def test_notebooks_are_those_of_the_pages() -> None:
    """Where one is not: ``python scripts/documentation/notebooks.py``."""
    there = {path.stem: path.read_text() for path in (DOCS / "tutorials").glob("*.ipynb")}
    assert there == {
        page.stem: notebooks.as_json(notebooks.notebook(page.read_text()))
        for page in tutorials.TUTORIALS
    }


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
            assert (path.parent / link).is_file(), f"{path}: {link}"
