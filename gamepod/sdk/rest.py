"""The sidecar over HTTP, on the paths and with the answers of Agones' REST gateway.

Errors have the gateway's form: {"code", "message", "details"} with a gRPC status code. The HTTP server bounds bodies,
connections and what waits on each; requests are served in their order.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

import orjson

from core.report import MAX_REPORT_BYTES
from gamepod.sdk import fields
from gamepod.sdk.answers import INVALID_ARGUMENT, NOT_FOUND, UNIMPLEMENTED, CallRefused, error, json_object
from gamepod.sdk.muster import PREFIX
from gamepod.sdk.sdk import Sdk
from gamepod.sdk.tally_calls import TALLY_PATHS, tally
from gamepod.transport.http_types import Handler, HttpLimits, Request, Response, plain

LIMITS: Final = HttpLimits(max_body_bytes=MAX_REPORT_BYTES, max_head_bytes=8_192, max_connections=32)
WATCH: Final = "/watch/gameserver"


def _label(sdk: Sdk, body: dict[str, Any]) -> None:
    sdk.set_label(fields.text(body, "key"), fields.text(body, "value"))


def _annotation(sdk: Sdk, body: dict[str, Any]) -> None:
    sdk.set_annotation(fields.text(body, "key"), fields.text(body, "value"))


COMMANDS: Final[dict[str, tuple[str, Callable[[Sdk, dict[str, Any]], None]]]] = {
    "/ready": ("POST", lambda sdk, _: sdk.ready()),
    "/allocate": ("POST", lambda sdk, _: sdk.allocate()),
    "/shutdown": ("POST", lambda sdk, _: sdk.shutdown()),
    "/health": ("POST", lambda sdk, _: sdk.health()),
    "/reserve": ("POST", lambda sdk, body: sdk.reserve(fields.whole(body, "seconds") or 0)),
    "/metadata/label": ("PUT", _label),
    "/metadata/annotation": ("PUT", _annotation),
}


class SidecarRest:
    """Handler of the sidecar's port. `ours` answers what Agones does not have."""

    def __init__(self, sdk: Sdk, ours: Handler) -> None:
        self._sdk, self._ours = sdk, ours

    async def __call__(self, request: Request) -> Response:
        path = request.path
        if path.startswith(PREFIX):
            return await self._ours(request)
        try:
            if path in COMMANDS:
                return self._command(request)
            if path.startswith(TALLY_PATHS):
                return tally(self._sdk, request)
            return self._read(request)
        except CallRefused as refused:
            return error(refused.kind, refused.message)
        except ValueError as wrong:
            return error(INVALID_ARGUMENT, str(wrong))

    def _command(self, request: Request) -> Response:
        method, call = COMMANDS[request.path]
        if request.method != method:
            return _wrong_method(request, method)
        # /health is a stream in gRPC: no body is no message, where the others take it for an empty one.
        if request.path == "/health" and not request.body:
            return error(INVALID_ARGUMENT, "missing body: send {}")
        call(self._sdk, json_object(request.body))
        return Response(body=b"{}")

    def _read(self, request: Request) -> Response:
        if request.path not in ("/gameserver", WATCH, "/healthz"):
            return error(NOT_FOUND, "Not Found")
        if request.method != "GET":
            return _wrong_method(request, "GET")
        if request.path == "/healthz":
            return plain(200, "ok")
        if request.path == WATCH:
            return Response(stream=watch_lines(self._sdk))
        return Response(body=orjson.dumps(self._sdk.describe()))


async def watch_lines(sdk: Sdk) -> AsyncGenerator[bytes, None]:
    """The server after each change, one document a line."""
    async for document in sdk.watch():
        yield watch_message(document) + b"\n"


def watch_message(document: dict[str, Any]) -> bytes:
    """One message of a watch."""
    return orjson.dumps({"result": document})


def _wrong_method(request: Request, right: str) -> Response:
    return error(UNIMPLEMENTED, f"Method Not Allowed: {request.path} takes {right}")
