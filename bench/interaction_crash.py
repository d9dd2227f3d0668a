"""What a crash under load cost: the journal of a load process (bench.interaction_load) against the log in Redis.

A journal's line is [match, acknowledged, taken in, UTC ms]; a match's interactions are numbered from 1, in order, so
what was acknowledged are the numbers up to there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import keys
from core.interactions import unpack
from core.redis.client import Database

PAGE = 100


@dataclass(slots=True)
class Verdict:
    """Over all matches. `missing` and `doubled` break the promise; what was not acknowledged may be lost."""

    acknowledged: int = 0
    missing: int = 0  # of these, not in the log
    doubled: int = 0
    logged: int = 0
    lost: int = 0  # taken in as far as the journal knows, and not in the log
    window_ms: int = 0  # from the last interaction in the log to the journal's last word, the worst match
    missing_ms: int = 0  # how long before the journal's last word the oldest of the missing happened, at most


async def logged(db: Database, game: str) -> dict[str, list[tuple[int, int]]]:
    """Number and time of every interaction in a game's log, by match, in the order of the log."""
    found: dict[str, list[tuple[int, int]]] = {}
    for base in keys.shards(game):
        last = "-"
        while rows := await db.do("XRANGE", f"{base}:log", last, "+", "COUNT", PAGE):
            for _, fields in rows:
                mine = found.setdefault(fields["match"], [])
                mine += [(int(one.id.rpartition("-")[2]), one.at_ms) for one in unpack(fields["data"])]
            last = f"({rows[-1][0]}"
    return found


def last_words(journals: list[Path]) -> dict[str, tuple[int, int, int]]:
    """(acknowledged, taken in, UTC ms) by match, of each journal's last whole line of it."""
    found: dict[str, tuple[int, int, int]] = {}
    for path in journals:
        for line in path.read_text().splitlines():
            if line.endswith("]"):  # the kill may have cut the last one off
                match, acknowledged, accepted, at_ms = json.loads(line)
                found[match] = (acknowledged, accepted, at_ms)
    return found


def judge(words: dict[str, tuple[int, int, int]], log: dict[str, list[tuple[int, int]]]) -> Verdict:
    """Compare what was said to be durable with what is there."""
    made = Verdict()
    for match, (acknowledged, accepted, at_ms) in words.items():
        rows: list[Any] = log.get(match, [])
        numbers = [number for number, _ in rows]
        there = set(numbers)
        missing = sum(number not in there for number in range(1, acknowledged + 1))
        last_ms = max((ms for _, ms in rows), default=at_ms)
        made.acknowledged += acknowledged
        made.logged += len(numbers)
        made.missing += missing
        made.doubled += len(numbers) - len(there)
        made.lost += max(0, accepted - len(there))
        made.window_ms = max(made.window_ms, at_ms - last_ms)
        if missing:
            made.missing_ms = max(made.missing_ms, at_ms - last_ms)
    return made
