"""Inventories in Redis: who owns what, and every move of items (row A3). `core.items` says what a move is.

A move is one Redis function: made whole or not at all, once, and in the audit. An attempt whose reply was lost is
sent again with its id and gets the first answer. The audit is the truth: inventories can be compared with it, and made
from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, Protocol

from core import keys
from core.clock import new_id
from core.errors import Conflict, Invalid, Unavailable
from core.ids import is_id, made_ms
from core.items import (
    AUDIT_KEPT,
    MOVES_REMEMBERED,
    Document,
    Item,
    Moved,
    check_player,
    document,
    holdings,
    read_document,
    read_entry,
    refuse,
    replay,
)

SENDS: Final = 4  # of one move before Unavailable reaches the caller, who may ask on with the same id
PAUSE_S: Final = 0.1  # before the second, doubled each time
PAGE: Final = 500  # players, or entries of the audit, read in one step
STEP: Final = 50  # inventories read at once
MOST_ENTRIES: Final = 200  # of one answer; as many as a player's own trail has


class Caller(Protocol):
    """What moving items needs of a Redis client."""

    async def call(self, function: str, base: str, *args: str | bytes | int | float) -> Any: ...

    async def do(self, *command: str | bytes | int | float) -> Any: ...


class Inventories:
    """The items of one game. Every method raises Unavailable where Redis stays away."""

    def __init__(self, db: Caller, game: str, *, audit_kept: int = AUDIT_KEPT, sends: int = SENDS) -> None:
        self._db = db
        self._base = keys.items(game)
        self._audit_kept = audit_kept
        self._sends = sends

    async def open(self, player: str) -> list[Item]:
        """What a player has, who can be given items from now on."""
        check_player(player, "player")
        found = await self._db.call("items_open", self._base, player)
        return holdings(pairs(found))

    async def inventory(self, player: str) -> list[Item]:
        """What a player has, in order of the names."""
        check_player(player, "player")
        return holdings(pairs(await self._db.do("HGETALL", f"{self._base}:inv:{player}")))

    async def grant(self, player: str, items: Sequence[Item], *, by: str = "", match: str = "", id: str = "") -> Moved:
        """Give a player items that come from nowhere, unique ones among them. Raises Conflict, Invalid."""
        return await self._move(id, document("grant", "", player, items, [], by=by, match=match))

    async def take(self, player: str, items: Sequence[Item], *, by: str = "", match: str = "", id: str = "") -> Moved:
        """Take items from a player for good: used up, sold, forfeited. Raises Conflict, Invalid, NotFound."""
        return await self._move(id, document("take", player, "", items, [], by=by, match=match))

    async def exchange(
        self,
        a: str,
        b: str,
        *,
        give: Sequence[Item] = (),
        get: Sequence[Item] = (),
        by: str = "",
        match: str = "",
        id: str = "",
    ) -> Moved:
        """`a` gives `give` to `b` and gets `get` from him: both, or neither. One side may be empty: a present.

        `id` (of `core.clock.new_id("exchange")`) makes it safe to ask again after Unavailable: the move is made once,
        and its first answer comes again, for ten minutes or 250,000 moves of the game; then it is refused as `stale`.
        Raises Conflict (`not-owned`, `over-bound`, `other-content`, `stale`), NotFound (`unknown-player`), Invalid.
        """
        return await self._move(id, document("exchange", a, b, give, get, by=by, match=match))

    async def audit(
        self, player: str | None = None, *, since_ms: int = 0, until_ms: int | None = None, limit: int = 50
    ) -> list[Moved]:
        """Moves in a span of time (UTC ms, both ends within), newest first: of a player his latest 200, or of all."""
        if not 1 <= limit <= MOST_ENTRIES:
            raise Invalid(f"limit is 1-{MOST_ENTRIES}", pointer="limit")
        last = "+" if until_ms is None else str(until_ms)
        if player is None:
            found = await self._db.do("XREVRANGE", f"{self._base}:audit", last, max(0, since_ms), "COUNT", limit)
            return [read_entry(entry, pairs(fields)) for entry, fields in found]
        check_player(player, "player")
        trail = await self._db.do("LRANGE", f"{self._base}:trail:{player}", 0, MOST_ENTRIES - 1)
        wanted = [at for at in trail if since_ms <= _ms(at) and (until_ms is None or _ms(at) <= until_ms)][:limit]
        made = await asyncio.gather(*[self._db.do("XRANGE", f"{self._base}:audit", at, at) for at in wanted])
        return [read_entry(entry, pairs(fields)) for found in made for entry, fields in found]

    async def rebuild(self, *, repair: bool = False) -> dict[str, tuple[list[Item], list[Item]]]:
        """Make all inventories from the audit and compare: player -> (what is there, what should be) where they differ.

        With `repair` those are written as they should be. It reads everything, in steps: for a look now and then.
        Raises Conflict where items were moved meanwhile: nothing was compared, ask again.
        """
        last = await self._last()
        players = [player async for page in self._scan("SSCAN", "players") for player in page]
        should = replay(await self._hashes("kept", players), [doc async for doc in self._documents(last)])
        should = {player: should[player] for player in should.keys() & set(players)}  # others were erased
        found = await self._hashes("inv", players)
        owners = {u: p async for page in self._scan("HSCAN", "owners") for u, p in pairs(page).items()}
        rightful = {name.partition("#")[2]: p for p, items in should.items() for name in items if "#" in name}
        nobodys = [unique for unique in owners if unique not in rightful]
        wrong = {p for p in {*players, *should} if found.get(p, {}) != should.get(p, {})}
        wrong |= {p for unique, p in rightful.items() if owners.get(unique) != p}
        wrong |= {owners[unique] for unique in nobodys}
        if await self._last() != last:
            raise Conflict("items were moved meanwhile", code="changed")
        if repair:
            for player in wrong:
                await self._restore(last, player, should.get(player, {}), nobodys)
        return {player: (holdings(found.get(player, {})), holdings(should.get(player, {}))) for player in wrong}

    async def _move(self, id_: str, text: bytes) -> Moved:
        id_ = id_ or new_id("exchange")
        if not is_id("exchange", id_):
            raise Invalid("the id of a move is `x-` and a ULID in lower case", pointer="id")
        args = (id_, made_ms(id_), MOVES_REMEMBERED, self._audit_kept, text)
        for attempt in range(self._sends):
            try:
                how, first, what = await self._db.call("items_move", self._base, *args)
                break
            except Unavailable:
                if attempt == self._sends - 1:
                    raise
            await asyncio.sleep(PAUSE_S * 2**attempt)
        if how == "refused":
            refuse(first, what)
        return read_entry(first, {"id": id_, "doc": text.decode()})

    async def _last(self) -> str:
        found = await self._db.do("XREVRANGE", f"{self._base}:audit", "+", "-", "COUNT", 1)
        return str(found[0][0]) if found else ""

    async def _documents(self, last: str) -> AsyncIterator[Document]:
        start = "-"
        while last:
            found = await self._db.do("XRANGE", f"{self._base}:audit", start, last, "COUNT", PAGE)
            for _, fields in found:
                yield read_document(pairs(fields)["doc"])
            if len(found) < PAGE:
                return
            start = f"({found[-1][0]}"

    async def _scan(self, command: str, key: str) -> AsyncIterator[Any]:
        cursor = 0
        while True:
            cursor, page = await self._db.do(command, f"{self._base}:{key}", cursor, "COUNT", PAGE)
            yield page
            if int(cursor) == 0:
                return

    async def _hashes(self, kind: str, players: Sequence[str]) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for start in range(0, len(players), STEP):
            some = players[start : start + STEP]
            hashes = await asyncio.gather(*[self._db.do("HGETALL", f"{self._base}:{kind}:{one}") for one in some])
            for player, items in zip(some, hashes, strict=True):
                found[player] = {name: int(n) for name, n in pairs(items).items()}
        return found

    async def _restore(self, last: str, player: str, items: Mapping[str, int], nobodys: Sequence[str]) -> None:
        flat = [value for row in items.items() for value in row]
        reply = await self._db.call("items_restore", self._base, last, player, len(items), *flat, *nobodys)
        if reply != "ok":
            raise Conflict("items were moved meanwhile: what is left is to be computed anew", code="changed")


def _ms(entry: str) -> int:
    return int(entry.partition("-")[0])


def pairs(found: Any) -> dict[str, str]:
    """A hash as either client tells it: a mapping, or names and values in turn."""
    if isinstance(found, Mapping):
        return dict(found)
    return dict(zip(found[::2], found[1::2], strict=True))
