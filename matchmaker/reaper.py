"""Looks after the servers that run on this host, whoever's game they are: ends the ones no live match needs, and tells
the operator page what runs.

This is not bound to leases: only who sees a server can end it, and whether its match is over is a fact in Redis that
every replica reads the same. So two matchmakers on one host may both end a server, which is one end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from core import keys, log
from core.clock import now_ms
from core.ids import is_id
from core.lifecycle import ServerState, StandbyState
from matchmaker.launch.base import Seen
from matchmaker.planner import Facts, plan_server
from matchmaker.shared import Contact, Shared
from matchmaker.store import FACT_FIELDS, read_facts

WAITING_STANDBY: Final = (StandbyState.STARTING, StandbyState.READY)
STALE_MS: Final = 60_000  # what a launcher said so long ago is forgotten with it
LOOKS: Final = 500  # servers a step; more are looked at in turn, and only so many are published


class _Entry(msgspec.Struct):
    """The part of a launcher's entry that tells its age."""

    at_ms: int


class Reaper:
    """See the module. `step` is run by one task only."""

    def __init__(self, shared: Shared, contact: Contact) -> None:
        self._shared, self._contact = shared, contact
        self._log = log.get("matchmaker.reaper")
        self._round_at = 0
        self._forget_at_ms = 0

    async def step(self) -> float:
        """One look. Returns the seconds until the next. Raises Unavailable."""
        seen = await self._shared.launcher.seen()
        running = sorted((s for s in seen.values() if s.remains or not s.ended), key=lambda s: s.match)
        self._round_at = self._round_at if self._round_at < len(running) else 0
        some = running[self._round_at : self._round_at + LOOKS]
        self._round_at += LOOKS
        now = now_ms()
        matches = await self._matches_of(some)
        rows = await self._read(some, matches)
        facts = {s.match: read_facts(s.match, row[1:], 0) for s, row in zip(some, rows, strict=True)}
        states = {s.match: row[0] or ServerState.STARTING for s, row in zip(some, rows, strict=True)}
        for server in some:
            waits = matches.get(server.match)
            if waits in WAITING_STANDBY:
                states[server.match] = ServerState(waits)
            else:
                await self._look(server, facts[server.match], now)
        self._measure(running, states)
        await self._publish(some, matches, states, len(running), now)
        await self._forget_the_gone(now)
        return self._shared.settings.poll_s

    async def withdraw(self) -> None:
        """At the end of this process: its servers are not seen by it any more."""
        await self._shared.db.do("HDEL", keys.SERVERS, self._shared.launcher.host)

    async def _matches_of(self, servers: Sequence[Seen]) -> dict[str, str]:
        """Of those that were started without a match: the match they have by now, or the state they wait in for one."""
        names = [s for s in servers if is_id("standby", s.match)]
        commands = [("HMGET", keys.standby(s.game, s.match), "match", "state") for s in names]
        rows = await self._shared.db.do_many(commands) if commands else []
        return {
            s.match: match or (state if state in WAITING_STANDBY else "")
            for s, (match, state) in zip(names, rows, strict=True)
        }

    async def _read(self, servers: Sequence[Seen], matches: Mapping[str, str]) -> list[list[str | None]]:
        commands = [
            ("HMGET", keys.match(s.game, matches.get(s.match, s.match)), "server_state", *FACT_FIELDS) for s in servers
        ]
        return await self._shared.db.do_many(commands)

    async def _look(self, server: Seen, facts: Facts | None, now: int) -> None:
        deadlines = self._contact.deadlines(self._shared.settings.beat_timeout_s)
        stop = plan_server(server.since_ms, facts, deadlines, now)
        if stop is None or server.stopping:
            return
        self._log.warning("server without a match is ended", match=server.match, pid=server.pid, reason=stop.reason)
        self._shared.metrics.orphans.inc()
        await self._shared.launcher.stop(server.match, stop.grace_s)

    def _measure(self, running: Sequence[Seen], states: Mapping[str, str]) -> None:
        gauge = self._shared.metrics.servers
        counts = dict.fromkeys(ServerState, 0)
        for server in running:
            state = ServerState.SHUTDOWN if server.stopping else states.get(server.match, ServerState.ALLOCATED)
            counts[ServerState(state)] += 1
        for name, count in counts.items():
            gauge.labels(name).set(count)

    async def _publish(
        self, some: Sequence[Seen], matches: Mapping[str, str], states: Mapping[str, str], total: int, now: int
    ) -> None:
        servers: list[dict[str, Any]] = [
            {
                "match": s.match if matches.get(s.match, "") in ("", *WAITING_STANDBY) else matches[s.match],
                "game": s.game,
                "pid": s.pid,
                "rss_bytes": s.rss_bytes,
                "since_ms": s.since_ms,
                "state": ServerState.SHUTDOWN if s.stopping else states[s.match],
            }
            for s in some
        ]
        entry = msgspec.json.encode({"at_ms": now, "total": total, "servers": servers})
        await self._shared.db.do("HSET", keys.SERVERS, self._shared.launcher.host, entry)

    async def _forget_the_gone(self, now: int) -> None:
        """Hosts come and go, and a killed matchmaker cannot withdraw what it said."""
        if now < self._forget_at_ms:
            return
        self._forget_at_ms = now + STALE_MS
        for host, text in (await self._shared.db.do("HGETALL", keys.SERVERS)).items():
            try:
                stale = msgspec.json.decode(text, type=_Entry).at_ms < now - STALE_MS
            except msgspec.DecodeError:
                stale = True
            if stale:
                await self._shared.db.do("HDEL", keys.SERVERS, host)
