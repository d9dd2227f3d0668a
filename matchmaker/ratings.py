"""Moves the ratings of one game by its finished matches, each exactly once.

A match that finishes is put among the unrated ones in the same step, so whoever works the game next finds it there,
whatever was killed in between. Matches are taken in the order of their ends, a batch a step. What was computed is
written by one function in the slot of the boards, where nothing is known of the game's lease: it recognises a match by
its id, and writes only over the ratings that were computed from, so that two owners at once do no harm. Only then is
the match taken from the unrated ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from core import keys, log
from core.rating import Rating, read_rating
from core.redis.client import Database
from core.season import RUNNING_FIELDS, Running, read_running
from matchmaker.rating import Result, Unrated, rate, result_of
from matchmaker.shared import Shared

AT_ONCE: Final = 64  # matches; the largest, of 200 players, takes 2 ms to compute
GAP_S: Final = 0.05  # rings of matches come in swarms, and nobody waits for a rating
ROW: Final = ("state", "doc", "reason", "result", "report")
WHY_LENGTH: Final = 300  # characters kept of why a match moved no rating

Kept = dict[tuple[str, str], str]  # (mode, player) -> the rating as stored, "" for none


class Ratings:
    """See the module. `step` is run by one task only, again as soon as a match ended."""

    def __init__(self, shared: Shared, game: str) -> None:
        self._shared, self._game = shared, game
        self._base, self._boards = keys.game(game), keys.boards(game)
        self._name = shared.metrics.name(game)
        self._log = log.get("matchmaker.ratings").bind(game=game)

    async def step(self) -> float:
        """Rate one batch. Returns the seconds until the next if nobody rings. Raises Unavailable."""
        found = await self._unrated(self._shared.db)
        if not found:
            await asyncio.sleep(GAP_S)
            return self._shared.settings.poll_s
        results = [it for it in found if isinstance(it, Result)]
        notes = {it.match: self._note(it) for it in found if isinstance(it, Unrated)}
        changed = False
        if results:
            running, stored = await self._stored(results)
            calls = await self._moves(results, stored, running)
            for it, reply in zip(results, await self._shared.db.call_many(calls), strict=True):
                self._count("rated" if reply == "ok" else str(reply))
                if reply == "changed":
                    changed = True
                else:
                    notes[it.match] = "rated"
        if notes:
            await self._shared.db.call("match_rated", self._base, *(word for pair in notes.items() for word in pair))
        if len(found) == AT_ONCE:
            return 0.0
        await asyncio.sleep(GAP_S)
        return 0.0 if changed else self._shared.settings.poll_s

    async def _unrated(self, db: Database) -> list[Result | Unrated]:
        matches = await db.do("ZRANGE", f"{self._base}:unrated", 0, AT_ONCE - 1, "WITHSCORES")
        rows = await db.do_many([("HMGET", keys.match(self._game, match), *ROW) for match, _ in matches])
        found = []
        for (match, ended_ms), row in zip(matches, rows, strict=True):
            found.append(result_of(match, row, int(float(ended_ms))))
            await asyncio.sleep(0)  # players wait for the loop, and nobody for a rating
        return found

    async def _stored(self, results: Sequence[Result]) -> tuple[Running, Kept]:
        """The running season, and the ratings of all players of these, in one round trip."""
        wanted: dict[str, dict[str, None]] = {}
        for it in results:
            wanted.setdefault(it.mode, {}).update(dict.fromkeys(it.players))
        commands = [("HMGET", keys.ratings(self._game, mode), *players) for mode, players in wanted.items()]
        season, *found = await self._shared.db.do_many(
            [("HMGET", keys.seasons(self._game), *RUNNING_FIELDS), *commands]
        )
        return read_running(season), {
            (mode, player): text or ""
            for (mode, players), texts in zip(wanted.items(), found, strict=True)
            for player, text in zip(players, texts, strict=True)
        }

    async def _moves(
        self, results: Sequence[Result], stored: Kept, running: Running
    ) -> list[tuple[str, str, list[Any]]]:
        """A write for each, computed from what those before it leave behind."""
        calls = []
        for it in results:
            before = {player: read_rating(stored[it.mode, player], running) for player in it.players}
            after = rate(it.standings, before)
            calls.append(("ratings_write", self._boards, _write(it, stored, after, running.number)))
            stored.update({(it.mode, player): rating.text(running.number) for player, rating in after.items()})
            await asyncio.sleep(0)
        return calls

    def _note(self, it: Unrated) -> str:
        self._count("faulty" if it.faulty else "void")
        say = self._log.warning if it.faulty else self._log.info
        say("match moved no rating", match=it.match, why=it.why)
        return it.why[:WHY_LENGTH]

    def _count(self, outcome: str) -> None:
        self._shared.metrics.rated.labels(self._name, outcome).inc()


def _write(it: Result, stored: Kept, after: Mapping[str, Rating], season: int) -> list[Any]:
    """Arguments of `ratings_write`."""
    rows = [(player, stored[it.mode, player], new.text(season), new.board_score) for player, new in after.items()]
    return [it.match, it.mode, season, it.ended_ms, *(word for row in rows for word in row)]
