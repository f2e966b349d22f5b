"""Here laws are fitted to be shown: those of the same scores once."""

import pytest
from matplotlib.figure import Figure

from capspace.fit.report import _page


@pytest.fixture(scope="module", autouse=True)
def _laws(laws_fitted_once: None) -> None:
    """Have them in every test."""


@pytest.fixture
def small_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pages show blanks in place of figures, each of which takes a third of a second.

    For tests of what else stands on a page.
    """
    draw = _page.draw_placement

    def draw_small(*given):
        return {name: (Figure((1, 1)), caption) for name, (_, caption) in draw(*given).items()}

    monkeypatch.setattr(_page, "draw_placement", draw_small)
