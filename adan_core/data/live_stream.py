"""Listening to an exchange's stream: how long it has been silent, and opening it again."""

import asyncio
from collections.abc import Callable, Sequence

from adan_core.data.live_venue import LiveVenue, Update
from adan_core.data.live_waiting import Backoff
from adan_core.domain.errors import AdanError
from adan_core.domain.time import Clock, Milliseconds


class StreamWatch:
    """Keeps one stream open and hands on what it says; driven by ``tend``, several times a second.

    ``heard`` is called on the event loop with each batch of news. ``opened`` counts connections and
    ``heard_from`` is the newest one that told anything; ``failure`` says why the last one ended,
    ``heard_at`` is the wall clock's instant of the newest news (None before the first).
    """

    def __init__(
        self, venue: LiveVenue, clock: Clock, heard: Callable[[Sequence[Update]], None]
    ) -> None:
        self._venue = venue
        self._clock = clock
        self._heard = heard
        self._task: asyncio.Task[None] | None = None
        self._backoff = Backoff()
        self._retry_at = clock.monotonic()
        self._since = self._opened_at = clock.monotonic()
        self.began_at: Milliseconds = clock.now()
        self.heard_at: Milliseconds | None = None
        self.opened = 0
        self.heard_from = 0
        self.failure = ""

    @property
    def silent_for(self) -> float:
        """Seconds since the newest news, or since the stream was first listened to."""
        return self._clock.monotonic() - self._since

    async def tend(self, reconnect_after: float) -> None:
        """Open the stream where it is not open, and anew where it broke or fell silent.

        ``reconnect_after`` is the silence, in seconds, after which it is given up.
        """
        now = self._clock.monotonic()
        if self._task is None:
            if now >= self._retry_at:
                if not self.opened:
                    self._since, self.began_at = now, self._clock.now()
                self._opened_at = now
                self.opened += 1
                self._task = asyncio.create_task(self._listen())
        elif self._task.done():
            try:
                self._task.result()
            except AdanError as error:
                await self.close()
                self._fail(str(error), error)
        elif now - max(self._since, self._opened_at) >= reconnect_after:
            await self.close()
            silence = f"silent for {self.silent_for:.0f} s"
            self._fail(silence, AdanError(silence))

    async def close(self) -> None:
        """End the task and the connection."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._venue.disconnect()

    def _fail(self, why: str, error: AdanError) -> None:
        self.failure = why
        self._retry_at = self._clock.monotonic() + self._backoff.after(error)

    async def _listen(self) -> None:
        while True:
            news = await self._venue.updates()
            if not news:
                continue
            self._since = self._clock.monotonic()
            self.heard_at = self._clock.now()
            self.heard_from = self.opened
            self.failure = ""
            self._backoff.reset()
            self._heard(news)
