"""Every event that leaves Muster: its name, its topic, what is in it. PURE; `docs/events.md` is drawn from here.

An event's body is a JSON object with `event`, `id`, `at_ms` (UTC), and mostly `game` and `match`. The id says what
happened: whoever gets the same id twice has got one event twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from core.errors import Invalid
from core.interactions import Attack, Exchange, Interaction, Move, read_batch
from core.redis.logreader import Entry

VERSION: Final = 1  # of the catalogue: raised when a field's meaning changes, not when one is added

SESSIONS: Final = "player_sessions_history"
PLACES: Final = "tank_coordinates_history"
GAME: Final = "game_events"
AUTH: Final = "auth_events"
MATCHES: Final = "matchmaking_events"


class Kind(NamedTuple):
    """One kind of event. `fields` are those beside the common ones, with what they mean."""

    topic: str
    about: str
    fields: Mapping[str, str]


KINDS: Final[dict[str, Kind]] = {
    "new_match_created": Kind(MATCHES, "players were grouped; a server is being started for them", {
        "version": "of the registration", "players": "[{id, name, team}]"}),
    "match_failed": Kind(MATCHES, "it never came to be played", {"reason": "as on the match"}),
    "session_created": Kind(SESSIONS, "the match's server is ready", {"server": "its id"}),
    "session_removed": Kind(SESSIONS, "the match is over", {
        "outcome": "ENDED or FAILED", "reason": "as on the match"}),
    "tank_moved": Kind(PLACES, "a player moved", {
        "player": "id", "lat": "degrees", "lon": "degrees"}),
    "tank_took_damage": Kind(GAME, "a player harmed another", {
        "player": "id of who was harmed", "attacker": "id", "damage": "hit points"}),
    "items_exchanged": Kind(GAME, "two players exchanged items", {
        "player": "id of who offered", "other": "id of who accepted", "exchange": "id in the audit of items",
        "gave": "items", "got": "items"}),
    "game_action": Kind(GAME, "whatever else counts as an interaction", {
        "player": "id", "what": "the game's own word"}),
}  # fmt: skip


class Message(NamedTuple):
    """An event on its way. Events of one `key` stay in order."""

    topic: str
    key: str
    id: str
    event: str
    body: bytes  # JSON


def messages(game: str, entry: Entry) -> Iterator[Message]:
    """What an entry of a game's log tells. Raises Invalid for one that this version cannot read."""
    if entry.batch == 0:
        yield _fact(game, entry)
        return
    for one in read_batch(entry.payload).interactions:
        name, more = _of(one)
        body = {"event": name, "id": one.id, "at_ms": one.at_ms, "game": game, "match": entry.match, **more}
        yield Message(KINDS[name].topic, entry.match, one.id, name, orjson.dumps(body))


def _fact(game: str, entry: Entry) -> Message:
    try:
        body = orjson.loads(entry.payload)
        name, kind = body["event"], KINDS[body["event"]]
        return Message(kind.topic, entry.match, body["id"], name, orjson.dumps({"game": game, **body}))
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid(f"entry {entry.id} is no fact: {error!r}", code="fact-malformed") from None


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
