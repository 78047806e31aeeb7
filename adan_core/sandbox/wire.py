"""How a request is answered badly: refused, late, in part, with something else, or not at all."""

import asyncio
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from adan_core.sandbox import binance, kraken
from adan_core.sandbox.faults import REQUEST_FAULTS, Fault, FaultKind
from adan_core.sandbox.venue import MARK, Venue

_REFUSALS: Final = frozenset({FaultKind.RATE_LIMITED, FaultKind.BANNED, FaultKind.OVERLOADED})
_PAGE: Final = b"<!DOCTYPE html>\n<html><body><h1>Just a moment</h1></body></html>\n"


def spoiling(venue: Venue) -> Middleware:
    """Return the middleware that records each request, marks each answer and carries out faults."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        venue.record.add(venue.market.now(), request.method, request.path, request.query)
        faults = venue.script.next(REQUEST_FAULTS, request.path_qs)
        try:
            response = await _answer(venue, request, handler, faults)
        except web.HTTPException as error:  # an unknown path or method
            response = web.Response(status=error.status, text=error.reason)
        if not response.prepared:
            response.headers[MARK] = "simulated"
        return response

    return middleware


async def _answer(
    venue: Venue, request: web.Request, handler: Handler, faults: tuple[Fault, ...]
) -> web.StreamResponse:
    for fault in faults:
        if fault.kind is FaultKind.DELAYED:
            await asyncio.sleep(fault.amount)
        elif fault.kind is FaultKind.DROPPED:
            return _hang_up(request, web.StreamResponse())
        elif fault.kind is FaultKind.UNAVAILABLE:
            return web.Response(status=503, text="Service Unavailable")
        elif fault.kind in _REFUSALS:
            if request.path.startswith("/0/"):
                return kraken.refusal_of(fault.kind)
            return binance.refusal_of(
                fault.kind, fault.amount, venue.market.now(), venue.limiter.limit
            )
    response = await handler(request)
    for fault in faults:
        response = await _spoil(request, response, fault)
    return response


async def _spoil(
    request: web.Request, response: web.StreamResponse, fault: Fault
) -> web.StreamResponse:
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes):
        return response  # a stream: its faults are others
    if fault.kind is FaultKind.HTML:
        return web.Response(body=_PAGE, content_type="text/html")
    if fault.kind is FaultKind.EMPTY:
        return web.Response(body=b"", content_type="application/json")
    if fault.kind is FaultKind.TRUNCATED:
        return web.Response(body=body[: len(body) // 2], content_type="application/json")
    if fault.kind is FaultKind.CUT:
        length = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        torn = web.StreamResponse(headers={MARK: "simulated", **length})
        await torn.prepare(request)
        await torn.write(body[: len(body) // 2])
        return _hang_up(request, torn)
    return response


def _hang_up(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Close the connection under the answer; aiohttp finds it closed and lets the answer go."""
    if request.transport is not None:
        request.transport.close()
    return response
