"""A process takes its match, or its place without one, and lives for it: the lock, Redis, and who we are there."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from core.clock import new_id
from core.doorbell import open_doorbell
from core.errors import Conflict, Unavailable
from core.ids import is_id
from core.lifecycle import MatchState
from core.redis.lean import LeanRedis
from gamepod.flush import Flusher
from gamepod.lock import match_lock
from gamepod.loop import EXIT_NOT_OURS, EXIT_UNTOLD, Life
from gamepod.settings import Settings
from gamepod.standby import Standby
from gamepod.store import NotOurs, Store, until_answered, where

log = logging.getLogger(__name__)

ATTACH_S: Final = 20.0  # for Redis to answer at the start; the matchmaker's start timer runs meanwhile


async def serve(settings: Settings, stop: asyncio.Event) -> int:
    """Run the server of one match until it is over or `stop` is set. Returns the exit code."""
    try:
        with match_lock(settings.run_dir, settings.match):
            return await _attached(settings, stop)
    except (Conflict, NotOurs) as error:
        log.warning("this match is not ours to run", extra={"reason": error.detail})
        return EXIT_NOT_OURS
    except Unavailable as error:
        log.error("Redis stayed away", extra={"error": error.detail})
        return EXIT_UNTOLD


async def _attached(settings: Settings, stop: asyncio.Event) -> int:
    redis = LeanRedis(settings.redis_url)
    server = settings.server_id or new_id("server")
    store = Store(redis, settings.game, settings.match, server)
    # Started before there is a match: the name that we run under is our own.
    standby = Standby(redis, settings.game, settings.match, server) if is_id("standby", settings.match) else None
    try:
        async with open_doorbell(redis) as bell:
            try:
                async with asyncio.timeout(ATTACH_S):
                    if standby is not None:
                        match, resumed = await until_answered(lambda: standby.attach(where(settings.server)))
                    else:
                        match, state = await until_answered(lambda: store.attach(where(settings.server)))
                        resumed = state is MatchState.RUNNING
            except TimeoutError:
                raise Unavailable(f"no answer of Redis in {ATTACH_S:g} s") from None
            flusher = Flusher(redis, settings, move_ttl_s=match.move_ttl_s, near=match.near)
            life = Life(settings, match, redis, store, bell, flusher, stop, standby, resumed=resumed)
            return await life.run()
    finally:
        redis.close()
