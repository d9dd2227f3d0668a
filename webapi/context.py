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
from core.signing import Keyring
from webapi.auth import Caller
from webapi.entrance import Entrance
from webapi.erasing import Erasing
from webapi.followers import Followers
from webapi.login import Login
from webapi.metrics import Metrics
from webapi.origin import Origin, Proxies
from webapi.relay.relay import Relay
from webapi.settings import Settings
from webapi.store.accounts import Accounts
from webapi.store.analytics import Counted
from webapi.store.apikeys import PREFIX as KEY_PREFIX
from webapi.store.apikeys import ApiKeys
from webapi.store.boards import Boards
from webapi.store.developer_invitations import DeveloperInvitations
from webapi.store.drains import Drains
from webapi.store.games import Games
from webapi.store.hooks import Hooks
from webapi.store.invitations import Invitations
from webapi.store.matches import Matches
from webapi.store.outside import Outside
from webapi.store.packs import Packs
from webapi.store.parties import Parties
from webapi.store.presence import Presence
from webapi.store.queues import Queues
from webapi.store.story import Stories
from webapi.store.supplies import Supplies
from webapi.store.tickets import Tickets
from webapi.store.versions import Versions
from webapi.streams import Streams
from webapi.watch import OverviewWatch


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that lives as long as the application. Handlers take what they need from here."""

    settings: Settings
    secret: str
    keyring: Keyring
    proxies: Proxies
    batch: Batch
    bell: Doorbell
    metrics: Metrics
    login: Login
    entrance: Entrance
    accounts: Accounts
    api_keys: ApiKeys
    developer_invitations: DeveloperInvitations
    outside: Outside
    games: Games
    versions: Versions
    tickets: Tickets
    queues: Queues
    supplies: Supplies
    drains: Drains
    matches: Matches
    counted: Counted
    stories: Stories
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
    erasing: Erasing
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

    async def is_over(self) -> bool:
        """Whether the caller's session has ended meanwhile: a stream of it is to end too. Raises Unavailable."""
        return (await self.services.accounts.sessions.revoked([self.caller.session]))[0]

    def keep_to_game(self, *documents: object) -> None:
        """See that a caller who is of one game alone asks for no other. Raises Forbidden."""
        game = self._caller.game if self._caller else ""
        if not game:
            return
        asked = [self.request.match_info.get("game"), *(getattr(it, "game", None) for it in documents)]
        if any(isinstance(it, str) and it != game for it in asked):
            raise Forbidden(f"this is good for the game {game!r} alone", code="other-game")

    async def authenticate(self, roles: frozenset[Role] | None, scope: str = "") -> None:
        """Find out who asks; `roles` None lets strangers in too. Raises Unauthorized, Forbidden.

        `scope` is what a key for programs must have; '' keeps keys out.
        """
        header = self.request.headers.get("Authorization")
        if header is None and roles is None:
            return
        scheme, _, token = (header or "").partition(" ")
        if not token or scheme.lower() != "bearer":
            raise Unauthorized("this needs an access token: Authorization: Bearer ...", code="token-missing")
        token = token.strip()
        if token.startswith(KEY_PREFIX):
            caller = await self.services.api_keys.caller(token, self.now_ms)
            if caller.scopes is not None and scope not in caller.scopes:
                wanted = f"the scope {scope}, which this key has not" if scope else "a login: keys are kept out"
                raise Forbidden(f"this needs {wanted}", code="scope-missing")
        else:
            caller = await self.services.entrance.caller(token, self.now_ms)
        if roles is not None and caller.role not in roles:
            raise Forbidden(f"this is for {', '.join(sorted(roles))}; you are a {caller.role}")
        self._caller = caller
