"""Kraken spot's public REST protocol, as far as candles need it.

Its names are its own (``XXBT`` for bitcoin, ``ZUSD`` for dollars), its candles come newest 720
only whatever one asks for, the last of them forming, and its refusals have status 200.
"""

from email.utils import formatdate
from typing import Final

import msgspec
from aiohttp import web

from adan_core.domain.candles import Timeframe
from adan_core.domain.market import MarketRules
from adan_core.domain.time import MINUTE, SECOND
from adan_core.sandbox.faults import FaultKind
from adan_core.sandbox.market import Kline, UnknownTimeframe, turnover
from adan_core.sandbox.text import decimal_text, short_text
from adan_core.sandbox.venue import Venue

NEWEST_ONLY: Final = 720
TIMEFRAMES: Final = tuple(Timeframe(count * MINUTE) for count in (1, 5, 15, 30, 60, 240, 1440))
"""The spans of its candles; its weeks and fortnights begin on days of their own."""

_NAMES: Final = {"BTC": "XBT", "DOGE": "XDG"}
_OLD_CRYPTO: Final = {"XBT", "ETH", "LTC", "XRP", "XLM", "ETC", "XMR", "ZEC", "REP", "MLN", "XDG"}
_OLD_MONEY: Final = {"USD", "EUR", "GBP", "CAD", "JPY"}


class KrakenRest:
    """The handlers of ``/0/public``."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._pairs: dict[str, str] = {}
        for symbol in venue.market.rules:
            for name in (pair_id(symbol), _other_name(symbol)):
                self._pairs[name] = symbol

    def routes(self) -> list[web.RouteDef]:
        """Return the paths this protocol answers."""
        return [
            web.get("/0/public/Time", self._time),
            web.get("/0/public/Assets", self._assets),
            web.get("/0/public/AssetPairs", self._asset_pairs),
            web.get("/0/public/OHLC", self._ohlc),
        ]

    async def _time(self, _: web.Request) -> web.Response:
        seconds = self._venue.market.now() // SECOND
        return _result({"unixtime": seconds, "rfc1123": formatdate(seconds, usegmt=True)})

    async def _assets(self, _: web.Request) -> web.Response:
        assets: dict[str, object] = {}
        for rules in self._venue.market.rules.values():
            for asset in (rules.base, rules.quote):
                assets[_asset_id(asset)] = {
                    "aclass": "currency",
                    "altname": _NAMES.get(asset, asset),
                    "decimals": 10,
                    "display_decimals": 5,
                    "status": "enabled",
                }
        return _result(assets)

    async def _asset_pairs(self, _: web.Request) -> web.Response:
        rules = self._venue.market.rules
        return _result({pair_id(symbol): _pair(each) for symbol, each in rules.items()})

    async def _ohlc(self, request: web.Request) -> web.Response:
        symbol = self._pairs.get(request.query.get("pair", ""))
        if symbol is None:
            return _errors("EQuery:Unknown asset pair")
        try:
            timeframe = Timeframe(int(request.query.get("interval", "1")) * MINUTE)
            after = float(request.query.get("since", "0"))
        except ValueError:
            return _errors("EGeneral:Invalid arguments")
        if timeframe not in TIMEFRAMES or not 0.0 <= after < 1e11:
            return _errors("EGeneral:Invalid arguments")
        # What opened at `since` itself is not answered: one asks with the `last` of the answer before.
        since = int(after * SECOND) + 1
        try:
            rows = self._venue.page(
                request.path_qs,
                symbol,
                timeframe,
                since,
                None,
                NEWEST_ONLY + 1,
                NEWEST_ONLY,
            )
        except UnknownTimeframe:
            return _errors("EGeneral:Invalid arguments")
        closed = [kline.candle.open_time for kline in rows if kline.closed]
        last = closed[-1] // SECOND if closed else int(after)
        return _result({pair_id(symbol): [_row(kline) for kline in rows], "last": last})


def pair_id(symbol: str) -> str:
    """Return Kraken's name of a symbol: ``XXBTZUSD`` for BTC/USD, ``XBTUSDT`` for BTC/USDT."""
    base, _, quote = symbol.partition("/")
    old = _asset_id(base), _asset_id(quote)
    if all(len(name) == 4 and name[0] in "XZ" for name in old):
        return "".join(old)
    return _other_name(symbol)


def refusal_of(kind: FaultKind) -> web.Response:
    """Return the answer of a Kraken that refuses: status 200, and why."""
    reasons = {
        FaultKind.RATE_LIMITED: "EAPI:Rate limit exceeded",
        FaultKind.BANNED: "EGeneral:Temporary lockout",
        FaultKind.OVERLOADED: "EService:Busy",
    }
    return _errors(reasons[kind])


def _other_name(symbol: str) -> str:
    return "".join(_NAMES.get(asset, asset) for asset in symbol.split("/"))


def _asset_id(asset: str) -> str:
    name = _NAMES.get(asset, asset)
    if name in _OLD_CRYPTO:
        return f"X{name}"
    return f"Z{name}" if name in _OLD_MONEY else name


def _result(document: object) -> web.Response:
    return _json({"error": [], "result": document})


def _errors(*errors: str) -> web.Response:
    return _json({"error": list(errors)})


def _json(document: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), content_type="application/json")


def _row(kline: Kline) -> list[object]:
    candle = kline.candle
    average = turnover(candle) / candle.volume if candle.volume else 0.0
    prices = (candle.open, candle.high, candle.low, candle.close)
    return [
        candle.open_time // SECOND,
        *(short_text(price) for price in prices),
        f"{average:.8f}",
        decimal_text(candle.volume),
        int(candle.volume > 0.0),
    ]


def _pair(rules: MarketRules) -> dict[str, object]:
    name = _NAMES.get(rules.base, rules.base)
    return {
        "altname": _other_name(rules.symbol),
        "wsname": f"{name}/{_NAMES.get(rules.quote, rules.quote)}",
        "aclass_base": "currency",
        "base": _asset_id(rules.base),
        "aclass_quote": "currency",
        "quote": _asset_id(rules.quote),
        "lot": "unit",
        "pair_decimals": _decimals(rules.tick_size),
        "lot_decimals": _decimals(rules.lot_step),
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.1]],
        "fees_maker": [[0, 0.1]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": short_text(rules.minimum_quantity),
        "costmin": short_text(rules.minimum_notional),
        "tick_size": short_text(rules.tick_size),
        "status": "online",
    }


def _decimals(step: float) -> int:
    return len(short_text(step).partition(".")[2])
