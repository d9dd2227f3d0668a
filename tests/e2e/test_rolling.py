"""Every replica is replaced in turn by another release's, and back, while players come, queue and play."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import msgspec
import pytest

from core import keys
from core.cli.bot import Bot, BotFailed, Tale
from core.redis.client import Database, open_database
from core.redis.library import LIBRARY
from tests.e2e.releases import Releases, releases
from tests.redis.backends import valkey
from tests.sinks.brokers import tansu
from tests.sinks.listeners import Heard, KafkaListener
from tests.support import eventually

PLAYERS = 4
TRIES = 300
AGAIN_S = 0.1
AT_LEAST = 2  # matches of each player
PLAYED_S = 8.0  # of a match: whoever is late on a busy machine still finds it running
SHORT, LONG = "short", "long"
TOLD = ("new_match_created", "session_created", "session_removed")
AGAIN = frozenset({429, 502, 503, 504})  # what docs/upgrading.md tells clients to ask again


class Patient(Bot):
    """A player who asks again as docs/upgrading.md tells: after these statuses, and after a lost connection.

    A ticket is asked for with a key, so that asking again makes no second one. `asked` counts all, `again` why.
    """

    asked: ClassVar[Counter[str]] = Counter()
    again: ClassVar[Counter[str]] = Counter()

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        if path == "/v1/tickets":
            headers["Idempotency-Key"] = secrets.token_hex(8)
        self.asked[method] += 1
        for _ in range(TRIES):
            try:
                async with self.session.request(method, self.url + path, json=body, headers=headers) as response:
                    text = await response.read()
                    if response.status < 400:
                        return msgspec.json.decode(text)
                    if response.status not in AGAIN:
                        raise BotFailed(f"{method} {path}: {response.status} {text!r}")
                    self.again[f"{method} {response.status}"] += 1
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
                self.again[f"{method} {type(error).__name__}"] += 1
            await asyncio.sleep(AGAIN_S)
        raise BotFailed(f"{method} {path}: no answer after {TRIES} tries")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Releases]:
    """Replicas of the older release on a Redis of their own, behind Nginx."""
    with (
        valkey(tmp_path / "redis") as redis_url,
        tansu(tmp_path) as broker,
        releases(tmp_path, redis_url, broker.address) as made,
    ):
        yield made


async def register(url: str, session: aiohttp.ClientSession, game: str, time_limit_s: float) -> None:
    """A duel in the arena."""
    account = {"name": f"dev of {game}", "password": secrets.token_hex(8), "role": "developer"}
    async with session.post(f"{url}/v1/accounts", json=account) as made:
        token = (await made.json())["access_token"]
    spec = {"id": game, "players_per_match": 2, "server": {"arena": {"time_limit_s": time_limit_s, "score_limit": 0}}}
    async with session.post(f"{url}/v1/games", json=spec, headers={"Authorization": f"Bearer {token}"}) as answer:
        assert answer.status == 201, await answer.text()


def bot(rig: Releases, session: aiohttp.ClientSession, game: str, number: int) -> Patient:
    """The bot of that number: on a stream or on long polls, over UDP, TCP or WebSocket in turn."""
    wire = ("udp", "tcp", "ws")[number % 3]
    return Patient(rig.url, game, Tale(f"bot {number}", wire), session, streams=number % 2 == 0)  # type: ignore[arg-type]


async def play_on(rig: Releases, session: aiohttp.ClientSession, number: int, over: asyncio.Event) -> list[Tale]:
    """One match after another until `over`, and at least AT_LEAST, however fast replicas are replaced."""
    tales: list[Tale] = []
    while not over.is_set() or len(tales) < AT_LEAST:
        tales.append(await bot(rig, session, SHORT, number).run())
    return tales


async def libraries(db: Database) -> set[str]:
    return {name for name in await db.libraries() if name.startswith("muster_")}


async def sound(db: Database, tales: list[Tale]) -> None:
    """Every player got to the end of a match; no match failed, no ticket is left, none is in two matches."""
    assert [tale.failure for tale in tales if tale.failure or not tale.over] == []
    base = keys.game(SHORT)

    async def empty() -> bool:
        return not await db.do("ZCARD", f"{base}:live")

    await eventually(empty)
    assert await db.do("ZCARD", f"{base}:queue") == 0
    stats = dict(await db.do("HGETALL", f"{base}:stats"))
    assert int(stats.get("matches_fail", 0)) == 0
    assert int(stats["matches_created"]) == int(stats["matches_finish"])
    assert int(stats["tickets_created"]) == len(tales) == 2 * int(stats["matches_created"])


async def plays_on(lasting: list[Patient], seen: list[int]) -> None:
    """A match goes on: each of its players hears more of it than these snapshots, however late."""

    async def more() -> bool:
        return all(it.tale.snapshots > before for it, before in zip(lasting, seen, strict=True))

    await eventually(more)


async def all_told(heard: list[Heard], matches: set[str]) -> None:
    """Each of these matches was told to the broker, from its beginning to its end."""
    wanted = {(event, match) for event in TOLD for match in matches}

    async def told() -> bool:
        return {(it["event"], it.get("match")) for it in heard} >= wanted

    await eventually(told, within_s=120)


async def test_every_replica_is_replaced_under_load_forth_and_back(rig: Releases) -> None:
    """No request fails but those that a client asks again, all tickets get their match, and matches in play go on.

    Both releases, each with a function library of its own, work on the same Redis all the while; then some go back.
    """
    timeout = aiohttp.ClientTimeout(total=40)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        open_database(rig.redis_url) as db,
        KafkaListener(rig.kafka).listening(SHORT) as heard,
    ):
        await register(rig.url, session, SHORT, PLAYED_S)
        await register(rig.url, session, LONG, 600.0)
        lasting = [bot(rig, session, LONG, number) for number in range(2)]
        long_play = [asyncio.create_task(it.run()) for it in lasting]

        async def playing() -> bool:
            return all(it.tale.playing_s for it in lasting)

        await eventually(playing)
        over = asyncio.Event()
        load = [asyncio.create_task(play_on(rig, session, number, over)) for number in range(PLAYERS)]
        back = ["webapi-0", "matchmaker-0"]  # some: the two releases are left side by side
        for name, release in [*((name, "new") for name in rig.names), *((name, "old") for name in back)]:
            seen = [it.tale.snapshots for it in lasting]
            await asyncio.to_thread(rig.replace, name, release)
            await plays_on(lasting, seen)
        assert len(await libraries(db)) == 2
        assert LIBRARY.name in await libraries(db)
        over.set()
        tales = [tale for one in await asyncio.gather(*load) for tale in one]
        await sound(db, tales)
        await all_told(heard, {tale.match for tale in tales})
        assert not any(task.done() for task in long_play), [it.tale for it in lasting]
        assert [(await db.do("ZCARD", f"{keys.game(LONG)}:live"))] == [1]
        for task in long_play:
            task.cancel()
        await asyncio.gather(*long_play, return_exceptions=True)
    assert set(rig.codes) == {0}
    print(f"{len(tales)} tickets, {len(rig.codes)} replicas replaced")
    print(f"{dict(Patient.asked)} requests; asked again: {dict(Patient.again)}")
