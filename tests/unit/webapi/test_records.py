"""Hashes of Redis to documents."""

from __future__ import annotations

import json
from typing import Any

from msgspec import UNSET

from core import clock
from core.lifecycle import TicketState
from core.model import Game, GameSpec, Server
from webapi import records
from webapi.documents import Acceptance


def _ticket(*events: tuple[str, str, int]) -> dict[str, str]:
    """The hash of a ticket that lived through (status, event, at_ms)."""
    found = {"doc": '[{"id": "p-1", "name": "Ann", "attributes": {}}]', "since_ms": "1000", "reason": "", "match": ""}
    for seq, (status, event, at_ms) in enumerate(events, 1):
        entry: dict[str, Any] = {
            "seq": seq,
            "at_ms": at_ms,
            "status": status,
            "event": event,
            "reason": "",
            "match": "",
        }
        found |= {f"e{seq}": json.dumps(entry), "seq": str(seq), "state": status, "tries": "0"}
    return found


def test_a_wait_is_counted_until_it_ends() -> None:
    """A waiting or asked ticket waits until now, one in a match until it was claimed, one given up until then."""
    queued, claimed, placed = ("QUEUED", "created", 1000), ("PLACING", "claimed", 3000), ("COMPLETED", "placed", 4000)
    asked = ("REQUIRES_ACCEPTANCE", "proposed", 3000)
    for events, waited_s in (
        ([queued], 9.0),
        ([queued, claimed], 2.0),
        ([queued, claimed, placed], 2.0),
        ([queued, claimed, placed, ("QUEUED", "requeued", 5000)], 9.0),
        ([queued, asked], 9.0),
        ([queued, asked, ("PLACING", "agreed", 4000)], 3.0),
        ([queued, asked, ("SEARCHING", "released", 4000)], 9.0),
        ([queued, asked, ("CANCELLED", "unanswered", 4000)], 3.0),
        ([queued, ("CANCELLED", "cancelled", 6000)], 5.0),
    ):
        record = records.ticket_record("tanks", "t-1", _ticket(*events))
        assert records.ticket_document(record, "p-1", 10_000).waited_s == waited_s


def test_an_asked_ticket_tells_how_many_accepted() -> None:
    """As its latest event says, and to each player whether he has; nobody is asked before and after."""
    found = _ticket(("QUEUED", "created", 1000), ("REQUIRES_ACCEPTANCE", "accepted", 3000))
    entry = json.loads(found["e2"]) | {"asked": {"accepted": 2, "players": 4, "until_ms": 33_000, "who": ["p-1"]}}
    found["e2"] = json.dumps(entry)
    for player, yours in (("p-1", True), ("p-2", False)):
        told = records.ticket_document(records.ticket_record("tanks", "t-1", found), player, 10_000).acceptance
        assert told == Acceptance(2, 4, "1970-01-01T00:00:33.000Z", yours)
    released = records.ticket_record("tanks", "t-1", found | {"state": "SEARCHING"})
    assert records.ticket_document(released, "p-1", 10_000).acceptance is UNSET
    first, second = released.changes(0)
    assert records.event_document(first, "p-1").acceptance is UNSET
    assert records.event_document(second, "p-2").acceptance == Acceptance(2, 4, "1970-01-01T00:00:33.000Z", False)


def test_changes_come_in_order_after_the_last_one_seen() -> None:
    """However the hash orders its fields; those that are no events are left out."""
    found = _ticket(*(("SEARCHING", "searched", i) for i in range(12)))
    record = records.ticket_record("tanks", "t-1", dict(reversed(found.items())))
    assert [change.seq for change in record.changes(9)] == [10, 11, 12]
    assert record.state == TicketState.SEARCHING
    assert (record.has("p-1"), record.has("p-2")) == (True, False)


def test_a_match_can_be_joined_only_while_it_runs_and_by_its_players() -> None:
    """Without a connection, before, after, or for a stranger there is no way in."""
    doc = '{"players": [{"id": "p-1", "name": "Ann", "team": "red", "ticket": "t-1"}], "more": 1}'
    connection = '{"address": "10.0.0.1", "ports": []}'
    how = records.joining("m-1", ["RUNNING", connection, doc, None], "p-1")
    assert how is not None
    assert (how.connection.address, how.seat.team, how.server) == ("10.0.0.1", "red", "m-1")
    warm = records.joining("m-1", ["RUNNING", connection, doc, "w-1"], "p-1")
    assert warm is not None
    assert warm.server == "w-1"  # a server that was there before its match: its join key is its own name's
    assert records.joining("m-1", ["RUNNING", connection, doc, None], "p-2") is None
    for found in (["PLACING", None, doc, None], ["ENDED", connection, doc, None], [None] * 4):
        assert records.joining("m-1", found, "p-1") is None


def test_what_runs_is_shown_to_its_owner_only() -> None:
    """Command, args and env are left out for others; the rest of the server is not."""
    server = Server(command=["x"], args=["-v"], env={"K": "v"})
    game = Game("g", "p-1", 1, 0, 0, GameSpec(server=server, players_per_match=2))
    assert records.registration(game, whole=True).spec.server == server
    shown = records.registration(game, whole=False).spec
    assert (shown.server, shown.players_per_match) == (Server(), 2)


def test_what_a_server_tells_may_be_anything() -> None:
    """JSON is passed on; anything else counts as nothing told."""
    assert records.parsed('{"a": 1}', UNSET) == {"a": 1}
    assert records.parsed("{", UNSET) is UNSET
    assert records.parsed(None, {}) == {}


def test_times_read_as_the_clock_writes_them() -> None:
    """The pure formatter and the clock's agree."""
    for ms in (0, 1, 1_795_253_161_772):
        assert records.iso(ms) == clock.iso(ms)
