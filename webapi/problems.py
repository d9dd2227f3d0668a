"""Errors as RFC 9457 problem documents, and the refusals that only HTTP knows.

One function turns any error into the answer, so that every error of the API looks the same, whoever raised it.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from core.errors import Conflict, Invalid, MusterError, Refused, TooMany, Unauthorized, Unavailable
from core.packs import Failure

MEDIA: Final = "application/problem+json"
TYPE: Final = "urn:muster:problem:"  # and the error's code


class Problem(msgspec.Struct, omit_defaults=True):
    """RFC 9457. `pointer` is a JSON pointer into the body, or the name of a parameter."""

    type: str
    title: str
    status: int
    detail: str
    pointer: str | None = None
    retry_after_s: int | None = None
    ticket: str | None = None
    failure: Failure | None = None
    request_id: str | None = None


class Malformed(Refused):
    """The body is no JSON."""

    code = "malformed-json"


class PreconditionFailed(Conflict):
    """If-Match names another version than the one that is stored."""

    status = 412
    code = "precondition-failed"


class TooLarge(Refused):
    status = 413
    code = "too-large"


class UnsupportedMedia(Refused):
    status = 415
    code = "unsupported-media-type"


class TicketOpen(Conflict):
    """A player already waits. `ticket` is told only to the player whose it is."""

    code = "ticket-open"

    def __init__(self, detail: str, *, ticket: str | None = None) -> None:
        super().__init__(detail)
        self.ticket = ticket


class ReloadState(Conflict):
    """The client's state is older than the player's last error, which `failure` tells."""

    code = "reload"

    def __init__(self, failure: Failure | None) -> None:
        super().__init__("your state is older than the last error: read the profile, and go on from there")
        self.failure = failure


def document(error: MusterError, request_id: str) -> Problem:
    """The problem document of an error. An error that is ours and not passing tells nothing of the inside."""
    status = HTTPStatus(error.status)
    internal = status == HTTPStatus.INTERNAL_SERVER_ERROR
    return Problem(
        type=TYPE + ("internal" if internal else error.code),
        title=status.phrase,
        status=int(status),
        detail="something went wrong on our side; the log has it under the request id" if internal else error.detail,
        pointer=(error.pointer or None) if isinstance(error, Invalid) else None,
        retry_after_s=error.retry_after_s if isinstance(error, TooMany | Unavailable) else None,
        ticket=error.ticket if isinstance(error, TicketOpen) else None,
        failure=error.failure if isinstance(error, ReloadState) else None,
        request_id=request_id if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None,
    )


def response(error: MusterError, request_id: str) -> web.Response:
    """The answer to a request that ended in `error`."""
    problem = document(error, request_id)
    answer = web.Response(body=msgspec.json.encode(problem), status=problem.status, content_type=MEDIA)
    if problem.retry_after_s is not None:
        answer.headers["Retry-After"] = str(problem.retry_after_s)
    if isinstance(error, Unauthorized):
        reason = ', error="invalid_token"' if "token" in error.code else ""  # RFC 6750
        answer.headers["WWW-Authenticate"] = f'Bearer realm="muster"{reason}'
    return answer


def from_http(error: web.HTTPException) -> MusterError:
    """What aiohttp itself refuses (no such path, wrong method, body too large), in our tree."""
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return TooLarge(f"the body is too large: {error.text or 'the limit is lower'}")
    made = Refused(f"{error.reason.lower()}: see /openapi.json for what there is", code=_code(error.status))
    made.status = error.status
    return made


def _code(status: int) -> str:
    return HTTPStatus(status).phrase.lower().replace(" ", "-")


def from_decode(error: Exception, what: str = "body") -> Refused:
    """What msgspec says of a body: malformed, or a rule broken at a place."""
    if not isinstance(error, msgspec.ValidationError):
        return Malformed(f"the {what} is not JSON: {error}")
    text, pointer = located(str(error))
    return Invalid(text, pointer=pointer)


_PLACE: Final = re.compile(r"^(?P<text>.*?)(?: - at (?:`key` in )?`(?P<path>\$[^`]*)`)?$", re.DOTALL)
_FIELD: Final = re.compile(r"(?:missing required|contains unknown) field `(?P<name>.*)`")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")


def located(message: str) -> tuple[str, str]:
    """msgspec's message as (sentence, JSON pointer): `$.teams[0].x` is `/teams/0/x`.

    msgspec writes `[...]` for a key of a mapping without saying which: the pointer ends there.
    """
    found = _PLACE.match(message)
    text, path = (found["text"], found["path"] or "$") if found else (message, "$")
    steps: list[str] = []
    for step in _STEP.finditer(path[1:]):
        if step[0] == "[...]":
            return text, _pointer(steps)
        steps.append(step[1] or step[2])
    if field := _FIELD.search(text):
        steps.append(field["name"])
    return text, _pointer(steps)


def _pointer(steps: list[Any]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
