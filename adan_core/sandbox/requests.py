"""What clients asked of the sandbox: a record that another thread may read at any time."""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from adan_core.domain.time import Milliseconds

_KEPT: Final = 100_000  # requests; the oldest go first


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived, whatever became of it; ``at`` is the market's own time.

    A message on a stream has its method, e.g. ``SUBSCRIBE``, the path of its connection, and what
    it asks for as ``{"streams": "btcusdt@kline_1m"}``.
    """

    at: Milliseconds
    method: str
    path: str
    query: Mapping[str, str]


class RequestRecord:
    """The newest requests, in the order in which they came; the exchange's thread adds to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: deque[Request] = deque(maxlen=_KEPT)

    def add(self, at: Milliseconds, method: str, path: str, query: Mapping[str, str]) -> None:
        """Record one request."""
        request = Request(at, method, path, MappingProxyType(dict(query)))
        with self._lock:
            self._kept.append(request)

    def all(self) -> tuple[Request, ...]:
        """Return the requests so far, the oldest first."""
        with self._lock:
            return tuple(self._kept)
