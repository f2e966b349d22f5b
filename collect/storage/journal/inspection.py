"""The content of a journal is counted, and its integrity checked, without changing anything."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .chunk import Failure
from .reader import ShardContents, file_digest, read_shard

__all__ = ["JournalInfo", "JournalReport", "describe_journal", "inspect_journal"]


@dataclass(frozen=True)
class JournalInfo:
    """What a journal holds: per identity the responses, their bytes and what the identity is.

    Attributes
    ----------
    without_response : list of Failure
        The requests of all identities that were made and got no response.

    """

    n_responses: dict[str, int]
    n_bytes: dict[str, int]
    descriptions: dict[str, dict[str, Any]]
    without_response: list[Failure]
    n_sealed: int
    n_live: int
    n_quarantined: int


@dataclass(frozen=True)
class JournalReport:
    """What a check found: how much is whole, and one line for each thing that is not."""

    n_chunks: int
    n_responses: int
    problems: list[str]


def inspect_journal(path: Path) -> JournalReport:
    """Read everything in a journal's folder without opening it, so that nothing is repaired."""
    problems, n_chunks, n_responses = [], 0, 0
    for shard in sorted(path.glob("*.sqlite")):
        sealed = shard.name.startswith("sealed-")
        try:
            contents = read_shard(shard, sealed=sealed)
        except FileNotFoundError:  # sealed or merged away by its writer meanwhile
            continue
        n_chunks += len(contents.chunks)
        n_responses += sum(chunk.n for chunk in contents.chunks)
        changed = sealed and file_digest(shard) != shard.stem.removeprefix("sealed-")
        if contents.damage or changed:
            problems.append(f"{shard}: {contents.damage or 'its bytes changed'}")
    problems += [
        f"{shard}: quarantined as damaged, its whole chunks were kept; 'capspace store compact' "
        "deletes it"
        for shard in sorted((path / "quarantine").glob("*.sqlite"))
    ]
    return JournalReport(n_chunks, n_responses, problems)


def describe_journal(
    shards: Iterable[ShardContents],
    *,
    without_response: list[Failure],
    n_sealed: int,
    n_live: int,
    n_quarantined: int,
) -> JournalInfo:
    """Return what shards hold, per identity; a chunk that is in two of them counts once."""
    n_responses: Counter[str] = Counter()
    n_bytes: Counter[str] = Counter()
    descriptions: dict[str, dict[str, Any]] = {}
    seen: set[bytes] = set()
    for contents in shards:
        for chunk in contents.chunks:
            if chunk.digest in seen:
                continue
            seen.add(chunk.digest)
            n_responses[chunk.identity] += chunk.n
            n_bytes[chunk.identity] += len(chunk.payload)
        for identity, text in contents.descriptions.items():
            descriptions[identity] = json.loads(text)
    return JournalInfo(
        dict(n_responses),
        dict(n_bytes),
        descriptions,
        without_response,
        n_sealed,
        n_live,
        n_quarantined,
    )
