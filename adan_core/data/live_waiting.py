"""Waiting for an exchange: for how long to leave it alone, and never beyond the moment to stop."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from adan_core.data.exchange_client import RateLimited
from adan_core.data.feed import Wait
from adan_core.domain.errors import AdanError, TradingError

Answer = TypeVar("Answer")

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_STOP_SECONDS: Final = 0.05


class Backoff:
    """How long to leave an exchange alone: twice as long after each failure, up to a minute."""

    def __init__(self) -> None:
        self._pause = _FIRST_PAUSE

    def reset(self) -> None:
        """Begin anew after a success."""
        self._pause = _FIRST_PAUSE

    def after(self, error: AdanError) -> float:
        """Return the seconds to wait after ``error``; never less than the exchange asked for."""
        pause, self._pause = self._pause, min(2.0 * self._pause, _LONGEST_PAUSE)
        asked = error.retry_after if isinstance(error, RateLimited) else None
        return max(pause, asked or 0.0)


class Stopped(Exception):
    """Whoever waited was told to stop."""


class Waiting:
    """Waits for what an exchange or a disk does; ``failed`` hears each failure that may pass."""

    def __init__(self, wait: Wait, failed: Callable[[str], None]) -> None:
        self._wait = wait
        self._failed = failed

    async def insist(
        self,
        step: Callable[[], Awaitable[None]],
        what: str = "",
        passing: type[AdanError] = TradingError,
    ) -> None:
        """Carry out ``step``, again and again while it fails in a way that may pass.

        Raises Stopped if told to stop between two attempts.
        """
        backoff = Backoff()
        while True:
            try:
                return await step()
            except passing as error:
                self._failed(f"{what}: {error}" if what else str(error))
                if await self._wait(backoff.after(error)):
                    raise Stopped from None

    async def unless_stopped(self, operation: Coroutine[Any, Any, Answer]) -> Answer:
        """Return what ``operation`` returns; end it and raise Stopped if told to stop first."""
        task = asyncio.create_task(operation)
        try:
            while not task.done():
                await asyncio.sleep(0)
                if not task.done() and await self._wait(_STOP_SECONDS):
                    raise Stopped
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
