"""How long each model has decided on paper, out of the books of every account of a home."""

import msgspec

from adan_core.config.locations import Locations
from adan_core.domain.time import Milliseconds
from adan_core.trading.journal_status import read_checkpoint

TENURE_KEY = "tenure"


class Tenure(msgspec.Struct, frozen=True):
    """Market time decided on paper, milliseconds, by the digest of a model's bundle."""

    schema_version: int
    decided: dict[str, Milliseconds]


def market_time_decided(locations: Locations, digest: str) -> Milliseconds:
    """Return for how much market time a model has decided on paper, all accounts together.

    SystemFailure if a journal is there and cannot be read.
    """
    journals = [
        locations.journal,
        *(locations.account_journal(name) for name in locations.accounts()),
    ]
    total: Milliseconds = 0
    for journal in journals:
        kept = read_checkpoint(journal, TENURE_KEY)
        if kept is not None:
            total += msgspec.json.decode(kept, type=Tenure).decided.get(digest, 0)
    return total
