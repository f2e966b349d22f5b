"""A server that answers as the Hub does, for repositories of several commits, and keeps a log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest


@dataclass
class Repository:
    """Files of each commit, and the branches and tags that name commits."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def add(self, folder: Path, *, branch: str | None = None, tag: str | None = None) -> str:
        """Commit the files of a folder and return the commit; the same files are the same."""
        files = {
            p.relative_to(folder).as_posix(): p.read_bytes()
            for p in sorted(folder.rglob("*"))
            if p.is_file()
        }
        content = repr([(name, sha256(data).hexdigest()) for name, data in files.items()])
        commit = sha1(content.encode(), usedforsecurity=False).hexdigest()
        self.commits[commit] = files
        if branch is not None:
            self.branches[branch] = commit
        if tag is not None:
            self.tags[tag] = commit
        return commit

    def find(self, revision: str) -> str | None:
        """Return the commit that a revision is."""
        named = {**self.tags, **self.branches}.get(revision, revision)
        return named if named in self.commits else None


@dataclass(frozen=True)
class Request:
    """What was asked for, and when."""

    time: float
    method: str
    repository: str
    commit: str
    file: str
    """"" for anything but a file."""

    range: str = ""
    """The part that was asked for, as the header says it."""

    def gets(self, file: str) -> bool:
        """Return whether this fetches a file, or its rest; not where only its head is read."""
        return self.method == "GET" and self.file == file and self.range[-1:] in ("", "-")


Spoil = Callable[[Request], int | None]
"""What goes wrong with a request: None, an HTTP status, or after how many bytes it is cut (-n)."""


class HubServer(ThreadingHTTPServer):
    """The Hub of some repositories, on a port of its own."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.gated: set[str] = set()
        self.log: list[Request] = []
        self.spoil: Spoil = lambda request: None
        self.look: Callable[[Request], None] = lambda request: None

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT is to be."""
        return f"http://127.0.0.1:{self.server_port}"

    def repository(self, name: str) -> Repository:
        """Return a repository, made where it is not there."""
        return self.repositories.setdefault(name, Repository())

    def fetched(self, file: str) -> list[Request]:
        """Return the requests that fetch a file, in their order."""
        return [r for r in self.log if r.gets(file)]


@contextmanager
def serving() -> Iterator[HubServer]:
    """Serve for the length of a block."""
    server = HubServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """The answers of the Hub that its client asks for here, in its own words and headers."""

    server: HubServer

    def do_GET(self) -> None:  # - the name that http.server calls
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""

    def _answer(self) -> None:
        path = [unquote(p) for p in urlsplit(self.path).path.strip("/").split("/")]
        is_api = path[:2] == ["api", "models"]
        path = path[2:] if is_api else path
        name = "/".join(path[:2])
        kind, revision, *rest = [*path[2:], "", ""]
        file = "/".join(p for p in rest if p) if kind == "resolve" else ""
        repository = self.server.repositories.get(name)
        commit = repository.find(revision) if repository else None
        part = self.headers.get("Range", "")
        request = Request(time.time(), self.command, name, commit or "", file, part)
        self.server.log.append(request)
        self.server.look(request)
        wrong = self.server.spoil(request)
        if name in self.server.gated:
            self._refuse(403, "GatedRepo", "Access is restricted")
        elif repository is None:
            self._refuse(401, "RepoNotFound", "Repository not found")
        elif kind == "refs":
            self._json(
                {
                    "branches": _refs("heads", repository.branches),
                    "tags": _refs("tags", repository.tags),
                    "converts": [],
                }
            )
        elif commit is None:
            self._refuse(404, "RevisionNotFound", "Invalid rev id")
        elif wrong is not None and wrong > 0:
            self._refuse(wrong, "", "Internal Error")
        elif kind == "revision":
            files = repository.commits[commit]
            siblings = [{"rfilename": n, "size": len(d)} for n, d in files.items()]
            self._json({"id": name, "modelId": name, "sha": commit, "siblings": siblings})
        elif kind == "tree":
            files = repository.commits[commit]
            self._json(
                [
                    {"type": "file", "path": n, "size": len(d), "oid": sha256(d).hexdigest()}
                    for n, d in files.items()
                ]
            )
        elif (data := repository.commits[commit].get(file)) is not None:
            self._file(commit, data, cut=-wrong if wrong is not None else None)
        else:
            self._refuse(404, "EntryNotFound", "Entry not found")

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {})

    def _refuse(self, status: int, code: str, words: str) -> None:
        body = json.dumps({"error": words}).encode()
        self._send(status, body, {"X-Error-Code": code} if code else {})

    def _file(self, commit: str, data: bytes, *, cut: int | None) -> None:
        headers = {"ETag": f'"{sha256(data).hexdigest()}"', "X-Repo-Commit": commit}
        status, asked = 200, self.headers.get("Range")
        if asked is not None:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            end = min(int(last), len(data) - 1) if last else len(data) - 1
            headers["Content-Range"] = f"bytes {first}-{end}/{len(data)}"
            status, data = 206, data[int(first) : end + 1]
        self._send(status, data, headers, cut=cut)

    def _send(
        self, status: int, data: bytes, headers: dict[str, str], *, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[:cut])


def _refs(kind: str, named: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": n, "ref": f"refs/{kind}/{n}", "targetCommit": c} for n, c in named.items()]


_RESOLVE_ALL = """
import sys
from pathlib import Path
from capspace.collect.checkpoints.checkpoint import resolve
from capspace.collect.checkpoints.download import checkpoint_folder
from capspace.collect.errors import CheckpointError
trust, *refs = sys.argv[1:]
for ref in refs:
    try:
        c = resolve(ref, trust_remote_code=bool(trust))
        files = sorted(p.name for p in Path(checkpoint_folder(c)).iterdir())
        print(c.name, c.identity, c.dtype, *files, sep="|")
    except (CheckpointError, OSError) as error:
        print(*str(error).splitlines()[:1])
"""


def resolve_all(*refs: str, endpoint: str, cache: Path, trust: bool = False) -> list[str]:
    """Resolve in a fresh process: the Hub's client reads endpoint and cache when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", _RESOLVE_ALL, "yes" if trust else "", *refs],
        env=os.environ
        | {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_TOKEN": "", "HF_HUB_OFFLINE": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@contextmanager
def serving_here(cache: Path) -> Iterator[HubServer]:
    """Serve a Hub to this process alone, with a cache of its own."""
    from huggingface_hub import constants

    with serving() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", server.endpoint)
        template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield server
