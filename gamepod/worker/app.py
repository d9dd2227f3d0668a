"""`python -m gamepod worker`: settings, parts, and their ends in reverse order."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack

from core import log, serve
from core.doorbell import open_doorbell
from core.instruments import new_registry, watch_redis
from core.metrics import metrics_server
from core.misspelt import warn_of_misspelt
from core.outbound import Outbound
from core.process import unique_name
from core.redis.client import open_database
from core.release import member
from core.settings import Common, from_env
from gamepod.worker.calls import Calls
from gamepod.worker.loop import Worker
from gamepod.worker.metrics import Metrics
from gamepod.worker.pythons import Pythons
from gamepod.worker.settings import WorkerSettings


class _Ears:
    """What rings call before the worker exists, and after."""

    def __init__(self) -> None:
        self.worker: Worker | None = None

    def hear(self, topic: str, ids: list[str]) -> None:
        if self.worker is not None:
            self.worker.hear(topic, ids)


async def _start(stop: asyncio.Event) -> None:
    common, settings = from_env(Common, os.environ), from_env(WorkerSettings, os.environ)
    log.setup("worker", form=common.log_format, level=common.log_level)
    warn_of_misspelt(os.environ)
    owner = unique_name()
    registry, ears = new_registry("worker"), _Ears()
    metrics = Metrics(registry)
    async with AsyncExitStack() as parts:
        db = await parts.enter_async_context(open_database(common.redis_url))
        watch_redis(registry, db.trips)
        await parts.enter_async_context(member(db, "worker", stop))
        port = await parts.enter_async_context(
            metrics_server(registry, settings.metrics_host, settings.metrics_port, setting="MUSTER_WORKER_METRICS_PORT")
        )
        bell = await parts.enter_async_context(
            open_doorbell(
                db, topics=["commands"], heard=ears.hear, bind=common.doorbell_bind, host=common.doorbell_host
            )
        )
        outbound = Outbound(settings.networks)
        parts.push_async_callback(outbound.close)
        pythons = Pythons(settings.pack_s, settings.handler_memory_mib)
        calls = Calls(outbound, settings.handler_s)
        ears.worker = Worker(db, bell, settings, common.require_secret(), owner, calls, pythons, metrics)
        log.get("worker").info("ready", metrics_port=port, modules=sorted(settings.modules))
        await ears.worker.run(stop)


def run() -> int:
    """Work until told to stop; returns the exit code."""
    return serve.run(_start)
