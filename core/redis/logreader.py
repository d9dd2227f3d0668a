"""Reading a game's log of interactions from outside, at one's own pace: for sinks, analytics, archives.

A reader has a name and, in each shard of the log, a cursor that is kept in Redis. `read` gives what comes after the
cursors, `commit` moves them: whoever dies in between reads the same again, so each batch is had at least once (match
and batch number tell a repeat). What a registered reader has not read is not trimmed, with two bounds, so that one that
is dead or slow cannot fill the memory of Redis: the log waits for it until it is UNREAD_KEPT (4) times as long as it is
kept anyway, then the oldest batches go and are counted as lost; and who was silent for SILENT_S (an hour) is dropped.
The game servers that write log both and count them: `muster_log_unread_total`, `muster_log_readers_dropped_total`.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from core import keys
from core.errors import Conflict, Invalid, NotFound
from core.redis.client import Database, function_call

MAX_READ: Final = 500  # batches of one `read`: 30 MB where all are full
MOST_READ: Final = 4_000  # ... where the reader knows that they are small
FACTS_READ: Final = 500  # facts of one log in one `read`, beside them: 150 KB
ALIVE_S: Final = 60.0  # a reader that finds nothing new says that it is there so often
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


class Entry(NamedTuple):
    """One batch; `core.interactions.read_batch` opens its payload. With number 0 it is a fact: a JSON document."""

    shard: str  # base key
    id: str  # of the stream entry; begins with the ms at which Redis took it in
    match: str
    batch: int  # number within the match, from 1
    size: int  # interactions
    payload: str


@dataclass(slots=True)
class LogReader:
    """A reader of all shards of one game. All methods raise Unavailable. One at a time reads under one name.

    With `facts` it reads what steps in Redis told too: of the game's matches, tickets and presence; with `packs` of its
    delayed commands. All but those of matches are written from the first `register` on that asks for them. Of game ''
    it reads who tried to come in.
    """

    db: Database
    game: str
    name: str
    facts: bool = False
    packs: bool = False
    cursors: dict[str, str] = field(default_factory=dict)  # by shard
    _lost: dict[str, int] = field(default_factory=dict)  # by shard
    _alive_s: float = 0.0
    _shards: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._shards = frozenset(keys.shards(self.game))
        if not _NAME.fullmatch(self.name):
            raise Invalid("a reader's name has 1-64 of a-z, 0-9, '.', '_' and '-'", pointer="name")

    async def register(self, *, start: str = "oldest") -> None:
        """Go on where this name was; a new one begins at the `oldest` batch there is, or after the `newest`.

        Raises Conflict where 64 others are registered, all heard within SILENT_S: one of them is to `leave`.
        """
        if start not in ("oldest", "newest"):
            raise Invalid("a reader begins at 'oldest' or 'newest'", pointer="start")
        shards = self._bases()
        found = await self.db.call_many([("reader_join", base, (self.name, start)) for base in shards])
        if any(cursor == "full" for cursor, _ in found):
            raise Conflict("this log has as many readers as it can have", code="readers-full")
        self.cursors = {base: cursor for base, (cursor, _) in zip(shards, found, strict=True)}
        self._lost = {base: int(lost) for base, (_, lost) in zip(shards, found, strict=True)}
        self._alive_s = time.monotonic()

    async def read(self, most: int = MAX_READ) -> list[Entry]:
        """Up to `most` batches, at least one a shard, after the cursors, of each shard in its order, and facts.

        More than MOST_READ are not given; none where there is nothing new. Without `commit` the next call gives the
        same again. Raises NotFound for one that is not registered (any more).
        """
        if not self.cursors:
            raise NotFound(f"reader {self.name!r} is not registered", code="reader-gone")
        commands = [
            ("XRANGE", f"{base}:log", f"({at}", "+", "COUNT", self.page(base, most))
            for base, at in self.cursors.items()
        ]
        replies = await self.db.do_many(commands)
        found = [entry(base, row) for base, rows in zip(self.cursors, replies, strict=True) for row in rows]
        if not found and time.monotonic() - self._alive_s >= ALIVE_S:
            await self._commit(self.cursors)
        return found

    def page(self, base: str, most: int = MAX_READ) -> int:
        """How many of one log `read` gives at most: where it gives so many, there may be more."""
        return max(1, min(most, MOST_READ) // len(self._shards)) if base in self._shards else FACTS_READ

    @property
    def lost(self) -> int:
        """Batches that were trimmed before this reader read them."""
        return sum(self._lost.values())

    async def commit(self, entries: list[Entry]) -> None:
        """These entries, and all before them in their shards, are done with. Raises NotFound as `read` does."""
        await self._commit({one.shard: one.id for one in entries})

    async def leave(self) -> None:
        """Nothing is kept for this reader any more."""
        await self.db.call_many([("reader_leave", base, (self.name,)) for base in self._bases()])
        self.cursors = {}

    def _bases(self) -> list[str]:
        if not self.game:
            return [keys.AUDIT]
        shards, game = keys.shards(self.game), keys.game(self.game)
        told = [game, keys.facts(game)] if self.facts else []
        return [*shards, *told, *(map(keys.facts, shards) if self.packs else ())]

    async def _commit(self, cursors: dict[str, str]) -> None:
        # A shard of which nothing came must know now and then that its reader lives: all are told.
        now_s = time.monotonic()
        told = self.cursors | cursors if now_s - self._alive_s >= ALIVE_S else cursors
        calls = [function_call("reader_commit", base, self.name, at) for base, at in told.items()]
        replies = await self.db.do_many(calls)
        if any(reply[0] == "gone" for reply in replies):
            self.cursors = {}
            raise NotFound(f"reader {self.name!r} is not registered: it was silent for too long", code="reader-gone")
        self.cursors |= cursors
        self._lost |= {base: int(reply[1]) for base, reply in zip(told, replies, strict=True)}
        if len(told) == len(self.cursors):
            self._alive_s = now_s


def entry_ms(id_: str) -> int:
    """The UTC ms, on Redis' clock, at which a stream took an entry in."""
    return int(str(id_).partition("-")[0])


def entry(base: str, row: Any) -> Entry:
    """One row of XRANGE on the log of shard `base`."""
    id_, fields = row
    if not isinstance(fields, dict):
        fields = dict(zip(fields[::2], fields[1::2], strict=True))
    # A fact has neither number nor size: what is said of each entry costs everybody who writes or reads it.
    number, size = int(fields.get("batch", 0)), int(fields.get("count", 0))
    return Entry(base, id_, fields["match"], number, size, fields["data"])
