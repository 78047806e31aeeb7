"""Instants as an operator writes them: a date, or a time with its zone."""

import re
from datetime import UTC, datetime

from adan_core.domain.errors import UsageError
from adan_core.domain.time import SECOND, Milliseconds

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def instant_of(text: str | None) -> Milliseconds | None:
    """Return the instant that a date (midnight UTC) or an ISO time with its zone means.

    None for None; UsageError for what is neither.
    """
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"date {text!r}", "ISO 8601", "write it like 2021-01-01") from error
    if _DATE.fullmatch(text):
        instant = instant.replace(tzinfo=UTC)
    if instant.tzinfo is None:
        raise UsageError(
            f"time {text!r} without a zone", "a zone", f"write {instant.isoformat()}Z if it is UTC"
        )
    return int(instant.timestamp() * SECOND)
