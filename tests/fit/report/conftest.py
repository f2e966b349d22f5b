"""Here laws are fitted to be shown: those of the same scores once."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _laws(laws_fitted_once: None) -> None:
    """Have them in every test."""
