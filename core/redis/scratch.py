"""A server of our own for a moment, that has loaded a snapshot file and is reached by a socket file only."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from redis import exceptions as rx
from redis.asyncio import Redis

from core.errors import Unavailable
from core.redis.embedded import find_server

LOAD_S: Final = 600.0  # a snapshot of gigabytes takes its time
ASK_S: Final = 0.05
STOP_S: Final = 10.0


@asynccontextmanager
async def reading(snapshot: Path, folder: Path, database: int) -> AsyncIterator[Redis]:
    """A server of our own that has loaded `snapshot`, reachable by a socket in `folder` only; ended with the block."""
    socket = folder / "redis.sock"
    command = [
        find_server(), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700",
        "--dir", str(snapshot.parent), "--dbfilename", snapshot.name, "--save", "", "--appendonly", "no",
        "--databases", str(max(16, database + 1)), "--daemonize", "no", "--logfile", str(folder / "redis.log"),
    ]  # fmt: skip
    process = subprocess.Popen(  # noqa: S603, ASYNC220 - the program was found; starting it takes a millisecond
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True
    )
    client: Redis = Redis(unix_socket_path=str(socket), db=database, decode_responses=False)
    try:
        await _loaded(client, process, folder / "redis.log")
        yield client
    finally:
        await client.aclose()
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)


async def _loaded(client: Redis, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + LOAD_S
    while True:
        try:
            await client.ping()
            return
        except (rx.RedisError, OSError):
            if process.poll() is None and time.monotonic() < until:
                await asyncio.sleep(ASK_S)
                continue
        raise Unavailable(
            "the snapshot cannot be read here; a server at least as new as the one it was taken from is needed: "
            + await asyncio.to_thread(_last_words, log)
        )


def _last_words(log: Path) -> str:
    return log.read_text(errors="replace")[-600:].strip() if log.exists() else "it said nothing"
