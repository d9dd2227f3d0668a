"""Around every request: an id, the time it took, errors as problem documents, CORS and security headers."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from multidict import CIMultiDict

from core.errors import MusterError
from core.log import get
from webapi import problems
from webapi.context import REQUEST_ID, SERVICES, STARTED
from webapi.metrics import Metrics

log = get("http")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ALLOWED_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, If-Match, Last-Event-ID"
EXPOSED_HEADERS: Final = "ETag, Location, Retry-After, X-Request-Id"
ALLOWED_METHODS: Final = "GET, POST, PUT, DELETE"
PREFLIGHT_S: Final = "7200"  # the longest that browsers keep


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """See the module."""
    request[REQUEST_ID] = os.urandom(8).hex()
    metrics = request.app[SERVICES].metrics
    started = time.perf_counter()
    try:
        if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
            response: web.StreamResponse = _preflight()
        else:
            response = await handler(request)
    except web.HTTPException as error:
        response = _of_http(request, error)
    except Exception as error:
        if request.get(STARTED):
            raise  # a stream broke: aiohttp ends the connection, as another answer cannot be sent
        response = _of_error(request, error)
    _count(metrics, request, response, time.perf_counter() - started)
    return response


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Runs just before the head of any answer is sent."""
    request[STARTED] = True
    headers = response.headers
    headers["X-Request-Id"] = request.get(REQUEST_ID, "")
    headers["X-Content-Type-Options"] = "nosniff"
    headers[hdrs.SERVER] = "muster"  # versions are nobody's business
    if hdrs.ORIGIN in request.headers:
        _add_cors(request, headers)


def _add_cors(request: web.Request, headers: CIMultiDict[str]) -> None:
    origins = request.app[SERVICES].settings.origins
    origin = request.headers[hdrs.ORIGIN]
    if origin not in origins and "*" not in origins:
        return
    headers.update(
        {
            hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin,
            hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: EXPOSED_HEADERS,
            hdrs.VARY: hdrs.ORIGIN,
        }
    )


def _preflight() -> web.Response:
    # Whether the origin is let in is said by `_add_cors`, as in any other answer.
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: ALLOWED_METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: ALLOWED_HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: PREFLIGHT_S,
        },
    )


def _of_http(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        return error
    response = problems.response(problems.from_http(error), request[REQUEST_ID])
    if hdrs.ALLOW in error.headers:
        response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
    return response


def _of_error(request: web.Request, error: Exception) -> web.StreamResponse:
    ours = error if isinstance(error, MusterError) else MusterError(str(error))
    if ours.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request failed", request_id=request[REQUEST_ID], path=request.path, exc_info=error)
    return problems.response(ours, request[REQUEST_ID])


def _count(metrics: Metrics, request: web.Request, response: web.StreamResponse, seconds: float) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "none"
    method = request.method if resource is not None or request.method in ALLOWED_METHODS else "other"
    timed = isinstance(response, web.Response) and "wait_s" not in request.query_string
    metrics.answered(route, method, response.status, seconds if timed else None)
