"""A route is declared once: its handler's signature says what it takes and gives, `Table.route` the rest.

From that one declaration come the aiohttp handler (path, query, body and caller checked before the handler runs) and
the description in `/openapi.json`, so the two cannot drift apart.

    @TABLE.route("POST", "/v1/tickets", who=PLAYERS, status=201, errors=(NotFound, TicketOpen))
    async def create(call: Call, body: NewTicket) -> Ticket: ...
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_type_hints

import msgspec
from aiohttp import web

from core.deadlines import Deadlines
from core.errors import Invalid, MusterError, NotFound, Unavailable
from core.ids import is_game_id, is_id
from core.model import Role
from webapi.context import SERVICES, Call
from webapi.documents import encode
from webapi.problems import Malformed, UnsupportedMedia, from_decode

Handler = Callable[..., Awaitable[Any]]
H = TypeVar("H", bound=Handler)

EVERYONE: Final[frozenset[Role]] = frozenset({"player", "developer", "admin", "server"})
PLAYERS: Final[frozenset[Role]] = frozenset({"player", "developer", "admin"})  # developers try their own games
DEVELOPERS: Final[frozenset[Role]] = frozenset({"developer", "admin"})
ADMINS: Final[frozenset[Role]] = frozenset({"admin"})

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
LINES: Final = "application/x-ndjson"  # a document a line

_ULID: Final = "[0-9a-hjkmnp-tv-z]{26}"


@dataclass(frozen=True, slots=True)
class PathPart:
    """A part of a path: what it may look like. Anything else is not found."""

    fits: Callable[[str], bool]
    pattern: str
    about: str


def _is_version(text: str) -> bool:
    return re.fullmatch("[1-9][0-9]{0,9}", text) is not None


def _is_code(text: str) -> bool:
    return 0 < len(text) <= 32 and text.isascii() and text.isalnum()


PATH_PARTS: Final[dict[str, PathPart]] = {
    "game": PathPart(is_game_id, "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", "id of a game"),
    "ticket": PathPart(lambda text: is_id("ticket", text), f"^t-{_ULID}$", "id of a ticket"),
    "match": PathPart(lambda text: is_id("match", text), f"^m-{_ULID}$", "id of a match"),
    "player": PathPart(lambda text: is_id("player", text), f"^p-{_ULID}$", "id of a player"),
    "version": PathPart(_is_version, "^[1-9][0-9]{0,9}$", "number of a version"),
    "board": PathPart(
        lambda text: text in ("activity", "score", "rating"), "^(activity|score|rating)$", "name of a leaderboard"
    ),
    "key": PathPart(lambda text: is_id("apikey", text), f"^key-{_ULID}$", "id of a key"),
    "invitation": PathPart(lambda text: is_id("invitation", text), f"^inv-{_ULID}$", "id of an invitation"),
    "code": PathPart(_is_code, "^[A-Za-z0-9]{1,32}$", "invitation code of a party"),
}


@dataclass(frozen=True, slots=True)
class Route:
    """Everything that is to be known of a route."""

    method: str
    path: str
    handler: Handler
    tag: str
    status: int
    media: str
    known: bool  # whether a token is looked at
    roles: frozenset[Role] | None  # who may; None: strangers too
    body: type | None
    query: type | None
    answer: Any  # None: an answer without a body
    errors: tuple[type[MusterError], ...]
    bounded: bool  # whether it must answer within `Settings.request_s`
    header: tuple[str, str] | None  # one that it looks at, beside Authorization: name, what for
    scope: str  # that a key for programs must have; '' keeps keys out
    also: Mapping[int, Any]  # further statuses that are no errors, with their documents

    @property
    def parts(self) -> list[str]:
        """Names of the parts of the path that vary."""
        return [piece[1:-1] for piece in self.path.split("/") if piece.startswith("{")]

    @property
    def body_optional(self) -> bool:
        return self.body is not None and all(not field.required for field in msgspec.structs.fields(self.body))


SCOPES: Final[set[str]] = set()  # what keys for programs may be given: `tag:read`, `tag:write`; filled by the tables


class Table:
    """The routes of one noun. `keys`: whether keys for programs may use them, in the scope of the noun."""

    def __init__(self, tag: str, *, keys: bool = True) -> None:
        self.tag = tag
        self._keys = keys
        self.routes: list[Route] = []

    def route(
        self,
        method: str,
        path: str,
        *,
        who: frozenset[Role] | None = None,
        known: bool = True,
        status: int = 200,
        media: str = JSON,
        errors: tuple[type[MusterError], ...] = (),
        bounded: bool = True,
        header: tuple[str, str] | None = None,
        also: Mapping[int, Any] | None = None,
        answer: Any = msgspec.UNSET,
    ) -> Callable[[H], H]:
        """Declare a route. `answer` names the document where the handler writes its response itself."""

        def declare(handler: H) -> H:
            hints = get_type_hints(handler)
            given = hints["return"] if answer is msgspec.UNSET else answer
            scope = f"{self.tag}:{'read' if method == 'GET' else 'write'}" if known and self._keys else ""
            if scope:
                SCOPES.add(scope)
            self.routes.append(
                Route(
                    method, path, handler, self.tag, status, media, known, who, hints.get("body"),
                    hints.get("query"), None if given is type(None) else given, errors, bounded, header,
                    scope,
                    also or {},
                )
            )  # fmt: skip
            return handler

        return declare


def endpoint(
    route: Route, request_s: float, deadlines: Deadlines
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of a route."""
    parts = [(name, PATH_PARTS[name].fits) for name in route.parts]
    optional = route.body_optional  # found out by looking at type hints: once is enough
    decoder: msgspec.json.Decoder[Any] | None = msgspec.json.Decoder(route.body) if route.body else None

    async def answer(request: web.Request) -> web.StreamResponse:
        call = Call(request, request.app[SERVICES])
        for name, fits in parts:
            if not fits(request.match_info[name]):
                raise NotFound(f"there is no such {name}")
        if route.known:
            await call.authenticate(route.roles, route.scope)
        given: dict[str, Any] = {}
        if route.query is not None:
            given["query"] = _query(request, route.query)
        elif request.query_string:
            raise Invalid("this takes no query parameters", pointer=next(iter(request.query), ""))
        if decoder is not None:
            given["body"] = await _body(request, decoder, optional=optional)
        call.keep_to_game(given.get("body"), given.get("query"))
        found = await route.handler(call, **given)
        if isinstance(found, web.StreamResponse):
            return found
        if found is None:
            return web.Response(status=route.status, headers=call.headers)
        return web.Response(body=encode(found), status=route.status, headers=call.headers, content_type=JSON)

    async def bounded(request: web.Request) -> web.StreamResponse:
        try:
            return await deadlines.keep(answer(request))
        except TimeoutError:
            raise Unavailable(f"this was not done within {request_s:g} s", code="timeout") from None

    return bounded if route.bounded else answer


def document(call: Call, made: Any, status: int) -> web.Response:
    """An answer with another status than the route's, of those in its `also`."""
    return web.Response(body=encode(made), status=status, headers=call.headers, content_type=JSON)


def _query(request: web.Request, kind: type) -> Any:
    given = request.query
    if len(given) != len(set(given)):
        raise Invalid("a query parameter is given twice", pointer=next(n for n in given if len(given.getall(n)) > 1))
    try:
        return msgspec.convert(dict(given), kind, strict=False)
    except msgspec.ValidationError as error:
        refused = from_decode(error)
        assert isinstance(refused, Invalid)
        raise Invalid(refused.detail, pointer=refused.pointer.lstrip("/")) from None


async def _body(request: web.Request, decoder: msgspec.json.Decoder[Any], *, optional: bool) -> Any:
    data = await request.read()
    if not data and optional:
        data = b"{}"
    elif request.content_type != JSON:
        raise UnsupportedMedia(f"the body is to be {JSON}, not {request.content_type}")
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise from_decode(error) from None
    except RecursionError:
        raise Malformed("the body is nested too deeply") from None
