"""Answers in the form of Agones' REST gateway. PURE."""

from __future__ import annotations

from typing import Any, Final

import orjson

from gamepod.transport.http_types import Response

# gRPC status codes as the gateway maps them to HTTP.
INVALID_ARGUMENT: Final = (3, 400)
NOT_FOUND: Final = (5, 404)
FAILED_PRECONDITION: Final = (9, 400)
UNIMPLEMENTED: Final = (12, 501)
UNAVAILABLE: Final = (14, 503)


def error(kind: tuple[int, int], message: str) -> Response:
    """A refusal."""
    code, status = kind
    return Response(status, orjson.dumps({"code": code, "message": message, "details": []}))


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; an empty body is an empty one. Raises ValueError."""
    found = orjson.loads(body) if body else {}
    if not isinstance(found, dict):
        raise ValueError("the body is no JSON object")
    return found
