"""The version of a checkout or an archive, for the build: what its tag says.

A commit that is tagged ``v1.2.3`` has that version, a later one a development version of the next
patch. Where no tag is in sight, in a shallow clone say, the newest version of the changelog stands
for it; an archive from a code host has its tag in ``.git_archival.txt``, and a source archive in
``PKG-INFO``.
"""

import re
from pathlib import Path

from packaging.version import Version
from setuptools_scm import ScmVersion, get_version

ROOT = Path(__file__).resolve().parent.parent


def version() -> str:
    """Return the version in normal form, such as 0.2.0 or 0.2.1.dev14."""
    return get_version(
        root=ROOT,
        version_scheme=_of_commit,
        local_scheme="no-local-version",
        fallback_version=_newest_of_changelog(),
    )


def _of_commit(commit: ScmVersion) -> str:
    tag = str(commit.tag)
    if commit.exact:
        return tag
    if tag == "0.0":  # by which some versions of setuptools-scm say that there is none
        tag = _newest_of_changelog()
    major, minor, patch = Version(tag).release
    return f"{major}.{minor}.{patch + 1}.dev{commit.distance}"


def _newest_of_changelog() -> str:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\d+\.\d+\.\d+)$", changelog, re.M)
    if newest is None:
        raise ValueError("CHANGELOG.md has no section of a version, such as '## 0.2.0'")
    return newest[1]
