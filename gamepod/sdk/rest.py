"""The sidecar over HTTP, on the paths and with the answers of Agones' REST gateway.

    POST /ready  POST /health  POST /shutdown  GET /gameserver  GET /healthz

and one path of Muster's own, POST /report (core.report): its answer says that the report is kept, whatever dies next.
Errors have the gateway's form: {"code", "message", "details"} with a gRPC status code. The HTTP server bounds bodies.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson

from core.errors import IllegalTransition, Invalid, MusterError, Unavailable
from core.report import MAX_REPORT_BYTES
from gamepod.sdk.server import ServerLife
from gamepod.sdk.state import ServerEvent
from gamepod.transport.http_types import HttpLimits, Request, Response, plain

LIMITS: Final = HttpLimits(max_body_bytes=MAX_REPORT_BYTES, max_head_bytes=8_192, max_connections=32)
METHODS: Final = {
    "/ready": "POST",
    "/health": "POST",
    "/shutdown": "POST",
    "/report": "POST",
    "/gameserver": "GET",
    "/healthz": "GET",
}

# gRPC status codes as the gateway maps them to HTTP.
INVALID_ARGUMENT: Final = (3, 400)
NOT_FOUND: Final = (5, 404)
FAILED_PRECONDITION: Final = (9, 400)
UNIMPLEMENTED: Final = (12, 501)
UNAVAILABLE: Final = (14, 503)


class SidecarRest:
    """Handler of the sidecar's port. `describe` returns the document of GET /gameserver as it is now.

    `report` keeps what was reported. Without `commands` it only tells: the built-in arena speaks for itself.
    """

    def __init__(
        self,
        life: ServerLife,
        describe: Callable[[], dict[str, Any]],
        report: Callable[[bytes], Awaitable[None]],
        *,
        commands: bool,
    ) -> None:
        self._life = life
        self._describe = describe
        self._report = report
        self._commands = commands

    async def __call__(self, request: Request) -> Response:
        method = METHODS.get(request.path)
        if method is None:
            return _error(NOT_FOUND, "Not Found")
        if request.method != method:
            return _error(UNIMPLEMENTED, f"Method Not Allowed: {request.path} takes {method}")
        if request.path == "/healthz":
            return plain(200, "ok")
        if request.path == "/gameserver":
            return Response(body=orjson.dumps(self._describe()))
        if request.path == "/report" and self._commands:
            return await self._take_report(request.body)
        return self._command(request)

    async def _take_report(self, body: bytes) -> Response:
        try:
            # Written anew: what is kept is whole JSON in UTF-8, whoever reads it.
            await self._report(orjson.dumps(orjson.loads(body)))
        except ValueError as error:
            return _error(INVALID_ARGUMENT, str(error))
        except Invalid as error:
            return _error(INVALID_ARGUMENT, f"{error.pointer} {error.detail}".lstrip())
        except Unavailable as error:
            return _error(UNAVAILABLE, error.detail)
        except MusterError as error:
            return _error(FAILED_PRECONDITION, error.detail)
        return Response(body=b"{}")

    def _command(self, request: Request) -> Response:
        if not self._commands:
            return _error(FAILED_PRECONDITION, "the built-in arena takes no commands")
        # /health is a stream in gRPC: no body is no message, where the others take it for an empty one.
        if request.path == "/health" and not request.body:
            return _error(INVALID_ARGUMENT, "missing body: send {}")
        try:
            if request.body and not isinstance(orjson.loads(request.body), dict):
                raise ValueError("the body is no JSON object")
            if request.path == "/health":
                self._life.heard(time.monotonic())
            else:
                self._life.apply(ServerEvent.READY_ASKED if request.path == "/ready" else ServerEvent.SHUTDOWN)
        except ValueError as error:
            return _error(INVALID_ARGUMENT, str(error))
        except IllegalTransition as error:
            return _error(FAILED_PRECONDITION, error.detail)
        return Response(body=b"{}")


def _error(kind: tuple[int, int], message: str) -> Response:
    code, status = kind
    return Response(status, orjson.dumps({"code": code, "message": message, "details": []}))
