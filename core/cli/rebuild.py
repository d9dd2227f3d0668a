"""`muster rebuild`: views and activity counts of a game made again from its log."""

from __future__ import annotations

import sys
import time
from typing import Final

import uvloop

from core.cli.backup import redis_url
from core.cli.settings import StackSettings
from core.clock import iso
from core.errors import Invalid
from core.ids import is_game_id
from core.redis.client import open_database
from core.redis.rebuild import Rebuilt, rebuild

PROGRESS_S: Final = 1.0


def run(settings: StackSettings, game: str) -> int:
    """Rebuild `game` on REDIS_URL, or on the Redis of the stack that runs here. Returns the exit code."""
    if not is_game_id(game):
        raise Invalid(f"{game[:64]!r} is no id of a game", pointer="game")
    done = uvloop.run(_rebuild(redis_url(settings), game))
    print(text(game, done))
    return 0


def text(game: str, done: Rebuilt) -> str:
    """What was done, for people."""
    if not done.batches:
        return f"{game}: there is nothing in its log"
    lines = [
        f"{game}: {done.interactions} interactions in {done.batches} batches",
        f"  views written: {done.views}",
        f"  counts corrected: {done.counts}; buckets as the log says: {done.set}",
    ]
    if done.raised:
        lines.append(f"  buckets from before the log begins, only raised: {done.raised}")
    if done.left:
        lines.append(f"  buckets left alone because matches write: {done.left}; run this again when they are over")
    if done.broken:
        lines.append(f"  entries passed over that this version cannot read: {done.broken}")
    return "\n".join(lines)


async def _rebuild(url: str, game: str) -> Rebuilt:
    due_s = time.monotonic() + PROGRESS_S

    def told(done: Rebuilt) -> None:
        nonlocal due_s
        if time.monotonic() >= due_s:
            due_s = time.monotonic() + PROGRESS_S
            print(f"  {iso(done.at_ms)}: {done.interactions} interactions", file=sys.stderr, flush=True)

    async with open_database(url) as db:
        return await rebuild(db, game, told)
