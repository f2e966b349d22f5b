"""Files are written whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from capspace.collect.storage.files import replaced_file, write_atomically


@pytest.mark.parametrize("content", ["ä\n", b"\x00\xff"])
def test_a_file_is_replaced_by_the_new_content(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "a.json"
    for _ in range(2):
        write_atomically(path, content)
        assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_fails_leaves_the_content_before(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, "before", sync=False)

    def fail_halfway() -> None:
        with replaced_file(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_as_open_to_the_group_as_any_other(tmp_path: Path) -> None:
    write_atomically(tmp_path / "ours", "")
    (tmp_path / "plain").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "plain")]
    assert modes[0] == modes[1]
