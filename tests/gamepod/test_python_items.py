"""What a game's author calls for items and for who is near, against a real Valkey; and the documentation's example."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.api import connect
from core.clock import new_id
from core.errors import Conflict, Invalid, NotFound, Unavailable
from core.inventory import Inventories
from core.items import Item
from core.redis import client
from core.redis.client import Database
from tests.support import PATIENCE_S, free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that gets no processor for some seconds is waited for: whoever finds it away here finds nobody there."""
    monkeypatch.setattr(client, "TIMEOUT_S", PATIENCE_S)


async def test_the_documented_example_of_items_runs(redis_url: str) -> None:
    """The second block in docs/python-api.md works as printed."""
    example = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python-api.md").read_text(), re.DOTALL)[1]
    env = {**os.environ, "REDIS_URL": redis_url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", example]
    done = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "[Item(kind='kit', quantity=1, id=''), Item(kind='shell', quantity=17, id='')]",
        "not-owned",
        "exchange alice bob m-1",
        "bob 111.2",
    ]


async def test_a_move_whose_reply_is_lost_is_made_once(redis_url: str, db: Database) -> None:
    """It is sent again with its id; who gives up may ask on with the same id, and is told what became of it."""

    class Lossy:
        """Makes moves, and loses the replies."""

        def __init__(self, lost: int) -> None:
            self.lost = lost

        async def call(self, function: str, base: str, *args: Any) -> Any:
            reply = await db.call(function, base, *args)
            if self.lost:
                self.lost -= 1
                raise Unavailable("the reply was lost")
            return reply

        async def do(self, *command: Any) -> Any:
            return await db.do(*command)

    await Inventories(Lossy(2), "tanks").grant("ann", [Item("shell", 5)])
    assert await Inventories(db, "tanks").inventory("ann") == [Item("shell", 5)]
    lossy, id_ = Inventories(Lossy(4), "tanks"), new_id("exchange")
    with pytest.raises(Unavailable):
        await lossy.take("ann", [Item("shell", 5)], id=id_)
    assert (await lossy.take("ann", [Item("shell", 5)], id=id_)).id == id_
    assert await Inventories(db, "tanks").inventory("ann") == []
    async with connect(f"redis://127.0.0.1:{free_port()}/0", game="tanks") as away:
        with pytest.raises(Unavailable):
            await away.items.inventory("ann")


async def test_errors_name_what_is_wrong(redis_url: str) -> None:
    """A class for whose fault it is, a code for what to do about it."""
    async with connect(redis_url, game="tanks") as muster:
        await muster.items.grant("ann", [Item("shell", 5)])
        with pytest.raises(NotFound) as unknown:
            await muster.items.exchange("ann", "bob", give=[Item("shell")])
        with pytest.raises(Invalid) as alone:
            await muster.items.exchange("ann", "ann", give=[Item("shell")])
        with pytest.raises(Invalid) as no_id:
            await muster.items.grant("ann", [Item("shell")], id="mine-1")
        with pytest.raises(Conflict) as poor:
            await muster.items.take("ann", [Item("shell", 6)])
        codes = [caught.value.code for caught in (unknown, alone, no_id, poor)]
        assert codes == ["unknown-player", "self-exchange", "invalid", "not-owned"]
        with pytest.raises(Invalid):
            await muster.items.audit(limit=0)


async def test_who_is_near(redis_url: str) -> None:
    """Positions that are put into the index are found around a player and around a place; others are not."""
    async with connect(redis_url, game="tanks") as muster:
        for player, lat in (("ann", 48.0), ("bob", 48.001), ("cid", 48.5)):
            await muster.add_interaction(player, position=(lat, 2.0), near=True)
        await muster.add_interaction("dan", position=(48.0, 2.0))
        assert [one.player for one in await muster.near("ann", radius_m=500)] == ["bob"]
        assert [one.player for one in await muster.near((48.0, 2.0), radius_m=100_000, top=3)] == ["ann", "bob", "cid"]
        with pytest.raises(NotFound):
            await muster.near("eve")
        with pytest.raises(Invalid):
            await muster.near((48.0, 2.0), radius_m=0)
