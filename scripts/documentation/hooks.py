"""Hooks of mkdocs: outputs of the tutorials, generated reference pages, formulas, findings.

Pages stay plain Markdown that a code host shows. What is generated stands in them as a comment,
``<!-- generated: commands -->``, and is put in its place when the site is built.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import latex2mathml.converter
import pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from tutorials import BLOCK, ON_SLURM, ROOT, figure_name, title_of

RECORDED = ROOT / "build" / "tutorials"
_GENERATED = re.compile(
    r"^(?:\*Made from the code: [^\n]*\n\n)?<!-- generated: (\w+)(?: (\w+))? -->$", re.M
)
# From a page's place in the site, the findings stand one folder nearer than in the checkout.
_FINDINGS = re.compile(r"(?<=\]\()\.\./(?=(?:\.\./)*findings/)")
_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.M | re.S)
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", re.S)
_SEE_ALSO = re.compile(r'(<details class="see-also".*?<p>)(.*?)(</p>)', re.S)
_EMPTY = re.compile(r'\s*–\s*<div class="doc-md-description">\s*</div>')
_DOCSTRING_FORMULA = re.compile(r"<p>\.\. math::(.*?)</p>", re.S)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what stands outside of docs: the findings and their scripts, figures of tutorials."""
    for path in sorted((ROOT / "findings").iterdir()):
        files.append(File.generated(config, f"findings/{path.name}", abs_src_path=str(path)))
    for path in sorted([*RECORDED.glob("*.png"), *RECORDED.glob("*.ipynb")]):
        if without_outputs := files.get_file_from_path(f"tutorials/{path.name}"):
            files.remove(without_outputs)
        files.append(File.generated(config, f"tutorials/{path.name}", abs_src_path=str(path)))
    for path in sorted((ROOT / ".github" / "readme").glob("*.png")):
        files.append(File.generated(config, f"pictures/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put outputs, generated text and formulas in their places."""
    uri = page.file.src_uri
    if uri.startswith("tutorials/"):
        markdown = _with_outputs(markdown, Path(uri).stem)
    markdown = _FINDINGS.sub("", markdown)
    markdown = _GENERATED.sub(lambda match: pages.generated(match[1], match[2]), markdown)
    parts = _CODE.split(markdown)  # what is between code, and code, by turns
    parts[::2] = [_FORMULA.sub(_mathml, part) for part in parts[::2]]
    return "".join(parts)


def on_page_content(html_text: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Set the formulas of docstrings, and a line for each name that they say to see also.

    The dash behind a name of which a docstring says no more than its type is left out.
    """
    html_text = _EMPTY.sub("", html_text)
    html_text = _SEE_ALSO.sub(lambda match: match[1] + _lines(match[2]) + match[3], html_text)
    return _DOCSTRING_FORMULA.sub(
        lambda match: _convert(html.unescape(re.sub(r"<[^>]+>", "", match[1])), "block"), html_text
    )


def _lines(text: str) -> str:
    """Return lines of ``name : what it is``, apart, with the names as code."""
    return "<br>".join(
        re.sub(r"^([\w., ]+) : ", r"<code>\1</code>: ", line) for line in text.splitlines()
    )


def _with_outputs(markdown: str, name: str) -> str:
    """Return a tutorial with what each block printed and drew below it."""
    recorded = RECORDED / f"{name}.json"
    if not recorded.is_file():
        raise PluginError(f"{recorded} is not there: scripts/docs runs the tutorials first")
    outputs: list[dict[str, Any]] = json.loads(recorded.read_text())
    if len(outputs) != len(BLOCK.findall(markdown)):
        raise PluginError(f"{recorded} is of another version of the tutorial: run scripts/docs")
    remaining = iter(outputs)

    def with_output(block: re.Match[str]) -> str:
        output = next(remaining)
        if title_of(block) == ON_SLURM and not output["ran"]:
            return f"{_block(block)}\n\n*Not run for this page, which was built without a cluster.*"
        return _block(block) + _shown(output, name)

    page = BLOCK.sub(with_output, markdown)
    return f"{page}\n\nThis page as a [notebook]({name}.ipynb){{ download }}, outputs included.\n"


def _block(block: re.Match[str]) -> str:
    """Return a block without the options that are for the run alone."""
    options = re.sub(r'figures="[^"]*"', "", block["options"] or "").strip()
    return f"```{block['language']} {options}".rstrip() + f"\n{block['text']}```"


def _shown(output: dict[str, Any], name: str) -> str:
    shown = ""
    if output["text"]:
        shown += f"\n\n```{{ .text .output }}\n{output['text']}\n```"
    for figure in output["figures"]:
        shown += f"\n\n![{figure}, drawn by the block above]({figure_name(name, figure)})"
    return shown


def _mathml(match: re.Match[str]) -> str:
    return _convert(match[1], "block") if match[1] else _convert(match[2], "inline")


def _convert(formula: str, display: str) -> str:
    converted = latex2mathml.converter.convert(" ".join(formula.split()), display=display)
    if display == "block":
        return f'\n\n<div class="formula">{converted}</div>\n\n'
    return f"<span>{converted}</span>"  # a paragraph may begin with it
