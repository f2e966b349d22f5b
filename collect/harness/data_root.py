"""A data root, laid out as the Hub is, serves lm-eval's tasks without a network."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from glob import glob, has_magic
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from ..errors import DataRootError
from ..storage.digests import digest, sha256, sha256_file, sha256_stream

__all__ = [
    "EMBEDDED",
    "DataRoot",
    "DataSource",
    "chosen_data_root",
    "datasets_offline",
    "default_data_root",
    "embedded_data_root",
    "named_data_root",
    "own_files_fingerprint",
]

EMBEDDED = "embedded"
"""Name of the data root that comes with the package."""

_FORMATS = (".jsonl", ".jsonl.gz", ".parquet")
_LABEL_FILE = "data-root.yaml"
_FILE_LOADERS = frozenset({"arrow", "csv", "json", "parquet", "text"})


@dataclass(frozen=True)
class DataSource:
    """The files of one data set that a task reads."""

    format: str
    """Loader of ``datasets`` for them: ``"json"`` or ``"parquet"``."""

    files: dict[str, list[str]]
    """Split name to absolute paths, shards in order."""

    fingerprint: str
    """Hex SHA-256 over split names and contents; compression and place do not change it."""

    def overrides(self) -> dict[str, Any]:
        """Return what to change in a task's configuration so that it reads these files."""
        return {
            "dataset_path": self.format,
            "dataset_name": None,
            "dataset_kwargs": {"data_files": self.files},
        }


class DataRoot:
    """A folder ``<namespace>/<dataset>/<config>/<split>.jsonl|.jsonl.gz|.parquet``.

    Without a configuration the splits lie in ``<namespace>/<dataset>``. Sharded Parquet as the Hub
    stores it (``<split>-00000-of-00002.parquet``) is found too. A file ``data-root.yaml`` at the
    top may give a ``label`` and say ``comparable: false`` where the items are not the benchmarks'
    own.

    Parameters
    ----------
    path : Path
        The folder.

    Raises
    ------
    DataRootError
        No such folder, or its ``data-root.yaml`` is not understood.

    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()  # libraries below drop ".." without following links
        if not self.path.is_dir():
            raise DataRootError(f"data root {path}: no such folder")
        self.label, self.comparable = self._read_label()

    def __fspath__(self) -> str:
        return str(self.path)

    def _read_label(self) -> tuple[str, bool]:
        path = self.path / _LABEL_FILE
        if not path.is_file():
            return "", True
        try:
            label_file = yaml.safe_load(path.read_text(encoding="utf-8"))
            label, comparable = label_file["label"], label_file["comparable"]
        except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
            raise DataRootError(
                f"{path}: expected 'label: <text>' and 'comparable: <bool>'"
            ) from None
        if not isinstance(label, str) or not isinstance(comparable, bool):
            raise DataRootError(f"{path}: label must be a text and comparable true or false")
        return label, comparable

    def serves(self, config: Mapping[str, Any]) -> DataSource | None:
        """Return the files for a task's configuration; None where it reads or makes its own.

        Raises
        ------
        DataRootError
            As of `source`.

        """
        if "custom_dataset" in config or own_files_fingerprint(config):
            return None
        return self.source(config)

    def source(self, config: Mapping[str, Any]) -> DataSource:
        """Return the files for a task's configuration (lm-eval's, as a mapping).

        Raises
        ------
        DataRootError
            A split that the task evaluates on or takes its examples from is not there, or is
            there in two formats; data set and folder are named.

        """
        dataset = str(config.get("dataset_path") or "")
        if not dataset:
            raise DataRootError(
                f"task {config.get('task')} does not load a data set by name: "
                "it cannot be served from a data root"
            )
        name = config.get("dataset_name")
        folder = self._folder(dataset, None if name is None else str(name))
        files_of: dict[str, list[Path]] = {}
        for split in _splits(config):
            paths = _split_files(folder, split)
            if paths:
                files_of[split] = paths
            elif split in _required(config):
                raise DataRootError(
                    f"data set {dataset}{f' ({name})' if name else ''}: no split {split!r} "
                    f"({' or '.join(split + f for f in _FORMATS)}) in {folder}"
                )
        kinds = {_kind(p) for paths in files_of.values() for p in paths}
        if len(kinds) > 1:
            raise DataRootError(f"{folder}: splits of one data set must have one format")
        hashes = [
            (split, [_content_hash(str(p), *_stamp(p)) for p in paths])
            for split, paths in sorted(files_of.items())
        ]
        return DataSource(
            format=kinds.pop(),
            files={split: [str(p) for p in paths] for split, paths in files_of.items()},
            fingerprint=digest(hashes),
        )

    def _folder(self, dataset: str, name: str | None) -> Path:
        top = self.path / dataset
        # A name is a path below the root, never out of it, whatever a task says.
        if not top.resolve().is_relative_to(self.path.resolve()):
            raise DataRootError(f"data set {dataset!r} lies outside the data root {self.path}")
        if not top.is_dir():
            if self.path == embedded_data_root().path:
                raise DataRootError(
                    f"data set {dataset} is not among the embedded items, which are for trying out "
                    "the panels smoke, openllm-v2 and modern"
                )
            raise DataRootError(f"data set {dataset}: no folder {top}")
        if name is None or name == "default":
            inner = top / "default"
            return inner if inner.is_dir() else top
        folder = top / name
        if not folder.is_dir() or not folder.resolve().is_relative_to(top.resolve()):
            raise DataRootError(f"data set {dataset}: no configuration {name!r} in {top}")
        return folder


def own_files_fingerprint(config: Mapping[str, Any]) -> str | None:
    """Return the hash of what a task reads from files of its own; None if it names none.

    Such a task gives a loader of ``datasets`` (``json``, ``csv``, ...) and files, or a folder, in
    place of a data set's name. Addresses count by their text, as their content is not at hand.
    """
    path = str(config.get("dataset_path") or "")
    settings = config.get("dataset_kwargs") or {}
    if path in _FILE_LOADERS:
        named = [*_texts(settings.get("data_files")), *_texts(settings.get("data_dir"))]
    elif path and Path(path).is_dir():  # no path at all would be the working directory
        named = [path]
    else:
        return None
    paths = [p for name in named for p in _files_below(Path(name))]
    hashes = [[str(p), _content_hash(str(p), *_stamp(p))] for p in paths]
    text = json.dumps([named, settings, hashes], sort_keys=True, default=str)
    return sha256(text)


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for key in sorted(value) for text in _texts(value[key])]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in _texts(item)]
    return [] if value is None else [str(value)]


def _files_below(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.is_file())
    if has_magic(str(path)):
        # Path.glob takes no absolute pattern
        fitting = glob(str(path), recursive=True, include_hidden=True)  # noqa: PTH207
        return sorted(p for p in map(Path, fitting) if p.is_file())
    return [path] if path.is_file() else []


def embedded_data_root() -> DataRoot:
    """Return the data root that comes with the package: written for it, not comparable."""
    return DataRoot(Path(str(files("capspace.tasks"))) / "data" / "hub")


def named_data_root(name: str | Path) -> DataRoot:
    """Return the data root in a folder, or for ``"embedded"`` the one that comes with the package.

    Raises
    ------
    DataRootError
        No such folder, an empty name, or its ``data-root.yaml`` is not understood.

    """
    if not str(name):  # as a path it would be the current folder
        raise DataRootError("an empty name names no data root; leave it out for none")
    return embedded_data_root() if str(name) == EMBEDDED else DataRoot(Path(name))


def chosen_data_root(name: str | Path | None) -> DataRoot | None:
    """Return the data root of a run: the one named, else the default one, else None for the Hub.

    Raises
    ------
    DataRootError
        As for ``named_data_root``.

    """
    return default_data_root() if name is None else named_data_root(name)


def default_data_root() -> DataRoot | None:
    """Return the data root that ``CAPSPACE_DATA_ROOT`` names, if it names one."""
    name = os.environ.get("CAPSPACE_DATA_ROOT")
    return named_data_root(name) if name else None


@contextmanager
def datasets_offline() -> Iterator[None]:
    """Keep ``datasets`` off the network, where it counts even the loading of local files."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _splits(config: Mapping[str, Any]) -> list[str]:
    fewshot = (config.get("fewshot_config") or {}).get("split")
    names = [config.get(f"{kind}_split") for kind in ("training", "validation", "test", "fewshot")]
    return list(dict.fromkeys(str(n) for n in [*names, fewshot] if n))


def _required(config: Mapping[str, Any]) -> set[str]:
    """Return the splits lm-eval reads for this task: items, and where examples come from."""
    training, validation, test = (
        config.get(f"{kind}_split") for kind in ("training", "validation", "test")
    )
    fewshot = (config.get("fewshot_config") or {}).get("split") or config.get("fewshot_split")
    own = (config.get("fewshot_config") or {}).get("samples")
    examples = fewshot or (None if own else training or validation or test)
    return {str(s) for s in (test or validation, examples) if s}


def _split_files(folder: Path, split: str) -> list[Path]:
    there = [folder / f"{split}{suffix}" for suffix in _FORMATS]
    candidates = [[path] for path in there if path.is_file()]
    shard = re.compile(re.escape(split) + r"-(\d{5})-of-(\d{5})\.parquet")
    shards = sorted(p for p in folder.iterdir() if shard.fullmatch(p.name))
    if shards:
        expected = int(shards[0].stem.rpartition("-")[2])
        if len(shards) != expected:
            raise DataRootError(f"{folder}: {len(shards)} of {expected} shards of split {split!r}")
        candidates.append(shards)
    if len(candidates) > 1:
        names = " and ".join(paths[0].name for paths in candidates)
        raise DataRootError(f"{folder}: split {split!r} is there twice ({names}); keep one")
    return candidates[0] if candidates else []


def _kind(path: Path) -> str:
    return "parquet" if path.suffix == ".parquet" else "json"


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


@cache
def _content_hash(path: str, size: int, mtime_ns: int) -> str:
    """Return the hash of a file's uncompressed bytes; size and mtime are there for the cache."""
    try:
        if path.endswith(".gz"):
            with gzip.open(path) as stream:
                return sha256_stream(stream)
        return sha256_file(Path(path))
    except (OSError, EOFError) as error:
        raise DataRootError(f"{path}: cannot read this file: {error}") from None
