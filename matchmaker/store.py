"""What the matchmaker reads and writes of one game. Each write is one Redis function: it happens whole or not at all.

Every write of an owner carries its fencing token: `Fenced` means that another replica works this game now. All calls
raise Unavailable while Redis cannot be reached; each may then be repeated as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Struct

from core import keys, log
from core.lifecycle import MatchState, TicketState
from core.model import Game, Limits, Match, Ready, TicketPlayer, Timers, Waiting
from core.redis.client import Database
from core.stored import Stored
from core.stored_versions import CANARY_FIELDS, as_mapping, read_canary
from core.versions import Canary
from matchmaker.backfill_store import BackfillStore
from matchmaker.planner import Facts
from matchmaker.standby_store import StandbyStore

VANISHED_AT_ONCE: Final = 256  # the rest follows a second later
COUNTED_MS: Final = 60_000  # a count that nobody renews is of a game that is gone
ASKS: Final = "BACKFILL"  # in place of a ticket's state: it is a match, whose request for players changed
FACT_FIELDS: Final = (
    "state", "doc", "server", "created_ms", "attached_ms", "ready_ms", "beat_ms", "finish_ms", "fail_ms",
    "accept_until_ms", "agree_ms", "standby",
)  # fmt: skip

_log = log.get("matchmaker.store")
_players = Stored(list[TicketPlayer])
_match = Stored(Match)
_game = Stored(Game)


class _Runs(Struct, frozen=True):
    """Of what runs, how it says that it is ready."""

    ready: Ready = Ready()
    image: str | None = None


class _Head(Struct):
    """The part of a match document that planning needs; decoding the rest would cost ten times as much."""

    timers: Timers = Timers()
    tries: int = Limits().tries
    server: _Runs = _Runs()
    trace: str = ""


_head = msgspec.json.Decoder(_Head)


@dataclass(frozen=True, slots=True)
class Queued:
    """A ticket in its queue. `searched` tells whether its players know that somebody looks for a match."""

    ticket: Waiting
    searched: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed in a queue until `place`: each ticket that waits now, or the id of one that does not.

    `whole`: all is to be read anew; the ids of the waiting tickets, longest wait first. `asked`: matches whose request
    for players changed.
    """

    place: str
    more: bool
    found: Sequence[Queued | str] = ()
    whole: Sequence[str] | None = None
    asked: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Claimed:
    """What came of a claim: made, some tickets not waiting any more (`taken`), or the game at its limit (`full`).

    `standby` is the server that it took, '' where one is to be started.
    """

    match: Match
    taken: tuple[str, ...] = ()
    full: bool = False
    standby: str = ""

    @property
    def made(self) -> bool:
        return not self.taken and not self.full


class GameStore:
    """See the module. `token` is the fencing token of the lease."""

    def __init__(self, db: Database, game: str, token: int) -> None:
        self._db, self.game, self._token = db, game, token
        self._base = keys.game(game)
        self.backfills = BackfillStore(db, game, token)
        self.standbys = StandbyStore(db, game, token)

    async def registration(self) -> Game | None:
        """The game as registered now; None where it is not. Raises msgspec.DecodeError where it cannot be read."""
        text = await self._db.do("GET", keys.registration(self.game))
        return _game.decode(text) if text else None

    async def canary(self) -> Canary | None:
        """The candidate that is tried now. Raises msgspec.DecodeError where it cannot be read."""
        row = await self._db.do("HMGET", f"{self._base}:canary", *CANARY_FIELDS)
        return read_canary(row)

    async def outcomes(self) -> dict[str, str]:
        """What came of the game's matches, as stored."""
        return as_mapping(await self._db.do("HGETALL", f"{self._base}:outcomes"))

    async def stop_canary(self, version: int, why: str, now_ms: int) -> None:
        """Try this candidate no more."""
        await self._db.call("canary_end", self._base, version, "stopped", why, now_ms, self._token)

    async def queue_changes(self, place: str, most: int, whole_most: int) -> Changes:
        """What changed in the queue since `place` ('' at first), of at most `most` tickets."""
        kind, after, *rest = await self._db.call("queue_changes", self._base, place, most, whole_most)
        if kind == "all":
            return Changes(after, more=True, whole=rest)
        rows = _rows(rest)
        asked = [row[0] for row in rows if row[2] == ASKS]
        tickets = [row for row in rows if row[2] != ASKS]
        return Changes(after, more=kind == "more", found=self._read_queued(tickets), asked=asked)

    async def waiting(self, tickets: Sequence[str]) -> list[Queued | str]:
        """Each of these as it waits, or its id where it does not."""
        return self._read_queued(_rows(await self._db.call("tickets_waiting", self._base, *tickets)))

    def _read_queued(self, found: Sequence[tuple[str, ...]]) -> list[Queued | str]:
        """One whose document cannot be read counts as one that does not wait, and is said so."""
        read: list[Queued | str] = []
        for ticket, since_ms, state, doc, trace in found:
            try:
                players = _players.decode(doc) if state else []
            except msgspec.DecodeError as error:
                _log.error("ticket cannot be read", game=self.game, ticket=ticket, error=str(error))
                players = []
            waiting = Waiting(ticket, int(since_ms), players, trace) if players else None
            read.append(Queued(waiting, state != TicketState.QUEUED) if waiting else ticket)
        return read

    async def developer_live(self, owner: str, now_ms: int) -> int:
        """Live matches, and servers without one, of the developer's other games, as last counted. Tells ours, too.

        Games live in different slots, so no function can count them in one step: the sum may be a second old.
        """
        key = keys.developer(owner)
        live = sum(await self._db.do_many([("ZCARD", f"{self._base}:{of}") for of in ("live", "standbys")]))
        await self._db.do("HSET", key, self.game, f"{live} {now_ms}")
        told = await self._db.do("HGETALL", key)
        counts = (map(int, text.split()) for game, text in told.items() if game != self.game)
        return sum(count for count, at_ms in counts if now_ms - at_ms < COUNTED_MS)

    async def queue_length(self) -> int:
        return int(await self._db.do("ZCARD", f"{self._base}:queue"))

    async def silent(self, before_ms: int) -> list[str]:
        """Waiting tickets for which nobody gave a sign of life since `before_ms`, a bounded number."""
        query = ("ZRANGE", f"{self._base}:alive", "-inf", before_ms, "BYSCORE", "LIMIT", 0, VANISHED_AT_ONCE)
        return list(await self._db.do(*query))

    async def time_out(self, tickets: Sequence[str], now_ms: int) -> list[str]:
        """These waited too long. Returns the ones that left the queue now."""
        return await self._end([(t, ["timed_out", now_ms, "ticket_timeout"]) for t in tickets])

    async def give_up(self, why: Mapping[str, str], now_ms: int) -> list[str]:
        """These do not fit the game's rules any more. Returns the ones that left the queue now."""
        return await self._end([(t, ["unfit", now_ms, reason]) for t, reason in why.items()])

    async def drain(self, tickets: Sequence[str], now_ms: int) -> list[str]:
        """The game's queue is emptied by an operator. Returns the ones that left it now."""
        return await self._end([(t, ["drained", now_ms, "drained"]) for t in tickets])

    async def vanish(self, tickets: Sequence[str], now_ms: int, before_ms: int) -> list[str]:
        """Nobody waits for these any more, unless a sign of life came after `before_ms`. Returns the ones that left."""
        return await self._end([(t, ["vanished", now_ms, "vanished", before_ms]) for t in tickets])

    async def _end(self, ends: Sequence[tuple[str, list[str | int]]]) -> list[str]:
        replies = await self._db.call_many([("ticket_end", self._base, [t, *args]) for t, args in ends])
        return [ticket for (ticket, _), reply in zip(ends, replies, strict=True) if reply[0] == "ok"]

    async def claim(
        self, matches: Sequence[Match], searched: Sequence[str], *, now_ms: int, live_most: int
    ) -> tuple[list[Claimed], list[str]]:
        """Make these matches, each whole or not at all, and mark tickets as searched for, in one round trip.

        Returns what came of each match, and the tickets whose status changed to SEARCHING. Raises Fenced and
        Unavailable; some of the matches may have been made then, and are found among the live ones.
        """
        calls: list[tuple[str, str, list[Any]]] = [
            ("match_claim", self._base, [self._token, m.created_ms, *self._claim_args(m, live_most)]) for m in matches
        ]
        if searched:
            calls.append(("tickets_searched", self._base, [self._token, now_ms, *searched]))
        replies = await self._db.call_many(calls)
        claimed = [_claimed(match, reply) for match, reply in zip(matches, replies, strict=False)]
        return claimed, list(replies[-1]) if searched else []

    @staticmethod
    def _claim_args(match: Match, live_most: int) -> list[Any]:
        within_s = match.timers.start_s if match.acceptance_timeout_s is None else match.acceptance_timeout_s
        look_at_ms = match.created_ms + int(within_s * 1000)
        return [look_at_ms, live_most, match.id, msgspec.json.encode(match), *match.tickets]

    async def live(self) -> dict[str, int]:
        """Live matches and the ms at which each wants to be looked at, the most urgent first."""
        found = await self._db.do("ZRANGE", f"{self._base}:live", 0, -1, "WITHSCORES")
        return _scores(found)

    async def facts(self, matches: Sequence[str], look_at: dict[str, int]) -> list[Facts]:
        """What Redis knows of these matches; the ones it does not know are left out."""
        commands = [("HMGET", keys.match(self.game, match), *FACT_FIELDS) for match in matches]
        replies = await self._db.do_many(commands)
        found = (read_facts(m, row, look_at.get(m, 0)) for m, row in zip(matches, replies, strict=True))
        return [facts for facts in found if facts is not None]

    async def match(self, match: str) -> Match | None:
        """The document of a match, to start its server."""
        text = await self._db.do("HGET", keys.match(self.game, match), "doc")
        return _match.decode(text) if text else None

    async def fail(self, facts: Facts, reason: str, result: bytes, now_ms: int) -> list[str] | None:
        """Fail the match, if the facts still stand. `result` (JSON or empty) tells its developer why.

        Returns the tickets that moved, None where the match did not.
        """
        return await self._step(facts, "fail", reason, result, now_ms)

    async def finish(self, facts: Facts, reason: str, result: bytes, now_ms: int) -> list[str] | None:
        """End the match, if the facts still stand. Arguments and result as of `fail`."""
        return await self._step(facts, "finish", reason, result, now_ms)

    async def _step(self, facts: Facts, event: str, reason: str, result: bytes, now_ms: int) -> list[str] | None:
        judged_by: list[Any] = [self._token, facts.state, facts.beat_ms or ""]
        reply = await self._db.call(
            "match_step", self._base, facts.match, event, now_ms, "", reason, result, 0, facts.tries, *judged_by
        )
        return list(reply[2:]) if reply[0] == "ok" else None

    async def said(self, match: str, now_ms: int) -> None:
        """The line by which a match's game says that it is ready was seen."""
        await self._db.call("match_said", self._base, self._token, match, now_ms)

    async def postpone(self, match: str, look_at_ms: int) -> None:
        """Nothing to do about this match before `look_at_ms`."""
        await self._db.call("match_postpone", self._base, self._token, match, look_at_ms)


def _rows(found: Sequence[str]) -> list[tuple[str, ...]]:
    """The tickets in a reply: id, since_ms, state, document and trace of each."""
    return list(zip(found[::5], found[1::5], found[2::5], found[3::5], found[4::5], strict=True))


def _claimed(match: Match, reply: list[Any]) -> Claimed:
    kind, *rest = reply
    return Claimed(
        match, tuple(rest) if kind == "taken" else (), kind == "full", rest[0] if kind == "ok" and rest else ""
    )


def _scores(found: list[Any]) -> dict[str, int]:
    """Members and scores, in the flat form of RESP 2 or the paired form of RESP 3."""
    pairs = found if found and isinstance(found[0], list | tuple) else zip(found[::2], found[1::2], strict=True)
    return {member: int(float(score)) for member, score in pairs}


def read_facts(match: str, row: Sequence[str | None], look_at_ms: int) -> Facts | None:
    """Facts from the values of `FACT_FIELDS`; None where there is no such match."""
    state, doc, server, created, attached, ready, beat, finished, failed, accept_until, agreed, standby = row
    if state is None:
        return None
    try:
        head = _head.decode(doc or "{}")
    except msgspec.DecodeError:
        head = _Head()  # never written so; judged by the defaults all the same
    return Facts(
        match,
        MatchState(state),
        server or "",
        int(created or 0),
        int(attached or 0),
        int(ready or 0),
        int(beat or 0),
        int(finished or failed or 0),
        look_at_ms,
        head.timers,
        head.tries,
        int(accept_until or 0),
        int(agreed or 0),
        head.server.ready.line if head.server.image is not None else "",
        standby or "",
        head.trace,
    )
