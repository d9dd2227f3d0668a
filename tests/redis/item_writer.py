"""A program that moves items at random until it is killed: `python -m tests.redis.item_writer URL SEED JOURNAL`.

It writes down each move before it is sent, and the answer after it came; told to carry on, it begins with the moves of
its journal that have no answer. So a test that kills it knows what was answered.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import Any, TextIO

import orjson

from core.clock import new_id
from core.errors import Refused, Unavailable
from core.inventory import Inventories
from core.items import Item
from core.redis.lean import LeanRedis

GAME = "duel"
PLAYERS = ("ann", "bob", "cid", "dan")
KINDS = ("shell", "kit")
UNIQUES = ("u0", "u1", "u2")


def some(chance: random.Random) -> list[list[Any]]:
    """A side of a move, sometimes empty: kind, quantity, id."""
    kinds = [[kind, chance.randint(1, 4), ""] for kind in KINDS if chance.random() < 0.5]
    return kinds + [["sword", 1, unique] for unique in UNIQUES if chance.random() < 0.2]


def draw(chance: random.Random) -> dict[str, Any]:
    """Any move, sensible or not."""
    a, b = chance.sample(PLAYERS, 2)
    kind = chance.choice(("grant", "take", "exchange", "exchange", "exchange"))
    give = some(chance) or [["shell", 1, ""]]
    return {"kind": kind, "a": a, "b": b, "give": give, "get": some(chance) if kind == "exchange" else []}


async def make(items: Inventories, id_: str, move: dict[str, Any]) -> str:
    """Send a move once or more; 'ok', or why it was refused. Raises Unavailable."""
    give, get = ([Item(*one) for one in move[side]] for side in ("give", "get"))
    try:
        if move["kind"] == "exchange":
            await items.exchange(move["a"], move["b"], give=give, get=get, id=id_)
        else:
            await getattr(items, move["kind"])(move["a"], give, id=id_)
    except Refused as error:
        return error.code
    return "ok"


def unanswered(journal: Path) -> dict[str, dict[str, Any]]:
    """The moves of a journal whose answer is not known. The last line may be cut off."""
    found: dict[str, dict[str, Any]] = {}
    for line in journal.read_text().split("\n")[:-1] if journal.exists() else []:
        id_, what, *rest = orjson.loads(line)
        if what == "send":
            found[id_] = rest[0]
        else:
            found.pop(id_, None)
    return found


async def run(url: str, seed: int, journal: Path) -> None:
    """Move on and on."""
    redis, chance = LeanRedis(url), random.Random(seed)
    items = Inventories(redis, GAME, audit_kept=40)
    old = unanswered(journal)
    with journal.open("a") as file:
        for player in PLAYERS:
            await patient(items.open, player)
        for id_, move in old.items():
            tell(file, [id_, "answer", await patient(make, items, id_, move)])
        while True:
            id_, move = new_id("exchange"), draw(chance)
            tell(file, [id_, "send", move])
            answer = await patient(make, items, id_, move)
            tell(file, [id_, "answer", answer])
            if chance.random() < 0.2:
                assert await patient(make, items, id_, move) == answer


async def patient(step: Any, *args: Any) -> Any:
    """The answer, however long Redis stays away."""
    while True:
        try:
            return await step(*args)
        except Unavailable:
            await asyncio.sleep(0.02)


def tell(file: TextIO, line: list[Any]) -> None:
    file.write(orjson.dumps(line).decode() + "\n")
    file.flush()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
