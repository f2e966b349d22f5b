"""The journal holds every response of a model, on disk before the next request is made.

A journal is a folder. Each writing process appends chunks of responses to its own SQLite shard; a
shard whose writer has gone is sealed under the digest of its bytes and never written again; sealed
shards are merged from time to time. Whoever reads sees all of them together.
"""

from ._journal import Journal, open_journal
from .chunk import Failure
from .inspection import JournalInfo, JournalReport, inspect_journal
from .keys import RequestKeys, is_sampled
from .leases import Lease, Leases
from .responses import RequestType, Response

__all__ = [
    "Failure",
    "Journal",
    "JournalInfo",
    "JournalReport",
    "Lease",
    "Leases",
    "RequestKeys",
    "RequestType",
    "Response",
    "inspect_journal",
    "is_sampled",
    "open_journal",
]
