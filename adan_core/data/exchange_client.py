"""The one door to ccxt: clients for public market data, and its errors translated into ours.

A client loads spot markets only, never retries by itself (a retry is decided by whoever knows
whether it is safe), limits its rate, waits ``TIMEOUT`` at most for an answer and logs nothing:
ccxt's log shows headers, keys included. Calls go through ``exchange_errors``.
"""

import difflib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from adan_core.domain.errors import DataError, RetryableError, TradingError, UsageError
from adan_core.domain.time import SECOND, Milliseconds

if TYPE_CHECKING:
    import ccxt
    import ccxt.pro

TIMEOUT: Milliseconds = 10 * SECOND

SIMULATED_HEADER = "X-ADAN-Sandbox"
"""The header that marks every answer of ADAN's own loopback exchange."""

_SECURE = {"http": False, "ws": False, "https": True, "wss": True}
_LONGEST_QUOTE = 200
_TIMED_OUT, _BANNED, _TOO_MANY = 408, 418, 429
_SILENT = logging.Logger("ccxt, unheard", level=logging.CRITICAL + 1)


class RateLimited(RetryableError):
    """The exchange wants fewer requests.

    ``retry_after`` is how long it wants to be left alone, in seconds (None: it did not say);
    ``banned`` that it refuses this address altogether until then.
    """

    def __init__(self, exchange: str, retry_after: float | None, banned: bool) -> None:
        wish = "" if retry_after is None else f" for {retry_after:g} s"
        found = "has banned this address" if banned else "asks for fewer requests"
        super().__init__(f"{exchange} {found}{wish}", remedy="wait, then try again")
        self.retry_after = retry_after
        self.banned = banned


def open_client(exchange: str, base_url: str | None = None) -> "ccxt.Exchange":
    """Return a client for the REST interface of ``exchange``; whoever opens it closes it.

    ``base_url``, e.g. http://127.0.0.1:9000, pins every address of the driver to that host: a
    request to any other is refused. UsageError for an exchange that ccxt does not know or that
    tells no candles, and for a ``base_url`` that is none.
    """
    import ccxt

    return _open(ccxt, ccxt.exchanges, "fetchOHLCV", exchange, base_url)


def open_stream_client(exchange: str, base_url: str | None = None) -> "ccxt.pro.Exchange":
    """Return an asynchronous client with streams for ``exchange``, as ``open_client`` does.

    Its event loop is the one that is running when it is first used; ``await client.close()`` ends
    it. UsageError also for an exchange without a stream of candles.
    """
    import ccxt.pro

    return _open(ccxt.pro, ccxt.pro.exchanges, "watchOHLCV", exchange, base_url)


def effective_hosts(client: "ccxt.Exchange") -> frozenset[str]:
    """Return the hosts (with their ports, where stated) that the client's driver may ask."""
    return frozenset(
        urlsplit(client.implode_hostname(url)).netloc for url in _addresses(client.urls["api"])
    )


def asks_the_exchange_itself(client: "ccxt.Exchange") -> bool:
    """Return whether the client asks no host but the exchange's own; another one is a test venue."""
    return effective_hosts(client) <= effective_hosts(type(client)())


def is_simulated(client: "ccxt.Exchange") -> bool:
    """Return whether the client's last answer came from ADAN's loopback exchange."""
    headers: Mapping[str, str] = client.last_response_headers or {}
    return SIMULATED_HEADER.lower() in {name.lower() for name in headers}


@contextmanager
def exchange_errors(client: "ccxt.Exchange") -> Iterator[None]:
    """Turn the errors of ccxt that the block raises into ours, by what the caller is to do.

    RetryableError where a read may succeed later (RateLimited with the wait that was asked for),
    DataError for a symbol or timeframe the exchange does not have, UsageError for what it cannot
    do at all, TradingError for any other refusal.
    """
    import ccxt

    try:
        yield
    except (ccxt.DDoSProtection, ccxt.RateLimitExceeded) as error:
        raise RateLimited(client.id, None, banned=False) from error
    except (ccxt.OperationFailed, ccxt.UnsubscribeError) as error:
        raise RetryableError(
            f"{client.id} does not answer as it should: {_quoted(error)}",
            remedy="try again later",
        ) from error
    except ccxt.BadRequest as error:
        raise DataError(
            f"{client.id} refuses: {_quoted(error)}", "a symbol and timeframe that it has"
        ) from error
    except ccxt.NotSupported as error:
        raise UsageError(
            f"{client.id} cannot do that: {_quoted(error)}", remedy="take another exchange"
        ) from error
    except ccxt.BaseError as error:
        if _broken_off(error):
            raise RetryableError(
                f"{client.id} broke off its answer", remedy="try again later"
            ) from error
        raise TradingError(f"{client.id} refuses: {_quoted(error)}") from error
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        # What ccxt stumbles over when an answer has another form than the exchange documents.
        raise RetryableError(
            f"{client.id} gave an answer that ccxt cannot read ({type(error).__name__})",
            remedy="try again later",
        ) from error


def _open(
    library: ModuleType, known: list[str], capability: str, exchange: str, base_url: str | None
) -> "ccxt.Exchange":
    if exchange not in known:
        close = difflib.get_close_matches(exchange.lower(), known, n=3)
        raise UsageError(
            f"exchange {exchange!r}",
            f"one that ccxt knows ({len(known)} for this)",
            f"did you mean {' or '.join(close)}?" if close else "write it like binance or kraken",
        )
    client: ccxt.Exchange = getattr(library, exchange)(
        {
            "enableRateLimit": True,
            "timeout": TIMEOUT,
            "options": {"defaultType": "spot", "maxRetriesOnFailure": 0},
        }
    )
    if not client.has.get(capability):
        raise UsageError(
            f"{exchange} has no {capability} in ccxt", "an exchange that tells its candles"
        )
    client.logger = _SILENT
    kinds = client.options.get("fetchMarkets")
    if isinstance(kinds, dict) and "types" in kinds:
        kinds["types"] = _spot_only(kinds["types"])
    if base_url is not None:
        _pin(client, base_url)
    _hear_answers(client)
    return client


def _spot_only(kinds: object) -> object:
    """Return the kinds of markets a driver loads, in its own form, with all but spot left out."""
    if isinstance(kinds, dict):
        return {kind: chosen if kind == "spot" else _none(chosen) for kind, chosen in kinds.items()}
    return ["spot"]


def _none(chosen: object) -> object:
    return dict.fromkeys(chosen, False) if isinstance(chosen, dict) else False


def _pin(client: "ccxt.Exchange", base_url: str) -> None:
    """Replace scheme and host of each of the driver's addresses."""
    wrong = UsageError(
        f"base URL {base_url!r}", "a scheme and a host", "write it like http://127.0.0.1:9000"
    )
    try:
        base = urlsplit(base_url)
        port = base.port
    except ValueError as error:  # brackets without an end, a port beyond the last
        raise wrong from error
    if (
        base.scheme not in {"http", "https"}
        or not base.hostname
        or base.path.strip("/")
        or port == 0
    ):
        raise wrong
    client.urls = _moved(client.urls, base)
    if client.session is not None:
        client.session.max_redirects = 0  # a redirection would lead to another host
    _refuse_other_hosts(client, base.netloc)


def _moved(part: object, base: SplitResult) -> object:
    if isinstance(part, dict):
        return {name: _moved(value, base) for name, value in part.items()}
    if isinstance(part, list):
        return [_moved(value, base) for value in part]
    if isinstance(part, str) and urlsplit(part).scheme in _SECURE:
        old = urlsplit(part)
        stream = {False: "ws", True: "wss"}[_SECURE[base.scheme]]
        scheme = stream if old.scheme in {"ws", "wss"} else base.scheme
        return old._replace(scheme=scheme, netloc=base.netloc).geturl()
    return part


def _addresses(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        for value in part.values():
            yield from _addresses(value)
    elif isinstance(part, str) and urlsplit(part).scheme in _SECURE:
        yield part


def _refuse_other_hosts(client: "ccxt.Exchange", host: str) -> None:
    """Refuse what a driver composes itself, off the addresses it declares."""
    fetch, stream = client.fetch, getattr(client, "client", None)

    def check(url: str) -> None:
        if urlsplit(url).netloc != host:
            raise TradingError(
                f"the driver for {client.id} wants to ask {urlsplit(url).netloc}", f"only {host}"
            )

    @wraps(fetch)
    def fetched(url: str, *rest: object) -> object:
        check(url)
        return fetch(url, *rest)

    client.fetch = fetched
    if stream is not None:

        @wraps(stream)
        def streamed(url: str) -> object:
            check(url)
            return stream(url)

        client.client = streamed


def _hear_answers(client: "ccxt.Exchange") -> None:
    """Refuse answers that are no JSON or no candles; take from a failure what its headers say.

    ccxt takes a page of HTML for an answer without candles, leaves out rows it cannot date, forgets
    Retry-After, calls 403 and 404 an exchange that is not available, and an overloaded one (503
    with a code) a refusal.
    """
    import ccxt

    fetch, handle_errors, parse_ohlcv = client.fetch, client.handle_errors, client.parse_ohlcv

    def parsed(answer: object) -> object:
        if not isinstance(answer, (dict, list)):
            raise ccxt.BadResponse(f"an answer that is no JSON: {str(answer)[:_LONGEST_QUOTE]!r}")
        return answer

    @wraps(fetch)
    def fetched(*request: object) -> object:
        return parsed(fetch(*request))

    @wraps(fetch)
    async def fetched_asynchronously(*request: object) -> object:
        return parsed(await fetch(*request))

    @wraps(handle_errors)
    def heard(
        code: int, reason: str, url: str, method: str, headers: Mapping[str, str], *rest: object
    ) -> object:
        if code in {_TOO_MANY, _BANNED}:
            raise RateLimited(client.id, _retry_after(headers), banned=code == _BANNED)
        if code >= 500 or code == _TIMED_OUT:
            raise ccxt.ExchangeNotAvailable(f"{code} {reason}")
        handled = handle_errors(code, reason, url, method, headers, *rest)
        if code >= 400:
            raise ccxt.ExchangeError(f"{method} {urlsplit(url).path}: {code} {reason}")
        return handled

    @wraps(parse_ohlcv)
    def dated(*row: object) -> list[float | None]:
        candle: list[float | None] = parse_ohlcv(*row)
        if candle[0] is None:
            raise ccxt.BadResponse(f"a row that is no candle: {str(row[0])[:_LONGEST_QUOTE]}")
        return candle

    client.parse_ohlcv = dated
    client.fetch = fetched if client.synchronous else fetched_asynchronously
    client.handle_errors = heard


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, as a number or as a date (RFC 9110)."""
    said = {name.lower(): value.strip() for name, value in headers.items()}
    wish = said.get("retry-after", "")
    if wish.isdecimal():
        return float(wish)
    try:
        until, now = parsedate_to_datetime(wish), parsedate_to_datetime(said.get("date", ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return None


def _broken_off(error: BaseException) -> bool:
    """Return whether the connection ended within an answer: a refusal to ccxt's asynchronous half."""
    import aiohttp

    return isinstance(error.__cause__, aiohttp.ClientPayloadError)


def _quoted(error: BaseException) -> str:
    """Return what ccxt says, on one line and not too long: it quotes whole pages."""
    text = " ".join(str(error).split())[:_LONGEST_QUOTE]
    return f"{type(error).__name__}, {text}" if text else type(error).__name__
