"""Ties connections to sessions: joins, inputs, rates, time-outs, and each tick's snapshots.

The gateway speaks to transports through `Link` and knows no socket and no event loop; the time is asked
from the function it was given. A player has one connection: a newer valid join takes the place of the older
one, so a reconnect never waits for a time-out. All calls must come from one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from core.errors import NotFound, Refused
from gamepod.arena.delta import Scene
from gamepod.arena.session import Session, TickOutput
from gamepod.arena.sessions import SessionManager
from gamepod.arena.tank import Player
from gamepod.transport import protocol
from gamepod.transport.auth_types import Authenticate, JoinRefused, PlayerClaims
from gamepod.transport.encoding import TickBytes
from gamepod.transport.limits import TokenBucket, TransportLimits
from gamepod.transport.links import Client, GatewayStats, Link
from gamepod.transport.news import NewsBytes
from gamepod.transport.pace import Pace
from gamepod.transport.protocol import BadMessage, ClientMessage, Error, Input, Join, Over, Ping, Pong, Rate
from gamepod.transport.sight import Sight
from gamepod.transport.telling import tell, tell_all

OVER_REPEAT_TICKS = 15  # on UDP the result is sent again so often until the session is removed
SWEEP_MS = 500  # how often time-outs are looked for; they are seconds long


class Gateway:
    """The one door between the network and the sessions of this process."""

    def __init__(
        self,
        sessions: SessionManager,
        authenticate: Authenticate,
        now_ms: Callable[[], int],
        limits: TransportLimits | None = None,
    ) -> None:
        self.stats = GatewayStats()
        self.limits = limits or TransportLimits()
        self.now_ms = now_ms
        self._sessions = sessions
        self._authenticate = authenticate
        self._by_link: dict[Link, Client] = {}
        self._by_match: dict[str, dict[str, Client]] = {}
        self._early: dict[Link, int] = {}  # messages a stream sent before it joined
        self._absent: dict[tuple[str, str], int] = {}  # (match, player) -> when the tank is given up
        self._next_sweep_ms = 0

    @property
    def clients(self) -> int:
        """Joined connections now."""
        return len(self._by_link)

    def connected(self, match: str) -> tuple[str, ...]:
        """Ids of the players of a match who have a connection now."""
        return tuple(self._by_match.get(match, ()))

    def joined(self, link: Link) -> bool:
        """Has this link a player?"""
        return link in self._by_link

    def received(self, link: Link, data: bytes) -> None:
        """A whole message came over a stream."""
        if link in self._by_link:
            message = self.read(link, data)
            if message is not None:
                self.handle(link, message)
        else:
            self._first_words(link, data)

    def read(self, link: Link, data: bytes) -> ClientMessage | None:
        """Decode a joined client's message within its rate. None: refused, and the link has been told."""
        client = self._by_link[link]
        now = self.now_ms()
        if not client.bucket.take(now):
            self.stats.rate_limited += 1
            # A stream can pace itself, so one that does not is hostile; datagrams may have been delayed.
            if not link.datagram:
                self._drop(client, "rate-limited", "too many messages a second")
            return None
        try:
            message = protocol.decode(data)
        except BadMessage as error:
            self.stats.bad_messages[error.kind] += 1
            client.bad += 1
            if client.bad >= self.limits.bad_messages:
                self._drop(client, "bad-message", "too many malformed messages")
            else:
                link.send(protocol.encode(Error(error.code, error.detail)))
            return None
        self.stats.messages += 1
        client.heard_ms = now
        return message

    def handle(self, link: Link, message: ClientMessage) -> None:
        """Act on a joined client's message."""
        client = self._by_link[link]
        if isinstance(message, Input):
            try:
                client.session.input(client.player, message.seq, message.commands)
            except NotFound as error:
                self._drop(client, error.code, error.detail)
        elif isinstance(message, Ping):
            if message.got is not None:
                client.pace.report(message.got, self.now_ms())
            link.send(protocol.encode(Pong(message.t, self.now_ms())))
        elif isinstance(message, Rate):
            client.pace.ask(message.hz)
        elif isinstance(message, Join):
            link.send(protocol.encode(Error("already-joined", "this connection has a player")))
        else:
            self._forget(client)
            self._sessions.leave(client.match, client.player, "left", self.now_ms())
            link.close()

    def join(self, link: Link, token: str) -> None:
        """Give the link the player of a token, and send the welcome. Raises `JoinRefused`."""
        try:
            claims = self._authenticate(token)
            self._check(claims)
            now = self.now_ms()
            session = self._sessions.get(claims.match)
            record = self._sessions.join(claims.match, claims.player, claims.name, claims.team, now)
        except Refused as error:
            refused = self.stats.joins_refused
            refused[error.code] = refused.get(error.code, 0) + 1
            if isinstance(error, JoinRefused):
                raise
            raise JoinRefused(error.code, error.detail) from None
        self._attach(link, claims, session, record, now)
        self.stats.joins += 1
        self._welcome(link, record, session, now)

    def closed(self, link: Link) -> None:
        """The transport lost this connection. The tank waits `reconnect_grace_s` for its player."""
        self._early.pop(link, None)
        client = self._by_link.get(link)
        if client is not None:
            self._forget(client)
            self._await_return(client)

    def broadcast(self, outputs: Iterable[TickOutput]) -> None:
        """Send each session's tick to its clients, and now and then look for time-outs."""
        for output in outputs:
            clients = self._by_match.get(output.match)
            if not clients:
                continue
            if output.result is None:
                self._tell(list(clients.values()), output.scene)
            else:
                over = protocol.encode(Over(output.result))
                for client in list(clients.values()):
                    self._tell_over(client, output.tick, over)
            for news in output.news:
                told = NewsBytes(news, output.tick)
                for player in news.players:
                    if (told_to := clients.get(player)) is not None:
                        told.send(told_to.link)
        now = self.now_ms()
        if now >= self._next_sweep_ms:
            self._next_sweep_ms = now + SWEEP_MS
            self._sweep(now)

    def turn_out(self, match: str, player: str, code: str, detail: str) -> None:
        """Take a player out of a match for good, telling why."""
        if (client := self._by_match.get(match, {}).get(player)) is not None:
            self._drop(client, code, detail)
        self._absent.pop((match, player), None)
        self._sessions.leave(match, player, code, self.now_ms())

    def close_match(self, match: str, code: str, detail: str) -> None:
        """Disconnect everyone of a match; call it before the session is removed."""
        for client in list(self._by_match.get(match, {}).values()):
            self._drop(client, code, detail)
        for key in [key for key in self._absent if key[0] == match]:
            del self._absent[key]

    def close(self) -> None:
        """Disconnect everyone: the server stops."""
        for match in list(self._by_match):
            self.close_match(match, "server-closing", "the server stops")

    def _first_words(self, link: Link, data: bytes) -> None:
        """A stream that has no player yet may say little else than a good join."""
        try:
            message = protocol.decode(data)
            if not isinstance(message, Join):
                raise JoinRefused("not-joined", "the first message must be a join")
            self.join(link, message.token)
            self._early.pop(link, None)
        except Refused as error:
            if isinstance(error, BadMessage):
                self.stats.bad_messages[error.kind] += 1
            early = self._early[link] = self._early.get(link, 0) + 1
            link.send(protocol.encode(Error(error.code, error.detail)))
            if early >= self.limits.early_messages:
                del self._early[link]
                link.close()

    def _check(self, claims: PlayerClaims) -> None:
        """Checks that come before a tank is taken."""
        if claims.expires_at_ms <= self.now_ms():
            raise JoinRefused("token-expired", "the join token has expired")
        replaces = claims.player in self._by_match.get(claims.match, {})
        if not replaces and len(self._by_link) >= self.limits.max_clients:
            raise JoinRefused("server-full", f"{self.limits.max_clients} clients are connected")

    def _attach(self, link: Link, claims: PlayerClaims, session: Session, record: Player, now: int) -> None:
        present = self._by_link.get(link)
        if present is not None:
            self._forget(present)
            if present.player != claims.player or present.match != claims.match:
                self._await_return(present)
        older = self._by_match.get(claims.match, {}).get(claims.player)
        if older is not None:
            self.stats.replaced += 1
            self._drop(older, "replaced", "the player joined from elsewhere")
        self._absent.pop((claims.match, claims.player), None)
        bucket = TokenBucket(self.limits.messages_per_second, self.limits.message_burst, now)
        sight, pace = Sight(session.scene.cell_of[record.slot]), Pace(session.settings.tick_rate_hz)
        client = Client(link, claims.match, claims.player, session, record, sight, pace, bucket, now)
        self._by_link[link] = client
        self._by_match.setdefault(claims.match, {})[claims.player] = client

    def _welcome(self, link: Link, record: Player, session: Session, now: int) -> None:
        settings = session.settings
        world = protocol.WorldInfo(**{name: getattr(settings, name) for name in protocol.WorldInfo.__struct_fields__})
        welcome = protocol.Welcome(
            player=record.player,
            slot=record.slot,
            name=record.name,
            team=record.team,
            match=session.match,
            tick=session.tick,
            tick_rate=settings.tick_rate_hz,
            ack=record.last_seq,
            accepted=record.accepted,
            server_ms=now,
            played_ms=session.played_ms(now),
            players=len(session.present),
            world=world,
        )
        link.send(protocol.encode(welcome))
        session.retell(record)
        shared = TickBytes(session.scene, self.limits.max_datagram_bytes)
        tell_all(self._by_link[link], session.scene, shared)

    def _tell(self, clients: list[Client], scene: Scene) -> None:
        now, shared = self.now_ms(), TickBytes(scene, self.limits.max_datagram_bytes)
        for client in clients:
            try:
                tell(client, scene, shared, self.stats, now)
            except NotFound as error:
                self._drop(client, error.code, error.detail)

    def _tell_over(self, client: Client, tick: int, over: bytes) -> None:
        if not client.told_over or (client.link.datagram and tick % OVER_REPEAT_TICKS == 0):
            client.told_over = True
            client.link.send(over)

    def _sweep(self, now: int) -> None:
        stream_ms = self.limits.idle_timeout_s * 1000.0
        datagram_ms = self.limits.datagram_idle_timeout_s * 1000.0
        for client in list(self._by_link.values()):
            client.pace.recover(now)
            if now - client.heard_ms > (datagram_ms if client.link.datagram else stream_ms):
                self.stats.timed_out += 1
                self._drop(client, "idle", "nothing was heard from this client")
        for (match, player), until_ms in list(self._absent.items()):
            if now >= until_ms:
                del self._absent[match, player]
                self._sessions.leave(match, player, "disconnected", now)

    def _await_return(self, client: Client) -> None:
        until_ms = self.now_ms() + int(self.limits.reconnect_grace_s * 1000.0)
        self._absent[client.match, client.player] = until_ms

    def _drop(self, client: Client, code: str, detail: str) -> None:
        """Disconnect a client, telling it why. The transport's `closed` finds nothing left to do."""
        self._forget(client)
        self._await_return(client)
        client.link.send(protocol.encode(Error(code, detail)))
        client.link.close()

    def _forget(self, client: Client) -> None:
        del self._by_link[client.link]
        players = self._by_match[client.match]
        del players[client.player]
        if not players:
            del self._by_match[client.match]
