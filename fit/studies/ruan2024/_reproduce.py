"""Reproduce the study: run it, draw it, compare it, and write it all into a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from ..._display import frame_html
from ..._files import write_together
from ..._json import json_dict
from ...errors import FitError
from ...figures import save
from .compare import Comparison, read_published
from .data import load_study
from .drawings import study_drawings
from .outcome import page_cards, pooled
from .page import Shown, embed, render_page
from .results import Results, run_study
from .sections import page_sections

__all__ = ["Reproduction", "reproduce", "write_reproduction"]


@dataclass(frozen=True, eq=False)
class Reproduction:
    """Results of the study's analyses, and the files that show them.

    Attributes
    ----------
    results : Results
    page : Path
        The self-contained report page.
    table : Path
        CSV of every number of ours beside the study's, with verdict and reason.
    figures : tuple of Path
        PNG and SVG files.

    """

    results: Results
    page: Path
    table: Path
    figures: tuple[Path, ...]

    def count(self, verdict: str) -> int:
        """Return how many comparisons have a verdict: "same", "better" or "differs"."""
        return sum(c.verdict == verdict for c in self.results.comparisons)

    @property
    def misses(self) -> list[Comparison]:
        """Numbers that are neither the study's nor from a lower loss."""
        return [c for c in self.results.comparisons if c.verdict == "differs"]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per number compared: ours, the study's, the verdict and its reason."""
        return pd.DataFrame([asdict(c) for c in self.results.comparisons])

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping: counts, coverage, each comparison, and the files' paths."""
        coverage, width = pooled(self.results.coverage)
        return json_dict(
            {
                "n_compared": len(self.results.comparisons),
                "n_same": self.count("same"),
                "n_better": self.count("better"),
                "n_different": self.count("differs"),
                "coverage": coverage,
                "mean_width": width,
                "comparisons": self.results.comparisons,
                "page": self.page,
                "table": self.table,
                "figures": self.figures,
            }
        )

    def __repr__(self) -> str:
        return (
            f"Reproduction({len(self.results.comparisons)} numbers: {self.count('same')} the same, "
            f"{self.count('better')} better, {self.count('differs')} different; {self.page})"
        )

    def _repr_html_(self) -> str:
        return frame_html(self)

    def summary(self) -> list[str]:
        """Return the outcome in a few lines."""
        coverage, width = pooled(self.results.coverage)
        lines = [
            f"{len(self.results.comparisons)} numbers compared with the study's: "
            f"{self.count('same')} the same, {self.count('better')} at a lower loss or better "
            f"criterion, {self.count('differs')} different",
            f"90% intervals contain {coverage:.1%} of test models at mean width {width:.2f}",
        ]
        lines += [
            f"{c.section}, {c.item}, {c.quantity}: {c.ours:.6g} instead of {c.published:.6g}"
            + (f" ({c.note})" if c.note else "")
            for c in self.misses
        ]
        return lines


def reproduce(
    data: str | Path,
    out: str | Path,
    *,
    expected: str | Path | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> Reproduction:
    """Run every analysis of the study on its own tables and write page, figures and numbers.

    Parameters
    ----------
    data : path
        Folder with the study's tables under their published names.
    out : path
        Folder to write ``index.html``, ``comparison.csv`` and ``figures/`` into.
    expected : path, optional
        JSON file of all numbers of the study's own code; by default the packaged summary of them.
    progress : callable
        Called with each step's name.

    Raises
    ------
    TableError
        A table is missing or malformed, or ``expected`` is not such a file.
    FitError
        The folder cannot be written.

    """
    study, published = load_study(data), read_published(expected)
    folder = Path(out)
    _prepare(folder)
    results = run_study(study, published, progress=progress)
    source = "the packaged summary" if expected is None else Path(expected).name
    return write_reproduction(results, folder, source=source, progress=progress)


def write_reproduction(
    results: Results,
    folder: Path,
    *,
    source: str,
    progress: Callable[[str], None] = lambda step: None,
) -> Reproduction:
    """Write page, figures and table of numbers of the study's results into a folder.

    ``source`` says on the page where the study's numbers are from.
    """
    _prepare(folder)
    progress("figures")
    shown: dict[str, list[Shown]] = {}
    written: list[Path] = []
    for drawing in study_drawings(results):
        figure = drawing.draw()
        with _refusing(folder):
            files = save(figure, folder / "figures" / drawing.name, dpi=150)
        written += files
        shown.setdefault(drawing.section, []).append(embed(files[1], drawing.caption))
    progress("page")
    study = results.study
    page, table = folder / "index.html", folder / "comparison.csv"
    html = render_page(
        page_sections(results, shown),
        page_cards(results),
        subtitle=f"{len(study.base_models)} base models, {len(study.facts['instruct'])} instruct "
        f"models; the study's numbers from {source}",
        footer=f"capspace {version('capspace')}. Data: github.com/ryoungj/ObsScaling (Apache-2.0).",
    )
    reproduction = Reproduction(results, page, table, tuple(written))
    with _refusing(folder):
        write_together({page: html, table: reproduction.to_frame().to_csv(index=False)})
    return reproduction


def _prepare(folder: Path) -> None:
    with _refusing(folder):
        (folder / "figures").mkdir(parents=True, exist_ok=True)


@contextmanager
def _refusing(folder: Path) -> Iterator[None]:
    """Turn the system's error in writing into the folder into one line."""
    try:
        yield
    except OSError as error:
        raise FitError(f"{folder}: cannot be written ({error.strerror})") from None
