"""What the matchmaker reads and writes of running matches that ask for players. As `matchmaker.store` otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from core import keys, log
from core.model import Match, TicketPlayer, Waiting
from core.redis.client import Database
from core.stored import Stored

_log = log.get("matchmaker.backfill_store")
_match = Stored(Match)
_players = Stored(list[TicketPlayer])
_left = msgspec.json.Decoder(list[str])


@dataclass(frozen=True, slots=True)
class Asked:
    """A match that asks for players, as it was read. `teams`: those there, by team, as the tickets they came on."""

    match: Match  # with the seats of those there only
    request: str
    since_ms: int
    teams: Mapping[str, list[Waiting]]
    text: str  # the match as it is stored
    digest: str  # of what this was read from: a claim by it fails where that has changed


@dataclass(frozen=True, slots=True)
class Join:
    """Tickets to be seated in a match that asked; `match` with their seats."""

    asked: Asked
    match: Match
    tickets: Sequence[str]


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of a join: made, some tickets not waiting any more (`taken`), or the request not as it was read."""

    join: Join
    made: bool
    taken: tuple[str, ...] = ()


class BackfillStore:
    """See the module. `token` is the fencing token of the lease."""

    def __init__(self, db: Database, game: str, token: int) -> None:
        self._db, self._game, self._token = db, game, token
        self._base = keys.game(game)

    async def asking(self) -> list[str]:
        """Every match that asks for players."""
        return list(await self._db.do("SMEMBERS", f"{self._base}:asking"))

    async def read(self, matches: Sequence[str]) -> dict[str, Asked]:
        """What these ask for; who asks for nobody, or cannot be read, is left out."""
        rows = await self._db.call("backfill_requests", self._base, *matches)
        found: dict[str, Asked] = {}
        for match, *row in rows:
            try:
                if row:
                    found[match] = read_asked(row)
            except msgspec.DecodeError as error:
                _log.error("a match that asks for players cannot be read", match=match, error=str(error))
        return found

    async def join(self, joins: Sequence[Join], now_ms: int) -> list[Joined]:
        """Seat these, each whole or not at all, in one round trip.

        Raises Fenced and Unavailable; some may have been seated then, as reading again tells.
        """
        calls: list[tuple[str, str, list[Any]]] = [
            ("backfill_claim", self._base, [self._token, now_ms, *_claim_args(join)]) for join in joins
        ]
        replies = await self._db.call_many(calls)
        return [
            Joined(join, kind == "ok", tuple(rest) if kind == "taken" else ())
            for join, (kind, *rest) in zip(joins, replies, strict=True)
        ]


def read_asked(row: Sequence[str]) -> Asked:
    """A row of backfill_requests, without its match id. Raises msgspec.DecodeError."""
    request, since, doc, left, *tickets = row
    match = _match.decode(doc)
    gone = set(_left.decode(left)) if left else set()
    known = {
        player.id: player
        for ticket in zip(tickets[::2], tickets[1::2], strict=True)
        for player in _players.decode(ticket[1])
    }
    there = [seat for seat in match.players if seat.id not in gone]
    teams: dict[str, dict[str, list[TicketPlayer]]] = {}
    for seat in there:
        player = known.get(seat.id) or TicketPlayer(seat.id, seat.name)
        teams.setdefault(seat.team, {}).setdefault(seat.ticket, []).append(player)
    parties = {
        team: [Waiting(ticket, match.created_ms, players) for ticket, players in found.items()]
        for team, found in teams.items()
    }
    digest = hashlib.sha1(f"{doc}{left}".encode(), usedforsecurity=False).hexdigest()
    return Asked(msgspec.structs.replace(match, players=there), request, int(since), parties, doc, digest)


def _claim_args(join: Join) -> list[Any]:
    document = _match.encode(join.match, join.asked.text)
    return [join.match.id, join.asked.request, join.asked.digest, document, *join.tickets]
