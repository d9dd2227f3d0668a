"""Servers as containers of one Docker daemon: a single machine that runs strangers' games, each in bounds of its own.

A container is named after its match, so a second create is a conflict that is recognised, whoever was first. Labels
tell whose it is. What runs is what the daemon lists; its events only say that it is time to list again. Both containers
of a game's image are made before either is started, so a start that was cut off at any line is finished from the list
alone, by whoever lists next: nothing needs to be remembered.

A match's server has ended when one of its containers has. What has ended stays until `stop` is called for it, when the
match is over and everybody could read how it went: the first call ends what still runs, the next one removes.
Everything runs on one event loop; the daemon is called in threads (`docker_engine`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

from core import log
from core.clock import now_ms
from core.model import Match
from core.signing import Keyring
from matchmaker.docker_settings import DockerSettings
from matchmaker.launch import docker_documents as documents
from matchmaker.launch.base import EXIT_TURNED_AWAY, OUTPUT_BYTES, Changed, LaunchRefused, LaunchRetryable, Seen
from matchmaker.launch.docker_documents import Group, Installation
from matchmaker.launch.docker_engine import Engine
from matchmaker.launch.docker_start import Starter
from matchmaker.launch.environment import installation_name, tuning
from matchmaker.launch.slots import StartSlots

STALE: Final = float("-inf")
LIST_S: Final = 0.5  # a listing is used for so long, unless an event says otherwise
EVENTS_S: Final = 0.03  # events come in swarms: one look for all of them
# The daemon tells of an end before its listing shows it (it takes down the network first), mostly for 0.2 s.
LAG_S: Final = 0.1
LAG_MOST_S: Final = 5.0
STRAY_GRACE_S: Final = 5.0
NEVER_STARTED_S: Final = 120.0  # a container that nobody starts is left over from a start that was given up
ENDED_KEPT: Final = 1024
TAIL_LINES: Final = 20

_log = log.get("matchmaker.docker")


class DockerLauncher:
    """See the module. `close` when done."""

    blind = False

    def __init__(
        self,
        settings: DockerSettings,
        env: Mapping[str, str],
        *,
        secret: str,
        redis_url: str,
        changed: Changed,
        keyring: Keyring | None = None,
    ) -> None:
        self._settings, self._changed = settings, changed
        name = installation_name(settings.installation, secret, redis_url)
        where = Installation(name, settings, secret, redis_url, tuning(env), keyring)
        self._label = f"{documents.INSTALLATION}={name}"
        self._engine = Engine(settings)
        self._starter = Starter(where, self._engine)
        self._name = name
        self._daemon = ""  # its own name, once it has told
        self._slots = StartSlots(settings.starts)
        self._groups: dict[str, Group] = {}
        self._seen: dict[str, Seen] = {}
        self._ended: dict[str, Seen] = {}  # kept when their containers are gone
        self._started_at: dict[str, float] = {}  # here, and not listed yet
        self._words: dict[str, list[str]] = {}
        self._stopping: set[str] = set()
        self._work: dict[str, asyncio.Task[None]] = {}
        self._listing = asyncio.Lock()
        self._listed_at = STALE
        self._dying: dict[str, float] = {}  # containers that ended, and are to be listed so until then
        self._look_due: asyncio.TimerHandle | None = None
        self._closed = False  # nothing more is begun
        self._engine.listen(self._label, self._heard)

    @property
    def host(self) -> str:
        return f"{self._daemon or self._settings.docker_host}/{self._name}"

    def room(self) -> int:
        running = sum(not seen.ended for seen in self._seen.values())
        coming = sum(match not in self._seen for match in self._starter.ports)
        return self._settings.max_servers - running - coming - self._slots.waiting

    async def start(self, match: Match) -> None:
        self._starter.check(match)
        known = self._seen.get(match.id)
        if match.id in self._starter.ports or (known is not None and not known.ended):
            return
        if self.room() <= 0:
            raise LaunchRetryable(f"{self._settings.max_servers} servers run here (setting: MUSTER_MAX_SERVERS)")
        await self._slots.take(match.id)
        self._seen.pop(match.id, None)
        try:
            used = {port for group in self._groups.values() for c in group.values() for port in c.ports}
            await self._starter.start(match, used)
        except BaseException:
            self._slots.free(match.id)
            raise
        self._ended.pop(match.id, None)
        if match.id not in self._seen:  # it may have ended by now, and that is known
            self._seen[match.id] = Seen(match.id, match.game, 0, now_ms())
            self._started_at[match.id] = time.monotonic()
        self._listed_at = STALE

    def settled(self, match: str) -> None:
        self._slots.free(match)

    async def stop(self, match: str, grace_s: float) -> None:
        seen = self._seen.get(match)
        if seen is None or match in self._stopping:
            return
        group = self._groups.get(match, {})
        if seen.ended and not any(documents.runs(group, role) for role in group):
            self._do(f"remove {match}", lambda: self._remove(group))
            return
        self._stopping.add(match)
        self._seen[match] = replace(seen, stopping=True)
        self._do(f"stop {match}", lambda: self._stop(match, grace_s))

    async def seen(self) -> Mapping[str, Seen]:
        async with self._listing:
            if time.monotonic() - self._listed_at >= LIST_S:
                await self._list()
        return self._ended | self._seen

    async def tail(self, match: str) -> list[str]:
        if match not in self._words and (group := self._groups.get(match)):
            container = group.get("game") or next(iter(group.values()))
            with suppress(LaunchRetryable):
                return await self._engine.tail(container.id, TAIL_LINES)
        return self._words.get(match, [])

    async def output(self, match: str) -> str:
        with suppress(LaunchRetryable):
            return await self._engine.head(documents.container_name(match, "game"), OUTPUT_BYTES)
        return ""

    async def close(self, *, stop_servers: bool) -> None:
        if stop_servers:
            self._listed_at = STALE
            await self.seen()
            for match in list(self._groups):
                await self.stop(match, STRAY_GRACE_S)
            stops = [task for name, task in self._work.items() if name.startswith("stop ")]
            await asyncio.gather(*stops, return_exceptions=True)
            for group in self._groups.values():
                await self._remove(group)
        self._closed = True  # the daemon goes on telling until its stream is closed below
        if self._look_due is not None:
            self._look_due.cancel()
        for task in self._work.values():
            task.cancel()
        await asyncio.gather(*self._work.values(), return_exceptions=True)
        self._slots.close()
        self._engine.close()

    # ---- looking

    def _heard(self, container: str) -> None:
        """Something started, or this container ended: list soon."""
        if container:
            self._dying[container] = time.monotonic() + LAG_MOST_S
        self._listed_at = STALE
        if self._look_due is None and not self._closed:
            self._look_due = asyncio.get_running_loop().call_later(EVENTS_S, self._look_now)

    def _look_now(self) -> None:
        self._look_due = None
        self._do("look", self._look)

    async def _look(self) -> None:
        """List until what was heard, also meanwhile, is on the list."""
        while self._listed_at == STALE:
            await self.seen()
            now, listed = time.monotonic(), (c for group in self._groups.values() for c in group.values())
            live = {container.id for container in listed if container.state in documents.LIVE}
            self._dying = {c: until for c, until in self._dying.items() if c in live and now < until}
            if self._dying:
                await asyncio.sleep(LAG_S)
                self._listed_at = STALE

    async def _list(self) -> None:
        """Take in what the daemon lists. Where it does not answer, what was known is what is known."""
        self._listed_at = asked_at = time.monotonic()
        try:
            if not self._daemon:
                self._daemon = await self._engine.name()
            items = await self._engine.containers(self._label)
        except (LaunchRetryable, LaunchRefused) as error:
            _log.warning("the containers cannot be listed", error=error.detail)
            return
        groups = documents.by_match(map(documents.read_container, items))
        for match in set(self._started_at).intersection(groups):
            del self._started_at[match]
        for match in set(self._seen) - set(groups):
            if self._started_at.get(match, STALE) < asked_at:  # a later start cannot be on this list
                self._gone(match)
        self._groups = groups
        for match, group in groups.items():
            seen = documents.seen_of(group)
            if seen is not None:
                await self._take_in(match, group, seen)
            self._mend(match, group, seen)

    async def _take_in(self, match: str, group: Group, seen: Seen) -> None:
        known, stopping = self._seen.get(match), match in self._stopping
        if not seen.ended:
            self._seen[match] = replace(seen, stopping=stopping)
        elif known is not None and known.ended:
            self._seen[match] = replace(known, stopping=stopping)
        else:
            self._seen[match] = replace(await self._with_details(group, seen), stopping=stopping)
            self._tell_end(seen)

    async def _with_details(self, group: Group, seen: Seen) -> Seen:
        """What a listing does not show of an end, for the developer, while the container is there to tell."""
        match, container = seen.match, group.get("game") or next(iter(group.values()))
        detail = ""
        with suppress(LaunchRetryable):
            self._words[match] = await self._engine.tail(container.id, TAIL_LINES)
            if await self._engine.out_of_memory(container.id):
                detail = "it took more memory than its limit, and was ended for it"
        return replace(seen, detail=detail, output=tuple(self._words.get(match, ())))

    def _gone(self, match: str) -> None:
        """The containers were removed, by us or by hand."""
        seen = self._seen.pop(match)
        self._stopping.discard(match)
        self._started_at.pop(match, None)
        self._ended[match] = replace(seen, ended=True, stopping=False, remains=False)
        while len(self._ended) > ENDED_KEPT:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            self._words.pop(oldest, None)
        if not seen.ended:
            self._tell_end(seen)

    def _tell_end(self, seen: Seen) -> None:
        self._slots.free(seen.match)
        self._changed(seen.game, seen.match)

    # ---- mending

    def _mend(self, match: str, group: Group, seen: Seen | None) -> None:
        """Bring a group whose parts differ in line: finish its start, or its end."""
        if match in self._starter.ports or match in self._stopping:
            return
        if seen is None:
            created = min(container.since_ms for container in group.values()) / 1000
            if time.time() - created > NEVER_STARTED_S:
                self._do(f"remove {match}", lambda: self._remove(group))
            return
        if not seen.ended:
            if unstarted := {role: container.id for role, container in group.items() if container.state == "created"}:
                self._do(f"start {match}", partial(self._starter.bring_up, match, unstarted))
        elif seen.tells and seen.exit_code == EXIT_TURNED_AWAY and documents.runs(group, "game"):
            # The match goes on elsewhere, so nobody else will end this game.
            self._do(f"stop {match}", lambda: self._stop(match, STRAY_GRACE_S))

    async def _stop(self, match: str, grace_s: float) -> None:
        try:
            # By their names, as a server that was just started is on no list yet.
            await asyncio.gather(*(self._engine.stop(name, grace_s) for name in documents.container_names(match)))
            self._listed_at = STALE
        finally:
            self._stopping.discard(match)  # what failed is asked for again

    async def _remove(self, group: Group) -> None:
        for container in reversed(group.values()):
            await self._engine.remove(container.id)
        self._listed_at = STALE

    def _do(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do it in the background, unless that is being done."""
        if name in self._work or self._closed:
            return
        task = self._work[name] = asyncio.create_task(self._carefully(name, work))
        task.add_done_callback(lambda _: self._work.pop(name, None))

    async def _carefully(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (LaunchRetryable, LaunchRefused) as error:
            _log.warning("Docker did not do as asked", asked=name, error=error.detail)
