"""A second venue's word on candles that count: asked in the background, never waited for."""

import asyncio
from collections.abc import Callable
from typing import Final

from adan_core.data.feed import Wait
from adan_core.data.live_venue import LiveVenue
from adan_core.domain.alerts import Alarm, Severity
from adan_core.domain.candles import Candle
from adan_core.domain.errors import AdanError
from adan_core.domain.time import Milliseconds

_ASK_AGAIN_SECONDS: Final = 5.0
_TRIES: Final = 12
_WAITING: Final = 20


class SecondOpinion:
    """Asks another exchange for each candle, until it lists it as closed or a minute has passed.

    ``told`` is called on the event loop with its answer.
    """

    def __init__(
        self,
        venue: LiveVenue,
        wait: Wait,
        alarm: Alarm,
        told: Callable[[str, Candle], None],
    ) -> None:
        self._venue = venue
        self._wait = wait
        self._alarm = alarm
        self._told = told
        self._questions: asyncio.Queue[tuple[str, Milliseconds]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._prepared = False

    def ask(self, symbol: str, opened: Milliseconds) -> None:
        """Have the candle of ``symbol`` that opened at ``opened`` asked for; old questions give way."""
        if self._questions.qsize() >= _WAITING:
            self._questions.get_nowait()
        self._questions.put_nowait((symbol, opened))
        if self._task is None:
            self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """End the asking and close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._venue.close()

    async def _work(self) -> None:
        while True:
            symbol, opened = await self._questions.get()
            try:
                await self._answer(symbol, opened)
            except AdanError as error:
                self._alarm(
                    "second venue",
                    Severity.WARNING,
                    f"candles are not compared with {self._venue.name.label}: {error}",
                )

    async def _answer(self, symbol: str, opened: Milliseconds) -> None:
        if not self._prepared:
            await self._venue.prepare()
            self._prepared = True
        for _ in range(_TRIES):
            rows = {row.open_time: row for row in await self._venue.candles(symbol, opened)}
            if opened in rows and max(rows) > opened:
                self._told(symbol, rows[opened])
                return
            if await self._wait(_ASK_AGAIN_SECONDS):
                return
