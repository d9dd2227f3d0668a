"""`python -m gamepod local`: the sidecar alone, with the server that Agones' own local mode has. No match, no Redis.

For who writes a game, and for client libraries' own tests: they expect this server. What is said to it is logged by
what GET /gameserver then tells; Ctrl-C ends it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from dataclasses import dataclass
from typing import Final

import uvloop

from core.errors import Misconfigured
from core.model import Connection, CounterSpec, ListSpec, OpenPort
from core.serve import EXIT_MISCONFIGURED
from core.settings import from_env, setting
from gamepod import log as logs
from gamepod.sdk.answers import NOT_FOUND, error
from gamepod.sdk.metadata import Metadata
from gamepod.sdk.sdk import Identity, Sdk
from gamepod.sdk.server import ServerLife
from gamepod.sdk.sidecar import open_sidecar
from gamepod.sdk.tallies import Tallies
from gamepod.settings import SDK_GRPC_PORT, SDK_PORT
from gamepod.transport.http_types import Request, Response

log = logging.getLogger(__name__)

NAME: Final = "local"
NAMESPACE: Final = "default"
CONNECTION: Final = Connection("127.0.0.1", [OpenPort("default", "udp", 7777)])
COUNTERS: Final = {"rooms": CounterSpec(1, 10)}
LISTS: Final = {"players": ListSpec(100, ["test0", "test1", "test2"])}


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Where it listens."""

    sdk_port: int = setting("MUSTER_SDK_PORT", SDK_PORT)
    sdk_grpc_port: int = setting("MUSTER_SDK_GRPC_PORT", SDK_GRPC_PORT)


def local_sdk() -> Sdk:
    """The fixture: Ready from the start, and nobody's match."""
    life = ServerLife(time.monotonic(), match=False)
    life.became_ready()
    identity = Identity(NAME, NAMESPACE, "1234", int(time.time()))
    metadata = Metadata({"islocal": "true"}, {"annotation": "true"})
    return Sdk(identity, life, metadata, Tallies(COUNTERS, LISTS, seats=0), lambda: CONNECTION)


async def serve_local(settings: LocalSettings, stop: asyncio.Event) -> None:
    """Serve until `stop`. Raises Misconfigured where a port is taken."""
    sdk = local_sdk()
    telling = asyncio.create_task(_tell(sdk))
    try:
        async with open_sidecar(sdk, _no_match, settings.sdk_port, settings.sdk_grpc_port) as ports:
            log.info("the sidecar listens, without a match", extra={"rest": ports.rest, "grpc": ports.grpc})
            await stop.wait()
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _tell(sdk: Sdk) -> None:
    async for document in sdk.watch():
        told = {"revision": document["object_meta"]["generation"], "state": document["status"]["state"]}
        log.info("the server is now", extra=told)


async def _no_match(_: Request) -> Response:
    return error(
        NOT_FOUND, "there is no match here: `muster local -- COMMAND` runs a game with all of Muster behind it"
    )


async def _run(settings: LocalSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve_local(settings, stop)


def run() -> int:
    """Run it; returns the exit code."""
    logs.setup(form="text", level="info", game="", match="")
    try:
        uvloop.run(_run(from_env(LocalSettings, os.environ)))
    except Misconfigured as error_:
        log.critical(error_.detail)
        return EXIT_MISCONFIGURED
    return 0
