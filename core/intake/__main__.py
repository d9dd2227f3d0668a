"""`python -m core.intake`: read the broker's queues, until a signal."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Final

from core import log
from core.doorbell import open_doorbell
from core.errors import Misconfigured
from core.instruments import new_registry, watch_redis
from core.intake.commands import Commands
from core.intake.metrics import Metrics
from core.intake.orders import OWN, Orders
from core.intake.settings import IntakeSettings
from core.metrics import metrics_server
from core.misspelt import warn_of_misspelt
from core.redis.client import open_database
from core.release import member
from core.serve import run
from core.settings import Common, from_env
from core.sinks.catalogue import MATCHES
from core.sinks.settings import Settings

COMMANDS: Final = "player_commands"
ORDERS_AT_ONCE: Final = 64  # matches that are being made, or wait for room


async def main(stop: asyncio.Event) -> None:
    """Read the settings and work until `stop`."""
    common, broker = from_env(Common, os.environ), from_env(Settings, os.environ)
    settings = from_env(IntakeSettings, os.environ)
    log.setup("intake", form=common.log_format, level=common.log_level)
    warn_of_misspelt(os.environ)
    if not broker.rabbitmq:
        raise Misconfigured("no broker is set, so there is nothing to read", setting="RABBITMQ_HOST")
    try:
        from core.intake.link import Inlet
    except ImportError:
        raise Misconfigured("install muster[rabbitmq]", setting="RABBITMQ_HOST") from None
    registry = new_registry("intake")
    metrics = Metrics(registry)
    where = (registry, settings.metrics_host, settings.metrics_port)
    async with (
        open_database(common.redis_url) as db,
        member(db, "intake", stop),
        open_doorbell(db) as bell,
        metrics_server(*where, setting="MUSTER_INTAKE_METRICS_PORT"),
    ):
        watch_redis(registry, db.trips)
        commands = Commands(db, settings.answer_s)
        orders = Orders(db, bell, settings.room_s, settings.developer_servers)
        url = broker.rabbitmq_url
        inlets = (
            Inlet(url, COMMANDS, settings.prefetch, commands, metrics),
            Inlet(url, MATCHES, ORDERS_AT_ONCE, orders, metrics, MATCHES + OWN),
        )
        log.get("intake").info("ready", queues=[COMMANDS, MATCHES])
        async with asyncio.TaskGroup() as group:  # a task that ends before `stop` has a defect, which is ours to show
            for inlet in inlets:
                group.create_task(inlet.run(stop))


if __name__ == "__main__":
    sys.exit(run(main))
