"""Bots that play one match after the other, over UDP, TCP and WebSocket in turns, for as long as they are told."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from core.cli.bot import Bot, Tale
from core.cli.games import DEMO_GAME
from core.cli.wires import Kind

WIRES: Final[tuple[Kind, ...]] = ("udp", "tcp", "ws")
PAUSE_S: Final = 1.0  # between two matches, in the mean
DRAIN_S: Final = 45.0  # a match that has begun is played to its end


@dataclass
class Crowd:
    """So many bots, and what each of their matches was like."""

    url: str
    bots: int
    game: str = DEMO_GAME
    tales: list[Tale] = field(default_factory=list)
    _over: bool = False

    async def play(self, seconds: float) -> None:
        """Play; returns when the last match that was begun within `seconds` is over, or DRAIN_S after."""
        connector = aiohttp.TCPConnector(limit=0)  # each waiting bot holds a connection
        timeout = aiohttp.ClientTimeout(total=seconds + DRAIN_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            until_s = time.monotonic() + seconds
            tasks = [asyncio.create_task(self._one(number, session, until_s)) for number in range(self.bots)]
            _, late = await asyncio.wait(tasks, timeout=seconds + DRAIN_S) if tasks else ((), ())
            self._over = True
            for task in late:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result

    async def _one(self, number: int, session: aiohttp.ClientSession, until_s: float) -> None:
        chance = random.Random(number)
        await asyncio.sleep(chance.uniform(0, PAUSE_S))
        while time.monotonic() < until_s:
            tale = Tale(f"bot {number}", WIRES[len(self.tales) % len(WIRES)])
            bot = Bot(self.url, self.game, tale, session, chance, streams=number % 2 == 0)
            playing = asyncio.create_task(bot.run())
            await asyncio.wait([playing], timeout=until_s - time.monotonic())
            if not playing.done() and not tale.match:
                playing.cancel()  # waits for others who come no more
                await asyncio.gather(playing, return_exceptions=True)
                return
            self.tales.append(await playing)
            await asyncio.sleep(chance.uniform(0, 2 * PAUSE_S))

    @property
    def played(self) -> list[Tale]:
        """Matches that were played to their end, a tale for each bot in them."""
        return [tale for tale in self.tales if tale.over]

    @property
    def failures(self) -> list[str]:
        """What went wrong."""
        return [f"{tale.name} over {tale.wire}: {tale.failure}" for tale in self.tales if tale.failure]
