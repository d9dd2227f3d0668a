"""`python -m core.sinks`: carry events to the brokers that are set, until a signal."""

from __future__ import annotations

import asyncio
import os
import sys

from core import log
from core.errors import Misconfigured
from core.instruments import new_registry, watch_redis
from core.metrics import metrics_server
from core.misspelt import warn_of_misspelt
from core.process import unique_name
from core.redis.client import open_database
from core.release import member
from core.serve import run
from core.settings import Common, from_env
from core.sinks.metrics import Metrics
from core.sinks.outlet import Outlet
from core.sinks.settings import Settings
from core.sinks.ship import Shipper


def outlets(settings: Settings) -> list[Outlet]:
    """One for each broker that is set. Raises Misconfigured where none is, or its library is missing."""
    made: list[Outlet] = []
    if settings.kafka:
        try:
            from core.sinks.kafka import Kafka
        except ImportError:
            raise Misconfigured("install muster[kafka]", setting="KAFKA_BOOTSTRAP_SERVERS") from None
        made.append(Kafka(settings.kafka))
    if settings.rabbitmq:
        try:
            from core.sinks.rabbitmq import RabbitMQ
        except ImportError:
            raise Misconfigured("install muster[rabbitmq]", setting="RABBITMQ_HOST") from None
        made.append(RabbitMQ(settings.rabbitmq_url))
    if not made:
        raise Misconfigured("no broker is set, so there is nothing to carry", setting="KAFKA_BOOTSTRAP_SERVERS")
    return made


async def main(stop: asyncio.Event) -> None:
    """Read the settings and work until `stop`."""
    common, settings = from_env(Common, os.environ), from_env(Settings, os.environ)
    log.setup("sinks", form=common.log_format, level=common.log_level)
    warn_of_misspelt(os.environ)
    found, registry = outlets(settings), new_registry("sinks")
    metrics = Metrics(registry)
    owner = unique_name()
    async with (
        open_database(common.redis_url) as db,
        member(db, "sinks", stop),
        metrics_server(registry, settings.metrics_host, settings.metrics_port, setting="MUSTER_SINKS_METRICS_PORT"),
    ):
        watch_redis(registry, db.trips)
        shippers = [
            Shipper(db, it, owner, settings.lease_s, metrics, settings.commands, settings.topics(it.name))
            for it in found
        ]
        log.get("sinks").info("ready", sinks=[outlet.name for outlet in found])
        async with asyncio.TaskGroup() as group:  # a task that ends before `stop` has a defect, which is ours to show
            for shipper in shippers:
                group.create_task(shipper.run(stop))


if __name__ == "__main__":
    sys.exit(run(main))
