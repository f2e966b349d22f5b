"""What measuring needs and is not installed is named with the command that installs it."""

from __future__ import annotations

import pytest

from capspace.collect.errors import MissingExtraError
from capspace.collect.runtime import optional


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional, "_MODULES", {"json": "json", "no_such_module": "its-package"})
    with pytest.raises(MissingExtraError) as caught:
        optional.require_collect_extra()
    assert str(caught.value) == (
        "measuring a model needs its-package: pip install 'capspace[collect]'"
    )
