"""Finished matches move ratings, each exactly once, whatever is killed and whoever else is at it."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from core import keys
from core.boards import BoardStore
from core.clock import now_ms
from core.errors import Unavailable
from core.model import GameSpec, Match, MatchPlayer, RatingSpec, Server, Timers
from core.rating import Rating, read_rating
from core.redis.client import Database
from core.report import Side, Standings
from matchmaker.metrics import Metrics
from matchmaker.rating import rate
from matchmaker.ratings import AT_ONCE, Ratings
from matchmaker.shared import Shared
from tests.matchmaker.support import Matchmakers, match, over, queue, register, spec, status
from tests.support import eventually
from tests.webapi.support import open_api

GAME = "duel"
POLL_S = 9.0
BASE, BOARDS = keys.game(GAME), keys.boards(GAME)


async def _finished(db: Database, name: str, *ranked: str, report: str = "", mode: str | None = "") -> None:
    """A match that ended, its players best first, as claims and servers leave it behind."""
    seats = [MatchPlayer(player, "", "players", f"t-{player}") for player in ranked]
    document = Match(name, GAME, 1, 1, seats, Server(arena={}), Timers(), 3, 30, rating_mode=mode)
    ranks = json.dumps({"players": [{"player": player, "rank": i + 1} for i, player in enumerate(ranked)]})
    fields = {"state": "RUNNING", "server": "s", "doc": msgspec.json.encode(document).decode()}
    await db.do("HSET", keys.match(GAME, name), *(word for pair in fields.items() for word in pair))
    number = int(name.removeprefix("m"))
    reply = await db.call("match_step", BASE, name, "finish", number, "s", "finished", report or ranks, 0, 0)
    assert reply[0] == "ok"


async def _stored(db: Database, mode: str = "") -> dict[str, Rating]:
    found = await db.do("HGETALL", keys.ratings(GAME, mode))
    return {player: read_rating(text) for player, text in found.items()}


async def _unrated(db: Database) -> int:
    return int(await db.do("ZCARD", f"{BASE}:unrated"))


def _ratings(db: Any) -> Ratings:
    shared = SimpleNamespace(db=db, metrics=Metrics(CollectorRegistry()), settings=SimpleNamespace(poll_s=POLL_S))
    return Ratings(cast(Shared, shared), GAME)


def _expected(played: Sequence[Sequence[str]]) -> dict[str, Rating]:
    """What these matches, one after another, make of newcomers."""
    found: dict[str, Rating] = {}
    for ranked in played:
        sides = tuple(Side(i, (player,)) for i, player in enumerate(ranked))
        found |= rate(Standings(sides, frozenset()), found)
    return found


class Dying:
    """A database whose user is killed at the `at`-th call, before it is made or before its reply comes."""

    def __init__(self, db: Database, at: int, *, before: bool) -> None:
        self._db, self._left, self._before = db, at, before

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any) -> Any:
            self._left -= 1
            if not self._left and self._before:
                raise Unavailable("killed")
            reply = await getattr(self._db, name)(*args)
            if not self._left:
                raise Unavailable("killed")
            return reply

        return call


DEATHS: list[tuple[int, bool]] = [(at, before) for at in range(1, 6) for before in (True, False)]


@pytest.mark.parametrize(("at", "before"), DEATHS)
async def test_killed_at_any_call(db: Database, at: int, before: bool) -> None:
    """Wherever the work is cut off, the next one finishes it, and each match has moved each rating once."""
    played = [("ann", "bob"), ("ann", "cid"), ("bob", "cid")]
    for i, ranked in enumerate(played):
        await _finished(db, f"m{i}", *ranked)
    await _finished(db, "m3", "ann", "bob", report="{}")
    with pytest.raises(Unavailable):
        await _ratings(Dying(db, at, before=before)).step()
    await _ratings(db).step()
    assert await _stored(db) == _expected(played)
    assert await _unrated(db) == 0


async def test_two_owners_at_once(db: Database) -> None:
    """Two that work the same game at the same time come to what one after another would have come to."""
    chance = random.Random(1)
    played = [chance.sample(["ann", "bob", "cid", "dan", "eve", "fay"], 3) for _ in range(3 * AT_ONCE)]
    for i, ranked in enumerate(played):
        await _finished(db, f"m{i}", *ranked)

    async def work(ratings: Ratings) -> None:
        while await ratings.step() != POLL_S or await _unrated(db):
            await asyncio.sleep(chance.random() / 50)

    async with asyncio.timeout(60):
        await asyncio.gather(work(_ratings(db)), work(_ratings(db)), work(_ratings(db)))
    assert await _stored(db) == _expected(played)


async def test_a_rating_that_changes_while_it_is_computed(db: Database) -> None:
    """A match computed from a rating that is not there any more is computed anew."""
    await _finished(db, "m1", "ann", "bob")

    class Slow:
        """Somebody else rates a match of the same player just before the write."""

        def __getattr__(self, name: str) -> Any:
            async def call(*args: Any) -> Any:
                if name == "call_many":
                    await db.call("ratings_write", BOARDS, "other", "", 1, 0, "ann", "", "1600.0 400.0 1 1", 400)
                return await getattr(db, name)(*args)

            return call

    assert await _ratings(Slow()).step() == 0.0
    assert await _stored(db) == {"ann": Rating(1600, 400, 1)}
    assert await _ratings(db).step() == POLL_S
    found = await _stored(db)
    assert found["ann"].matches == 2
    assert found["ann"].mu > 1600


async def test_a_useless_report_moves_nothing_and_is_told(db: Database) -> None:
    """A report that leaves something open is noted on its match and counted, and does not hold up the others."""
    await _finished(db, "m1", "ann", "bob", report='{"players": [{"player": "ann", "rank": 1}]}')
    await _finished(db, "m2", "cid", "dan")
    await db.do("ZADD", f"{BASE}:unrated", 0, "m-that-is-gone")
    ratings = _ratings(db)
    await ratings.step()
    assert set(await _stored(db)) == {"cid", "dan"}
    assert "'bob'" in (await match(db, GAME, "m1"))["rating"]
    assert (await match(db, GAME, "m2"))["rating"] == "rated"
    assert await _unrated(db) == 0
    counted = ratings._shared.metrics.rated
    assert counted.labels(GAME, "faulty")._value.get() == 1
    assert counted.labels(GAME, "void")._value.get() == 1


async def test_modes_have_ratings_of_their_own(db: Database) -> None:
    """A batch of matches in several modes moves each in its own."""
    await _finished(db, "m1", "ann", "bob", mode="duel")
    await _finished(db, "m2", "bob", "ann", mode="squad")
    await _ratings(db).step()
    duel, squad = await _stored(db, "duel"), await _stored(db, "squad")
    assert duel["ann"].mu == squad["bob"].mu > 1500 > duel["bob"].mu == squad["ann"].mu
    assert await _stored(db) == {}


async def _moved(db: Database, count: int) -> dict[str, Rating]:
    """The ratings, once `count` players have one and nothing is left to rate."""

    async def look() -> dict[str, Rating] | None:
        found = await _stored(db)
        return found if len(found) == count and not await _unrated(db) else None

    return await eventually(look)


def _ranked(play_s: float | None = 0.2, **changes: Any) -> GameSpec:
    """A duel with ratings that the player in the first seat wins."""
    made = spec(play_s=play_s, **{"rating": RatingSpec(), **changes})
    arena = {**(made.server.arena or {}), "ranked": True}
    return msgspec.structs.replace(made, server=msgspec.structs.replace(made.server, arena=arena))


async def _played(db: Database, ticket: str) -> tuple[str, str]:
    """Winner and loser of the ticket's match, once it is over."""
    played = await over(db, GAME, (await status(db, GAME, ticket, "COMPLETED"))["match"])
    winner, loser = (seat["id"] for seat in json.loads(played["doc"])["players"])
    return winner, loser


async def test_a_match_moves_ratings(db: Database, stack: Matchmakers) -> None:
    """A match is played, and its players' ratings and places on the board follow from its result."""
    await register(db, GAME, _ranked())
    stack.start()
    one, _ = await queue(db, GAME), await queue(db, GAME)
    played = await _played(db, one)
    assert await _moved(db, 2) == _expected([played])
    board = await BoardStore(db, GAME).view("rating", count=10)
    assert [entry.player for entry in board.entries] == list(played)


async def test_a_game_without_ratings(db: Database, stack: Matchmakers) -> None:
    """Where the registration asks for no ratings none are kept."""
    await register(db, GAME, _ranked(rating=None))
    stack.start()
    one, _ = await queue(db, GAME), await queue(db, GAME)
    await _played(db, one)
    assert (await _unrated(db), await _stored(db)) == (0, {})


async def test_killed_before_the_match_was_rated(db: Database, stack: Matchmakers) -> None:
    """A match that finishes while no matchmaker lives is rated by the next one, once."""
    await register(db, GAME, _ranked(play_s=None))
    first = stack.start()
    one, _ = await queue(db, GAME), await queue(db, GAME)
    playing = (await status(db, GAME, one, "COMPLETED"))["match"]
    first.kill()
    first.wait()
    seats = json.loads((await match(db, GAME, playing))["doc"])["players"]
    ranks = json.dumps({"players": [{"player": seat["id"], "rank": i + 1} for i, seat in enumerate(seats)]})
    ended = await db.call("match_step", BASE, playing, "finish", now_ms(), "", "finished", ranks, 0, 0)
    assert ended[0] == "ok"
    played = await _played(db, one)
    assert (await _unrated(db), await _stored(db)) == (1, {})
    stack.start()
    assert await _moved(db, 2) == _expected([played])


@pytest.mark.slow
async def test_killed_again_and_again_while_matches_end(db: Database, stack: Matchmakers) -> None:
    """Two replicas are killed in turn while matches end: each player was rated once for each match he finished."""
    chance = random.Random(2)
    await register(db, GAME, _ranked(play_s=0.5))
    alive = [stack.start(MUSTER_LEASE_S="0.6"), stack.start(MUSTER_LEASE_S="0.6")]
    tickets: list[str] = []
    for _ in range(5):
        tickets += [await queue(db, GAME) for _ in range(6)]
        await asyncio.sleep(chance.random())
        alive.pop(chance.randrange(2)).kill()
        alive.append(stack.start(MUSTER_LEASE_S="0.6"))
    played = [await _played(db, ticket) for ticket in tickets]
    found = await _moved(db, len(tickets))
    assert found == _expected(sorted(set(played)))
    assert Counter(rating.matches for rating in found.values()) == {1: len(tickets)}


async def test_from_a_rating_to_a_match(db: Database, redis_url: str, stack: Matchmakers) -> None:
    """A rule set's batchDistance over `skill` puts those together who are rated alike, whatever their clients say."""
    skill = {"name": "skill", "type": "number"}
    close = {"name": "close", "type": "batchDistance", "batchAttribute": "skill", "maxDistance": 50}
    team = {"name": "one", "minPlayers": 1, "maxPlayers": 1, "quantity": 2}
    rules = {"ruleLanguageVersion": "1.0", "playerAttributes": [skill], "teams": [team], "rules": [close]}
    await register(db, GAME, _ranked(players_per_match=None, rules=rules))
    async with open_api(redis_url) as api:
        strong, weak, other = [await api.guest(name) for name in ("Strong", "Weak", "Other")]
        for guest, mu in ((strong, 2000), (weak, 1500), (other, 1990)):
            await db.call(
                "ratings_write", BOARDS, guest["player"], "", 1, 0, guest["player"], "", f"{mu}.0 90.0 20 1", mu - 270
            )
        tickets = [
            await api.ticket(guest, GAME, attributes={"skill": says})
            for guest, says in ((strong, 1500), (weak, 1500), (other, 1500))
        ]
        stack.start()
        winner, loser = await _played(db, tickets[0]["id"])
        assert {winner, loser} == {strong["player"], other["player"]}
        await status(db, GAME, tickets[1]["id"], "SEARCHING")

        async def rated() -> list[Any] | None:
            board = (await api.ask("GET", f"/v1/games/{GAME}/boards/rating")).body["entries"]
            return board if not await _unrated(db) else None

        board = await eventually(rated)
        assert [entry["player"] for entry in board][-1] == weak["player"]
        assert (await _stored(db))[winner].matches == 21
