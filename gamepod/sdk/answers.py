"""Answers in the form of Agones' REST gateway, and refusals as both of its faces tell them. PURE."""

from __future__ import annotations

from typing import Any, Final

import orjson

from gamepod.transport.http_types import Response

Kind = tuple[int, int]

# gRPC status codes as the gateway maps them to HTTP.
UNKNOWN: Final = (2, 500)  # what the reference says wherever it has no better word
INVALID_ARGUMENT: Final = (3, 400)
NOT_FOUND: Final = (5, 404)
RESOURCE_EXHAUSTED: Final = (8, 429)
FAILED_PRECONDITION: Final = (9, 400)
UNIMPLEMENTED: Final = (12, 501)
UNAVAILABLE: Final = (14, 503)
UNAUTHENTICATED: Final = (16, 401)


class CallRefused(Exception):
    """The game asked for what cannot be; nothing has changed."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


def error(kind: Kind, message: str) -> Response:
    """A refusal."""
    code, status = kind
    return Response(status, orjson.dumps({"code": code, "message": message, "details": []}))


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; an empty body is an empty one. Raises ValueError."""
    found = orjson.loads(body) if body else {}
    if not isinstance(found, dict):
        raise ValueError("the body is no JSON object")
    return found
