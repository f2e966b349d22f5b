"""The journal: every answer a model gave, on disk before the next question is asked.

A journal is a folder. Each writing process appends chunks of answers to its own SQLite shard; a
shard whose writer has gone is sealed under the digest of its bytes and never written again; sealed
shards are merged from time to time. Whoever reads sees all of them together.
"""

from capspace.collect.journal._journal import Journal, JournalInfo, JournalReport
from capspace.collect.journal.answers import Answer, RequestType
from capspace.collect.journal.chunk import Failure
from capspace.collect.journal.claims import Claim, Claims
from capspace.collect.journal.keys import RequestKeys, is_sampled

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
]
