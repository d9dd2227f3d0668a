"""Servers from Agones' fleets, where Agones is installed: allocated for a match, and never made here.

An allocation is not idempotent by name as a pod is, so before each one the game servers are listed by the match's
label: one that was allocated before a crash is found and taken. From then on what is known comes from a watch of the
game servers with our label, and every two seconds `_tell` compares: one that Redis does not know of yet takes its match
(`server_attach`, which one server only can) and is Ready; one that plays is told alive for; one that has no match, or
whose match another has, is deleted. So a crash between any two steps is made good by the next look, and a server that
two matchmakers allocated for one match at the same time is given back.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine, Mapping
from typing import Any, Final

import msgspec

from core import keys, log
from core.clock import now_ms
from core.doorbell import Doorbell
from core.errors import Unavailable
from core.model import Match
from core.redis.batch import Batch
from core.signing import Keyring
from core.stored import Stored
from matchmaker.agones_settings import AgonesSettings
from matchmaker.launch import agones_documents as documents
from matchmaker.launch.agones_documents import Allocation, GameServer
from matchmaker.launch.base import Changed, LaunchRefused, LaunchRetryable, Seen
from matchmaker.launch.brake import Brake
from matchmaker.launch.kube_errors import KubeAway, KubeRefused, as_launch_error, asked_s, is_passing
from matchmaker.launch.kube_objects import Objects
from matchmaker.launch.kube_watch import KubeWatch
from matchmaker.launch.kube_way import Way

BEAT_S: Final = 2.0  # as a gamepod does
LOST_MS: Final = 10_000  # without a beat the matchmaker looks for the server
CONTENTION_TRIES: Final = 3  # in one start; afterwards the match is looked at again within a second
CONTENTION_S: Final = 0.1
CATCH_UP_S: Final = 10.0  # after the API server was away, until it is known what became of servers meanwhile
ENDED_KEPT: Final = 1024
FLEETS_KEPT: Final = 10_000  # that had no server to give when last asked

_match: Final = Stored(Match)
_allocation: Final = msgspec.json.Decoder(Allocation)


class Space:
    """The game servers of one namespace that are ours."""

    def __init__(self, source: AgonesSource, way: Way, name: str, installation: str, call_s: float) -> None:
        ours = {documents.INSTALLATION: installation}
        self.name = name
        self.servers = Objects(way, documents.SERVERS.format(name), ours, call_s, GameServer)
        self.watch = KubeWatch(self.servers, lambda server: source.look(self, server))


class AgonesSource:
    """See the module; a `Launcher` of games that name a fleet. `open` before, `close` after."""

    def __init__(
        self, settings: AgonesSettings, way: Way, namespaces: list[str], batch: Batch, bell: Doorbell, *,
        installation: str, keyring: Keyring, changed: Changed,
    ) -> None:  # fmt: skip
        self._settings, self._way, self._batch, self._bell = settings, way, batch, bell
        self._installation, self._keyring, self._changed = installation, keyring, changed
        self._log = log.get("matchmaker.agones")
        self._spaces = {name: Space(self, way, name, installation, settings.call_s) for name in namespaces}
        self._default = namespaces[0]
        self._ended: dict[str, Seen] = {}  # by match: gone, kept for a while
        self._playing: dict[str, str] = {}  # by match: the server that has it, as Redis said
        self._starting: set[str] = set()
        self._calls = asyncio.Semaphore(settings.writes)
        self._brake = Brake(random.random)  # of the API server
        self._empty: dict[tuple[str, str], Brake] = {}  # of fleets that had nothing to give
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to watch. The API server may be away."""
        for space in self._spaces.values():
            self._spawn(space.watch.run())
        self._spawn(self._run())

    @property
    def host(self) -> str:
        return f"agones/{self._default}/{self._installation}"

    @property
    def blind(self) -> bool:
        now = time.monotonic()
        return any(space.watch.away or now - space.watch.back_at < CATCH_UP_S for space in self._spaces.values())

    def room(self) -> int:
        if self._brake.holds(time.monotonic()) or not all(s.watch.listed.is_set() for s in self._spaces.values()):
            return 0
        held = sum(not server.over for _, server in self._all())
        return self._settings.max_servers - held - len(self._starting)

    async def start(self, match: Match) -> None:
        space = self._space(match)
        if match.id in self._starting or any(server.match == match.id for _, server in self._all()):
            return
        self._starting.add(match.id)
        try:
            async with self._calls:
                server = await self._find(space, match) or await self._allocate(space, match)
        except (KubeRefused, KubeAway) as error:
            raise _launch_error(error) from None
        finally:
            self._starting.discard(match.id)
        space.watch.put(server)
        self._wake.set()

    def settled(self, match: str) -> None:
        """Nothing is held for a start."""

    async def stop(self, match: str, grace_s: float) -> None:
        for space, server in self._all():
            if server.match == match and server.metadata.deletion_timestamp is None:
                self._spawn(self._delete(space, server))

    async def seen(self) -> Mapping[str, Seen]:
        found = dict(self._ended)
        # Of two for one match the one that Redis knows counts, else one that is not over.
        for _, server in sorted(self._all(), key=lambda at: (self._has(*at), not at[1].over)):
            found[server.match] = documents.seen(server)
        return found

    async def tail(self, match: str) -> list[str]:
        return []  # pods of fleets are not ours to read

    async def output(self, match: str) -> str:
        return ""  # as above; a fleet's servers say themselves when they are ready

    async def close(self, *, stop_servers: bool) -> None:
        if stop_servers:
            await asyncio.gather(*(self._delete(space, server) for space, server in self._all()))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def look(self, space: Space, name: str) -> None:
        """A game server changed, came or went."""
        last = space.watch.take_gone(name)
        server = last or space.watch.objects.get(name)
        if server is None or not server.match:
            return
        if (server.over or last) and self._playing.get(server.match, _id(space, server)) == _id(space, server):
            if last is not None:
                self._playing.pop(server.match, None)
                self._ended[server.match] = documents.seen(server, gone=True)
                while len(self._ended) > ENDED_KEPT:
                    del self._ended[next(iter(self._ended))]
            self._changed(server.game, server.match)
        self._wake.set()

    # ---- getting one

    def _space(self, match: Match) -> Space:
        agones = match.server.agones
        if agones is None:
            raise LaunchRefused("this game names no fleet")
        space = self._spaces.get(agones.namespace or self._default)
        if space is None:
            raise LaunchRefused(
                f"fleets of the namespace {agones.namespace!r} are not for games: the operator names those that are "
                "(MUSTER_AGONES_NAMESPACES)"
            )
        return space

    async def _find(self, space: Space, match: Match) -> GameServer | None:
        """One that was allocated for the match before: by a matchmaker that crashed, or whose call had no answer."""
        found, _ = await space.servers.list(documents.labels(match, self._installation))
        return next((server for server in found if not server.over), None)

    async def _allocate(self, space: Space, match: Match) -> GameServer:
        assert match.server.agones is not None
        fleet = match.server.agones.fleet
        now, empty = time.monotonic(), self._empty.get((space.name, fleet))
        for brake in (self._brake, empty):
            if brake is not None and brake.holds(now):
                raise LaunchRetryable(brake.why)
        key = self._keyring.match_keys(match.id)
        for _ in range(CONTENTION_TRIES):
            answer = await self._ask(space, documents.allocation(match, self._installation, key))
            if answer.state == documents.ALLOCATED:
                self._empty.pop((space.name, fleet), None)
                self._log.info("allocated", match=match.id, server=answer.game_server_name)
                return documents.allocated(answer, match, self._installation)
            if answer.state != documents.CONTENTION:
                raise LaunchRetryable(self._nothing(space.name, fleet, answer.state))
            await asyncio.sleep(CONTENTION_S * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        raise LaunchRetryable(f"Contention: others took the servers of the fleet {fleet!r} at the same time")

    def _nothing(self, namespace: str, fleet: str, state: str) -> str:
        """The fleet has no server: ask it less often. Returns why, as the developer reads it."""
        why = (
            f"{state or documents.UNALLOCATED}: the fleet {fleet!r} in {namespace!r} has no Ready server for this game"
        )
        if len(self._empty) >= FLEETS_KEPT:
            self._empty.clear()
        self._empty.setdefault((namespace, fleet), Brake(random.random)).failed(time.monotonic(), 0.0, why)
        return why

    async def _ask(self, space: Space, document: dict[str, Any]) -> documents.Answer:
        try:
            path = documents.ALLOCATIONS.format(space.name)
            text = await self._way.call("POST", path, body=document, call_s=self._settings.call_s)
        except (KubeRefused, KubeAway) as error:
            if is_passing(error):
                self._brake.failed(time.monotonic(), asked_s(error), str(error))
            raise
        self._brake.passed()
        return _allocation.decode(text).status

    async def _delete(self, space: Space, server: GameServer) -> None:
        """Give it back: Agones ends its pod, and the fleet makes another. Asked again where it fails."""
        try:
            async with self._calls:
                await space.servers.delete(server.metadata.name, 0, server.metadata.uid)
        except (KubeRefused, KubeAway) as error:
            if not isinstance(error, KubeRefused) or error.status not in (404, 409):
                self._log.warning("a game server cannot be deleted", match=server.match, error=str(error))

    # ---- telling Redis of them

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._tell()
            except Unavailable as error:
                self._log.warning("game servers cannot be told of", error=error.detail)
            except Exception:
                self._log.exception("telling of game servers failed")
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _tell(self) -> None:
        """Compare what runs with what Redis knows. Raises Unavailable."""
        # While the API server is away nobody knows what lives; `blind` gives the matches time.
        alive = [(s, server) for s, server in self._all() if not s.watch.away and server.match and not server.over]
        await asyncio.gather(*(self._tell_one(space, server) for space, server in alive))

    async def _tell_one(self, space: Space, server: GameServer) -> None:
        base, match, me, now = keys.game(server.game), server.match, _id(space, server), now_ms()
        if self._playing.get(match) != me and not await self._take(space, server):
            return
        reply = await self._batch.call("server_beat", base, match, me, now, now + LOST_MS, "Allocated", "{}", "[]", "0")
        if reply[0] != "ok":
            self._playing.pop(match, None)
            await self._delete(space, server)

    async def _take(self, space: Space, server: GameServer) -> bool:
        """The match is this server's, and it is Ready. Returns whether it plays."""
        base, match, me, now = keys.game(server.game), server.match, _id(space, server), now_ms()
        where = msgspec.json.encode({"agones": space.name, "server": server.metadata.name})
        reply = await self._batch.call("server_attach", base, match, me, now, where)
        if reply[0] == "early":
            return False
        if reply[0] != "ok":
            self._log.warning("a game server without a match is given back", match=match, why=reply[0])
            await self._delete(space, server)
            return False
        if reply[1] == "PLACING":
            where = msgspec.json.encode(documents.connection(server, _match.decode(reply[2])))
            step = await self._batch.call("match_step", base, match, "ready", now, me, "", where, now + LOST_MS, 0)
            if step[0] == "ok":
                self._bell.ring("ticket", step[2:])
                self._bell.ring("match", [server.game])
        self._playing[match] = me
        return True

    # ---- what is known

    def _all(self) -> list[tuple[Space, GameServer]]:
        return [(space, server) for space in self._spaces.values() for server in space.watch.objects.values()]

    def _has(self, space: Space, server: GameServer) -> bool:
        """Whether this is the server that its match has."""
        return self._playing.get(server.match) == _id(space, server)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _id(space: Space, server: GameServer) -> str:
    """Names of game servers are never used again."""
    return f"agones/{space.name}/{server.metadata.name}"


def _launch_error(error: KubeRefused | KubeAway) -> LaunchRefused | LaunchRetryable:
    if isinstance(error, KubeRefused) and error.status == 404:
        return LaunchRefused(f"Agones is not installed in this cluster, or not its allocations: {error.message}")
    return as_launch_error(error)
