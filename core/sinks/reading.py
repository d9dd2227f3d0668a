"""What an entry of a log tells, as events of the catalogue. PURE.

Batches of interactions hold many, in the order in which things happened. Facts are one each, but for those that a step
tells of many tickets at once: a line for each, and their ids with a space between. Those of matches, of servers without
one, and of who tried to come in are written as the catalogue has them; those of tickets, presence and packs are what
their steps in Redis have at hand, and are translated here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from typing import Any, Final

import orjson

from core import trace
from core.errors import Invalid
from core.interactions import Action, Attack, Exchange, Happening, Interaction, Move, read_batch
from core.lifecycle import TicketEvent
from core.redis.logreader import Entry
from core.sinks.catalogue import GAME, KINDS, PLACES, TOPICS, VERSION, Message

TICKET_EVENTS: Final[dict[str, str]] = {
    "created": "ticket_created",
    TicketEvent.PROPOSED: "ticket_proposed",
    TicketEvent.ACCEPTED: "ticket_accepted",
    TicketEvent.AGREED: "ticket_matched",
    TicketEvent.CLAIMED: "ticket_matched",
    TicketEvent.PLACED: "ticket_placed",
    TicketEvent.BACKFILLED: "ticket_placed",
    TicketEvent.RELEASED: "ticket_requeued",
    TicketEvent.REQUEUED: "ticket_requeued",
    TicketEvent.REJECTED: "ticket_cancelled",
    TicketEvent.UNANSWERED: "ticket_cancelled",
    TicketEvent.CANCELLED: "ticket_cancelled",
    TicketEvent.VANISHED: "ticket_cancelled",
    TicketEvent.DRAINED: "ticket_cancelled",
    TicketEvent.TIMED_OUT: "ticket_timed_out",
    TicketEvent.GAVE_UP: "ticket_failed",
    TicketEvent.UNFIT: "ticket_failed",
}  # all but `searched`, of which there is one for each pass
TOPIC_OF: Final[dict[type, str]] = {Move: PLACES, Attack: GAME, Exchange: GAME, Action: GAME}
PACK_EVENTS: Final = ("pack_accepted", "packs_executed", "pack_failed")
PRESENCE_EVENTS: Final = ("player_online", "player_offline")


def messages(game: str, entry: Entry, topics: Set[str] = TOPICS) -> Iterator[Message]:
    """What an entry of a game's logs tells on `topics`; `game` is '' for the installation's own.

    Raises Invalid for what this version cannot read, after all that it can.
    """
    for n, message in enumerate(_told(game, entry, topics)):
        if message is not None and message.topic in topics:
            yield message._replace(origin=f"{entry.shard} {entry.id}-{n}")


def _told(game: str, entry: Entry, topics: Set[str]) -> Iterator[Message | None]:
    """None in place of an interaction that nobody wants: most are, and a body is most of the work."""
    if entry.batch == 0:
        yield from _facts(game, entry)
        return
    batch = read_batch(entry.payload)
    unknown: set[str] = set()
    events = iter(enumerate(batch.events, start=1))
    upcoming = next(events, None)
    for row, one in enumerate(batch.interactions):
        while upcoming is not None and upcoming[1].before <= row:
            yield from _happening(game, entry, *upcoming, unknown)
            upcoming = next(events, None)
        yield _interaction(game, entry, one) if TOPIC_OF[type(one)] in topics else None
    while upcoming is not None:
        yield from _happening(game, entry, *upcoming, unknown)
        upcoming = next(events, None)
    if unknown:
        raise Invalid(f"entry {entry.id} has events of another version: {sorted(unknown)}", code="event-unknown")


def _interaction(game: str, entry: Entry, one: Interaction) -> Message:
    name, more = _of(one)
    body = {"event": name, "id": one.id, "at_ms": one.at_ms, "version": VERSION, "game": game, "match": entry.match}
    return Message(KINDS[name].topic, entry.match, one.id, name, orjson.dumps(body | more))


def _of(one: Interaction) -> tuple[str, dict[str, Any]]:
    if isinstance(one, Move):
        return "tank_moved", {"player": one.player, "lat": one.lat, "lon": one.lon}
    if isinstance(one, Attack):
        return "tank_took_damage", {"player": one.target, "attacker": one.attacker, "damage": one.damage}
    if isinstance(one, Exchange):
        return "items_exchanged", {
            "player": one.player, "other": one.other, "exchange": one.exchange, "gave": one.gave, "got": one.got
        }  # fmt: skip
    return "game_action", {"player": one.player, "what": one.what}


def _happening(game: str, entry: Entry, number: int, one: Happening, unknown: set[str]) -> Iterator[Message]:
    kind = KINDS.get(one.name)
    if kind is None:
        unknown.add(one.name)
        return
    id_ = f"{entry.match}-b{entry.batch}-{number}"
    body = {"event": one.name, "id": id_, "at_ms": one.at_ms, "version": VERSION, "game": game, "match": entry.match}
    yield Message(kind.topic, entry.match, id_, one.name, orjson.dumps(body | {"player": one.player} | one.more))


def _facts(game: str, entry: Entry) -> Iterator[Message]:
    lines = entry.payload.split("\n")
    names = entry.match.split(" ") if len(lines) > 1 else [entry.match]
    wrong: Invalid | None = None
    if len(names) != len(lines):
        raise Invalid(f"entry {entry.id} has {len(lines)} facts of {len(names)} tickets", code="fact-malformed")
    for key, data in zip(names, lines, strict=True):
        try:
            yield _fact(game, key, data, entry.id)
        except Invalid as error:
            wrong = error
    if wrong is not None:
        raise wrong


def _fact(game: str, key: str, data: str, entry: str) -> Message:
    try:
        body = orjson.loads(data)
        name = body.get("type") or body["event"]
        if translate := _TRANSLATED.get(name):
            name, body = translate(game, key, body)
        body = {"event": name, "id": body["id"], "at_ms": body["at_ms"], **body, "version": VERSION}
        if game:
            body["game"] = game
        if "trace" in KINDS[name].fields:
            body["trace"] = _trace(body)
        return Message(KINDS[name].topic, key, body["id"], name, orjson.dumps(body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Invalid(f"entry {entry} is no fact: {error!r}", code="fact-malformed") from None


def _trace(body: dict[str, Any]) -> str:
    """The trace of a ticket or match, of which a fact has what its client brought; '' where it says nothing of it."""
    if "ticket" in body:
        return trace.of(body["ticket"], body.get("trace", ""))
    return trace.of(body["match"], body["trace"]) if body.get("match") and "trace" in body else ""


def _ticket(_: str, ticket: str, told: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    more = {name: told[name] for name in ("at_ms", "match", "seq", "status", "reason")}
    more["trace"] = told.get("trace", "")
    return TICKET_EVENTS[told["event"]], {"id": f"{ticket}-{told['seq']}", "ticket": ticket, **more}


def _pack(game: str, player: str, told: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    number = told["last"] if told["event"] == "packs_executed" else told["seq"]
    return told["event"], {**told, "id": f"{told['event']}-{game}-{player}-{number}"}


def _presence(_: str, __: str, told: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return told["type"], {name: value for name, value in told.items() if name != "type"}


_TRANSLATED: Final[dict[str, Callable[[str, str, dict[str, Any]], tuple[str, dict[str, Any]]]]] = {
    **dict.fromkeys(map(str, TICKET_EVENTS), _ticket),
    **dict.fromkeys(PACK_EVENTS, _pack),
    **dict.fromkeys(PRESENCE_EVENTS, _presence),
}
