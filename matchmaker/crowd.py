"""Who has no room for a match that could be played, so that servers without one give way.

A server that waits for a match takes the place of a match that has none: of any game, in any matchmaker on the same
hosts. So a game that lacks room writes it to Redis; every game with waiting servers reads it within a second, ends as
many as are lacking, once for each word, and starts none while the word is fresh: pools are filled again when nobody
has lacked room for a while.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import msgspec

from core import keys
from core.clock import now_ms
from core.model import Game
from core.redis.client import Database
from matchmaker.launch.base import Launcher
from matchmaker.rules import Pool, form

AGAIN_S: Final = 3.0  # between two words of a game: what was asked to go has gone by then
FRESH_MS: Final = 6_000  # a word counts for so long: two of them
KEPT_MS: Final = 60_000
READ_S: Final = 0.25  # how old a reading may be, for all games of a process
SHARE: Final = 10  # a search takes at most one in so many seconds


class Word(msgspec.Struct, frozen=True):
    """`matches` of a game have no room on `host`; or, of `owner`, no more servers than he has. `own`: nor are its own
    waiting servers of use to them.
    """

    game: str
    host: str
    matches: int
    own: bool
    at_ms: int
    owner: str = ""


@dataclass(slots=True)
class Crowd:
    """The words of all games, as this process reads and writes them."""

    _words: tuple[Word, ...] = ()
    _read_at: float = float("-inf")

    async def words(self, db: Database, host: str, owner: str) -> tuple[Word, ...]:
        """Fresh ones about these hosts, or this developer. Raises Unavailable."""
        if time.monotonic() - self._read_at >= READ_S:
            found = await db.do("HGETALL", keys.CROWDED)
            self._words = tuple(word for text in found.values() if (word := _decoded(text)) is not None)
            self._read_at = time.monotonic()
        now = now_ms()
        fresh = [it for it in self._words if abs(now - it.at_ms) <= FRESH_MS]
        return tuple(it for it in fresh if (it.owner == owner if it.owner else it.host == host))


class Lack:
    """The room that one game lacks. A word of its own for each side that finds it out."""

    def __init__(self, db: Database, launcher: Launcher, game: str, *, own: bool) -> None:
        self._db, self._launcher, self._game, self._own = db, launcher, game, own
        self._again_at = self._look_at = float("-inf")
        self.matches = 0
        self._owner = ""

    def look(self, pool: Pool, now: int) -> None:
        """There is no room at all: how many matches could be made, now and then."""
        if time.monotonic() < self._look_at or self._launcher.blind:
            return
        start = time.thread_time()
        found = form(pool, pool.rules, now, seed=now)
        self.matches = sum(proposal.backfill is None for proposal in found.proposals)
        self._look_at = time.monotonic() + max(AGAIN_S, SHARE * (time.thread_time() - start))

    def refused(self, game: Game | None, most: int) -> None:
        """A match was refused at so many live ones: where that is its developer's bound, his idle servers give way."""
        if game is not None and most < game.spec.limits.servers:
            self.matches += 1
            self._owner = game.owner

    async def tell(self) -> None:
        """Write it, if there is something to write. Raises Unavailable."""
        matches, owner, self.matches, self._owner = self.matches, self._owner, 0, ""
        if not matches or time.monotonic() < self._again_at or self._launcher.blind:
            return
        word = Word(self._game, self._launcher.host, matches, self._own, now_ms(), owner)
        field = f"{self._game}:{int(self._own)}"
        await self._db.do_many(
            [("HSET", keys.CROWDED, field, msgspec.json.encode(word)), ("PEXPIRE", keys.CROWDED, KEPT_MS)]
        )
        self._again_at = time.monotonic() + AGAIN_S


class Yielding:
    """How many of its waiting servers one game is to give up. Each word counts once."""

    def __init__(self, crowd: Crowd, game: str) -> None:
        self._crowd, self._game = crowd, game
        self._heard: dict[tuple[str, bool], int] = {}

    async def asked(self, db: Database, host: str, owner: str) -> tuple[int, bool]:
        """Servers to end now, and whether none is to be started. Raises Unavailable."""
        words = [it for it in await self._crowd.words(db, host, owner) if it.game != self._game or it.own]
        give = sum(it.matches for it in words if it.at_ms > self._heard.get((it.game, it.own), 0))
        self._heard = {(it.game, it.own): it.at_ms for it in words}
        return give, bool(words)


def _decoded(text: str) -> Word | None:
    try:
        return msgspec.json.decode(text, type=Word)
    except msgspec.DecodeError:  # of another version
        return None
