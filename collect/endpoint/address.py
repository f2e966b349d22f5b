"""A served model is identified by its server's URL, its name there, and the user's statement.

A server does not reveal its weights, or their dtype and revision.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from ..checkpoints.checkpoint import Checkpoint
from ..errors import NoCheckpointError, SettingsError
from ..settings import RunSettings
from ..storage.digests import digest

__all__ = ["NOTHING_TELLS", "served_checkpoint", "served_name"]

NOTHING_TELLS = (
    "nothing tells which weights answer there, nor in which dtype: the score is that of what the "
    "server's name stands for"
)
_ROUTES = ("/chat/completions", "/completions", "/models")


def served_checkpoint(model: str, settings: RunSettings) -> Checkpoint:
    """Return what a measurement of a served model is known by; nothing is requested.

    Parameters
    ----------
    model : str
        The model's name on the server.
    settings : RunSettings
        With the server's URL, and what the user says the model is.

    Raises
    ------
    SettingsError
        There is no URL.
    NoCheckpointError
        The name is empty.

    """
    if settings.endpoint is None:
        raise SettingsError("no endpoint is given")
    if not model.strip():
        raise NoCheckpointError("an empty name stands for no model of the endpoint")
    url = _base_url(settings.endpoint)
    stated = settings.answers_of
    return Checkpoint(
        name=stated or (PurePosixPath(model).name if model.startswith("/") else model),
        kind="endpoint",
        location=f"{url}#{model}",
        revision=digest([url, model, stated]),
        dtype="",
    )


def served_name(checkpoint: Checkpoint) -> tuple[str, str]:
    """Return a served model's URL, and its name there."""
    url, _, model = checkpoint.location.partition("#")
    return url, model


def _base_url(endpoint: str) -> str:
    """Return the API's URL, without the route of one kind of request."""
    url = endpoint.rstrip("/")
    for route in _ROUTES:
        url = url.removesuffix(route)
    host = url.partition("://")[2]
    return url if "/" in host else f"{url}/v1"
