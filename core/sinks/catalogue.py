"""Every event that leaves Muster: its name, its topic, what is in it. PURE; `docs/events.md` is drawn from here.

An event's body is a JSON object with the fields of `COMMON` and its own fields, all of them in every event of its name.
The id says what happened: whoever gets the same id twice has got one event twice.
`core.sinks.reading` makes events of what is in Redis' streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

VERSION: Final = 2  # in every body: raised when a field's meaning changes, not when one is added

SESSIONS: Final = "player_sessions_history"
PLACES: Final = "tank_coordinates_history"
GAME: Final = "game_events"
AUTH: Final = "auth_events"
MATCHES: Final = "matchmaking_events"
TICKETS: Final = "tickets_history"
SERVERS: Final = "servers_history"
PRESENCE: Final = "presence_history"
COMMANDS: Final = "commands_history"
ANALYTICS: Final = "analytics_events"


class Field(NamedTuple):
    """One member of a body: what it means, and what it may be."""

    about: str
    example: Any


class Kind(NamedTuple):
    """One kind of event. `fields` are those beside `COMMON`."""

    topic: str
    about: str
    fields: Mapping[str, Field]
    key: str = "match"  # events of one key are in order: the field it is in


class Message(NamedTuple):
    """An event on its way. Events of one `key` stay in order."""

    topic: str
    key: str
    id: str
    event: str
    body: bytes  # JSON
    origin: str = ""  # where in Redis it is from, `<log> <id of the entry>-<which of it>`: repeats have the same


_MATCH_ID: Final = "m-01jd8zq4x9c7k2v5r1t3w6y8ab"
_TICKET_ID: Final = "t-01jd8zq3m2c7k2v5r1t3w6y8ac"
_SERVER_ID: Final = "s-01jd8zq4zvc7k2v5r1t3w6y8ad"
_TRACE: Final = "019351fb8e8261e62d9701d0f86f214c"
_ANN: Final = "p-01jd8z0a11c7k2v5r1t3w6y8ae"
_BOB: Final = "p-01jd8z0b22c7k2v5r1t3w6y8af"

COMMON: Final[dict[str, Field]] = {
    "event": Field("its name", ""),
    "id": Field("the same for every copy of this event, and for no other", ""),
    "at_ms": Field("UTC", 1_763_762_400_000),
    "version": Field("of this catalogue", VERSION),
}

_OF_A_GAME: Final = {"game": Field("id", "arena")}
_IN_A_MATCH: Final = {**_OF_A_GAME, "match": Field("id", _MATCH_ID)}
_OF_A_MATCH: Final = {**_IN_A_MATCH, "trace": Field("of the match, as in logs; '' where it is not known", _TRACE)}
_OF_A_PLAYER: Final = {**_OF_A_GAME, "player": Field("id", _ANN)}
_OF_A_TICKET: Final = {
    **_OF_A_GAME, "ticket": Field("id", _TICKET_ID), "match": Field("id, '' without one", _MATCH_ID),
    "seq": Field("number of this change of the ticket, from 1", 3),
    "status": Field("of the ticket, after it", "COMPLETED"),
    "reason": Field("of the change, '' for the usual one", ""),
    "trace": Field("of the ticket, as in logs", _TRACE),
}  # fmt: skip
_OF_A_SERVER: Final = {
    **_OF_A_GAME, "server": Field("id of a server that was started without a match", _SERVER_ID),
    "match": Field("id, '' without one", ""), "kind": Field("why it was started: warm or early", "warm"),
    "trace": Field("of its match, '' without one", ""),
}  # fmt: skip
_OF_AN_ATTEMPT: Final = {
    "name": Field("as it was entered, or of what was made; cut and made printable", "ann"),
    "address": Field("of the client", "203.0.113.7"),
    "via": Field("rest or tcp", "rest"),
    "player": Field("id, '' where none is known", _ANN),
    "role": Field("player, developer or admin; '' where none is known", "player"),
    "reason": Field("code of the refusal, '' for none", ""),
    "by": Field("who changed something: id of an admin or a key; '' for none", ""),
}


def _auth(about: str, **examples: str) -> Kind:
    fields = {name: field._replace(example=examples.get(name, field.example)) for name, field in _OF_AN_ATTEMPT.items()}
    return Kind(AUTH, about, fields, "player")


def _refused(about: str, reason: str) -> Kind:
    return _auth(about, player="", role="", reason=reason)


def _ticket(about: str, **examples: Any) -> Kind:
    fields = {name: field._replace(example=examples.get(name, field.example)) for name, field in _OF_A_TICKET.items()}
    return Kind(TICKETS, about, fields, "ticket")


KINDS: Final[dict[str, Kind]] = {
    "new_match_created": Kind(MATCHES, "players were grouped; a server is being started for them", {
        **_OF_A_MATCH, "game_version": Field("of the registration", 3),
        "players": Field("who has a seat", [{"id": _ANN, "name": "ann", "team": "red"}]),
        "order": Field("what an outside matchmaker calls it, '' for a match of the queue", "")}),
    "match_failed": Kind(MATCHES, "it never came to be played", {
        **_OF_A_MATCH, "reason": Field("as on the match", "never_ready")}),
    "session_created": Kind(SESSIONS, "the match's server is ready", {
        **_OF_A_MATCH, "server": Field("its id", _SERVER_ID)}),
    "player_joined_session": Kind(SESSIONS, "a player connected, or came back", {
        **_IN_A_MATCH, "player": Field("id", _ANN), "team": Field("'' without teams", "red")}),
    "player_left_session": Kind(SESSIONS, "a player left, or the match was over; not told where its server was lost", {
        **_IN_A_MATCH, "player": Field("id", _ANN),
        "reason": Field("left, disconnected, match_over, or why he was turned out", "left")}),
    "session_removed": Kind(SESSIONS, "the match is over", {
        **_OF_A_MATCH, "outcome": Field("ENDED or FAILED", "ENDED"), "reason": Field("as on the match", "finished")}),
    "tank_moved": Kind(PLACES, "a player moved", {
        **_IN_A_MATCH, "player": Field("id", _ANN),
        "lat": Field("degrees", 48.2082), "lon": Field("degrees", 16.3738)}),
    "tank_shot": Kind(GAME, "a player shot; damage and destruction follow", {
        **_IN_A_MATCH, "player": Field("id", _ANN), "target": Field("id of who was hit, '' for nobody", _BOB),
        "aim": Field("degrees, counter-clockwise from east", 92.5), "length_m": Field("how far the shot flew", 14.25)}),
    "tank_took_damage": Kind(GAME, "a player harmed another", {
        **_IN_A_MATCH, "player": Field("id of who was harmed", _BOB), "attacker": Field("id", _ANN),
        "damage": Field("hit points", 25.0)}),
    "tank_destroyed": Kind(GAME, "a player's tank was destroyed", {
        **_IN_A_MATCH, "player": Field("id of whose it was", _BOB), "attacker": Field("id", _ANN)}),
    "items_exchanged": Kind(GAME, "two players exchanged items", {
        **_IN_A_MATCH, "player": Field("id of who offered", _ANN), "other": Field("id of who accepted", _BOB),
        "exchange": Field("id in the audit of items", "x-01jd8zr0m7c7k2v5r1t3w6y8ag"),
        "gave": Field("items", "shell:3"), "got": Field("items", "sword#excalibur:1")}),
    "game_action": Kind(GAME, "whatever else counts as an interaction", {
        **_IN_A_MATCH, "player": Field("id", _ANN), "what": Field("the game's own word", "jump")}),
    "ticket_created": _ticket("a player, or a party, waits for a match", match="", seq=1, status="QUEUED"),
    "ticket_proposed": _ticket("it is in a match whose players are asked first", status="REQUIRES_ACCEPTANCE"),
    "ticket_accepted": _ticket("one of the match's players accepted", status="REQUIRES_ACCEPTANCE"),
    "ticket_matched": _ticket("it is in a match; a server is started for it", status="PLACING"),
    "ticket_placed": _ticket("the match can be played"),
    "ticket_requeued": _ticket("there was no match after all: it waits again", status="QUEUED", reason="never_ready"),
    "ticket_cancelled": _ticket("its player cancelled, rejected, vanished, did not answer, or it is drained", match="",
                                status="CANCELLED", reason="cancelled"),
    "ticket_timed_out": _ticket("it waited longer than the game allows", match="",
                                status="TIMED_OUT", reason="timed_out"),
    "ticket_failed": _ticket("its matches failed too often, or the rules changed", status="FAILED", reason="crashed"),
    "server_started": Kind(SERVERS, "supply starts a server that no match has yet", _OF_A_SERVER, "server"),
    "server_allocated": Kind(SERVERS, "a match took it", {
        **_OF_A_SERVER, "match": Field("id", _MATCH_ID), "trace": Field("of the match", _TRACE)}, "server"),
    "server_ended": Kind(SERVERS, "it ended without a match", {
        **_OF_A_SERVER, "reason": Field("why", "unneeded")}, "server"),
    "player_online": Kind(PRESENCE, "a player was heard of for the first time, or again", _OF_A_PLAYER, "player"),
    "player_offline": Kind(PRESENCE, "a player was not heard of for the time-out", {
        **_OF_A_PLAYER, "began_ms": Field("when his session began, UTC", 1_763_758_800_000),
        "heard_ms": Field("when he was heard last, UTC", 1_763_762_220_000)}, "player"),
    "pack_accepted": Kind(COMMANDS, "a pack of delayed commands is in its player's row", {
        **_OF_A_PLAYER, "seq": Field("of the pack", 17), "commands": Field("how many", 20)}, "player"),
    "packs_executed": Kind(COMMANDS, "packs were executed, and the state was written once for them", {
        **_OF_A_PLAYER, "first": Field("seq of the first pack", 16), "last": Field("seq of the last", 17),
        "commands": Field("how many in them", 40)}, "player"),
    "pack_failed": Kind(COMMANDS, "a command failed; what waited behind it is skipped", {
        **_OF_A_PLAYER, "seq": Field("of its pack", 18), "index": Field("of the command, from 0", 2),
        "command": Field("its name", "buy"), "code": Field("why", "too-expensive"),
        "epoch": Field("that the player is in now", 1), "skipped": Field("packs that waited behind it", 0)}, "player"),
    "user_registered": _auth("an account was made"),
    "user_registration_failed": _refused("an account was refused", "name-taken"),
    "user_logged_in": _auth("a password was right"),
    "user_login_failed": _refused("it was wrong, or tries are over", "wrong-credentials"),
    "user_role_changed": _auth("an admin changed the role of an account", role="developer", by=_BOB),
    "guest_made": _auth("somebody plays without an account"),
    "guest_refused": _refused("too many did, from there", "too-many-signups"),
    "user_upgraded": _auth("a guest has an account now"),
    "user_upgrade_failed": _refused("it was refused to a guest", "name-taken"),
    "user_password_changed": _auth("by its owner"),
    "user_password_change_failed": _refused("the old one was wrong, or the new one is refused", "wrong-credentials"),
    "user_logged_out": _auth("a session ended"),
    "session_reused": _auth("a refresh token came twice, so its session ended: somebody has a copy", name="", role="",
                            reason="token-reused"),
    "user_logged_in_outside": _auth("by a token of a game's own login"),
    "user_login_outside_failed": _refused("such a token was refused", "invalid-token"),
    "invitation_made": _auth("an admin invites a developer; the name is the note", name="studio", player="", role="",
                             by=_BOB),
    "invitation_revoked": _auth("an admin took an invitation back", name="", player="", role="", by=_BOB),
    "api_key_made": _auth("a developer made a key for programs; `by` is its id", name="build server", role="",
                          by="k-17"),
    "api_key_revoked": _auth("it is void", name="", role="", by="k-17"),
    "user_exported": _auth("all that is known of a player was told", name="", role="", by=_ANN),
    "user_erased": _auth("a player is being erased", name="", role="", by=_ANN),
    "impossible_speed": Kind(ANALYTICS, "a tank was farther than its arena lets it drive", {
        **_IN_A_MATCH, "player": Field("id", _ANN), "metres": Field("between two moves", 80.5),
        "allowed_metres": Field("in this time, with slack", 31.7), "within_ms": Field("between the two", 500),
        "move": Field("id of the later one", f"{_MATCH_ID}-17")}),
    "impossible_damage": Kind(ANALYTICS, "more damage than the arena's weapon does", {
        **_IN_A_MATCH, "player": Field("id of who did it", _ANN), "target": Field("id of who was harmed last", _BOB),
        "damage": Field("hit points, of one attack or of 5 s; null for what is no number", 99.0),
        "allowed_damage": Field("likewise", 20.0), "attack": Field("id of the event", f"{_MATCH_ID}-18")}),
    "login_storm": Kind(ANALYTICS, "more failed logins in a minute than the bound", {
        "by": Field("address, or name: of many addresses", "address"),
        "who": Field("the address or the name", "203.0.113.7"), "failures": Field("so far in this minute", 31),
        "allowed": Field("in a minute", 30)}, "who"),
}  # fmt: skip
TOPICS: Final = frozenset(kind.topic for kind in KINDS.values())


def example(name: str) -> dict[str, Any]:
    """A body of an event of this name."""
    kind = KINDS[name]
    common = {field: it.example for field, it in COMMON.items()}
    own = {field: it.example for field, it in kind.fields.items()}
    return {**common, "event": name, "id": f"{name}-{own[kind.key] or '1'}", **own}
