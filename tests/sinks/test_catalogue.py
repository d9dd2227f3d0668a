"""What a whole stack tells is what the catalogue says: every event of it, once, in order, with its fields."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Iterator

import pytest

from core.analytics.judge import FLAGS
from core.sinks.catalogue import AUTH, COMMON, GAME, KINDS, SESSIONS, TICKETS, VERSION
from tests.sinks.conftest import MAKE
from tests.sinks.listeners import Heard, Listener
from tests.sinks.scenes import SETTINGS, everything, expected_by
from tests.sinks.test_ship import shipping
from tests.stack import Stack, running_stack
from tests.support import eventually, patient_database

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack in which everything has happened that the catalogue has, with readers that have read nothing yet."""
    with running_stack(tmp_path_factory.mktemp("lived"), **SETTINGS) as stack:

        async def live() -> None:
            async with patient_database(stack.redis_url) as db:
                await expected_by(db, *MAKE)
            try:
                await everything(stack)
            except BaseException:
                print(stack.logs())
                raise

        asyncio.run(live())
        yield stack


WANTED = set(KINDS) - FLAGS  # which nothing of a stack that plays fair is told: test_analytics.py


async def test_every_event_arrives_as_the_catalogue_says(lived: Stack, listener: Listener) -> None:
    """Each kind from the stack at each broker; none twice; each with all its fields, and events of a key in order."""
    async with patient_database(lived.redis_url) as db, listener.listening(None) as heard, shipping(db, listener):

        async def all_there() -> bool:
            return {one["event"] for one in heard} >= WANTED and _closed(heard)

        try:
            await eventually(all_there, within_s=180)
        except TimeoutError:
            pytest.fail(f"missing: {sorted(WANTED - {one['event'] for one in heard})}")
    ids = [one["id"] for one in heard]
    assert len(ids) == len(set(ids))
    for one in heard:
        _looks_right(one)
    _sessions(heard)
    _shots(heard)
    _tickets(heard)
    _traces(heard)
    ada = [
        (one["event"], one["key"] == one["player"]) for one in heard if one["topic"] == AUTH and one["name"] == "ada"
    ]
    assert [event for event, known in ada if known] == ["user_registered", "user_logged_in"]
    assert [event for event, known in ada if not known] == ["user_login_failed"]  # the key is the name that was entered


def _closed(heard: list[Heard]) -> bool:
    """Whether each session that was created was removed."""
    names = [one["event"] for one in heard]
    return names.count("session_created") == names.count("session_removed")


def _looks_right(one: Heard) -> None:
    kind = KINDS[one["event"]]
    body = {name: value for name, value in one.items() if name not in ("topic", "key")}
    assert body.keys() == COMMON.keys() | kind.fields.keys(), one
    assert (one["topic"], one["version"]) == (kind.topic, VERSION)
    assert one["key"] == (one[kind.key] or one.get("name")), one
    for name, field in kind.fields.items():
        allowed = (int, float) if isinstance(field.example, float) else (type(field.example),)
        assert isinstance(one[name], allowed), (name, one)


def _sessions(heard: list[Heard]) -> None:
    """A session begins before who joins it, and ends after who leaves it."""
    match = next(one["match"] for one in heard if one["event"] == "session_removed" and one["outcome"] == "ENDED")
    told = [one["event"] for one in heard if one["topic"] == SESSIONS and one["match"] == match]
    joined, left = ["player_joined_session"] * 2, ["player_left_session"] * 2
    assert told == ["session_created", *joined, *left, "session_removed"]
    reasons = {one["reason"] for one in heard if one["event"] == "player_left_session" and one["match"] == match}
    assert reasons == {"match_over"}


def _shots(heard: list[Heard]) -> None:
    """A shot that hits is followed by its damage, and that by what it destroys; all of it in one order."""
    matches = {one["match"] for one in heard if one["event"] == "tank_destroyed"}
    assert matches
    for match in matches:
        fights = [
            one for one in heard if one["topic"] == GAME and one["match"] == match and one["event"] != "game_action"
        ]
        for before, after in itertools.pairwise(fights):
            if after["event"] == "tank_took_damage":
                assert (before["event"], before["player"], before["target"]) == (
                    "tank_shot", after["attacker"], after["player"]
                )  # fmt: skip
            if after["event"] == "tank_destroyed":
                assert (before["event"], before["player"], before["attacker"]) == (
                    "tank_took_damage", after["player"], after["attacker"]
                )  # fmt: skip


def _traces(heard: list[Heard]) -> None:
    """What is told of a match has one trace, which is that of a ticket of it; so has the server that it took."""
    traces, of_tickets = defaultdict(set), defaultdict(set)
    for one in heard:
        if "trace" in one and one["match"]:
            (of_tickets if one["topic"] == TICKETS else traces)[one["match"]].add(one["trace"])
    assert traces.keys() == {one["match"] for one in heard if one["event"] == "new_match_created"}
    for match, (trace,) in traces.items():
        assert trace in of_tickets[match] or not of_tickets[match]
    assert any(of_tickets.values())


def _tickets(heard: list[Heard]) -> None:
    """Each ticket's changes in the order of their numbers."""
    changes = defaultdict(list)
    for one in heard:
        if one["topic"] == TICKETS:
            changes[one["ticket"]].append(one)
    assert len(changes) == 5
    for mine in changes.values():
        numbers = [one["seq"] for one in mine]
        assert numbers == sorted(numbers)
        assert mine[0]["event"] == "ticket_created"
