"""What a game's author calls from Python: write interactions and read what Muster knows, in a match or outside of one.

    async with connect("redis://127.0.0.1:6379/0", game="tanks") as muster:
        await muster.add_interaction("alice", target="bob", damage=12.5)
        print(await muster.get_leaderboard(top=10))

`docs/python-api.md` has the whole of it. Writes of one connection are numbered, so one that is sent again after a lost
reply counts once. A connection may be shared by many tasks; it writes one interaction after another.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from core import keys
from core.boards import BoardStore
from core.clock import new_id, now_ms
from core.errors import Invalid, Unavailable
from core.ids import is_game_id
from core.interactions import MAX_BATCH, Action, Attack, Columns, Interaction, Move, actor, count, pack
from core.inventory import Inventories
from core.leaderboard import (
    EXPIRE_STEP,
    MAX_AROUND,
    MAX_TOP,
    Board,
    Entry,
    count_args,
    is_past,
    oldest_bucket,
    score_args,
)
from core.near import Near, near_calls
from core.nearby import find_near, position_of
from core.rating import Rating, read_rating
from core.redis.client import Database, open_database
from core.season import RUNNING_FIELDS, Seasons, read_running
from core.views import Views, view_calls

SENDS: Final = 4  # of one write before Unavailable reaches the caller
PAUSE_S: Final = 0.1  # before the second, doubled each time: a restart of Redis takes about a second
MAX_ELEMENTS: Final = 1_000  # read of one key; the rest of a longer one is not returned
LOG_BATCHES: Final = 50_000  # kept of a shard's log, where MUSTER_LOG_BATCHES is not set
FUTURE_MS: Final = 60_000  # clocks of game servers disagree by so much at most
_PLAYER: Final = re.compile(r"[^\s:{}]{1,64}")

# How to read a bounded part of each type of key; {} stands for its name.
_READS: Final[dict[str, tuple[str | int, ...]]] = {
    "string": ("GET", "{}"),
    "hash": ("HSCAN", "{}", 0, "COUNT", MAX_ELEMENTS),
    "list": ("LRANGE", "{}", 0, MAX_ELEMENTS - 1),
    "set": ("SSCAN", "{}", 0, "COUNT", MAX_ELEMENTS),
    "zset": ("ZRANGE", "{}", 0, MAX_ELEMENTS - 1, "REV", "WITHSCORES"),
    "stream": ("XREVRANGE", "{}", "+", "-", "COUNT", MAX_ELEMENTS),
}


class Muster:
    """A game's data. Make one with `connect`. Every method raises Unavailable where Redis stays away."""

    def __init__(self, db: Database, game: str, *, log_batches: int = LOG_BATCHES) -> None:
        self._db = db
        self._game = game
        self._log_batches = log_batches
        self._boards = BoardStore(db, game)
        self._writer = new_id("session")  # names our numbered writes
        self._number = 0  # of interactions
        self._batches = 0
        self._counts = 0
        self._writing = asyncio.Lock()
        self.items = Inventories(db, game)  # grant, take, exchange, inventory, audit

    async def read(self, key: str) -> Any:
        """What a key holds, or None where there is none.

        `key` is `attack:<attacker>:<target>`, `move:<player>` or `player:<player>` of this game, or a whole key
        of `core/keys.py`. A hash is a dict, a string a str, a list or set a list, a sorted set a list of (member,
        score) in descending order, a stream a list of (id, fields), newest first; at most MAX_ELEMENTS of them.
        """
        whole = key.startswith("muster:")
        name = key if whole else self._full(key)
        kind = await self._db.do("TYPE", name) if whole else "hash"
        if kind == "none":
            return None
        if kind not in _READS:
            raise Invalid(f"{name} is a {kind}, which cannot be read here", pointer="key")
        found = await self._db.do(*(name if word == "{}" else word for word in _READS[kind]))
        plain = _plain(kind, found)
        return plain if whole else plain or None  # a hash without fields is none

    async def add_interaction(
        self,
        player: str,
        *,
        what: str = "interaction",
        target: str | None = None,
        damage: float = 0.0,
        position: tuple[float, float] | None = None,
        at_s: float | None = None,
        move_ttl_s: int = 30,
        near: bool = False,
    ) -> str:
        """Write one interaction: to the log, to the view of its kind, and to the activity board. Returns its id.

        With `target` it is an attack of `damage` hit points; with `position` (latitude, longitude in degrees) a move,
        forgotten after `move_ttl_s` (10-60), and with `near` put into the index that `near` asks; else an action,
        named `what`. `at_s` is its UNIX time, by default now; one that is older than the board's window is logged but
        no longer counts.
        Raises Invalid, and Unavailable when Redis stays away (the interaction may then be written or not).
        """
        now = now_ms()
        one = _checked(now, player=player, what=what, target=target, damage=damage, position=position, at_s=at_s)
        return (await self._add([one], move_ttl_s, near))[0]

    async def add_interactions(
        self, interactions: Sequence[Mapping[str, Any]], *, move_ttl_s: int = 30, near: bool = False
    ) -> list[str]:
        """Write many (1-2000) at once, each a mapping of `add_interaction`'s arguments. Returns their ids in order.

        They are one batch of the log; views take a round trip a shard, counts one for each 100 players. Where one is
        refused, none is written, and the error's pointer says which: `3/damage` is the fourth's.
        """
        if not 1 <= len(interactions) <= MAX_BATCH:
            raise Invalid(f"1-{MAX_BATCH} interactions at once", pointer="interactions")
        now, made = now_ms(), []
        for i, given in enumerate(interactions):
            try:
                made.append(_checked(now, **given))
            except Invalid as error:
                raise Invalid(error.detail, pointer=f"{i}/{error.pointer}") from None
            except TypeError as error:
                raise Invalid(f"not the arguments of add_interaction: {error}", pointer=str(i)) from None
        return await self._add(made, move_ttl_s, near)

    async def near(self, of: str | tuple[float, float], *, radius_m: float = 1000.0, top: int = 20) -> list[Near]:
        """The nearest `top` (1-1000) players within `radius_m` (at most 100 km) of a player, or of a position.

        Of those in the index: of a game registered with `near`, and of `add_interaction(position=..., near=True)`.
        Raises NotFound for a player without a position that is still kept, who is himself never among the answers.
        """
        if isinstance(of, str):
            _check_player("of", of)
            place = await position_of(self._db, self._game, of)
            return await find_near(self._db, self._game, *place, radius_m=radius_m, top=top, but=of)
        return await find_near(self._db, self._game, *of, radius_m=radius_m, top=top)

    async def cleanup_old_interactions(self) -> int:
        """Take what is older than 24 hours out of the activity board, in bounded steps. Returns how many entries.

        The running stack does this by itself; a program without one calls it before it reads the board.
        """
        removed, left = 0, 1
        while left:
            oldest = oldest_bucket(now_ms())
            taken, left = await self._db.call("boards_expire", keys.boards(self._game), oldest, EXPIRE_STEP)
            removed += int(taken)
        return removed

    async def add_score(self, player: str, score: float, *, at_s: float | None = None) -> None:
        """Put a score on the score board, reached at `at_s` (UNIX time, by default now).

        Only a player's best stays, so the same score may be told again. Raises Invalid.
        """
        _check_player("player", player)
        at_ms = _at_ms(at_s, now_ms())
        for args in score_args([(player, _finite("score", score))], at_ms):
            await self._send("boards_add", keys.boards(self._game), "", 0, *args)

    async def get_leaderboard(
        self, *, top: int = 10, start: int = 1, board: Board = "activity", mode: str = "", season: int | None = None
    ) -> list[Entry]:
        """`top` (1-1000) lines of a board, best first, from rank `start` on.

        `mode`: of the rating board, in a game with modes. `season`: one that has ended, by default the running one;
        NotFound is raised for one that is not kept. Raises Invalid.
        """
        if not 1 <= top <= MAX_TOP:
            raise Invalid(f"top is 1-{MAX_TOP}", pointer="top")
        if start < 1:
            raise Invalid("ranks start at 1", pointer="start")
        return (await self._boards.view(board, mode=mode, season=season, first=start - 1, count=top)).entries

    async def rating(self, player: str, *, mode: str = "") -> Rating:
        """What is believed of the player's skill; a newcomer's rating for one without a rated match."""
        fields, stored = await self._db.do_many(
            [
                ("HMGET", keys.seasons(self._game), *RUNNING_FIELDS),
                ("HGET", keys.ratings(self._game, mode), player),
            ]
        )
        return read_rating(stored, read_running(fields))

    async def rank(
        self, player: str, *, board: Board = "activity", mode: str = "", season: int | None = None
    ) -> Entry | None:
        """The player's line, with rank and score, or None for one who is not on the board."""
        return (await self._boards.view(board, mode=mode, season=season, player=player)).own

    async def neighbours(
        self, player: str, *, around: int = 2, board: Board = "activity", mode: str = "", season: int | None = None
    ) -> list[Entry]:
        """The lines from `around` (0-500) before the player's to as many after; empty for one not on the board."""
        if not 0 <= around <= MAX_AROUND:
            raise Invalid(f"around is 0-{MAX_AROUND}", pointer="around")
        view = await self._boards.view(board, mode=mode, season=season, player=player, around=around)
        return view.neighbours or ([view.own] if view.own else [])

    async def seasons(self) -> Seasons:
        """The running season, and those that ended and are kept (12), newest first."""
        return await self._boards.seasons()

    async def end_season(self, season: int, *, carry: float = 1.0) -> Seasons:
        """End the running season, which is to be named: called again it ends nothing more.

        Its score and rating boards become its archive. `carry` (0-1) of each player's skill goes into the next.
        Raises Invalid, and Conflict where that season has not begun.
        """
        return await self._boards.end_season(season, carry=carry, now_ms=now_ms())

    def _full(self, key: str) -> str:
        kind, _, rest = key.partition(":")
        if kind not in ("attack", "move", "player") or not rest:
            raise Invalid(
                "a key is attack:<attacker>:<target>, move:<player>, player:<player> or a whole key", pointer="key"
            )
        return f"{keys.shard(self._game, rest.partition(':')[0])}:{key}"

    async def _add(self, made: list[Callable[[str], Interaction]], move_ttl_s: int, near: bool) -> list[str]:
        if not 10 <= move_ttl_s <= 60:
            raise Invalid("a position is kept for 10-60 s", pointer="move_ttl_s")
        async with self._writing:
            first, self._number = self._number + 1, self._number + len(made)
            ids = [f"{self._writer}-{number}" for number in range(first, self._number + 1)]
            await self._write([make(id_) for make, id_ in zip(made, ids, strict=True)], move_ttl_s, near)
        return ids

    async def _write(self, interactions: list[Interaction], move_ttl_s: int, near: bool) -> None:
        columns, now = Columns(interactions), now_ms()
        self._batches += 1
        payload = pack(columns, move_ttl_s=move_ttl_s)
        log = keys.shard(self._game, self._writer)
        await self._send("log_append", log, self._writer, self._batches, len(interactions), payload, self._log_batches)
        views = Views()
        views.add(columns)
        for base, args in view_calls(self._game, views, move_ttl_ms=move_ttl_s * 1000):
            await self._send("views_write", base, *args)
        for base, args in near_calls(self._game, views.moves.values(), ttl_s=move_ttl_s) if near else ():
            await self._send("near_add", base, *args)
        counted = [one for one in interactions if not is_past(one.at_ms, actor(one), now)]
        for args in count_args(count(counted)):
            self._counts += 1
            await self._send("boards_add", keys.boards(self._game), self._writer, self._counts, *args)

    async def _send(self, function: str, base: str, *args: str | bytes | int) -> None:
        for attempt in range(SENDS):
            try:
                await self._db.call(function, base, *args)
                return
            except Unavailable:
                if attempt == SENDS - 1:
                    raise
            await asyncio.sleep(PAUSE_S * 2**attempt)


def _checked(
    now: int,
    *,
    player: str,
    what: str = "interaction",
    target: str | None = None,
    damage: float = 0.0,
    position: tuple[float, float] | None = None,
    at_s: float | None = None,
) -> Callable[[str], Interaction]:
    """What makes the interaction of an id. Raises Invalid."""
    at_ms = _at_ms(at_s, now)
    _check_player("player", player)
    if target is not None and position is not None:
        raise Invalid("an interaction has a target or a position, not both", pointer="target")
    if damage < 0 or (damage and target is None):
        raise Invalid("damage is not negative, and is done to a target", pointer="damage")
    if target is not None:
        _check_player("target", target)
        _finite("damage", damage)
        return lambda id_: Attack(id_, at_ms, player, target, damage)
    if position is not None:
        try:
            lat, lon = map(float, position)
        except (TypeError, ValueError):
            raise Invalid("a position is a latitude and a longitude, in degrees", pointer="position") from None
        if not (-90 <= lat <= 90 and -180 <= lon <= 180):
            raise Invalid("a position is a latitude of -90 to 90 and a longitude of -180 to 180", pointer="position")
        return lambda id_: Move(id_, at_ms, player, lat, lon)
    if not 1 <= len(what) <= 64:
        raise Invalid("`what` has 1-64 characters", pointer="what")
    return lambda id_: Action(id_, at_ms, player, what)


def _at_ms(at_s: float | None, now: int) -> int:
    at_ms = now if at_s is None else round(_finite("at_s", at_s) * 1000)
    if at_ms > now + FUTURE_MS or at_ms < 0:
        raise Invalid("at_s lies in the future, or before 1970", pointer="at_s")
    return at_ms


def _check_player(name: str, player: str) -> None:
    if not _PLAYER.fullmatch(player):
        raise Invalid(f"{name} has 1-64 characters other than spaces, colons and braces", pointer=name)


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise Invalid(f"{name} is not a number", pointer=name)
    return value


def _plain(kind: str, found: Any) -> Any:
    """A reply of redis-py in the form `read` promises: it differs with the protocol version spoken."""
    if kind == "set":
        return sorted(found[1])[:MAX_ELEMENTS]
    if kind == "zset":
        flat = found if not found or isinstance(found[0], list | tuple) else zip(found[::2], found[1::2], strict=True)
        return [(str(member), float(score)) for member, score in flat]
    if kind == "hash":
        return dict(found[1])
    return found


@asynccontextmanager
async def connect(url: str, *, game: str, log_batches: int = LOG_BATCHES) -> AsyncIterator[Muster]:
    """The data of `game` at the Redis at `url` (redis://, rediss://, unix://, redis+sentinel://, redis+cluster://).

    `log_batches` is the installation's MUSTER_LOG_BATCHES: who writes also trims the log, to so many batches a shard.
    Raises Invalid for a name that no game can have. Connecting is lazy: a Redis that is away is told at the first call.
    """
    if not is_game_id(game):
        raise Invalid(f"{game[:64]!r} is no id of a game", pointer="game")
    async with open_database(url) as db:
        yield Muster(db, game, log_batches=log_batches)
