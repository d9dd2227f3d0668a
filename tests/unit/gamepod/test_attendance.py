"""Who in a match counts as online, and how often that is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core import keys
from core.model import Match, MatchPlayer, Server, Timers
from gamepod.attendance import EVERY_S, Attendance
from gamepod.roster import Roster


class Redis:
    """Takes calls down."""

    def __init__(self) -> None:
        self.told: list[set[str]] = []

    async def call_many(self, calls: Sequence[tuple[str, str, Sequence[Any]]]) -> list[Any]:
        members = set()
        for name, base, args in calls:
            assert name == "presence_beat"
            assert args[4] == 0  # a server is not one whom clients send heartbeats to
            for member in args[5:]:
                assert base == keys.presence(keys.presence_number(member.partition("/")[2]))
                members.add(member)
        self.told.append(members)
        return [[0]] * len(calls)


class Place:
    """A match of three seats, and a clock."""

    def __init__(self) -> None:
        seats = [MatchPlayer(f"p-{n}", "", "players", f"t-{n}") for n in range(3)]
        self.roster = Roster(Match("m-1", "duel", 1, 0, seats, Server(), Timers(), 3, 30))
        self.redis, self.ids, self.now = Redis(), set[str](), 100.0
        self.attendance = Attendance(self.redis, self.roster, lambda: self.ids, clock=lambda: self.now)

    async def tell(self, connected: Sequence[str] | None = None) -> set[str]:
        before = len(self.redis.told)
        await self.attendance.tell(connected)
        return set().union(*self.redis.told[before:])


async def test_who_is_connected_is_told_now_and_then() -> None:
    """All of them each twenty seconds, and in between whoever came."""
    place = Place()
    assert await place.tell(["p-0", "p-1"]) == {"duel/p-0", "duel/p-1"}
    assert await place.tell(["p-0", "p-1"]) == set()
    assert await place.tell(["p-0", "p-1", "p-2"]) == {"duel/p-2"}
    place.now += EVERY_S
    assert await place.tell(["p-1"]) == {"duel/p-1"}
    place.now += EVERY_S
    assert await place.tell([]) == set()


async def test_without_word_of_the_game_seats_count() -> None:
    """Whoever has a seat and has not left is there."""
    place = Place()
    place.roster.went("p-2")
    assert await place.tell() == {"duel/p-0", "duel/p-1"}


async def test_a_game_is_believed_of_its_own_players() -> None:
    """Once it tells who is connected that counts, also when it is nobody; strangers are none of its business."""
    place = Place()
    place.ids = {"p-1", "p-of-another-game"}
    assert await place.tell() == {"duel/p-1"}
    place.ids = set()
    place.now += EVERY_S
    assert await place.tell() == set()
