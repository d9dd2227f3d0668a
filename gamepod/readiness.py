"""Whether a game is playable that does not say so: its port accepts, a page answers, a line is written, time is over.

Every look is short and bounded, and there is one at a time; who bounds them all is the match's start timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from core.model import GivenPort, Ready
from gamepod.ports import listens

LOOK_S: Final = 0.02  # between two looks at whether the port is open
ASK_S: Final = 0.1  # between two requests, or two questions for the line
ANSWER_S: Final = 1.0  # for the first line of an answer
STATUS_BYTES: Final = 256  # of an answer that are read


async def until_ready(
    rule: Ready, ports: Sequence[GivenPort], asked: asyncio.Event, said: Callable[[], Awaitable[bool]]
) -> None:
    """Return when the game is playable by its rule. `asked`: it said so itself; `said`: its line was seen."""
    if rule.when == "port":
        while not await listens(_port(rule, ports)):  # noqa: ASYNC110 - another process opens it, which no event tells
            await asyncio.sleep(LOOK_S)
    elif rule.when == "http":
        while not await answers(_port(rule, ports), rule.path):  # noqa: ASYNC110 - as above
            await asyncio.sleep(ASK_S)
    elif rule.when == "log":
        while not await said():  # noqa: ASYNC110 - who sees the line tells through Redis
            await asyncio.sleep(ASK_S)
    elif rule.when == "delay":
        await asyncio.sleep(rule.delay_s)
    else:
        await asked.wait()


async def answers(port: int, path: str) -> bool:
    """Whether GET `path` on this host's `port` is answered with 2xx within `ANSWER_S`."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=STATUS_BYTES)
            lines = f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "User-Agent: muster", "Connection: close", "", ""
            writer.write("\r\n".join(lines).encode())
            words = (await reader.readline()).split()
    except (OSError, TimeoutError, ValueError):  # ValueError: a first line that never ends is no answer
        return False
    finally:
        if writer is not None:
            writer.close()
    return len(words) >= 2 and words[0].startswith(b"HTTP/") and len(words[1]) == 3 and words[1].startswith(b"2")


def _port(rule: Ready, ports: Sequence[GivenPort]) -> int:
    streams = [port for port in ports if port.protocol != "udp"]
    return next((port.listen for port in streams if port.name == rule.port), streams[0].listen)
