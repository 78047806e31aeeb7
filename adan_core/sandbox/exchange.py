"""The loopback exchange: a server on 127.0.0.1, in a thread of its own, that imitates venues.

It speaks the public protocols of Binance spot (``/api/v3``, streams on ``/ws`` and ``/stream``)
and of Kraken spot (``/0/public``, streams on ``/v2``); which one is told by the path. Nothing it
says is a real market's: every answer carries the header of ``venue.MARK``.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Self

from aiohttp import web

from adan_core.data.series import CandleSeries
from adan_core.domain.errors import SystemFailure
from adan_core.domain.time import Milliseconds
from adan_core.sandbox.binance import BinanceRest
from adan_core.sandbox.binance_streams import BinanceStreams
from adan_core.sandbox.faults import Faults, FaultScript
from adan_core.sandbox.kraken import KrakenRest
from adan_core.sandbox.kraken_streams import KrakenStreams
from adan_core.sandbox.limits import WEIGHT_LIMIT, WeightLimiter
from adan_core.sandbox.market import MarketData
from adan_core.sandbox.requests import Request
from adan_core.sandbox.streams import StreamHub
from adan_core.sandbox.venue import Venue
from adan_core.sandbox.wire import spoiling

_HOST = "127.0.0.1"


class LoopbackExchange:
    """An exchange that serves ``series`` as they stand at ``now()``; it listens once it is made.

    ``now`` is called from the exchange's thread. ``newest_only`` bounds how many closed candles of
    a timeframe are answered (None: all of them, save where a protocol has a bound of its own),
    ``weight_limit`` what a client may ask in a minute of Binance's protocol, ``port`` is the one to
    listen on (0: any free one). SystemFailure if it cannot listen, DataError if there is nothing
    to serve.
    """

    def __init__(
        self,
        series: Sequence[CandleSeries],
        now: Callable[[], Milliseconds],
        faults: Faults = Faults(),  # noqa: B008  (frozen)
        newest_only: int | None = None,
        port: int = 0,
        weight_limit: int = WEIGHT_LIMIT,
    ) -> None:
        self._venue = Venue(
            MarketData(series, now, newest_only), WeightLimiter(weight_limit), FaultScript(faults)
        )
        try:
            self._listener = socket.create_server((_HOST, port))
        except OSError as error:
            raise SystemFailure(
                f"port {port} of {_HOST}: {error.strerror}", "a free port", "choose another --port"
            ) from error
        self.url = f"http://{_HOST}:{self._listener.getsockname()[1]}"
        self._loop = asyncio.new_event_loop()
        self._hub = StreamHub(self._venue)
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
        self._thread.start()
        self._ready.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def requests(self) -> tuple[Request, ...]:
        """What has been asked so far, the oldest first."""
        return self._venue.record.all()

    def inject(self, faults: Faults) -> None:
        """Let ``faults`` happen from now on, counted afresh, instead of those before."""
        self._venue.script = FaultScript(faults)

    def advance(self) -> None:
        """Tell the clients of the streams what has happened since; returns when it is on its way.

        Streams say nothing by themselves: whoever moves the clock that ``now`` reads calls this.
        """
        asyncio.run_coroutine_threadsafe(self._hub.advance(), self._loop).result()

    def close(self) -> None:
        """Cut every connection, stop listening and join the thread; twice is once."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        application = web.Application(middlewares=[spoiling(self._venue)])
        application.add_routes(BinanceRest(self._venue).routes())
        application.add_routes(BinanceStreams(self._venue, self._hub).routes())
        application.add_routes(KrakenRest(self._venue).routes())
        application.add_routes(KrakenStreams(self._venue, self._hub).routes())
        runner = web.AppRunner(
            application, handler_cancellation=True, access_log=None, shutdown_timeout=0.01
        )
        await runner.setup()
        await web.SockSite(runner, self._listener).start()
        self._ready.set()
        await self._stop.wait()
        # No more newcomers; those just accepted get their transports first, or nobody closes them.
        self._loop.remove_reader(self._listener)
        for _ in range(3):
            await asyncio.sleep(0)
        self._hub.cut_all()
        await runner.cleanup()
