"""Audit events on their way to Redis: each once and in order, whatever Redis does, and no login waits for it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from core import keys
from core.errors import Unavailable
from core.redis.batch import Batch
from core.redis.client import Database
from tests.support import PATIENCE_S, eventually, patient_database
from tests.webapi.support import PASSWORD
from tests.webapi.tcp.door import open_door
from webapi import trail as trails
from webapi.trail import AT_ONCE, WAITING_MOST, Trail


async def written(db: Database) -> list[tuple[str, Any]]:
    """Key and document of each event in the trail."""
    rows = await db.do("XRANGE", f"{keys.AUDIT}:log", "-", "+")
    found = [it if isinstance(it, dict) else dict(zip(it[::2], it[1::2], strict=True)) for _, it in rows]
    return [(it["match"], json.loads(it["data"])) for it in found]


class Shaky:
    """A Redis that does what it is told and does not say so, the first `silent` times; and not before `open`."""

    def __init__(self, db: Database, silent: int) -> None:
        self._db, self._silent = db, silent
        self.open = asyncio.Event()

    async def call(self, *args: Any) -> Any:
        await self.open.wait()
        reply = await self._db.call(*args)
        if self._silent:
            self._silent -= 1
            raise Unavailable("the answer was lost")
        return reply


async def test_an_attempt_at_a_door_is_in_the_trail(redis_url: str, db: Database) -> None:
    """Under the player who tried, or the name that was entered; never with what was entered as a password."""
    async with open_door(redis_url) as both:
        made = (await both.api.ask("POST", "/v1/accounts", {"name": "Ada", "password": PASSWORD})).body
        assert "player" in made, made
        await both.api.ask("POST", "/v1/login", {"name": "Ada", "password": "a wrong one"})

        async def there() -> list[tuple[str, Any]]:
            found = await written(db)
            return found if len(found) == 2 else []

        (by_player, came), (by_name, failed) = await eventually(there)
        assert (by_player, by_name) == (made["player"], "Ada")
        assert (came["event"], came["player"], came["via"]) == ("user_registered", made["player"], "rest")
        assert (failed["event"], failed["reason"]) == ("user_login_failed", "wrong-credentials")
        text = json.dumps([came, failed])
        assert not [secret for secret in (PASSWORD, "a wrong one", made["access_token"]) if secret in text]
        assert both.count("muster_auth_events_waiting") == 0


async def test_a_lost_answer_repeats_nothing(redis_url: str, db: Database) -> None:
    """What was written and not acknowledged is sent again as it was, and what came meanwhile follows it."""
    redis = Shaky(db, silent=1)
    trail = Trail(redis, lambda: None)  # type: ignore[arg-type]  # it calls functions, and nothing else
    work = asyncio.create_task(trail.run())
    for number in range(AT_ONCE + 5):
        trail.put("ann", b"%d" % number)
    redis.open.set()
    await asyncio.sleep(0)
    for number in range(AT_ONCE + 5, AT_ONCE + 10):
        trail.put("bob", b"%d" % number)
    await eventually(lambda: _empty(trail))
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert [document for _, document in await written(db)] == list(range(AT_ONCE + 10))


async def test_a_redis_that_hangs_holds_nobody_up(
    redis_url: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events wait up to the bound, then the newest are dropped and counted; at the end what waits is written."""
    monkeypatch.setattr(trails, "CLOSE_S", PATIENCE_S)  # a hundred calls: a busy machine makes them in seconds
    redis, dropped = Shaky(db, silent=0), [0]

    def drop() -> None:
        dropped[0] += 1

    trail = Trail(redis, drop)  # type: ignore[arg-type]
    work = asyncio.create_task(trail.run())
    for number in range(WAITING_MOST + 7):
        trail.put("ann", b"%d" % number)
        if number == 500:
            await asyncio.sleep(0)  # some are under way
    assert (trail.waiting, dropped) == (WAITING_MOST, [7])
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    redis.open.set()
    await trail.close()
    assert [document for _, document in await written(db)] == list(range(WAITING_MOST))


async def test_a_webapi_that_ends_writes_what_is_left(
    redis_url: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its task never ran."""
    monkeypatch.setattr(trails, "CLOSE_S", PATIENCE_S)
    async with patient_database(redis_url) as own:
        trail = Trail(Batch(own), lambda: None)
        trail.put("ann", b'{"event": 1}')
        await trail.close()
    assert await written(db) == [("ann", {"event": 1})]


async def _empty(trail: Trail) -> bool:
    return trail.waiting == 0
