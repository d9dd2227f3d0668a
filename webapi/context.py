"""What a request finds: the services of this process, and who is asking."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from core.beats import Beats
from core.clock import now_ms
from core.doorbell import Doorbell
from core.errors import Forbidden, NotFound, Unauthorized
from core.model import Role
from core.redis.batch import Batch
from webapi.auth import Caller
from webapi.entrance import Entrance
from webapi.followers import Followers
from webapi.login import Login
from webapi.metrics import Metrics
from webapi.origin import Origin, Proxies
from webapi.relay.relay import Relay
from webapi.settings import Settings
from webapi.store.accounts import Accounts
from webapi.store.boards import Boards
from webapi.store.games import Games
from webapi.store.hooks import Hooks
from webapi.store.invitations import Invitations
from webapi.store.matches import Matches
from webapi.store.packs import Packs
from webapi.store.parties import Parties
from webapi.store.presence import Presence
from webapi.store.queues import Queues
from webapi.store.supplies import Supplies
from webapi.store.tickets import Tickets
from webapi.streams import Streams
from webapi.watch import OverviewWatch


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that lives as long as the application. Handlers take what they need from here."""

    settings: Settings
    secret: str
    proxies: Proxies
    batch: Batch
    bell: Doorbell
    metrics: Metrics
    login: Login
    entrance: Entrance
    accounts: Accounts
    games: Games
    tickets: Tickets
    queues: Queues
    supplies: Supplies
    matches: Matches
    boards: Boards
    parties: Parties
    packs: Packs
    streams: Streams
    pack_streams: Streams
    relay: Relay
    beats: Beats
    presence: Presence
    hooks: Hooks
    feeds: Followers  # of games, for their developers
    followers: Followers  # players, of what concerns them
    invitations: Invitations
    overview: OverviewWatch
    admin_there: asyncio.Event  # the admin account of the settings exists, or never will


SERVICES: Final = web.AppKey("services", Services)
REQUEST_ID: Final = web.RequestKey("request_id", str)
STARTED: Final = web.RequestKey("started", bool)  # the head of the answer is on its way


class Call:
    """One request under way. `headers` are added to its answer."""

    __slots__ = ("_caller", "headers", "now_ms", "request", "services")

    def __init__(self, request: web.Request, services: Services) -> None:
        self.request = request
        self.services = services
        self.now_ms = now_ms()
        self.headers: dict[str, str] = {}
        self._caller: Caller | None = None

    @property
    def caller(self) -> Caller:
        """Who asks; only where the route wants to know. Raises Unauthorized for a stranger."""
        if self._caller is None:
            raise Unauthorized("this needs an access token: Authorization: Bearer ...", code="token-missing")
        return self._caller

    @property
    def known(self) -> Caller | None:
        """Who asks, or None for a stranger."""
        return self._caller

    def path(self, name: str) -> str:
        """A part of the path; its form has been checked."""
        return self.request.match_info[name]

    @property
    def origin(self) -> Origin:
        """Where the request comes from, as far as the proxies before us can be trusted to say."""
        # A proxy may send the header in several lines, each going on where the one before ended.
        header = ",".join(self.request.headers.getall("X-Forwarded-For", ()))
        return Origin(self.services.proxies.forwarded(self.request.remote or "unknown", header), "rest")

    async def is_insider(self, game: str) -> bool:
        """Whether the caller may see the inside of this game: its developer, and admins."""
        if self.known is None:
            return False
        if self.known.role == "admin":
            return True
        try:
            return (await self.services.games.recent(game, self.now_ms)).owner == self.known.player
        except NotFound:  # removed since
            return False

    async def authenticate(self, roles: frozenset[Role] | None) -> None:
        """Find out who asks; `roles` None lets strangers in too. Raises Unauthorized, Forbidden."""
        header = self.request.headers.get("Authorization")
        if header is None and roles is None:
            return
        scheme, _, token = (header or "").partition(" ")
        if not token or scheme.lower() != "bearer":
            raise Unauthorized("this needs an access token: Authorization: Bearer ...", code="token-missing")
        caller = await self.services.entrance.caller(token.strip(), self.now_ms)
        if roles is not None and caller.role not in roles:
            raise Forbidden(f"this is for {', '.join(sorted(roles))}; you are a {caller.role}")
        self._caller = caller
