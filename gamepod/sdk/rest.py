"""The sidecar over HTTP, on the paths and with the answers of Agones' REST gateway.

    POST /ready  POST /health  POST /shutdown  GET /gameserver  GET /healthz    and Muster's own under /muster/v1/

Errors have the gateway's form: {"code", "message", "details"} with a gRPC status code. The HTTP server bounds bodies.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import orjson

from core.errors import IllegalTransition
from core.report import MAX_REPORT_BYTES
from gamepod.sdk.answers import FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, UNIMPLEMENTED, error, json_object
from gamepod.sdk.muster import PREFIX
from gamepod.sdk.server import ServerLife
from gamepod.sdk.state import ServerEvent
from gamepod.transport.http_types import Handler, HttpLimits, Request, Response, plain

LIMITS: Final = HttpLimits(max_body_bytes=MAX_REPORT_BYTES, max_head_bytes=8_192, max_connections=32)
METHODS: Final = {"/ready": "POST", "/health": "POST", "/shutdown": "POST", "/gameserver": "GET", "/healthz": "GET"}


class SidecarRest:
    """Handler of the sidecar's port. `describe` returns the document of GET /gameserver as it is now.

    Without `commands` it only tells: the built-in arena speaks for itself. `ours` answers what Agones does not have.
    """

    def __init__(
        self, life: ServerLife, describe: Callable[[], dict[str, Any]], ours: Handler, *, commands: bool
    ) -> None:
        self._life = life
        self._describe = describe
        self._ours = ours
        self._commands = commands

    async def __call__(self, request: Request) -> Response:
        if request.path.startswith(PREFIX):
            return await self._ours(request)
        method = METHODS.get(request.path)
        if method is None:
            return error(NOT_FOUND, "Not Found")
        if request.method != method:
            return error(UNIMPLEMENTED, f"Method Not Allowed: {request.path} takes {method}")
        if request.path == "/healthz":
            return plain(200, "ok")
        if request.path == "/gameserver":
            return Response(body=orjson.dumps(self._describe()))
        return self._command(request)

    def _command(self, request: Request) -> Response:
        if not self._commands:
            return error(FAILED_PRECONDITION, "the built-in arena takes no commands")
        # /health is a stream in gRPC: no body is no message, where the others take it for an empty one.
        if request.path == "/health" and not request.body:
            return error(INVALID_ARGUMENT, "missing body: send {}")
        try:
            json_object(request.body)
            if request.path == "/health":
                self._life.heard(time.monotonic())
            else:
                self._life.apply(ServerEvent.READY_ASKED if request.path == "/ready" else ServerEvent.SHUTDOWN)
        except ValueError as wrong:
            return error(INVALID_ARGUMENT, str(wrong))
        except IllegalTransition as wrong:
            return error(FAILED_PRECONDITION, wrong.detail)
        return Response(body=b"{}")
