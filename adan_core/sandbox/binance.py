"""Binance spot's public REST protocol, as far as market data needs it.

Answers, error codes, request weights and headers follow Binance's documentation of ``/api/v3``.
The futures hosts' lists of markets are answered, too, with none: clients ask all three at once.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from adan_core.domain.candles import Timeframe
from adan_core.domain.market import MarketRules
from adan_core.domain.time import DAY, HOUR, MINUTE, Milliseconds
from adan_core.sandbox.faults import FaultKind
from adan_core.sandbox.limits import Verdict
from adan_core.sandbox.market import Kline, UnknownTimeframe, turnover
from adan_core.sandbox.text import decimal_text, short_text
from adan_core.sandbox.venue import Venue

INTERVALS: Final = {
    str(timeframe): timeframe
    for timeframe in (
        *(Timeframe(minutes * MINUTE) for minutes in (1, 3, 5, 15, 30)),
        *(Timeframe(hours * HOUR) for hours in (1, 2, 4, 6, 8, 12)),
        *(Timeframe(days * DAY) for days in (1, 3)),
    )
}
"""Its spans, save seconds, weeks and months: those are no timeframes of ADAN's."""

_LONGEST_PAGE: Final = 1000
_USUAL_PAGE: Final = 500
_DEEPEST_BOOK: Final = 5000
_USUAL_BOOK: Final = 100


class Refusal(Exception):
    """A request answered with Binance's error document instead of what it asks for."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status

    def answer(self) -> web.Response:
        """Return the error document."""
        return _json({"code": self.code, "msg": str(self)}, self.status)


class BinanceRest:
    """The handlers of ``/api/v3``."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._ids = {symbol_id(symbol): symbol for symbol in venue.market.rules}

    def routes(self) -> list[web.RouteDef]:
        """Return the paths this protocol answers."""
        return [
            self._get("ping", 1, lambda _: {}),
            self._get("time", 1, lambda _: {"serverTime": self._venue.market.now()}),
            self._get("exchangeInfo", 20, self._exchange_info),
            self._get("klines", 2, self._klines),
            self._get("depth", 5, self._depth),
            self._get("ticker/24hr", 2, self._day),
            self._get("ticker/price", 2, self._price),
            self._get("ticker/bookTicker", 2, self._book_ticker),
            web.get("/fapi/v1/exchangeInfo", _no_markets),
            web.get("/dapi/v1/exchangeInfo", _no_markets),
        ]

    def _get(self, name: str, weight: int, answer: Callable[[web.Request], object]) -> web.RouteDef:
        async def handle(request: web.Request) -> web.Response:
            verdict = self._venue.limiter.spend(weight, self._venue.market.now())
            try:
                if verdict.wait is not None:
                    response = _refused(verdict, self._venue.limiter.limit)
                else:
                    response = _json(answer(request))
            except Refusal as refusal:
                response = refusal.answer()
            used = str(verdict.used)
            response.headers.update({"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used})
            return response

        return web.get(f"/api/v3/{name}", handle)

    def _exchange_info(self, request: web.Request) -> object:
        asked = request.query.get("symbol")
        rules = self._venue.market.rules
        chosen = list(rules.values()) if asked is None else [rules[self._symbol(request)]]
        return {
            "timezone": "UTC",
            "serverTime": self._venue.market.now(),
            "rateLimits": [
                {
                    "rateLimitType": "REQUEST_WEIGHT",
                    "interval": "MINUTE",
                    "intervalNum": 1,
                    "limit": self._venue.limiter.limit,
                }
            ],
            "exchangeFilters": [],
            "symbols": [_market(each) for each in chosen],
        }

    def _klines(self, request: web.Request) -> object:
        symbol = self._symbol(request)
        interval = _mandatory(request, "interval")
        if interval not in INTERVALS:
            raise Refusal(-1120, "Invalid interval.")
        since = _whole(request, "startTime")
        until = _whole(request, "endTime")
        limit = _count(request, _USUAL_PAGE, _LONGEST_PAGE)
        try:
            rows = self._venue.page(
                request.path_qs, symbol, INTERVALS[interval], since, until, limit
            )
        except UnknownTimeframe as error:
            raise Refusal(-1120, "Invalid interval.") from error
        return [_row(kline) for kline in rows]

    def _depth(self, request: web.Request) -> object:
        levels = _count(request, _USUAL_BOOK, _DEEPEST_BOOK)
        bids, asks = self._venue.market.book(self._symbol(request), levels)
        return {
            "lastUpdateId": self._venue.market.now(),
            "bids": [[decimal_text(price), decimal_text(size)] for price, size in bids],
            "asks": [[decimal_text(price), decimal_text(size)] for price, size in asks],
        }

    def _day(self, request: web.Request) -> object:
        return self._for_symbols(request, self._day_of)

    def _price(self, request: web.Request) -> object:
        return self._for_symbols(request, self._price_of)

    def _book_ticker(self, request: web.Request) -> object:
        return self._for_symbols(request, self._best_of)

    def _for_symbols(
        self, request: web.Request, answer: Callable[[str], dict[str, object]]
    ) -> object:
        if "symbol" in request.query:
            return answer(self._symbol(request))
        return [answer(symbol) for symbol in self._venue.market.rules]

    def _day_of(self, symbol: str) -> dict[str, object]:
        day = self._venue.market.day(symbol)
        if day is None:
            raise Refusal(-1121, "Invalid symbol.")
        best = self._best_of(symbol)
        change = day.last - day.open
        average = day.turnover / day.volume if day.volume else day.last
        return {
            **best,
            "priceChange": decimal_text(round(change, 8)),
            "priceChangePercent": f"{100.0 * change / day.open:.3f}",
            "weightedAvgPrice": f"{average:.8f}",
            "prevClosePrice": decimal_text(day.open),
            "lastPrice": decimal_text(day.last),
            "lastQty": best["bidQty"],
            "openPrice": decimal_text(day.open),
            "highPrice": decimal_text(day.high),
            "lowPrice": decimal_text(day.low),
            "volume": decimal_text(round(day.volume, 8)),
            "quoteVolume": f"{day.turnover:.8f}",
            "openTime": day.start,
            "closeTime": day.end,
            "firstId": 0,
            "lastId": 0,
            "count": 1,
        }

    def _price_of(self, symbol: str) -> dict[str, object]:
        bids, _ = self._venue.market.book(symbol, 1)
        price = decimal_text(bids[0][0]) if bids else "0.00000000"
        return {"symbol": symbol_id(symbol), "price": price}

    def _best_of(self, symbol: str) -> dict[str, object]:
        best = [side[0] if side else (0.0, 0.0) for side in self._venue.market.book(symbol, 1)]
        return {
            "symbol": symbol_id(symbol),
            "bidPrice": decimal_text(best[0][0]),
            "bidQty": decimal_text(best[0][1]),
            "askPrice": decimal_text(best[1][0]),
            "askQty": decimal_text(best[1][1]),
        }

    def _symbol(self, request: web.Request) -> str:
        asked = _mandatory(request, "symbol")
        if not (asked.isascii() and asked.replace("-", "").replace("_", "").isalnum()):
            raise Refusal(-1100, "Illegal characters found in parameter 'symbol'.")
        try:
            return self._ids[asked]
        except KeyError as error:
            raise Refusal(-1121, "Invalid symbol.") from error


def symbol_id(symbol: str) -> str:
    """Return Binance's name of ``BTC/USDT``: ``BTCUSDT``."""
    return symbol.replace("/", "")


def refusal_of(kind: FaultKind, seconds: float, now: Milliseconds, limit: int) -> web.Response:
    """Return the answer of a Binance that refuses: 429 and 418 with ``seconds`` to wait, or 503 and why."""
    if kind is FaultKind.RATE_LIMITED:
        return _refused(Verdict(limit + 1, int(seconds)), limit)
    if kind is FaultKind.BANNED:
        return _refused(Verdict(limit + 1, int(seconds), now + int(seconds * 1000)), limit)
    return Refusal(
        -1008,
        "Server is currently overloaded with other requests. Please try again in a few minutes.",
        503,
    ).answer()


def _refused(verdict: Verdict, limit: int) -> web.Response:
    if verdict.banned_until is not None:
        text = f"Way too much request weight used; IP banned until {verdict.banned_until}."
        response = Refusal(-1003, text, 418).answer()
    else:
        text = (
            f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE."
        )
        response = Refusal(-1003, text, 429).answer()
    response.headers["Retry-After"] = str(verdict.wait)
    return response


async def _no_markets(_: web.Request) -> web.Response:
    return _json({"timezone": "UTC", "rateLimits": [], "exchangeFilters": [], "symbols": []})


def _json(document: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(document), status=status, content_type="application/json"
    )


def _row(kline: Kline) -> list[object]:
    candle = kline.candle
    return [
        candle.open_time,
        decimal_text(candle.open),
        decimal_text(candle.high),
        decimal_text(candle.low),
        decimal_text(candle.close),
        decimal_text(candle.volume),
        candle.open_time + kline.timeframe.duration - 1,
        f"{turnover(candle):.8f}",
        trade_count(kline),
        decimal_text(round(candle.volume / 2.0, 8)),
        f"{turnover(candle) / 2.0:.8f}",
        "0",
    ]


def trade_count(kline: Kline) -> int:
    """Return how many trades a candle claims: one if anything was traded; nobody counted them."""
    return int(kline.candle.volume > 0.0)


def _market(rules: MarketRules) -> dict[str, object]:
    return {
        "symbol": symbol_id(rules.symbol),
        "status": "TRADING",
        "baseAsset": rules.base,
        "baseAssetPrecision": 8,
        "quoteAsset": rules.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": short_text(rules.tick_size),
                "maxPrice": "1000000000",
                "tickSize": short_text(rules.tick_size),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": short_text(rules.minimum_quantity),
                "maxQty": "1000000000",
                "stepSize": short_text(rules.lot_step),
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": short_text(rules.minimum_notional),
                "applyMinToMarket": True,
                "maxNotional": "1000000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def _mandatory(request: web.Request, name: str) -> str:
    text = request.query.get(name, "")
    if not text:
        raise Refusal(
            -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
        )
    return text


def _whole(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 17):
        raise Refusal(
            -1100,
            f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.",
        )
    return int(text)


def _count(request: web.Request, usual: int, largest: int) -> int:
    limit = _whole(request, "limit")
    if limit is None:
        return usual
    if limit < 1:
        raise Refusal(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(limit, largest)
