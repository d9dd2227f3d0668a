"""The metrics port that every service has: `/metrics` in the text format that Prometheus reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from core.errors import Misconfigured, Unavailable

BACKLOG: Final = 1024  # not yet accepted: when a service comes back, all its players do


@asynccontextmanager
async def metrics_server(
    registry: CollectorRegistry,
    host: str,
    port: int,
    *,
    setting: str = "MUSTER_METRICS_PORT",
    targets: Callable[[], Awaitable[bytes]] | None = None,
) -> AsyncIterator[int]:
    """Serve `registry` for the length of the block; yields the port (0 takes a free one).

    `targets` makes the JSON of `/targets`, where a Prometheus finds further ones (its `http_sd_configs`). Raises
    Misconfigured naming `setting`, the environment variable of this service's metrics port, where it is taken.
    """

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def discover(_: web.Request) -> web.Response:
        assert targets is not None
        try:
            return web.Response(body=await targets(), content_type="application/json")
        except Unavailable as error:
            raise web.HTTPServiceUnavailable(text=error.detail) from None  # Prometheus keeps what it knows

    app = web.Application()
    app.router.add_get("/metrics", scrape)
    if targets is not None:
        app.router.add_get("/targets", discover)
    async with listening(app, host, port, setting=setting) as bound:
        yield bound


@asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, *, setting: str, shutdown_s: float = 5.0
) -> AsyncIterator[int]:
    """Serve an application for the length of the block; yields the port it is bound to.

    A handler whose client is gone is cancelled. Raises Misconfigured naming `setting` where the port is taken.
    """
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=shutdown_s)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, backlog=BACKLOG).start()
        except OSError as error:
            raise Misconfigured(
                f"cannot listen on {host}:{port}: {error.strerror or error}", setting=setting
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
