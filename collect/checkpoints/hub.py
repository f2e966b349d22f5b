"""Ask the Hub which commit a name refers to now, and which files that commit has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CheckpointError
from ..runtime.redaction import redacted

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

__all__ = ["HubFiles", "http_errors", "hub_file", "hub_files"]


@dataclass(frozen=True)
class HubFiles:
    """The files of one commit."""

    commit: str
    sizes: dict[str, int | None]
    """Bytes of each file; None where the Hub does not say."""

    config: Path
    """config.json, downloaded."""

    offline: bool
    """Whether the Hub could not be reached, so that these are the files of the local cache."""


def hub_files(ref: str, repo: str, revision: str, token: str | None) -> HubFiles:
    """Return what the Hub holds of a checkpoint, or its local cache when nothing answers.

    Raises
    ------
    CheckpointError
        No such repository or revision, no access, or no configuration of a model in it.

    """
    from ..runtime.optional import require_collect_extra

    require_collect_extra()
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    where = f"{repo} on the Hub"
    try:
        try:
            info = _model_info(repo, revision, token)
        except (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError):
            raise
        except http_errors():
            path = Path(
                hf_hub_download(repo, "config.json", revision=revision, local_files_only=True)
            )
            folder = path.parent
            cached = (p for p in folder.rglob("*") if p.is_file())
            sizes = {p.relative_to(folder).as_posix(): p.stat().st_size for p in cached}
            return HubFiles(folder.name, dict(sizes), path, offline=True)
        # By the user's name for it: so the cache learns which commit that is, for a time when the
        # Hub cannot be reached.
        path = Path(hf_hub_download(repo, "config.json", revision=revision, token=token))
        if path.parent.name != info.sha:  # the branch moved on in between
            info = _model_info(repo, path.parent.name, token)
        listed = {s.rfilename: s.size for s in info.siblings or ()}
        return HubFiles(path.parent.name, listed, path, offline=False)
    except HFValidationError:
        raise CheckpointError(
            f"{ref!r} is neither a folder nor a Hub name (org/model[@revision])"
        ) from None
    except GatedRepoError:
        raise CheckpointError(
            f"{where} is gated: accept its terms on its page, then `hf auth login`"
        ) from None
    except RepositoryNotFoundError:
        raise CheckpointError(
            f"unknown model {ref!r}: no such folder, and no {where} "
            "(or it is private: `hf auth login`)"
        ) from None
    except RevisionNotFoundError:
        raise CheckpointError(f"{where} has no revision {revision!r}") from None
    except LocalEntryNotFoundError:
        raise CheckpointError(
            f"unknown model {ref!r}: no such folder, the Hub cannot be reached, "
            f"and its local cache holds no revision {revision!r} of it"
        ) from None
    except EntryNotFoundError:
        raise CheckpointError(f"{where} has no config.json: not a model for transformers") from None
    except http_errors() as error:
        raise _not_given(repo, "config.json", error) from None


def hub_file(repo: str, name: str, files: HubFiles, token: str | None) -> Path:
    """Return one file of a commit, downloaded where it is not here yet.

    Raises
    ------
    CheckpointError
        The Hub does not give it.

    """
    if name == files.config.name:
        return files.config
    from huggingface_hub import hf_hub_download

    try:
        return Path(
            hf_hub_download(
                repo, name, revision=files.commit, local_files_only=files.offline, token=token
            )
        )
    except http_errors() as error:
        raise _not_given(repo, name, error) from None


def _not_given(repo: str, name: str, error: Exception) -> CheckpointError:
    reason = redacted(" ".join(str(error).split()))
    return CheckpointError(f"{repo} on the Hub does not give {name}: {reason}")


def _model_info(repo: str, revision: str, token: str | None) -> ModelInfo:
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    return api.model_info(repo, revision=revision, timeout=30, files_metadata=True)


def http_errors() -> tuple[type[Exception], ...]:
    """Return what the Hub's client raises when nothing answers: it changes its HTTP library."""
    from huggingface_hub.errors import HfHubHTTPError

    return (OSError, *(b for b in HfHubHTTPError.__bases__ if issubclass(b, Exception)))
