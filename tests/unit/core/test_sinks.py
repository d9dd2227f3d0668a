"""Entries of many streams in one order; what each tells."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import interactions
from core.analytics.judge import FLAGS
from core.errors import Invalid, Misconfigured
from core.events import PlayerOffline, PlayerOnline
from core.interactions import Attack, Exchange, Happening, Move, pack
from core.lifecycle import TicketEvent
from core.redis import library
from core.redis.logreader import Entry, entry_ms
from core.sinks.catalogue import COMMON, GAME, KINDS, PLACES, TOPICS, VERSION, example
from core.sinks.merge import SETTLED_MS, by_stream, first, in_order
from core.sinks.reading import PACK_EVENTS, PRESENCE_EVENTS, TICKET_EVENTS, messages
from core.sinks.settings import Settings
from core.trace import of_id
from gamepod.arena import events as arena
from webapi.audit import Name

MATCH, TICKET = "m-01jd8zq4x9c7k2v5r1t3w6y8ab", "t-01jd8zq3m2c7k2v5r1t3w6y8ac"
MOMENTS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 3), st.sampled_from(["batch", "open", "close"])), max_size=40
)


def entries(moments: list[tuple[int, int, str]]) -> list[Entry]:
    """Entries of four streams, each in the order of its ids."""
    made = []
    for n, (ms, stream, kind) in enumerate(sorted(moments)):
        size = {"batch": 5, "open": 0, "close": 1}[kind]
        made.append(Entry(f"s{stream}", f"{ms}-{n}", "m", int(kind == "batch"), size, ""))
    return made


@given(MOMENTS, st.integers(0, 200), st.integers(1, 12))
def test_rounds_give_all_once_and_in_order(moments: list[tuple[int, int, str]], start: int, page: int) -> None:
    """Whatever the pages, what goes out is ordered by moment over all rounds, and everything goes out once."""
    left, out, now = by_stream(entries(moments)), list[Entry](), start
    for _ in range(200):
        pages = {stream: found[:page] for stream, found in left.items()}
        done = in_order(pages, now_ms=now, full=lambda _: page)
        out += done
        for one in done:
            left[one.shard].remove(one)
        now += 20
        if not any(left.values()):
            break
    assert not any(left.values())
    assert len(out) == len(moments)
    assert [entry_ms(one.id) for one in out] == sorted(entry_ms(one.id) for one in out)


@given(MOMENTS, st.integers(0, 200))
def test_nothing_that_may_still_be_overtaken_goes_out(moments: list[tuple[int, int, str]], now: int) -> None:
    """What is younger than the clocks may differ stays; of one moment, a session's begin is first and its end last."""
    out = in_order(by_stream(entries(moments)), now_ms=now, full=lambda _: 1000)
    assert all(entry_ms(one.id) <= now - SETTLED_MS for one in out)
    for a, b in itertools.pairwise(out):
        if entry_ms(a.id) == entry_ms(b.id):
            assert not (a.batch == 0 and a.size == 1 and (b.batch or b.size == 0))


def test_an_exchange_is_told() -> None:
    """With both sides, and its id in the audit."""
    row = Exchange("x-1", 5, "a", "b", "audit-1", "shell:3", "sword#1:1")
    [message] = messages("duel", Entry("s", "1-1", "m-1", 1, 1, pack([row]).decode()))
    assert (message.topic, message.key, message.id) == (KINDS["items_exchanged"].topic, "m-1", "x-1")
    assert json.loads(message.body) == {
        "event": "items_exchanged", "id": "x-1", "at_ms": 5, "version": VERSION, "game": "duel", "match": "m-1",
        "player": "a", "other": "b", "exchange": "audit-1", "gave": "shell:3", "got": "sword#1:1",
    }  # fmt: skip


@pytest.mark.parametrize(
    "payload", ["", "[]", "{}", '{"event": "unheard_of", "id": "x"}', '{"event": "session_created"}']
)
def test_a_fact_that_is_none_is_refused(payload: str) -> None:
    """With its place in the stream."""

    def all_of() -> Iterator[object]:
        yield from messages("duel", Entry("s", "7-1", "m-1", 0, 0, payload))

    with pytest.raises(Invalid, match="7-1"):
        list(all_of())


def line(seq: int, event: str) -> str:
    """What a step has at hand of a ticket."""
    return json.dumps(
        {"seq": seq, "at_ms": 5, "status": "PLACING", "event": event, "reason": "two\nlines", "match": MATCH}
    )


def test_one_entry_tells_of_many_tickets() -> None:
    """Each is a message of its own, under its ticket; one that cannot be read does not take the others along."""
    two = f"{TICKET} {TICKET[:-1]}d"
    made = list(messages("duel", Entry("s", "7-1", two, 0, 0, f"{line(2, 'claimed')}\n{line(4, 'claimed')}")))
    assert [(it.key, it.id, it.origin) for it in made] == [
        (TICKET, f"{TICKET}-2", "s 7-1-0"), (f"{TICKET[:-1]}d", f"{TICKET[:-1]}d-4", "s 7-1-1")
    ]  # fmt: skip
    assert json.loads(made[0].body)["reason"] == "two\nlines"
    some = messages("duel", Entry("s", "7-1", two, 0, 0, f"{{}}\n{line(4, 'claimed')}"))
    assert next(some).id == f"{TICKET[:-1]}d-4"
    with pytest.raises(Invalid, match="7-1"):
        next(some)
    with pytest.raises(Invalid, match="2 facts of 1 tickets"):
        list(messages("duel", Entry("s", "7-1", TICKET, 0, 0, f"{line(2, 'claimed')}\n{line(4, 'claimed')}")))


# Facts of matches and of servers without one, as Redis functions write them; what else they tell is translated.
_FACT = re.compile(r"\b(?:fact|server_fact|fact_put)\([^()]*?'([a-z_]+)'")
_PACK = re.compile(r"event = '(packs?_[a-z]+)'")


def in_code() -> set[str]:
    """Every name that some part of Muster writes."""
    lua = "".join(path.read_text() for path in sorted(Path(library.FOLDER).glob("*.lua")))
    lifted = {name for name in vars(interactions) if name.startswith("PLAYER_")}
    session = {getattr(interactions, name) for name in lifted} | arena.LOGGED
    rows = {"tank_moved", "tank_took_damage", "items_exchanged", "game_action"}  # of core.interactions.KINDS
    assert len(rows) == len(interactions.KINDS)
    presence = {kind.__struct_config__.tag for kind in (PlayerOnline, PlayerOffline)}
    assert presence == set(PRESENCE_EVENTS)
    packs = set(_PACK.findall(lua))
    assert packs == set(PACK_EVENTS)
    told = {*_FACT.findall(lua), *packs, *session, *rows, *presence, *TICKET_EVENTS.values(), *get_args(Name)}
    return told | FLAGS


def test_what_code_writes_is_in_the_catalogue_and_nothing_else() -> None:
    """A new event of a step, of the arena, of the audit, or of a ticket's life has to be named there."""
    assert in_code() == set(KINDS)
    assert set(TICKET_EVENTS) == {"created", *TicketEvent} - {TicketEvent.SEARCHED}


@pytest.mark.parametrize("name", KINDS)
def test_an_example_has_all_fields(name: str) -> None:
    """What the page shows is a whole body, with a key and an id."""
    body = example(name)
    assert body.keys() == COMMON.keys() | KINDS[name].fields.keys()
    assert KINDS[name].key in body
    assert (body["event"], body["version"]) == (name, VERSION)


@pytest.mark.parametrize(
    ("key", "fact", "trace"),
    [
        ("m-1", {"event": "session_created", "match": "m-1", "trace": "4bf9"}, "4bf9"),
        (MATCH, {"event": "session_created", "match": MATCH, "trace": ""}, of_id(MATCH)),
        (MATCH, {"event": "session_created", "match": MATCH}, ""),
        (TICKET, {"event": "placed", "match": MATCH, "trace": "4bf9"}, "4bf9"),
        (TICKET, {"event": "created", "match": ""}, of_id(TICKET)),
        ("s-1", {"event": "server_started", "server": "s-1", "match": ""}, ""),
        ("s-1", {"event": "server_allocated", "server": "s-1", "match": "m-1", "trace": "4bf9"}, "4bf9"),
    ],
)
def test_a_fact_has_the_trace_of_its_ticket_or_match(key: str, fact: dict[str, str], trace: str) -> None:
    """That of a ticket follows from its id, unless its client brought one; nothing is guessed for older facts."""
    told = {"id": "x", "at_ms": 5, "seq": 1, "status": "QUEUED", "reason": "", **fact}
    [message] = messages("duel", Entry("s", "1-1", key, 0, 0, json.dumps(told)))
    assert json.loads(message.body)["trace"] == trace


def test_what_happened_is_told_in_its_place() -> None:
    """Events of a batch come between the interactions that were before and after them, with ids that tell repeats."""
    rows = [Move("m-1", 5, "a", 1.0, 2.0), Attack("m-2", 5, "a", "b", 7.0)]
    events = [
        Happening("player_joined_session", 0, 4, "a", {"team": ""}),
        Happening("tank_shot", 1, 5, "a", {"target": "b", "aim": 1.5, "length_m": 2.0}),
        Happening("tank_destroyed", 2, 5, "b", {"attacker": "a"}),
    ]
    entry = Entry("s", "1-1", "m-1", 3, 2, pack(rows, events=events).decode())
    found = list(messages("duel", entry))
    assert [(one.event, one.id) for one in found] == [
        ("player_joined_session", "m-1-b3-1"),
        ("tank_moved", "m-1"),
        ("tank_shot", "m-1-b3-2"),
        ("tank_took_damage", "m-2"),
        ("tank_destroyed", "m-1-b3-3"),
    ]
    for one in found:
        assert json.loads(one.body).keys() == COMMON.keys() | KINDS[one.event].fields.keys()


def test_a_broker_is_told_what_it_was_chosen_for() -> None:
    """Of other topics nothing is told, and what is told has the same places as among all."""
    rows = [Move("m-1", 5, "a", 1.0, 2.0), Attack("m-2", 5, "a", "b", 7.0)]
    events = [Happening("tank_shot", 1, 5, "a", {}), Happening("player_left_session", 2, 6, "a", {})]
    entry = Entry("s", "1-1", "m-1", 3, 2, pack(rows, events=events).decode())
    places = {one.event: one.origin for one in messages("duel", entry)}
    for topics in (TOPICS - {PLACES, GAME}, frozenset({PLACES}), frozenset({GAME}), frozenset[str]()):
        found = list(messages("duel", entry, topics))
        assert {one.event: one.origin for one in found} == {
            event: origin for event, origin in places.items() if KINDS[event].topic in topics
        }


def test_topics_are_chosen_by_name() -> None:
    """RabbitMQ is not told of each move and shot unless one says so; an unknown topic is refused with what there is."""
    usual = Settings()
    assert usual.topics("kafka") == TOPICS
    assert usual.topics("rabbitmq") == TOPICS - {PLACES, GAME}
    chosen = Settings(kafka_topics="auth_events", rabbitmq_topics="game_events, matchmaking_events")
    assert chosen.topics("kafka") == {"auth_events"}
    assert chosen.topics("rabbitmq") == {"game_events", "matchmaking_events"}
    with pytest.raises(Misconfigured, match="no topic moves; there are analytics_events") as refused:
        Settings(rabbitmq_topics="moves")
    assert "MUSTER_RABBITMQ_TOPICS" in str(refused.value)


def test_an_event_of_a_newer_version_holds_up_nothing() -> None:
    """What can be read is told; then it is said what could not."""
    events = [Happening("tank_sang", 0, 4, "a", {}), Happening("tank_destroyed", 0, 5, "b", {"attacker": "a"})]
    told = messages("duel", Entry("s", "1-1", "m-1", 3, 0, pack([], events=events).decode()))
    assert next(told).event == "tank_destroyed"
    with pytest.raises(Invalid, match="tank_sang"):
        next(told)


@given(MOMENTS, st.integers(1, 30))
def test_a_round_is_bounded(moments: list[tuple[int, int, str]], room: int) -> None:
    """Its events, but for those of its last entry; there is one entry at least, and none is left out before another."""
    some = entries(moments)
    taken = first(some, room)
    assert taken == some[: len(taken)]
    assert bool(taken) == bool(some)
    assert sum(max(1, one.size) for one in taken[:-1]) <= room
