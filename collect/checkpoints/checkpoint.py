"""A name or folder is resolved, once, to what identifies its weights and tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import CheckpointError, NoCheckpointError
from ..storage.digests import digest, sha256_file
from .checkpoint_files import (
    CONFIG,
    configuration_name,
    loaded_files,
    refuse_adapter_beside,
)
from .generation_files import governs_texts
from .hub import hub_file, hub_files
from .quantisation import quantisation_method, require_loadable
from .remote_code import runs_own_code
from .tokenizer_files import NO_CHAT_TEMPLATE, appends_a_token, lacks_chat_template

__all__ = [
    "APPENDED_REMOVED",
    "Checkpoint",
    "refuse_mixed",
    "refuse_pickles",
    "refuse_unloadable",
    "resolve",
]

APPENDED_REMOVED = ("appended_tokens", "removed")
"""In an identity: the tokenizer puts a token behind every text, and requests go without it."""

_SAFE_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True, repr=False)
class Checkpoint:
    """A checkpoint whose weights, configuration and tokenizer are known to the byte.

    See Also
    --------
    collect_scores, place : Resolve one from a folder or a name on the Hub.
    LoadSettings : How it is loaded.

    """

    name: str
    """Name shown and stored: the Hub name (``@revision`` where one was given) or the folder's."""

    kind: Literal["hub", "local", "endpoint"]

    location: str
    """Hub repository, absolute folder, or the URL of a server with ``#`` and the name there."""

    revision: str
    """Commit of a Hub repository, or hex SHA-256: over a folder's files, or over all that is
    stated of a served model."""

    dtype: str
    """dtype that the configuration names, else ``"auto"``."""

    pickled: bool = False
    """Whether the weights are pickles, whose loading can run code."""

    custom_code: bool = False
    """Whether loading runs code that comes with the checkpoint."""

    appends_token: bool = False
    """Whether its tokenizer's files append a token to every text; a measurement leaves it out."""

    governs_texts: bool = False
    """Whether its own generation settings decide about texts, whatever lm-eval asks."""

    has_chat_template: bool = True
    """Whether its files may give its tokenizer a chat template."""

    quantised_by: str | None = None
    """How its weights are quantised, as `quantisation_method` says."""

    offline: bool = False
    """Whether the Hub could not be reached, so that its local cache has to do."""

    files: tuple[tuple[str, int | None], ...] = field(default=(), compare=False)
    """Files of a Hub repository's commit, with their bytes where the Hub says them."""

    def __repr__(self) -> str:
        return f"Checkpoint({self.name} at {self.revision[:12]}, {self.dtype})"

    @property
    def identity(self) -> str:
        """Repository and commit, or the content hash: what no other checkpoint shares."""
        if self.kind == "hub":
            return f"hub:{self.location}@{self.revision}"
        if self.kind == "endpoint":
            return f"endpoint:{self.location}"
        return f"sha256:{self.revision}"

    def require_chat_template(self) -> None:
        """Refuse it where conversations are to be rendered and its files cannot say how.

        Raises
        ------
        CheckpointError
            It has no chat template.

        """
        if not self.has_chat_template:
            raise CheckpointError(f"{self.name}: {NO_CHAT_TEMPLATE}")

    def require_loadable(self, device: Callable[[], str]) -> None:
        """Refuse it where transformers is to load quantised weights and cannot.

        Parameters
        ----------
        device : callable
            Returns the torch device that it is to be loaded on; called where that matters.

        Raises
        ------
        CheckpointError
            It does not know their method, or not on this device, or a package is not installed.

        """
        require_loadable(self.name, self.quantised_by, device, custom_code=self.custom_code)

    @property
    def identity_settings(self) -> tuple[tuple[str, str], ...]:
        """What is done with it otherwise than its files say, for the identity of a measurement."""
        return (APPENDED_REMOVED,) if self.appends_token else ()


def resolve(
    ref: str,
    *,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
    token: str | None = None,
    hash_file: Callable[[Path], str] = sha256_file,
) -> Checkpoint:
    """Resolve ``org/model[@revision]`` or a local folder to its identity.

    Parameters
    ----------
    ref : str
        A folder that exists, else a Hub name; a branch, tag or commit may follow after ``@``.
    allow_pickle : bool
        Accept weights that come as pickles only.
    trust_remote_code : bool
        Accept a checkpoint that needs code of its own, and run that code.
    token : str, optional
        Hub token; by default the one that ``hf auth login`` keeps.
    hash_file : callable
        Hash of one file; ``Store.hash_file`` remembers those of files that have not changed.

    Raises
    ------
    NoCheckpointError
        The name is neither a folder nor a Hub name.
    CheckpointError
        Nothing is there by this name or revision, access is not granted, files are missing, or
        loading it would run code that was not allowed.

    """
    folder = Path(ref).expanduser()
    if folder.is_dir():
        return _resolve_local(ref, folder.resolve(), allow_pickle, trust_remote_code, hash_file)
    if folder.exists():
        raise NoCheckpointError(f"{ref} is a file; give the folder that holds the checkpoint")
    if ref.startswith((".", "/", "~")) or ref.count("/") > 1 or "\\" in ref:
        raise NoCheckpointError(f"{ref}: no such folder, and not a Hub name (org/model[@revision])")
    return _resolve_hub(ref, allow_pickle, trust_remote_code, token)


def _resolve_local(
    ref: str,
    folder: Path,
    allow_pickle: bool,
    trust_remote_code: bool,
    hash_file: Callable[[Path], str],
) -> Checkpoint:
    names = _file_names(folder)
    if CONFIG not in names:
        hint = (
            "; it is an adapter: merge it into its base model first"
            if "adapter_config.json" in names
            else ""
        )
        raise CheckpointError(f"{ref}: no config.json in this folder{hint}")
    refuse_adapter_beside(ref, names)
    read = _reader(lambda name: _read_json(folder / name, ref))
    config = read(CONFIG)
    pickled = _check_weights(ref, names, allow_pickle)
    custom_code = runs_own_code(ref, names, read, trust_remote_code)
    weights = _weight_files(ref, folder, names, pickled)
    ordered = loaded_files(folder, names, weights, read, custom_code=custom_code)
    with ThreadPoolExecutor(max_workers=4) as pool:
        hashes = list(pool.map(hash_file, (folder / n for n in ordered)))
    content = list(zip(ordered, hashes, strict=True))
    return Checkpoint(
        name=folder.name,
        kind="local",
        location=str(folder),
        revision=digest(content),
        dtype=_config_dtype(config),
        pickled=pickled,
        custom_code=custom_code,
        appends_token=_appends(config, names, read),
        governs_texts=governs_texts(names, read),
        has_chat_template=not lacks_chat_template(names, read, custom_code=custom_code),
        quantised_by=quantisation_method(config),
    )


def refuse_pickles(ref: str) -> None:
    """Refuse a folder or Hub checkpoint whose weights come as pickles only.

    Raises
    ------
    CheckpointError
        They do; or nothing is there by this name or revision.

    """
    names = _names_of(ref)
    if not names & set(_SAFE_WEIGHTS) and names & set(_PICKLED_WEIGHTS):
        _check_weights(ref, names, allow_pickle=False)


def refuse_mixed(ref: str) -> None:
    """Refuse a folder or Hub checkpoint that is a model with an adapter beside it.

    Raises
    ------
    CheckpointError
        It is; or nothing is there by this name or revision.

    """
    refuse_adapter_beside(ref, _names_of(ref))


def refuse_unloadable(ref: str, device: Callable[[], str]) -> None:
    """Refuse a folder or Hub checkpoint whose quantised weights transformers cannot load here.

    Parameters
    ----------
    ref : str
        The folder, or ``org/repo``, or ``org/repo@revision``.
    device : callable
        Returns the torch device that it is to be loaded on; called where that matters.

    Raises
    ------
    CheckpointError
        It cannot; or nothing is there by this name or revision.

    """
    folder = Path(ref).expanduser()
    if folder.is_dir():
        if CONFIG not in _file_names(folder):
            return
        read = _reader(lambda name: _read_json(folder / name, ref))
    else:
        repo, _, revision = ref.partition("@")
        on_hub = hub_files(ref, repo, revision or "main", None)
        if CONFIG not in on_hub.sizes:
            return
        read = _reader(lambda name: _read_json(hub_file(repo, name, on_hub, None), ref))
    config = read(CONFIG)
    method = quantisation_method(config)
    require_loadable(ref, method, device, custom_code="auto_map" in config)


def _names_of(ref: str) -> set[str]:
    folder = Path(ref).expanduser()
    if folder.is_dir():
        return _file_names(folder)
    repo, _, revision = ref.partition("@")
    return set(hub_files(ref, repo, revision or "main", None).sizes)


def _file_names(folder: Path) -> set[str]:
    """Return the files of a folder, and of those inside it that transformers reads, too."""
    return {
        p.relative_to(folder).as_posix()
        for pattern in ("*", "additional_chat_templates/*", "custom_generate/*")
        for p in folder.glob(pattern)
        if p.is_file()
    }


def _weight_files(ref: str, folder: Path, names: set[str], pickled: bool) -> set[str]:
    whole, index = _PICKLED_WEIGHTS if pickled else _SAFE_WEIGHTS
    # transformers prefers the single file where both are there.
    if whole in names:
        return {whole}
    shards = set(map(str, _read_json(folder / index, ref).get("weight_map", {}).values()))
    if not shards:
        raise CheckpointError(f"{ref}: {index} names no weight files")
    for shard in sorted(shards):
        if not (folder / shard).is_file():
            raise CheckpointError(f"{ref}: {index} names {shard}, which is not there")
    return {index, *shards}


def _resolve_hub(
    ref: str, allow_pickle: bool, trust_remote_code: bool, token: str | None
) -> Checkpoint:
    repo, _, revision = ref.partition("@")
    on_hub = hub_files(ref, repo, revision or "main", token)

    refuse_adapter_beside(ref, on_hub.sizes)
    read = _reader(lambda name: _read_json(hub_file(repo, name, on_hub, token), ref))
    config = read(CONFIG)
    pickled = _check_weights(ref, on_hub.sizes, allow_pickle)
    custom_code = runs_own_code(ref, on_hub.sizes, read, trust_remote_code)
    return Checkpoint(
        name=ref if revision else repo,
        kind="hub",
        location=repo,
        revision=on_hub.commit,
        dtype=_config_dtype(config),
        pickled=pickled,
        custom_code=custom_code,
        appends_token=_appends(config, on_hub.sizes, read),
        governs_texts=governs_texts(on_hub.sizes, read),
        has_chat_template=not lacks_chat_template(on_hub.sizes, read, custom_code=custom_code),
        quantised_by=quantisation_method(config),
        offline=on_hub.offline,
        files=tuple(sorted(on_hub.sizes.items())),
    )


def _reader(read: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    """Return a reader that reads the configuration from where transformers takes it."""
    plain = read(CONFIG)
    name = configuration_name(plain)
    config = plain if name == CONFIG else read(name)
    return lambda wanted: config if wanted == CONFIG else read(wanted)


def _appends(
    config: dict[str, Any], names: Collection[str], read: Callable[[str], dict[str, Any]]
) -> bool:
    """Return whether a token stands behind every text; an encoder is meant to see one."""
    return config.get("is_encoder_decoder") is not True and appends_a_token(names, read)


def _read_json(path: Path, ref: str) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{ref}: cannot read {path.name}: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{ref}: {path.name} is not a JSON object")
    return value


def _check_weights(ref: str, names: Iterable[str], allow_pickle: bool) -> bool:
    """Return whether the weights are pickles."""
    there = set(names)
    if there & set(_SAFE_WEIGHTS):
        return False
    if not there & set(_PICKLED_WEIGHTS):
        raise CheckpointError(f"{ref}: no weights ({' or '.join(_SAFE_WEIGHTS)})")
    if not allow_pickle:
        raise CheckpointError(
            f"{ref}: the weights are pickles, and loading a pickle can run any code; "
            "convert them to safetensors, or pass --allow-pickle if you trust their author"
        )
    return True


def _config_dtype(config: dict[str, Any]) -> str:
    dtype = config.get("dtype") or config.get("torch_dtype")
    return dtype if isinstance(dtype, str) else "auto"
