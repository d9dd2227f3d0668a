"""What goes over the auth listener, a line of JSON each. PURE.

A request is the body of the same request over REST with a `type`, and an `id` that comes back with its answer.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from core.errors import Invalid, Refused
from webapi import account_documents as acc
from webapi import documents as doc
from webapi.problems import TYPE, Malformed, Problem, from_decode

LINE_BYTES: Final = 8192  # the longest request, all of its characters escaped, has 4 KB; nobody needs more

_Whole = Annotated[int, Meta(ge=-(2**53), le=2**53)]
AccessToken: TypeAlias = Annotated[str, Meta(min_length=1, max_length=4096)]
Id: TypeAlias = Annotated[str, Meta(max_length=64)] | _Whole | None


class Register(doc.NewAccount, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="register"):
    id: Id = None


class Login(doc.Credentials, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="login"):
    id: Id = None


class Refresh(doc.RefreshToken, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="refresh"):
    id: Id = None


class Guest(doc.NewGuest, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="guest"):
    id: Id = None


class Upgrade(acc.GuestAccount, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="upgrade"):
    access_token: AccessToken
    id: Id = None


class Password(acc.NewPassword, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="password"):
    access_token: AccessToken
    id: Id = None


class Logout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="logout"):
    access_token: AccessToken
    id: Id = None


Request: TypeAlias = Register | Login | Guest | Upgrade | Password | Refresh | Logout
TYPES: Final = "register, login, guest, upgrade, password, refresh, logout"


class _Numbered(Struct):
    id: Id = None


_REQUEST: Final[msgspec.json.Decoder[Request]] = msgspec.json.Decoder(Request)
_NUMBERED: Final = msgspec.json.Decoder(_Numbered)
_BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # the last: brackets without end


class LineTooLong(Refused):
    status = 413
    code = "line-too-long"


class LineUnfinished(Refused):
    code = "line-unfinished"


class NotUtf8(Refused):
    code = "not-utf-8"


class NotBelieved(Refused):
    """Somebody speaks for another who may not."""

    status = 403
    code = "proxy-not-trusted"


class Idle(Refused):
    status = 408
    code = "idle"


def read(line: bytes) -> Request:
    """The request in a line. Raises NotUtf8, Malformed, Invalid (what it says breaks a rule)."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise NotUtf8(f"the line is not UTF-8: byte {error.start} is {line[error.start]:#04x}") from None
    try:
        return _REQUEST.decode(line)
    except RecursionError:
        raise Malformed("the line is nested too deeply") from None
    except msgspec.DecodeError as error:
        found = from_decode(error, "line")
        if isinstance(found, Invalid) and found.pointer == "/type":
            raise Invalid(f"`type` is one of {TYPES}", pointer="/type") from None
        raise found from None


def number(line: bytes) -> Id:
    """The `id` of a line that is no good otherwise; None where it has none either."""
    try:
        return _NUMBERED.decode(line).id
    except _BROKEN:
        return None


def is_readable(error: Exception) -> bool:
    """Whether the lines after one that raised `error` can still be told apart, so that the next may be read."""
    return not isinstance(error, Malformed | NotUtf8 | NotBelieved)


def done(answer: doc.Session | None, numbered: Id) -> bytes:
    """The line that answers a request that was done."""
    return _line(True, numbered, {} if answer is None else msgspec.structs.asdict(answer))


def refused(problem: Problem, numbered: Id = None) -> bytes:
    """The line that answers one that was not."""
    fields = {
        "code": problem.type.removeprefix(TYPE),
        "detail": problem.detail,
        "pointer": problem.pointer,
        "retry_after_s": problem.retry_after_s,
        "request_id": problem.request_id,
    }
    return _line(False, numbered, {name: value for name, value in fields.items() if value})


def _line(ok: bool, numbered: Id, fields: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"ok": ok} | ({} if numbered is None else {"id": numbered}) | fields) + b"\n"
