"""The journal: every answer a model gave, on disk before the next question is asked.

A journal is a folder. Each writing process appends chunks of answers to its own SQLite shard; a
shard whose writer has gone is sealed under the digest of its bytes and never written again; sealed
shards are merged from time to time. Whoever reads sees all of them together.
"""

from ._journal import Journal, JournalInfo, JournalReport, open_journal
from .answers import Answer, RequestType
from .chunk import Failure
from .claims import Claim, Claims
from .keys import RequestKeys, is_sampled

__all__ = [
    "Answer",
    "Claim",
    "Claims",
    "Failure",
    "Journal",
    "JournalInfo",
    "JournalReport",
    "RequestKeys",
    "RequestType",
    "is_sampled",
    "open_journal",
]
