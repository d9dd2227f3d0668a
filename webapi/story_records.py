"""What is stored, as things that happened. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from core.presence import Session
from core.sinks.reading import TICKET_EVENTS
from webapi.records import TicketRecord, iso, match_decoder
from webapi.story_documents import Source, StoryEvent

EVENTS_MOST: Final = 2_000  # of one story
_COMMON: Final = frozenset(
    {"event", "id", "at_ms", "version", "game", "match", "player", "ticket", "reason", "name", "seq", "trace"}
)
_SOURCES: Final[dict[str, Source]] = {
    "ticket": "ticket", "user": "login", "guest": "login", "session_reused": "login", "invitation": "login",
    "api": "login", "impossible": "flag", "login": "flag", "player_online": "presence", "player_offline": "presence",
    "tank": "play", "items": "play", "game": "play",
}  # fmt: skip


class Told(NamedTuple):
    """One thing that happened."""

    at_ms: int
    event: str
    source: Source
    player: str = ""
    name: str = ""
    ticket: str = ""
    match: str = ""
    game: str = ""
    reason: str = ""
    detail: Mapping[str, Any] = MappingProxyType({})


class MatchFacts(NamedTuple):
    """What the hash of a match says of when and who."""

    created_ms: int
    ended_ms: int  # 0 while it lives
    tickets: list[str]
    players: list[str]
    seats: list[tuple[str, str]]  # ticket and player


def of_match(found: Mapping[str, str]) -> MatchFacts:
    """From a match's hash, which has its document."""
    match = match_decoder.decode(found["doc"])
    ended = found.get("finish_ms") or found.get("fail_ms") or 0
    seats = [(seat.ticket, seat.id) for seat in match.players]
    return MatchFacts(match.created_ms, int(ended), match.tickets, [who for _, who in seats], seats)


def of_body(body: Mapping[str, Any]) -> Told:
    """An event of the catalogue."""
    event = str(body["event"])
    detail = {name: value for name, value in body.items() if name not in _COMMON}
    texts = {name: str(body.get(name) or "") for name in ("player", "name", "ticket", "match", "game", "reason")}
    return Told(int(body["at_ms"]), event, _source(event), **texts, detail=detail)


def of_flag(game: str, body: Mapping[str, Any]) -> Told:
    return of_body({**body, "game": game})


def of_ticket(record: TicketRecord) -> list[Told]:
    """What is kept of a ticket's changes."""
    first, name = record.players[0].id if record.players else "", ", ".join(who.name for who in record.players)
    changes = [(one, TICKET_EVENTS[one.event]) for one in record.changes(0) if one.event in TICKET_EVENTS]
    return [
        Told(at_ms=one.at_ms, event=event, source="ticket", player=first, name=name, ticket=record.id, match=one.match,
             game=record.game, reason=one.reason, detail={"status": str(one.status)})
        for one, event in changes
    ]  # fmt: skip


def until_over(changes: list[Told], match: str) -> list[Told]:
    """Of a ticket's changes (`of_ticket`), those up to its last one in `match`: what follows is of the next match."""
    of_it = [number for number, one in enumerate(changes) if one.match == match]
    return changes[: of_it[-1] + 1] if of_it else []


def of_session(player: str, session: Session) -> list[Told]:
    """A time online that is over."""
    return [
        Told(session.began_ms, "player_online", "presence", player=player, game=session.game),
        Told(session.ended_ms, "player_offline", "presence", player=player, game=session.game),
    ]


def in_order(told: Iterable[Told], names: Mapping[str, str]) -> list[StoryEvent]:
    """The documents, oldest first, each once; the latest where there are too many."""
    once = {(one.at_ms, one.event, one.player, one.ticket, one.match, one.game): one for one in told}
    found = sorted(once.values(), key=lambda one: one.at_ms)[-EVENTS_MOST:]
    return [
        StoryEvent(iso(one.at_ms), one.event, one.source, one.player, one.name or names.get(one.player, ""),
                   one.ticket, one.match, one.game, one.reason, dict(one.detail))
        for one in found
    ]  # fmt: skip


def _source(event: str) -> Source:
    return _SOURCES.get(event) or _SOURCES.get(event.partition("_")[0], "match")
