"""Whatever happens in whatever order, whoever is killed: no item is lost or doubled, a unique one has one owner."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from core import keys
from core.clock import new_id
from core.inventory import Inventories, pairs
from core.items import Item
from core.redis.client import Database, open_database
from core.redis.embedded import EmbeddedRedis, embedded_redis
from tests.redis.backends import CALM, DEBIAN, cluster_nodes
from tests.redis.item_writer import GAME, PLAYERS, draw, make
from tests.support import eventually, free_port

BASE = keys.items(GAME)
ALWAYS = ("--appendfsync", "always")


async def whole(db: Database, moves: dict[str, dict[str, Any]]) -> None:
    """What players have is what these moves, all made, came to; unique items have one owner each; the audit agrees."""
    wanted: Counter[str] = Counter()
    for move in moves.values():
        for kind, quantity, unique in move["give"]:
            name = f"{kind}#{unique}" if unique else kind
            wanted[name] += {"grant": quantity, "take": -quantity}.get(move["kind"], 0)
    have = {player: pairs(await db.do("HGETALL", f"{BASE}:inv:{player}")) for player in PLAYERS}
    found: Counter[str] = Counter()
    for items in have.values():
        found.update({name: int(n) for name, n in items.items()})
    assert +found == +wanted
    assert not -wanted
    owners = {name.partition("#")[2]: p for p, items in have.items() for name in items if "#" in name}
    assert sum("#" in name for items in have.values() for name in items) == len(owners)
    assert pairs(await db.do("HGETALL", f"{BASE}:owners")) == owners
    assert await Inventories(db, GAME).rebuild() == {}


@pytest.mark.parametrize("seed", [1, 2])
async def test_two_writers_at_once(backend: str, data: Database, seed: int) -> None:
    """Random moves, many sent twice, some at the same moment by both: what was answered ok happened, once."""
    made: dict[str, dict[str, Any]] = {}
    async with open_database(backend) as other:
        writers = [Inventories(db, GAME, audit_kept=30) for db in (data, other)]
        for player in PLAYERS:
            await writers[0].open(player)
        seen: set[str] = set()

        async def write(number: int) -> None:
            chance = random.Random(seed * 10 + number)
            for _ in range(120):
                id_, move = new_id("exchange"), draw(chance)
                both = writers if chance.random() < 0.3 else writers[number : number + 1]
                answers = {*await asyncio.gather(*[make(items, id_, move) for items in both])}
                assert len(answers) == 1, "one id, two answers"
                seen.update(answers)
                if answers == {"ok"}:
                    made[id_] = move

        await asyncio.gather(write(0), write(1))
    assert seen == {"ok", "not-owned", "exists"}
    await whole(data, made)


@contextmanager
def own_redis(kind: str, folder: Path) -> Iterator[tuple[str, list[EmbeddedRedis]]]:
    """A Redis of the test's own that acknowledges what is on disk: its URL and its nodes."""
    if kind == "cluster":
        with cluster_nodes(folder, *ALWAYS, *CALM) as nodes:
            yield f"redis+cluster://127.0.0.1:{nodes[0].port}", nodes
        return
    program = DEBIAN if kind == "redis7" else None
    if program and shutil.which(program) is None:
        pytest.skip("no redis-server of the distribution here")
    with embedded_redis(folder, free_port(), program=program, options=ALWAYS) as server:
        yield server.url, [server]


def holder(nodes: list[EmbeddedRedis]) -> EmbeddedRedis:
    """The node that has the items."""
    return next(node for node in nodes if (node.folder / "appendonlydir").exists() and grows(node))


def grows(node: EmbeddedRedis) -> bool:
    return any(b"items_move" in f.read_bytes() or BASE.encode() in f.read_bytes()
               for f in (node.folder / "appendonlydir").iterdir())  # fmt: skip


class Writers:
    """Two programs that move items, and their journals."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.journals = url, [folder / "0.journal", folder / "1.journal"]
        self.processes: list[subprocess.Popen[bytes]] = []
        self.seed = 0

    def start(self) -> None:
        for journal in self.journals:
            self.seed += 1
            command = [sys.executable, "-m", "tests.redis.item_writer", self.url, str(self.seed), str(journal)]
            self.processes.append(subprocess.Popen(command))

    def kill(self) -> None:
        for process in self.processes:
            assert process.poll() is None, "a writer ended by itself"
            process.kill()
            process.wait()
        self.processes = []

    def answers(self) -> int:
        return sum(journal.read_text().count('"answer"') for journal in self.journals if journal.exists())

    def known(self) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """Moves and answers by id."""
        moves: dict[str, dict[str, Any]] = {}
        answers: dict[str, str] = {}
        for journal in self.journals:
            for line in journal.read_text().split("\n")[:-1]:
                id_, what, said = orjson.loads(line)
                if what == "send":
                    moves[id_] = said
                else:
                    answers[id_] = said
        return moves, answers

    async def go_on(self, by: int) -> None:
        """Until so many more answers have come."""
        wanted = self.answers() + by

        async def look() -> bool:
            return self.answers() >= wanted

        await eventually(look, within_s=180.0)  # programs that start, and a disk that syncs each move


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("kind", ["valkey", "redis7", "cluster"])
async def test_writers_and_redis_are_killed(kind: str, tmp_path: Path) -> None:
    """Killed at any moment, writers and Redis: a move that was answered is there once, any other once or never."""
    chance = random.Random(kind)
    with own_redis(kind, tmp_path / "redis") as (url, nodes):
        writers = Writers(url, tmp_path)
        try:
            for round_ in range(3):
                writers.start()
                await writers.go_on(60)
                await asyncio.sleep(chance.random() * 0.1)
                if round_ != 1:
                    writers.kill()
                    continue
                node = holder(nodes)
                node.kill()
                await asyncio.sleep(0.1)
                node.start()
                await writers.go_on(60)
                writers.kill()
            writers.start()
            await writers.go_on(20)
        finally:
            writers.kill()
        moves, answers = writers.known()
        async with open_database(url) as db:
            late = [id_ for id_ in moves if id_ not in answers]
            assert len(late) <= 2
            for id_ in late:  # sent by one who was killed: made or not, and by now told which
                answers[id_] = await make(Inventories(db, GAME), id_, moves[id_])
            await whole(db, {id_: move for id_, move in moves.items() if answers[id_] == "ok"})


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("kind", ["valkey", "redis7"])
async def test_a_file_that_ends_in_the_middle_of_an_exchange(kind: str, tmp_path: Path) -> None:
    """Wherever the append-only file was cut off by the crash, the exchange happened on both sides or on neither."""
    with own_redis(kind, tmp_path / "redis") as (url, nodes):
        async with open_database(url) as db:
            items = Inventories(db, GAME)
            await items.grant("ann", [Item("shell", 5), Item("sword", id="u0")])
            await items.grant("bob", [Item("kit", 5)])
            file = max((nodes[0].folder / "appendonlydir").glob("*.incr.aof"))
            start = file.stat().st_size
            await items.exchange("ann", "bob", give=[Item("shell", 2), Item("sword", id="u0")], get=[Item("kit")])
            end = file.stat().st_size
        nodes[0].kill()
        content, seen = file.read_bytes(), set()
        for cut in [*range(start, end, (end - start) // 7), end]:
            file.write_bytes(content[:cut])
            nodes[0].start()
            async with open_database(url) as db:
                have = [await Inventories(db, GAME).inventory(player) for player in ("ann", "bob")]
                seen.add(str([[(one.kind, one.quantity) for one in items] for items in have]))
                assert await Inventories(db, GAME).rebuild() == {}
            nodes[0].kill()
        assert seen == {
            str([[("shell", 5), ("sword", 1)], [("kit", 5)]]),
            str([[("kit", 1), ("shell", 3)], [("kit", 4), ("shell", 2), ("sword", 1)]]),
        }
        nodes[0].start()
