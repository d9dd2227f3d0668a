"""Hashes of Redis to values, and values to the API's documents. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType, structs

from core import trace
from core.lifecycle import WAITING_TICKET, MatchState, TicketState
from core.model import Connection, Game, GameSpec, Match, MatchPlayer
from core.rules import rules_of
from core.stored import Stored
from webapi.documents import Acceptance, MatchDocument, Person, Registration, TeamOfMatch, Ticket, TicketEvent

TERMINAL: Final = frozenset(
    {TicketState.COMPLETED, TicketState.CANCELLED, TicketState.TIMED_OUT, TicketState.FAILED}
)  # a stream ends after these; a COMPLETED ticket may yet be queued again if its match fails


SECONDS_KEPT: Final = 1024
FOR_INSIDERS: Final = ("detail", "output")  # of a failed match's result


class _Seat(Struct):
    id: str
    name: str = ""


class _Asked(Struct, frozen=True):
    """What the players of a match are told while they are asked; `who` of this ticket accepted."""

    accepted: int
    players: int
    until_ms: int
    who: list[str] = []


class Change(Struct, frozen=True):
    """An event as the Redis functions write it."""

    seq: int
    at_ms: int
    status: TicketState
    event: str
    reason: str
    match: str
    asked: _Asked | None = None

    def acceptance(self, player: str) -> Acceptance | UnsetType:
        """As `player` is told; nothing where nobody is asked."""
        asked = self.asked
        if asked is None:
            return UNSET
        return Acceptance(asked.accepted, asked.players, iso(asked.until_ms), player in asked.who)


_seats: Final = msgspec.json.Decoder(list[_Seat])
_entry: Final = msgspec.json.Decoder(Change)


class _Kind(msgspec.Struct, frozen=True):
    arena: dict[str, Any] | None = None


class _Seats(Struct):
    """Of a match document, what a ticket needs."""

    players: list[MatchPlayer]
    server: _Kind = _Kind()


class _Runs(Struct):
    """Of a registration's server, whether it is the arena."""

    arena: Any = None


class _What(Struct):
    """Of a match document, what runs."""

    server: _Runs


match_decoder: Final = Stored(Match)
game_decoder: Final = Stored(Game)
connection_decoder: Final = msgspec.json.Decoder(Connection)
_match_seats: Final = msgspec.json.Decoder(_Seats)
_what: Final = msgspec.json.Decoder(_What)


def iso(ms: float) -> str:
    """`ms` (UTC milliseconds) as RFC 3339. As `core.clock.iso`, which lives with the clock."""
    second, rest = divmod(int(ms), 1000)
    return f"{_second(second)}.{rest:03d}Z"


@lru_cache(SECONDS_KEPT)
def _second(second: int) -> str:
    """Most times that are told share their second with others."""
    return datetime.fromtimestamp(second, UTC).isoformat()[:-6]


@dataclass(frozen=True, slots=True)
class TicketRecord:
    """A ticket as stored. `events` are those still kept, as their JSON, by seq."""

    id: str
    game: str
    state: TicketState
    seq: int
    since_ms: int
    reason: str
    match: str
    tries: int
    players: list[Person]
    events: Mapping[int, str]
    trace: str  # core.trace

    def has(self, player: str) -> bool:
        """Whether this is one of the ticket's players."""
        return any(seat.id == player for seat in self.players)

    def changes(self, after: int) -> list[Change]:
        """Events kept with a seq higher than `after`, in order."""
        return [_entry.decode(self.events[seq]) for seq in sorted(self.events) if seq > after]

    def waited_until(self, now_ms: int) -> int:
        """When its wait ended, ms: now, if it still waits."""
        if self.state in WAITING_TICKET or self.state is TicketState.REQUIRES_ACCEPTANCE:
            return now_ms
        for entry in reversed(self.changes(0)):
            if entry.event in ("claimed", "agreed", "backfilled") or self.state not in (
                TicketState.PLACING,
                TicketState.COMPLETED,
            ):
                return entry.at_ms
        return now_ms


def ticket_record(game: str, ticket: str, found: Mapping[str, str]) -> TicketRecord:
    """The record in a ticket's hash (not empty)."""
    players = [Person(seat.id, seat.name) for seat in _seats.decode(found["doc"])]
    events = {int(name[1:]): text for name, text in found.items() if name[0] == "e" and name[1:].isdigit()}
    return TicketRecord(
        ticket, game, TicketState(found["state"]), int(found["seq"]), int(found["since_ms"]), found["reason"],
        found["match"], int(found["tries"]), players, events, trace.of(ticket, found.get("trace", "")),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Joining:
    """Where a match is played, and the seat of one of its players. `server`: the name that its join key is made of."""

    connection: Connection
    seat: MatchPlayer
    arena: bool  # the built-in one
    server: str


def joining(match: str, found: Sequence[str | None], player: str) -> Joining | None:
    """From a match's state, connection, doc and standby: how `player` joins; None while (or after) nobody can."""
    state, connection, doc, standby = found
    if state != MatchState.RUNNING or not connection or not doc:
        return None
    found_match = _match_seats.decode(doc)
    for seat in found_match.players:
        if seat.id == player:
            return Joining(
                connection_decoder.decode(connection), seat, found_match.server.arena is not None, standby or match
            )
    return None


def seat_ticket(state: str | None, doc: str | None, left: str | None, player: str) -> str:
    """From a match's state, doc and who left: the ticket by which `player` has a seat now, '' where he has none."""
    if state != MatchState.RUNNING or not doc or player in (parsed(left, None) or ()):
        return ""
    return next((seat.ticket for seat in _match_seats.decode(doc).players if seat.id == player), "")


def is_arena(doc: str) -> bool:
    """Whether the match of this document is one of the built-in arena."""
    return _what.decode(doc).server.arena is not None


def ticket_document(
    record: TicketRecord, player: str, now_ms: int, how: Joining | None = None, token: str = ""
) -> Ticket:
    """A ticket as the API tells it to one of its players."""
    latest = record.changes(record.seq - 1) if record.state is TicketState.REQUIRES_ACCEPTANCE else []
    waited_ms = max(0, record.waited_until(now_ms) - record.since_ms)
    return Ticket(
        id=record.id,
        game=record.game,
        status=record.state,
        seq=record.seq,
        created_at=iso(record.since_ms),
        waited_s=round(waited_ms / 1000, 3),
        reason=record.reason,
        tries=record.tries,
        players=record.players,
        trace=record.trace,
        match=record.match or UNSET,
        acceptance=latest[-1].acceptance(player) if latest else UNSET,
        connection=how.connection if how else UNSET,
        join_token=token or UNSET,
    )


def event_document(entry: Change, player: str, how: Joining | None = None, token: str = "") -> TicketEvent:
    """A change of a ticket as its stream tells it to one of its players."""
    return TicketEvent(
        seq=entry.seq,
        at=iso(entry.at_ms),
        status=entry.status,
        event=entry.event,
        reason=entry.reason,
        match=entry.match or UNSET,
        acceptance=entry.acceptance(player),
        connection=how.connection if how else UNSET,
        join_token=token or UNSET,
    )


def match_document(found: Mapping[str, str]) -> MatchDocument:
    """A match as the API tells it; no tokens, no way in."""
    match = match_decoder.decode(found["doc"])
    teams: dict[str, list[Person]] = {}
    for seat in match.players:
        teams.setdefault(seat.team, []).append(Person(seat.id, seat.name))
    ended_ms = found.get("finish_ms") or found.get("fail_ms")
    return MatchDocument(
        id=match.id,
        game=match.game,
        game_version=match.game_version,
        state=MatchState(found["state"]),
        reason=found.get("reason", ""),
        teams=[TeamOfMatch(name, players) for name, players in teams.items()],
        trace=trace.of(match.id, match.trace),
        created_at=iso(match.created_ms),
        ready_at=iso(int(found["ready_ms"])) if found.get("ready_ms") else UNSET,
        ended_at=iso(int(ended_ms)) if ended_ms else UNSET,
        backfill_since=iso(int(found["backfill_ms"])) if found.get("backfill_ms") else UNSET,
        result=parsed(found.get("result"), UNSET),
        report=parsed(found.get("report"), UNSET),
        rating=found.get("rating", UNSET),
        figures=_figures(found.get("figures")),
    )


def _figures(text: str | None) -> Any:
    """What a server tells of itself, but for where its metrics are."""
    figures = parsed(text, UNSET)
    if isinstance(figures, dict):
        figures.pop("metrics", None)
    return figures


def for_outsiders(match: MatchDocument) -> MatchDocument:
    """A match without what its server said about a failure: paths, environment, perhaps secrets."""
    if not isinstance(match.result, dict):
        return match
    told = {key: value for key, value in match.result.items() if key not in FOR_INSIDERS}
    return structs.replace(match, result=told)


def parsed(text: str | None, otherwise: Any) -> Any:
    """What a server told, which is any JSON; `otherwise` where it told nothing, or no JSON."""
    if not text:
        return otherwise
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return otherwise


def registration(game: Game, *, whole: bool) -> Registration:
    """A game as the API tells it; not `whole`: without what runs, with which environment, and by which rules."""
    spec: GameSpec = game.spec
    warnings = list(rules_of(game).warnings) if whole else []
    if not whole:
        server = msgspec.structs.replace(spec.server, command=None, args=[], env={})
        commands = spec.commands and msgspec.structs.replace(spec.commands, python=None, url=None)
        spec = msgspec.structs.replace(spec, server=server, rules=None, commands=commands)
    times = iso(game.created_ms), iso(game.updated_ms)
    return Registration(game.id, game.owner, game.version, *times, spec, warnings)
